"""A small simulated world of driving clips whose captions are exact by construction."""

from kairoscope.simulate.driving.produce import generate_drives

__all__ = ["generate_drives"]
