"""Fixtures of tests on recorded simulations."""

from pathlib import Path
from typing import Any

import pytest
from recorded_worlds import MESH

from kairoscope.core import UserError


@pytest.fixture(scope="session")
def drawing() -> Any:
    """MuJoCo with a headless OpenGL; tests that draw skip by name where there is none."""
    from kairoscope.render.picture import Painter
    from kairoscope.simulate.render import load_mujoco

    try:
        mujoco = load_mujoco()
        Painter(mujoco, 64, "fast").close()
    except UserError as error:
        pytest.skip(f"nothing can be drawn here: {error}")
    return mujoco


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for site-packages with robosuite in it."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "robosuite" / "models" / "assets").mkdir(parents=True)
    (folder / "robosuite" / "models" / "assets" / "bump.obj").write_text(MESH)
    return folder
