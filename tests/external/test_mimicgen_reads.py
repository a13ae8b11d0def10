"""MimicGen's own reader takes what `kairoscope annotate` writes, confidences and all.

Skipped where MIMICGEN_PYTHON names no Python that has MimicGen, or MIMICGEN_DEMOS no folder of its
recordings (HDF5, prepared by its `prepare_src_dataset.py`).
"""

import json
import os
import subprocess
from pathlib import Path

import h5py
import pytest

from kairoscope.annotate.dataset import Saving, annotate_dataset
from kairoscope.robot.legality import SPECS
from kairoscope.robot.mimicgen import open_mimicgen
from kairoscope.robot.naming import signal_plan
from kairoscope.robot.termination import CONFIDENCE
from kairoscope.runs import Run

SIDE = Path(__file__).with_name("simulator_side.py")
SIGNALS = "datagen_info/subtask_term_signals"
EVENTS = {
    "stack": ("grasping the red cube",),
    "stack_three": (
        "grasping the red cube",
        "placing the red cube on the green cube",
        "grasping the blue cube",
    ),
    "square": ("grasping the square nut",),
}


def recordings() -> list[Path]:
    folder = os.environ.get("MIMICGEN_DEMOS")
    found = sorted(Path(folder).rglob("*.hdf5")) if folder else []
    return [path for path in found if getattr(open_mimicgen(path).spec, "name", "") in EVENTS]


def without_signals(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "a") as file:
        for demo in file["data"].values():
            demo["datagen_info"].pop("subtask_term_signals", None)


def test_what_was_annotated_is_read_as_it_was_meant(tmp_path: Path) -> None:
    python = os.environ.get("MIMICGEN_PYTHON")
    if python is None or not recordings():
        pytest.skip("MIMICGEN_PYTHON and MIMICGEN_DEMOS name no MimicGen and no recordings")
    for number, path in enumerate(recordings()):
        bare, run = tmp_path / f"{number}.hdf5", tmp_path / f"run{number}"
        without_signals(path, bare)
        dataset = open_mimicgen(bare)
        assert dataset.spec is not None
        query = EVENTS[dataset.spec.name]
        done = annotate_dataset(
            dataset,
            query,
            Run.open(run, kind="annotation", config={}),
            plan=signal_plan(dataset, query),
            saving=Saving(),
            on_progress=lambda *_: None,
        )
        assert done.saved is not None
        assert done.problems == ()
        out, spec = tmp_path / "ends.json", SPECS[dataset.spec.name]
        ranges = [f"{n}:{a}:{b}" for n, (a, b) in zip(spec.signals, spec.offsets, strict=True)]
        subprocess.run(
            [python, "-W", "ignore", SIDE, "parse", done.saved.path, out, *ranges],
            env={**os.environ, "MUJOCO_GL": "osmesa"},
            check=True,
            capture_output=True,
            timeout=300,
        )
        theirs, meant = json.loads(out.read_text()), ends_of(run / "boundaries.jsonl")
        assert theirs == meant
        with h5py.File(done.saved.path) as file:
            sure = [
                signal.attrs[CONFIDENCE]
                for demo in file["data"].values()
                for signal in demo[SIGNALS].values()
            ]
        assert len(sure) == sum(map(len, meant.values()))
        assert all(0 < value <= 1 for value in sure)


def ends_of(boundaries: Path) -> dict[str, list[int]]:
    """Exclusive ends by demonstration, as Kairoscope's table has them."""
    found: dict[str, list[int]] = {}
    for line in boundaries.read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["clip"], []).append(row["end_frame"] + 1)
    return found
