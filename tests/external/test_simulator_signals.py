"""Our predicates and pictures are the simulator's. Skipped where MIMICGEN_PYTHON is not set.

`MIMICGEN_PYTHON` names a Python that has robosuite 1.4.1 and MimicGen; `MIMICGEN_ASSETS`, folders
with their files (separated by colons) where they are not installed beside Kairoscope too;
`MIMICGEN_DEMOS`, a folder of recordings (HDF5) to be compared as well.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.render.assets import Assets, assets_in
from kairoscope.render.picture import Painter, compiled
from kairoscope.render.predicates import PREDICATES, signals
from kairoscope.render.recording import environment_of, open_recordings, read_recording
from kairoscope.simulate.render import load_mujoco

try:
    mujoco = load_mujoco()
except UserError as error:
    pytest.skip(f"nothing can be drawn here: {error}", allow_module_level=True)
SIDE = Path(__file__).with_name("simulator_side.py")
ENVIRONMENTS = (
    *("Stack_D0", "Stack_D1", "StackThree_D0", "StackThree_D1", "Square_D0", "Square_D1"),
    *("Square_D2", "NutAssembly_D0", "Coffee_D0", "Coffee_D1", "Coffee_D2", "Threading_D0"),
    *("Threading_D1", "Threading_D2", "ThreePieceAssembly_D0", "ThreePieceAssembly_D1"),
    "ThreePieceAssembly_D2",
)
NUM_STATES = 150
ALLOWED_SHARE = 0.01
"""Of states thrown together at random, where another version of MuJoCo may find a contact that
grazes (none differed between 2.3.2 and 4.0.0); recorded demonstrations must give the same frames."""
Side = Callable[..., None]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def side() -> Side:
    """Have `simulator_side.py` do something."""
    python = os.environ.get("MIMICGEN_PYTHON")
    if python is None:
        pytest.skip("MIMICGEN_PYTHON names no Python that has robosuite and MimicGen")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MUJOCO_GL": "osmesa"}
    environment |= {"PYOPENGL_PLATFORM": "osmesa"}

    def run(*arguments: Any) -> None:
        ended = subprocess.run(
            [python, "-W", "ignore", str(SIDE), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        assert ended.returncode == 0, ended.stderr[-4000:]

    return run


@pytest.fixture(scope="module")
def files() -> Assets:
    """Meshes and textures."""
    named = os.environ.get("MIMICGEN_ASSETS", "")
    return assets_in([Path(folder) for folder in named.split(":") if folder])


def ours(path: Path, name: str, files: Assets) -> dict[str, np.ndarray]:
    """Every signal of a demonstration by our own predicates."""
    dataset = open_recordings(path)
    assert dataset.spec is not None
    recording = read_recording(path, name)
    model = compiled(mujoco, files.at_home(recording.model_xml, recording.where), recording.where)
    qpos = recording.states_TS[:, 1 : 1 + model.nq]
    return signals(mujoco, model, qpos, dataset.spec.name, recording.where)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_states_thrown_together(
    side: Side, files: Assets, tmp_path: Path, environment: str, record_property: Record
) -> None:
    path, answers = tmp_path / "stirred.hdf5", tmp_path / "answers.npz"
    side("stir", environment, path, NUM_STATES, 7)
    side("ask", path, answers)
    theirs = np.load(answers)
    for name, values in ours(path, "demo_0", files).items():
        said = theirs[f"demo_0/{name}"]
        differing = np.flatnonzero(said != values)
        record_property(name, f"{int(said.sum())} true, differing {differing.tolist()}")
        assert 0 < said.sum() < NUM_STATES, (environment, name)
        assert len(differing) <= ALLOWED_SHARE * NUM_STATES, (environment, name, differing)


def recordings() -> list[Path]:
    folder = os.environ.get("MIMICGEN_DEMOS")
    return sorted(Path(folder).glob("*.hdf5")) if folder else []


def test_recorded_demonstrations_agree_on_every_frame(
    side: Side, files: Assets, tmp_path: Path, record_property: Record
) -> None:
    if not recordings():
        pytest.skip("MIMICGEN_DEMOS names no folder of recordings")
    for path in recordings():
        dataset = open_recordings(path)
        if dataset.spec is None or dataset.spec.name not in PREDICATES:
            continue
        answers = tmp_path / f"{path.stem}.npz"
        side("ask", path, answers)
        theirs = np.load(answers)
        frames = differing = 0
        for demo in dataset.ids:
            for name, values in ours(path, demo, files).items():
                said = theirs[f"{demo}/{name}"]
                frames += len(said)
                differing += int((said != values).sum())
        record_property(path.name, f"{environment_of(path)}: {differing} of {frames} differ")
        assert differing == 0, path.name


def test_pictures_are_robosuites(
    side: Side, files: Assets, tmp_path: Path, record_property: Record
) -> None:
    path, answers = tmp_path / "stirred.hdf5", tmp_path / "pictures.npz"
    side("stir", "Stack_D1", path, 8, 3)
    side("draw", path, answers, 128, "agentview", *range(8))
    theirs = np.load(answers)["pictures"].astype(int)
    recording = read_recording(path, "demo_0")
    model = compiled(mujoco, files.at_home(recording.model_xml, recording.where), "here")
    painter = Painter(mujoco, 128, "full")
    qpos = recording.states_TS[:, 1 : 1 + model.nq]
    drawn = np.array(
        [frame.copy() for frame in painter.frames(model, "agentview", qpos, "here")]
    ).astype(int)
    painter.close()
    off = np.abs(drawn - theirs).max(axis=-1)
    record_property("mean difference", float(np.abs(drawn - theirs).mean()))
    record_property("share of pixels above 24", float((off > 24).mean()))
    assert np.abs(drawn - theirs).mean() < 3
    assert (off > 24).mean() < 0.03
