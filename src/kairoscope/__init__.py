"""Kairoscope: time in robot video."""

__version__ = "0.1.0"
