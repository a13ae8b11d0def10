"""Fixtures of the tests of robot data."""

from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.simulate.render import load_mujoco


@pytest.fixture(scope="session")
def mujoco() -> Any:
    """MuJoCo, imported as the simulator does: its first import settles how it draws."""
    try:
        return load_mujoco()
    except UserError as error:
        pytest.skip(f"no simulator here: {error}")
