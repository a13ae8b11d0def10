"""How sure each end is lies beside its signal, where neither MimicGen nor Isaac Lab looks."""

from pathlib import Path
from typing import Any

import pytest
from hdf5_files import edited, step, write_isaaclab, write_mimicgen
from signal_readers import (
    ENDS,
    ISAAC_SIGNALS,
    MIMICGEN_SIGNALS,
    THREE,
    boundaries,
    isaaclab_reads,
    mimicgen_reads,
    write_three,
)

from kairoscope.robot import isaaclab
from kairoscope.robot.legality import SPECS
from kairoscope.robot.termination import CONFIDENCE, MADE_BY

SURE = {demo: {"grasp_1": 0.91, "stack_1": 0.4, "grasp_2": 1.0} for demo in ENDS}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_mimicgen(
        tmp_path / "source.hdf5", env_name="StackThree_D1", interface="MG_StackThree"
    )


def confidences(path: Path, demo: str, signals: str = MIMICGEN_SIGNALS) -> dict[str, Any]:
    with edited(path, "r") as file:
        return {
            name: signal.attrs.get(CONFIDENCE)
            for name, signal in file[f"data/{demo}/{signals}"].items()
        }


def test_mimicgen_reads_the_same_ends_with_confidences(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    assert write_three(source, out, confidences=SURE).written == tuple(ENDS)
    assert mimicgen_reads(out, THREE) == ENDS
    assert all(confidences(out, demo) == SURE[demo] for demo in ENDS)
    before = out.read_bytes()
    assert write_three(source, out, confidences=SURE).unchanged == tuple(ENDS)
    assert out.read_bytes() == before


def test_isaac_lab_reads_the_same_ends_with_confidences(tmp_path: Path) -> None:
    spec, ends = SPECS["stack_cube"], {"demo_0": [31, 81, 121], "demo_1": [2, 100, 199]}
    out, sure = tmp_path / "out.hdf5", {"demo_0": dict.fromkeys(spec.signals, 0.75)}
    isaaclab.write_signals(
        write_isaaclab(tmp_path / "raw.hdf5"),
        out,
        boundaries(spec, ends),
        spec=spec,
        confidences=sure,
    )
    assert isaaclab_reads(out, spec) == ends
    assert confidences(out, "demo_0", ISAAC_SIGNALS) == sure["demo_0"]
    assert set(confidences(out, "demo_1", ISAAC_SIGNALS).values()) == {None}


def test_a_confidence_follows_what_is_known_and_no_end_moves(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out, confidences=SURE)
    new = SURE | {"demo_1": SURE["demo_1"] | {"stack_1": 0.8}}
    assert write_three(source, out, confidences=new).written == ("demo_1",)
    assert confidences(out, "demo_1") == new["demo_1"]
    assert write_three(source, out).written == ()  # who knows none leaves them
    assert confidences(out, "demo_1") == new["demo_1"]
    assert mimicgen_reads(out, THREE) == ENDS


def test_what_a_person_set_has_none(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out, confidences=SURE)
    write_three(source, out, labelled_by="human", overwrite=True)
    assert set(confidences(out, "demo_0").values()) == {None}
    assert write_three(source, out, confidences=SURE).written == ()
    assert set(confidences(out, "demo_0").values()) == {None}


def test_labels_of_others_get_none_though_they_agree(tmp_path: Path, source: Path) -> None:
    with edited(source) as file:
        for name, end in zip(THREE.signals, ENDS["demo_0"], strict=True):
            file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"] = step(100, end)
            file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"].attrs[MADE_BY] = "human"
    out = tmp_path / "out.hdf5"
    report = write_three(source, out, confidences=SURE)
    assert report.unchanged == ("demo_0",)
    assert set(confidences(out, "demo_0").values()) == {None}
    assert confidences(out, "demo_1") == SURE["demo_1"]


def test_an_attribute_that_is_no_number_is_replaced(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out, confidences=SURE)
    with edited(out) as file:
        file[f"data/demo_0/{MIMICGEN_SIGNALS}/stack_1"].attrs[CONFIDENCE] = "very"
    assert write_three(source, out, confidences=SURE).written == ("demo_0",)
    assert confidences(out, "demo_0") == SURE["demo_0"]
