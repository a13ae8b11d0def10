"""Small simulated robot demonstrations with exact event times, drawn by MuJoCo.

For the built-in model's training, for tests and for a first run without any data. Needs the
optional extra `simulate`; importing this package does not import mujoco.
"""

from kairoscope.simulate.produce import generate
from kairoscope.simulate.vocabulary import FAMILIES, FAMILIES_SEEN, FAMILY_UNSEEN

__all__ = ["FAMILIES", "FAMILIES_SEEN", "FAMILY_UNSEEN", "generate"]
