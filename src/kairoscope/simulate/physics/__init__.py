"""Clips of moving objects whose physics is right, or wrong by an exact amount.

Plain kinematics and a small painter: needs neither MuJoCo nor OpenGL.
"""

from kairoscope.simulate.physics.produce import generate_physics
from kairoscope.simulate.physics.violations import FAMILIES, VIOLATIONS

__all__ = ["FAMILIES", "VIOLATIONS", "generate_physics"]
