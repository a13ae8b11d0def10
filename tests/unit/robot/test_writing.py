"""Signals are read back, by rules that know nothing of how they were written; labels are kept."""

import importlib
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
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
from kairoscope.robot.legality import SPECS, TaskSpec
from kairoscope.robot.opening import open_dataset
from kairoscope.robot.termination import MADE_BY, ends_from_events


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_mimicgen(
        tmp_path / "source.hdf5", env_name="StackThree_D1", interface="MG_StackThree"
    )


def test_mimicgen_reads_back_what_was_written(tmp_path: Path, source: Path) -> None:
    before = source.read_bytes()
    out = tmp_path / "out.hdf5"
    report = write_three(source, out)
    assert report.written == ("demo_0", "demo_1", "demo_2")
    assert (report.unchanged, report.problems, report.notes) == ((), (), ())
    assert mimicgen_reads(out, THREE) == ENDS
    assert source.read_bytes() == before
    with edited(out, "r") as file, edited(source, "r") as original:
        signal = file[f"data/demo_0/{MIMICGEN_SIGNALS}/stack_1"]
        assert signal.dtype == np.int64
        assert signal[()].tolist() == [0] * 44 + [1] * 56
        for name in ("actions", "states", "obs/object", "datagen_info/eef_pose"):
            assert (file[f"data/demo_1/{name}"][()] == original[f"data/demo_1/{name}"][()]).all()
    dataset = open_dataset(out)
    for name in dataset.ids:
        episode = dataset.episode(name)
        assert episode.labelled_by == "kairoscope"
        found = ends_from_events(episode.events, episode.times_s)
        assert list(found.values()) == ENDS[name]


def test_mimicgen_s_own_code_reads_back_what_was_written(tmp_path: Path, source: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of robosuite and robomimic
        theirs = pytest.importorskip("mimicgen.utils.file_utils", exc_type=ImportError)
    sure = {demo: dict.fromkeys(THREE.signals, 0.5) for demo in ENDS}
    write_three(source, tmp_path / "out.hdf5", confidences=sure)
    names = theirs.get_all_demos_from_dataset(str(tmp_path / "out.hdf5"))
    theirs.get_env_interface_info_from_dataset(str(tmp_path / "out.hdf5"), names)
    _, indices, _, _ = theirs.parse_source_dataset(
        str(tmp_path / "out.hdf5"),
        names,
        subtask_term_signals=[*THREE.signals, None],
        subtask_term_offset_ranges=[*THREE.offsets, None],
    )
    assert indices[:, :-1, 1].tolist() == list(ENDS.values())


def test_isaac_lab_reads_back_what_was_written(tmp_path: Path) -> None:
    source = write_isaaclab(tmp_path / "raw.hdf5")
    before = source.read_bytes()
    ends = {"demo_0": [31, 81, 121], "demo_1": [2, 100, 199]}
    spec = SPECS["stack_cube"]
    out = tmp_path / "out.hdf5"
    report = isaaclab.write_signals(source, out, boundaries(spec, ends), spec=spec)
    assert report.written == ("demo_0", "demo_1")
    assert report.problems == ()
    assert isaaclab_reads(out, spec) == ends
    assert source.read_bytes() == before
    with edited(out, "r") as file:
        info = file["data/demo_0/obs/datagen_info"]
        assert info["subtask_term_signals/grasp_1"].dtype == np.bool_
        assert info["eef_pose/franka"].dtype == np.float32
    assert open_dataset(out).episode("demo_1").labelled_by == "kairoscope"
    again = out.read_bytes()
    report = isaaclab.write_signals(source, out, boundaries(spec, ends), spec=spec)
    assert report.unchanged == ("demo_0", "demo_1")
    assert out.read_bytes() == again


def isaac_lab_s_reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its module of that name: installed, or from a checkout that ISAACLAB_SOURCE names.

    Of a checkout only the reader's own files are run; the rest of the packages needs the simulator.
    """
    if source := os.environ.get("ISAACLAB_SOURCE"):
        for name in ("isaaclab", "isaaclab.utils", "isaaclab_mimic", "isaaclab_mimic.datagen"):
            module = ModuleType(name)
            folder = Path(source, "source", name.partition(".")[0], *name.split("."))
            module.__path__ = [str(folder)]
            monkeypatch.setitem(sys.modules, name, module)
        return importlib.import_module("isaaclab_mimic.datagen.datagen_info_pool")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("isaaclab_mimic.datagen.datagen_info_pool", exc_type=ImportError)


def test_isaac_lab_s_own_code_reads_back_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = isaac_lab_s_reader(monkeypatch)
    spec = SPECS["stack_cube"]
    ends = {"demo_0": [31, 81, 121], "demo_1": [2, 100, 199]}
    source, out = write_isaaclab(tmp_path / "raw.hdf5"), tmp_path / "out.hdf5"
    sure = {demo: dict.fromkeys(spec.signals, 0.5) for demo in ends}
    isaaclab.write_signals(source, out, boundaries(spec, ends), spec=spec, confidences=sure)
    subtasks = [
        SimpleNamespace(
            subtask_term_signal=signal,
            subtask_term_offset_range=offsets,
            subtask_start_offset_range=(0, 0),
        )
        for signal, offsets in zip((*spec.signals, None), (*spec.offsets, (0, 0)), strict=True)
    ]
    config = SimpleNamespace(
        subtask_configs={"franka": subtasks}, datagen_config=SimpleNamespace(use_skillgen=False)
    )
    environment = SimpleNamespace(
        cfg=config, actions_to_gripper_actions=lambda actions: {"franka": actions[:, -1:]}
    )
    pool = theirs.DataGenInfoPool(environment, config, "cpu")
    pool.load_from_dataset_file(str(out))
    found = [[end for _, end in parts[:-1]] for parts in pool.subtask_boundaries["franka"]]
    assert found == list(ends.values())


def test_two_arms_have_an_order_each(tmp_path: Path) -> None:
    source = write_isaaclab(tmp_path / "raw.hdf5")
    left = TaskSpec(name="left", signals=("hold",), offsets=((0, 0),))
    right = TaskSpec(name="right", signals=("grasp", "pour"), offsets=((0, 5), (0, 5)))
    ends = {"demo_0": {"hold": 60, "grasp": 58, "pour": 90}}
    out = tmp_path / "out.hdf5"
    report = isaaclab.write_signals(source, out, ends, spec=(left, right), arm="right")
    assert report.problems == ()
    with edited(tmp_path / "out.hdf5", "r") as file:
        signals = file[f"data/demo_0/{ISAAC_SIGNALS}"]
        assert {n: int(s[()].argmax()) + 1 for n, s in signals.items()} == ends["demo_0"]


def test_poses_that_cannot_be_had_leave_the_demonstration_as_it_was(tmp_path: Path) -> None:
    source = write_isaaclab(tmp_path / "raw.hdf5", env_name="Isaac-Stack-Cube-Galbot-v0")
    ends = {"demo_0": {"hold": 60}}
    spec = TaskSpec(name="hold", signals=("hold",), offsets=((0, 0),))
    report = isaaclab.write_signals(source, tmp_path / "out.hdf5", ends, spec=spec)
    assert report.written == ()
    assert "name the arm" in dict(report.problems)["demo_0"]
    assert (tmp_path / "out.hdf5").read_bytes() == source.read_bytes()


def state_of(path: Path) -> tuple[bytes, int, int]:
    found = path.stat()
    return (path.read_bytes(), found.st_mtime_ns, found.st_ino)


@pytest.mark.parametrize("name", ["out.hdf5", None], ids=["copy", "in place"])
def test_a_second_run_changes_nothing(tmp_path: Path, source: Path, name: str | None) -> None:
    out = tmp_path / name if name else None
    target = out or source
    assert write_three(source, out, in_place=out is None).written == tuple(ENDS)
    before = state_of(target)
    report = write_three(source, out, in_place=out is None)
    assert report.unchanged == tuple(ENDS)
    assert report.written == ()
    assert state_of(target) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({"source.hdf5", target.name})


def test_the_same_bytes_whoever_runs_it_when(tmp_path: Path, source: Path) -> None:
    write_three(source, tmp_path / "a.hdf5")
    write_three(source, tmp_path / "b.hdf5")
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_own_labels_are_brought_up_to_date(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out)
    report = write_three(source, out, ENDS | {"demo_1": [30, 60, 90]})
    assert report.written == ("demo_1",)
    assert mimicgen_reads(out, THREE) == ENDS | {"demo_1": [30, 60, 90]}


@pytest.mark.parametrize("maker", ["human", None])
def test_labels_of_others_are_kept_unless_overwriting_is_asked_for(
    tmp_path: Path, source: Path, maker: str | None
) -> None:
    with edited(source) as file:
        for name, end in zip(THREE.signals, [22, 45, 70], strict=True):
            file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"] = step(100, end)
            if maker:
                file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"].attrs[MADE_BY] = maker
    before = source.read_bytes()
    report = write_three(source, None, in_place=True)
    assert report.written == ("demo_1", "demo_2")
    reason = dict(report.problems)["demo_0"]
    assert "'grasp_1' ends at 22" in reason
    assert "overwrite=True" in reason
    assert mimicgen_reads(source, THREE)["demo_0"] == [22, 45, 70]
    source.write_bytes(before)
    report = write_three(source, None, in_place=True, overwrite=True)
    assert report.problems == ()
    assert mimicgen_reads(source, THREE) == ENDS
    episode = open_dataset(source).episode("demo_0")
    assert episode.labelled_by == ("human" if maker else "unknown")  # two of three are as they were


def test_labels_that_agree_are_left_alone(tmp_path: Path, source: Path) -> None:
    with edited(source) as file:
        for name, end in zip(THREE.signals, ENDS["demo_0"], strict=True):
            predicate = step(100, end) * (np.arange(100) < end + 20)  # as a simulator gives it
            file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"] = predicate
    out = tmp_path / "out.hdf5"
    write_three(source, out, {"demo_0": ENDS["demo_0"]})
    assert out.read_bytes() == source.read_bytes()


def test_a_label_that_mimicgen_cannot_subtract_is_mended_and_stays_its_maker_s(
    tmp_path: Path, source: Path
) -> None:
    with edited(source) as file:
        for name, end in zip(THREE.signals, ENDS["demo_0"], strict=True):
            path = f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"
            file[path] = step(100, end, np.bool_)
            file[path].attrs[MADE_BY] = "human"
    with pytest.raises(TypeError):
        mimicgen_reads(source, THREE)
    write_three(source, None, in_place=True)
    assert mimicgen_reads(source, THREE) == ENDS
    assert open_dataset(source).episode("demo_0").labelled_by == "human"


def test_a_signal_that_never_changes_labels_nothing(tmp_path: Path, source: Path) -> None:
    with edited(source) as file:
        for name in THREE.signals:
            file[f"data/demo_0/{MIMICGEN_SIGNALS}/{name}"] = np.zeros(100, dtype=np.int64)
    write_three(source, None, in_place=True)
    assert mimicgen_reads(source, THREE) == ENDS


def test_a_correction_by_hand_in_the_copy_outlives_the_next_run(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out)
    corrected = {"demo_1": [31, 52, 99]}
    assert write_three(out, None, corrected, in_place=True, labelled_by="human").problems == ()
    assert open_dataset(out).episode("demo_1").labelled_by == "human"
    report = write_three(source, out)
    assert [demo for demo, _ in report.problems] == ["demo_1"]
    assert mimicgen_reads(out, THREE) == ENDS | corrected
    confirmed = write_three(
        out, None, {"demo_0": ENDS["demo_0"]}, in_place=True, labelled_by="human"
    )
    assert confirmed.written == ("demo_0",)
    assert open_dataset(out).episode("demo_0").labelled_by == "human"


def test_a_label_made_in_the_source_after_the_copy_is_told(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out)
    with edited(source) as file:
        file[f"data/demo_2/{MIMICGEN_SIGNALS}/grasp_1"] = step(90, 5)
    report = write_three(source, out, {"demo_0": ENDS["demo_0"]})
    assert "grasp_1, which is not in this copy" in dict(report.problems)["demo_2"]
    assert report.unchanged == ("demo_0",)
