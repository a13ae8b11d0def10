"""Several arms, objects without a hand, confidences and copies of videos, through the command itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Program, read_json, read_rows
from hdf5_files import edited, poses, write_isaaclab, write_mimicgen
from lerobot_files import CAMERA, IDS, OURS, make_v2, tree
from signal_readers import isaaclab_reads
from simulated_recordings import recordings

from kairoscope.annotate.evidence import matched, speaks
from kairoscope.robot.episode import Episode
from kairoscope.robot.legality import TaskSpec
from kairoscope.robot.lerobot import write_lerobot
from kairoscope.robot.signals import find_grippers

LENGTHS = (200, 220, 240)
LEFT_AT, RIGHT_AT = 0.3, 0.5
"""Shares of an episode at which the hands close."""


@pytest.fixture
def two_arms(tmp_path: Path) -> Path:
    """Both hands go somewhere, stop, close and carry; annotated by Isaac Lab but for the signals."""
    source = write_isaaclab(
        tmp_path / "arms.hdf5", lengths=LENGTHS, env_name="Isaac-Two-Arms-v0", num_action_columns=14
    )
    with edited(source) as file:
        for number, demo in enumerate(file["data"].values()):
            length = len(demo["actions"])
            share = np.arange(length) / length
            for column, side, at in ((6, "left", LEFT_AT), (13, "right", RIGHT_AT)):
                shut = np.clip((share - at) * 30, 0, 1) - np.clip((share - 0.9) * 30, 0, 1)
                demo[f"obs/{side}_gripper_pos"] = 0.04 * (1 - shut[:, None]) * [1, -1]
                demo["actions"][:, column] = np.where((share >= at) & (share < 0.9), -1.0, 1.0)
                way = np.clip(share / at, 0, 1) + np.clip((share - at - 0.05) * 4, 0, 1)
                pose = np.tile(np.eye(4), (length, 1, 1))
                pose[:, 0, 3] = (1 if side == "left" else -1) * way
                for kind in ("eef_pose", "target_eef_pose"):
                    demo[f"obs/datagen_info/{kind}/{side}"] = pose.astype(np.float32)
            del demo["obs/eef_pos"], demo["obs/eef_quat"], demo["obs/gripper_pos"]
            demo["obs/datagen_info/object_pose/bowl"] = poses(length, number).astype(np.float32)
    (tmp_path / "task.toml").write_text(
        'name = "two"\nevents = ["grasping the bowl", "grasping the lid"]\n'
        'signals = ["bowl", "lid"]\narms = ["right", "left"]\n'
    )
    return source


def test_arms_end_their_events_in_any_order(
    program: Program, tmp_path: Path, two_arms: Path
) -> None:
    options = ("--task=task.toml", "--signals-only", "--out=out")
    ended = program.run("annotate", two_arms, *options, cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert read_json(tmp_path / "out" / "problems.json") == [], ended.said
    written = tmp_path / "out" / "arms.hdf5"
    for signal, at, arm in (("bowl", RIGHT_AT, "right"), ("lid", LEFT_AT, "left")):
        spec = TaskSpec(name=signal, signals=(signal,), offsets=((0, 0),))
        read = isaaclab_reads(written, spec, arm)
        assert set(read) == {"demo_0", "demo_1", "demo_2"}
        for (demo, ends), length in zip(sorted(read.items()), LENGTHS, strict=True):
            assert abs(ends[0] / length - at - 0.03) < 0.04, (signal, demo, ends)
    rows = read_rows(tmp_path / "out" / "boundaries.jsonl")
    assert all(row["start_frame"] == 0 for row in rows)  # each is the first of its arm
    first = tree(tmp_path / "out")
    assert program.run("annotate", two_arms, *options, cwd=tmp_path).code == 0
    assert tree(tmp_path / "out") == first


def test_mimicgen_has_one_arm(program: Program, tmp_path: Path) -> None:
    source = write_mimicgen(tmp_path / "demos.hdf5", env_name="Mine", interface="MG_Mine")
    (tmp_path / "task.toml").write_text(
        'name = "two"\nevents = ["grasping it", "grasping that"]\narms = ["left", "right"]\n'
    )
    options = ("--task=task.toml", "--signals-only", "--out=out")
    ended = program.run("annotate", source, *options, cwd=tmp_path)
    assert ended.code == 2
    assert "left, right" in ended.err
    (tmp_path / "task.toml").write_text('name = "two"\nevents = ["a"]\narms = ["left", "right"]\n')
    ended = program.run("annotate", source, *options, cwd=tmp_path)
    assert ended.code == 2
    assert "arms" in ended.err


@pytest.mark.usefixtures("mujoco")
def test_objects_alone_say_when_things_are_taken_and_put_down() -> None:
    errors = []
    for one in recordings("place", 8, as_mimicgen=True):
        objects = tuple(c for c in one.episode.channels if c.kind == "object_pose")
        episode = Episode(id=one.episode.id, times_s=one.episode.times_s, channels=objects)
        assert find_grippers([episode], one.query) == ()
        assert speaks(episode, ())
        assert not speaks(Episode(id="x", times_s=one.episode.times_s), ())
        for evidence, end_s in zip(matched(episode, (), one.query), one.ends_s, strict=True):
            assert evidence.time_s is not None
            assert evidence.confidence < 0.75  # a hand lets go some time after the thing rests
            errors.append((evidence.time_s - end_s, evidence.action))
    grasps = [error for error, action in errors if action == "grasp"]
    releases = [error for error, action in errors if action == "release"]
    assert np.mean(np.abs(grasps) <= 0.75) >= 0.8, grasps
    assert np.mean([-1.5 <= error <= 0.25 for error in releases]) >= 0.8, releases


def test_confidences_lie_beside_the_labels(program: Program, world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "model", tmp_path / "model")
    make_v2(tmp_path / "data", video=True)
    (tmp_path / "task.toml").write_text('name = "two"\nevents = ["raising it", "lowering it"]\n')
    options = ("--task=task.toml", "--model=model", "--out=out")
    ended = program.run("annotate", "data", *options, cwd=tmp_path)
    assert ended.code == 0, ended.said
    found = read_rows(tmp_path / "out/dataset/meta/kairoscope_confidences.jsonl")
    rows = read_rows(tmp_path / "out/boundaries.jsonl")
    assert [row["episode"] for row in found] == list(IDS)
    for row in found:
        own = [r for r in rows if r["clip"] == row["episode"]]
        assert row["subtask_names"] == [r["event"] for r in own]
        assert row["confidences"] == [r["confidence"] for r in own]
    assert all(r["doubt_s"] >= 0 for r in rows)
    # What was labelled by us before is labelled anew; its confidences are not copied along.
    ended = program.run("annotate", "out/dataset", *options[:2], "--out=again", cwd=tmp_path)
    assert ended.code == 0, ended.said
    again = read_rows(tmp_path / "again/dataset/meta/kairoscope_confidences.jsonl")
    assert [row["episode"] for row in again] == list(IDS)


@pytest.mark.parametrize("copied", [False, True])
def test_videos_are_linked_or_copied(program: Program, tmp_path: Path, *, copied: bool) -> None:
    source = make_v2(tmp_path / "data", video=True)
    write_lerobot(source, tmp_path / "labelled", OURS, labelled_by="human")
    own = ("--copy-videos",) if copied else ()
    ended = program.run("convert", "labelled", "labels.jsonl", *own, cwd=tmp_path)
    assert ended.code == 0, ended.said
    for row in read_rows(tmp_path / "labels.jsonl"):
        clip = tmp_path / row["video"]
        assert clip.is_file()
        assert (clip.parent.name == "labels_clips") == copied
    ended = program.run("convert", "labels.jsonl", "back", "--into", "data", *own, cwd=tmp_path)
    assert ended.code == 0, ended.said
    video = f"videos/chunk-000/{CAMERA}/episode_000000.mp4"
    same = (tmp_path / "back" / video).stat().st_ino == (source / video).stat().st_ino
    assert same != copied
    assert (tmp_path / "back" / video).read_bytes() == (source / video).read_bytes()


def test_the_task_says_which_event_ends_which_signal(program: Program, tmp_path: Path) -> None:
    source = write_mimicgen(
        tmp_path / "demos.hdf5", lengths=(100,), env_name="Mine", interface="MG_Mine"
    )
    (tmp_path / "task.toml").write_text(
        'name = "mine"\nevents = ["taking it", "leaving it"]\nsignals = ["taken", ""]\n'
    )
    row = {
        "video": "demo_0.mp4", "clip": "demo_0", "group": "demo_0", "task": "mine", "duration_s": 5.0,
        "events": [
            {"name": "taking it", "start_s": 0.0, "end_s": 2.0},
            {"name": "leaving it", "start_s": 2.0, "end_s": 4.9},
        ],
    }  # fmt: skip
    (tmp_path / "labels.jsonl").write_text(json.dumps(row) + "\n")
    options = ("labels.jsonl", "out.hdf5", "--into", source)
    ended = program.run("convert", *options, "--task=task.toml", cwd=tmp_path)
    assert ended.code == 0, ended.said
    with edited(tmp_path / "out.hdf5", "r") as file:
        signals = file["data/demo_0/datagen_info/subtask_term_signals"]
        assert list(signals) == ["taken"]
        assert int(np.argmax(signals["taken"][()])) == 40
    ended = program.run("convert", "labels.jsonl", "set", "--task=task.toml", cwd=tmp_path)
    assert ended.code == 2
    assert "--into" in ended.err
