"""`kairoscope annotate DATASET` as a whole command: what it writes, keeps, refuses and repeats."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_line import Ended, Program, read_json, read_rows
from hdf5_files import edited, write_isaaclab, write_mimicgen
from lerobot_files import CAMERA, FPS, IDS, LENGTHS, frames_of, labels_of, make_v2, make_v3, tree
from signal_readers import isaaclab_reads, mimicgen_reads

from kairoscope.robot.legality import SPECS, violations
from kairoscope.robot.opening import open_dataset
from kairoscope.video.clip import frame_times

STACK = SPECS["stack"]
LENGTH = 120
CLOSING = 48
"""First frame of the command to close, in demonstrations of 120 frames."""


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    """A folder with tasks and a small model."""
    (tmp_path / "stack.toml").write_text('name = "stack"\nevents = ["grasping the red cube"]\n')
    (tmp_path / "odd.toml").write_text('name = "odd"\nevents = ["zigging it", "zagging it"]\n')
    (tmp_path / "two.toml").write_text('name = "two"\nevents = ["raising it", "lowering it"]\n')
    shutil.copytree(world / "model", tmp_path / "model")
    return tmp_path


def annotate(program: Program, place: Path, source: Path, *options: str) -> Ended:
    return program.run("annotate", source, "--out=out", *options, cwd=place)


def ends_in(place: Path) -> dict[tuple[str, str], int]:
    rows = read_rows(place / "out" / "boundaries.jsonl")
    return {(row["clip"], row["event"]): row["end_frame"] for row in rows}


SIGNALS = ("--task=stack.toml", "--signals-only")


def test_mimicgen_reads_what_was_found(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 4)
    before = source.read_bytes()
    ended = annotate(program, place, source, *SIGNALS)
    assert ended.code == 0, ended.said
    assert "4 boundaries (4 from signals)" in ended.out
    assert source.read_bytes() == before
    read = mimicgen_reads(place / "out" / "demos.hdf5", STACK)
    assert read == {demo: [frame + 1] for (demo, _), frame in ends_in(place).items()}
    assert all(CLOSING <= end[0] <= CLOSING + 8 for end in read.values())
    rows = read_rows(place / "out" / "boundaries.jsonl")
    assert all(row["source"] == "signals" for row in rows)
    assert all("closing of" in row["reasons"][0] for row in rows)
    assert "closing of" in (place / "out" / "annotations.html").read_text("utf-8")
    copied = open_dataset(place / "out" / "demos.hdf5").episode("demo_0")
    assert copied.labelled_by == "kairoscope"


def test_a_second_run_changes_nothing(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    assert annotate(program, place, source, *SIGNALS).code == 0
    first = tree(place / "out")
    assert annotate(program, place, source, *SIGNALS).code == 0
    assert tree(place / "out") == first


def test_killed_between_episodes_it_goes_on(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    assert annotate(program, place, source, *SIGNALS).code == 0
    whole = tree(place / "out")
    lines = (place / "out" / "signals.jsonl").read_bytes().splitlines(keepends=True)
    (place / "out" / "signals.jsonl").write_bytes(b"".join(lines[:1]) + lines[1][:50])
    for name in ("clips.jsonl", "boundaries.jsonl", "boundaries.csv", "demos.hdf5"):
        (place / "out" / name).unlink()
    assert annotate(program, place, source, *SIGNALS).code == 0
    again = tree(place / "out")
    assert {n: b for n, b in again.items() if n != "demos.hdf5"} == {
        n: b for n, b in whole.items() if n != "demos.hdf5"
    }
    assert mimicgen_reads(place / "out" / "demos.hdf5", STACK)


def test_in_place_is_for_those_who_ask(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    ended = annotate(program, place, source, *SIGNALS, "--in-place")
    assert ended.code == 0, ended.said
    assert not (place / "out" / "demos.hdf5").exists()
    written = source.read_bytes()
    assert set(mimicgen_reads(source, STACK)) == {"demo_0", "demo_1", "demo_2"}
    rows = read_rows(place / "out" / "boundaries.jsonl")
    assert annotate(program, place, source, *SIGNALS, "--in-place").code == 0
    assert source.read_bytes() == written
    assert read_rows(place / "out" / "boundaries.jsonl") == rows


def test_labels_of_others_are_kept(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    with edited(source) as file:
        signal = np.zeros(LENGTH, dtype=np.int64)
        signal[70:] = 1
        file["data/demo_1/datagen_info/subtask_term_signals/grasp"] = signal
    ended = annotate(program, place, source, *SIGNALS)
    assert ended.code == 0, ended.said
    assert "1 were labelled, 2 from signals" in ended.out
    kept = mimicgen_reads(place / "out" / "demos.hdf5", STACK)
    assert kept["demo_1"] == [71]
    assert ends_in(place)["demo_1", "grasping the red cube"] == 70
    assert annotate(program, place, source, *SIGNALS, "--overwrite").code == 0
    replaced = mimicgen_reads(place / "out" / "demos.hdf5", STACK)
    assert abs(replaced["demo_1"][0] - CLOSING) < 10
    assert replaced["demo_0"] == kept["demo_0"]


def test_what_is_not_legal_is_listed_and_not_written(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    with edited(source) as file:  # closes 6 frames before the end: 20 frames may be added to it
        for path in ("actions", "datagen_info/gripper_action"):
            column = file[f"data/demo_2/{path}"]
            column[:, -1] = np.where(np.arange(LENGTH) >= LENGTH - 8, 1.0, -1.0)
        fingers = file["data/demo_2/obs/robot0_gripper_qpos"]
        shut = np.clip((np.arange(LENGTH) - (LENGTH - 8)) / 3, 0, 1)
        fingers[...] = (0.04 * (1 - shut))[:, None] * [1, -1]
    ended = annotate(program, place, source, *SIGNALS)
    assert ended.code == 0, ended.said
    with h5py.File(place / "out" / "demos.hdf5") as file:
        written = [
            d for d in file["data"] if "subtask_term_signals" in file[f"data/{d}/datagen_info"]
        ]
    listed = {row["clip"]: row["reason"] for row in read_json(place / "out" / "problems.json")}
    assert written == ["demo_0", "demo_1"]
    assert set(listed) == {"demo_2"}
    for (demo, _), frame in ends_in(place).items():
        legal = not violations([frame + 1], STACK, LENGTH)
        assert legal == (demo != "demo_2")


def test_isaac_lab_reads_what_was_found(program: Program, place: Path) -> None:
    source = write_isaaclab(place / "cubes.hdf5", lengths=(200, 220))
    with edited(source) as file:  # opens at 0.6 of the way
        for demo in file["data"].values():
            share = np.arange(len(demo["actions"])) / len(demo["actions"])
            is_shut = (share >= 0.4) & (share < 0.6)
            demo["actions"][:, -1] = np.where(is_shut, -1.0, 1.0)
            demo["obs/gripper_pos"][...] = 0.04 * ~is_shut[:, None] * [1, -1]
    # One hand, one closing, one opening: the third event has no moment and needs an example.
    ended = annotate(program, place, source, "--task=isaac-lab-cube", "--signals-only")
    problems = read_json(place / "out" / "problems.json")
    assert ended.code == 0, ended.said
    assert {row["clip"] for row in problems} == {"demo_0", "demo_1"}
    assert all("grasping the green cube" in row["reason"] for row in problems)
    with edited(source) as file:
        for name, end in (("grasp_1", 81), ("stack_1", 124), ("grasp_2", 171)):
            file[f"data/demo_0/obs/datagen_info/subtask_term_signals/{name}"] = (
                np.arange(200) >= end - 1
            )
    shutil.rmtree(place / "out")
    ended = annotate(program, place, source, "--task=isaac-lab-cube", "--signals-only")
    assert ended.code == 0, ended.said
    rows = [row for row in read_rows(place / "out" / "boundaries.jsonl") if row["clip"] == "demo_1"]
    assert [row["source"] for row in rows][-1] == "prior"
    assert "from other demonstrations alone" in rows[-1]["flags"]
    read = isaaclab_reads(place / "out" / "cubes.hdf5", SPECS["stack_cube"])
    assert read["demo_0"] == [81, 124, 171]
    assert read["demo_1"] == [row["end_frame"] + 1 for row in rows]


def test_pictures_in_the_file_are_seen_by_the_model(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(60, 60), pictures=True)
    with edited(source) as file:
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Mine", "type": 1})
        for demo in file["data"].values():
            del demo["datagen_info"].attrs["env_interface_name"]
            demo["datagen_info"].attrs["env_interface_name"] = "MG_Mine"
    options = ("--task=odd.toml", "--model=model")  # verbs that signals know nothing of
    ended = annotate(program, place, source, *options)
    assert ended.code == 0, ended.said
    clips = sorted((place / "out" / "clips").iterdir())
    assert [len(frame_times(clip)) for clip in clips] == [60, 60]
    rows = read_rows(place / "out" / "boundaries.jsonl")
    assert {row["source"] for row in rows} == {"model"}
    assert all(0 <= row["confidence"] <= 1 for row in rows)
    first, states = tree(place / "out"), [clip.stat().st_mtime_ns for clip in clips]
    assert annotate(program, place, source, *options).code == 0
    assert tree(place / "out") == first
    assert [clip.stat().st_mtime_ns for clip in clips] == states


def without_signals(program: Program, place: Path, source: Path) -> list[dict[str, Any]]:
    ended = annotate(program, place, source, "--task=two.toml", "--model=model")
    assert ended.code == 0, ended.said
    rows: list[dict[str, Any]] = read_rows(place / "out" / "boundaries.jsonl")
    return rows


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_lerobot_with_a_model(program: Program, place: Path, version: str) -> None:
    make = make_v3 if version == "v3.0" else make_v2
    source = make(place / "data", video=True)
    before = tree(source)
    rows = without_signals(program, place, source)
    assert tree(source) == before
    assert {row["clip"] for row in rows} == set(IDS)
    by_id = dict(zip(IDS, LENGTHS, strict=True))
    assert all(0 <= row["end_frame"] < by_id[row["clip"]] for row in rows)
    labels = labels_of(place / "out" / "dataset")
    for name in IDS:
        mine = [row for row in rows if row["clip"] == name]
        if len(mine) == 2:
            events, by = labels[name]
            assert by == "kairoscope"
            assert [e.end_s for e in events] == pytest.approx([r["end_s"] for r in mine], abs=1e-3)
    cut = list((place / "out").glob("clips/*.mp4"))
    if version == "v3.0":  # two episodes share the first video, the third has one of its own
        assert {clip.name.split("-")[0] for clip in cut} == set(IDS[:2])
        for clip in cut:
            times_s = frame_times(clip)
            assert len(times_s) == by_id[clip.name.split("-")[0]]
            assert times_s == pytest.approx([i / FPS for i in range(len(times_s))], abs=1e-6)
    else:
        assert not cut
    assert set(frames_of(place / "out" / "dataset")) == {0, 1, 2}


def test_an_answer_outlives_labels_made_meanwhile(program: Program, place: Path) -> None:
    source = make_v2(place / "data", video=True)
    without_signals(program, place, source)
    answers = (place / "out" / "answers.jsonl").read_bytes()
    lines = (source / "meta/episodes.jsonl").read_text().splitlines()
    row = json.loads(lines[0]) | {
        "dense_subtask_names": ["raising it", "lowering it"],
        "dense_subtask_start_times": [0.0, 0.5],
        "dense_subtask_end_times": [0.5, 1.5],
    }
    (source / "meta/episodes.jsonl").write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    rows = without_signals(program, place, source)
    assert (place / "out" / "answers.jsonl").read_bytes() == answers
    first = [row for row in rows if row["clip"] == IDS[0]]
    assert [(r["source"], r["end_s"]) for r in first] == [("label", 0.5), ("label", 1.5)]
    others = [row for row in rows if row["clip"] != IDS[0]]
    assert all(any(r.startswith("prior:") for r in row["reasons"]) for row in others)


@pytest.fixture
def damaged(place: Path) -> Path:
    """Six demonstrations: one is good, each of the others lacks something else."""
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 6)
    with edited(source) as file:
        data = file["data"]
        del data["demo_1/actions"]
        data["demo_1/actions"] = np.zeros((0, 7))
        del data["demo_2/obs/robot0_gripper_qpos"]
        data["demo_2/obs/robot0_gripper_qpos"] = np.full((LENGTH, 2), np.nan)
        del data["demo_3/actions"]
        del data["demo_4/datagen_info/eef_pose"]
        del data["demo_5/obs/robot0_gripper_qpos"]
        data["demo_5/obs/robot0_gripper_qpos"] = np.zeros((LENGTH - 7, 2))
    return source


def test_bad_demonstrations_end_nothing(program: Program, place: Path, damaged: Path) -> None:
    ended = annotate(program, place, damaged, *SIGNALS)
    assert ended.code == 0, ended.said
    listed = {row["clip"]: row["reason"] for row in read_json(place / "out" / "problems.json")}
    assert {"demo_1", "demo_3", "demo_4", "demo_5"} <= set(listed)
    assert "demo_0" not in listed
    assert "eef_pose" in listed["demo_4"]
    assert "6 episodes" in ended.out
    found = {clip for clip, _ in ends_in(place)}
    assert {"demo_0", "demo_4"} <= found
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "kind", ["truncated", "text", "no demonstrations", "absent", "empty folder"]
)
def test_what_is_no_dataset_is_named(program: Program, place: Path, kind: str) -> None:
    source = place / "demos.hdf5"
    if kind == "truncated":
        data = write_mimicgen(source).read_bytes()
        source.write_bytes(data[: len(data) // 2])
    elif kind == "text":
        source.write_text("no data")
    elif kind == "no demonstrations":
        with h5py.File(source, "w") as file:
            file.create_group("data")
    elif kind == "empty folder":
        source = place / "folder"
        source.mkdir()
    for command in (("annotate", source, "--out=out", *SIGNALS), ("inspect", source)):
        ended = program.run(*command, cwd=place)
        assert ended.code == 2, ended.said
        assert source.name in ended.err
        assert "Traceback" not in ended.err


def test_a_task_of_another_dataset_is_refused(program: Program, place: Path) -> None:
    source = write_mimicgen(
        place / "demos.hdf5", env_name="StackThree_D1", interface="MG_StackThree"
    )
    ended = annotate(program, place, source, *SIGNALS)
    assert ended.code == 2
    assert "grasp_1, stack_1, grasp_2" in ended.err
    assert not (place / "out").exists()


def test_assets_without_a_camera_are_not_passed_over(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,))
    ended = annotate(program, place, source, *SIGNALS, "--assets=meshes")
    assert ended.code == 2
    assert "--assets meshes: is for --render CAMERA" in ended.said
    assert not (place / "out").exists()


def test_missing_videos_are_listed(program: Program, place: Path) -> None:
    source = make_v2(place / "data", video=True)
    (source / f"videos/chunk-000/{CAMERA}/episode_000001.mp4").unlink()
    (source / f"videos/chunk-000/{CAMERA}/episode_000002.mp4").write_bytes(b"no video")
    rows = without_signals(program, place, source)
    assert {row["clip"] for row in rows} == {IDS[0]}
    listed = {row["clip"] for row in read_json(place / "out" / "problems.json")}
    assert {IDS[1], IDS[2]} <= listed


def test_a_folder_with_examples(program: Program, world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "data", tmp_path / "data")
    labels = tmp_path / "data" / "labels.jsonl"
    rows = labels.read_text().splitlines()
    labels.write_text("\n".join(rows[:2]) + "\n")
    options = ("--task=data/square.toml", "--signals-only", "--examples=3", "--out=out")
    ended = program.run("annotate", "data", *options, cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "4 were labelled, 12 from labelled examples alone" in ended.out
    asked = next(line for line in ended.out.splitlines() if line.startswith("label these first: "))
    assert len(asked.split(": ")[1].split(", ")) == 1
    found = {row["clip"]: row for row in read_rows(tmp_path / "out" / "boundaries.jsonl")}
    assert len(found) == 8


def test_inspect_says_the_same_in_json(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH, 100, 90), signals={"grasp": 40})
    ended = program.run("inspect", source, "--task=stack.toml", "--json", cwd=place)
    assert ended.code == 0, ended.said
    found = json.loads(ended.out)
    assert found["format"] == "mimicgen"
    assert found["fps"] == 20
    assert found["num_frames"] == {"min": 90, "median": 100, "max": 120, "total": 310}
    assert found["labels"] == [{"labelled_by": "unknown", "events": ["grasp"], "num_episodes": 3}]
    assert found["task"]["signals"] == {"grasping the red cube": "grasp"}
    assert found["task"]["decided_by_signals"] == {"grasping the red cube": 3}
    fingers = next(c for c in found["channels"] if c["name"] == "obs/robot0_gripper_qpos")
    assert fingers["range"] == [-0.04, 0.04]
    words = program.run("inspect", source, cwd=place)
    assert words.code == 0, words.said
    assert "robot0_gripper_qpos" in words.out
