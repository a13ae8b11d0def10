"""Bad input through `kairoscope annotate DATASET`: named, counted, listed; the rest goes on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import Ended, Program, read_json, read_rows
from hdf5_files import edited, write_mimicgen
from lerobot_files import (
    CAMERA,
    IDS,
    make_v2,
    make_v3,
    make_video,
    set_columns,
    tree,
    v2_data,
    v3_data,
    write_info,
)

LENGTH = 120
SIGNALS = ("--task=stack.toml", "--signals-only")


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    (tmp_path / "stack.toml").write_text('name = "stack"\nevents = ["grasping the red cube"]\n')
    (tmp_path / "two.toml").write_text('name = "two"\nevents = ["raising it", "lowering it"]\n')
    shutil.copytree(world / "model", tmp_path / "model")
    return tmp_path


def annotate(program: Program, place: Path, source: str, *options: str) -> Ended:
    ended = program.run("annotate", source, "--out=out", *options, cwd=place)
    assert "Traceback" not in ended.err
    assert "a fault of kairoscope" not in ended.err, ended.said
    return ended


def listed(place: Path) -> dict[str, str]:
    return {row["clip"]: row["reason"] for row in read_json(place / "out" / "problems.json")}


def annotated(place: Path) -> set[str]:
    return {row["clip"] for row in read_rows(place / "out" / "boundaries.jsonl")}


def without_states(data: h5py.Group) -> None:
    for name in ("states", "obs", "datagen_info"):
        del data[f"demo_1/{name}"]


def without_actions(data: h5py.Group) -> None:
    del data["demo_1/actions"]


def empty(data: h5py.Group) -> None:
    del data["demo_1/actions"]
    data["demo_1/actions"] = np.zeros((0, 7))


def other_lengths(data: h5py.Group) -> None:
    fingers = data["demo_1/obs/robot0_gripper_qpos"][:-9]
    del data["demo_1/obs/robot0_gripper_qpos"]
    data["demo_1/obs/robot0_gripper_qpos"] = fingers


def texts(data: h5py.Group) -> None:
    del data["demo_1/actions"]
    data["demo_1/actions"] = np.array([b"none"] * LENGTH)


def is_a_dataset(data: h5py.Group) -> None:
    del data["demo_1"]
    data["demo_1"] = np.zeros(3)


def without_number(data: h5py.Group) -> None:
    data.move("demo_1", "demo_one")


DAMAGES: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "no states": (without_states, "demo_1"),
    "no actions": (without_actions, "demo_1"),
    "zero length": (empty, "demo_1"),
    "other lengths": (other_lengths, "demo_1"),
    "texts for numbers": (texts, "demo_1"),
    "no group": (is_a_dataset, "demo_1"),
    "no number": (without_number, "demo_one"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_one_bad_demonstration_is_listed_and_the_others_are_written(
    program: Program, place: Path, kind: str
) -> None:
    damage, name = DAMAGES[kind]
    with edited(write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 4)) as file:
        damage(file["data"])
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 0, ended.said
    assert name in listed(place), listed(place)
    assert name in ended.err
    assert {"demo_0", "demo_2", "demo_3"} <= annotated(place)
    with h5py.File(place / "out" / "demos.hdf5") as file:
        for good in ("demo_0", "demo_2", "demo_3"):
            assert "grasp" in file[f"data/{good}/datagen_info/subtask_term_signals"]


@pytest.mark.parametrize("values", [np.nan, np.inf])
def test_values_that_are_not_finite_are_left_out_with_a_remark(
    program: Program, place: Path, values: float
) -> None:
    with edited(write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 4)) as file:
        for name in ("actions", "obs/robot0_gripper_qpos", "datagen_info/eef_pose"):
            file[f"data/demo_1/{name}"][...] = values
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 0, ended.said
    assert {"demo_0", "demo_2", "demo_3"} <= annotated(place)
    told = next(r for r in read_rows(place / "out" / "clips.jsonl") if r["clip"] == "demo_1")
    assert any("finite" in note for note in [*told["notes"], *told["listed"]]), told


def test_no_episode_at_all_ends_with_2(program: Program, place: Path) -> None:
    with edited(write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 2)) as file:
        for demo in file["data"].values():
            del demo["actions"]
            demo["actions"] = np.zeros((0, 7))
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 2
    assert "demos.hdf5" in ended.err
    assert "no frames" in ended.err


def test_an_unknown_layout_says_what_there_is(program: Program, place: Path) -> None:
    with h5py.File(place / "demos.hdf5", "w") as file:
        file["trajectories/0/torques"] = np.zeros((5, 2))
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 2
    assert "trajectories" in ended.err


def test_no_gripper_is_said_and_the_model_is_asked(program: Program, place: Path) -> None:
    make_v2(place / "data", video=True)
    for number in range(3):
        table = v2_data(place / "data", number)
        set_columns(table, observation__state=None, action=None)
    info = read_json(place / "data/meta/info.json")
    for name in ("observation.state", "action"):
        del info["features"][name]
    (place / "data/meta/info.json").write_text(json.dumps(info))
    ended = annotate(program, place, "data", "--task=two.toml", "--model=model")
    assert ended.code == 0, ended.said
    assert annotated(place) <= set(IDS)
    assert annotated(place)
    shutil.rmtree(place / "out")
    ended = annotate(program, place, "data", "--task=two.toml", "--signals-only")
    assert ended.code == 2
    assert "no boundaries" in ended.err


@pytest.mark.parametrize("kind", ["locked", "truncated", "cut early"])
def test_a_file_that_cannot_be_opened_is_named(program: Program, place: Path, kind: str) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    if kind == "locked":
        holder = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import h5py; f = h5py.File({str(source)!r}, 'r+'); print('open', flush=True); input()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        try:
            ended = annotate(program, place, "demos.hdf5", *SIGNALS)
        finally:
            holder.communicate("\n", timeout=30)
        assert "open" in ended.err or "lock" in ended.err
    else:
        data = source.read_bytes()
        source.write_bytes(data[: len(data) // (2 if kind == "truncated" else 50)])
        ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 2, ended.said
    assert "demos.hdf5" in ended.err
    assert not (place / "out" / "demos.hdf5").exists()


def test_damage_in_the_middle_of_a_file_costs_one_demonstration(
    program: Program, place: Path
) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 4)
    with edited(source) as file:
        fingers = file["data/demo_2/obs/robot0_gripper_qpos"][()]
        del file["data/demo_2/obs/robot0_gripper_qpos"]
        name = "data/demo_2/obs/robot0_gripper_qpos"
        file.create_dataset(name, data=fingers, compression="gzip", chunks=(LENGTH, 2))
        offset = file[name].id.get_chunk_info(0).byte_offset
    data = bytearray(source.read_bytes())
    data[offset : offset + 16] = b"\xff" * 16
    source.write_bytes(data)
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    assert ended.code == 0, ended.said
    assert {"demo_0", "demo_1", "demo_3"} <= annotated(place)
    told = next(r for r in read_rows(place / "out" / "clips.jsonl") if r["clip"] == "demo_2")
    assert told["listed"] or told["notes"]


def test_an_unknown_version_is_named(program: Program, place: Path) -> None:
    make_v2(place / "data", video=True)
    write_info(place / "data", codebase_version="v9.7")
    ended = annotate(program, place, "data", "--task=two.toml", "--signals-only")
    assert ended.code == 2
    assert "v9.7" in ended.err


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_wrong_rate_is_said_and_the_times_count(
    program: Program, place: Path, version: str
) -> None:
    (make_v2 if version == "v2.1" else make_v3)(place / "data", video=True)
    write_info(place / "data", fps=50)
    ended = annotate(program, place, "data", "--task=two.toml", "--model=model")
    assert ended.code == 0, ended.said
    rows = read_rows(place / "out" / "clips.jsonl")
    assert any("50" in note for row in rows for note in row["notes"]) or "50" in ended.err
    assert [row["duration_s"] for row in rows] == pytest.approx([1.9, 3.0, 1.1], abs=0.01)


def test_missing_extra_and_short_videos(program: Program, place: Path) -> None:
    make_v2(place / "data", video=True)
    folder = place / "data/videos/chunk-000" / CAMERA
    (folder / "episode_000000.mp4").unlink()
    make_video(folder / "episode_000009.mp4", 5)
    make_video(folder / "episode_000002.mp4", 4)
    ended = annotate(program, place, "data", "--task=two.toml", "--model=model")
    assert ended.code == 0, ended.said
    assert "episode_000000" in listed(place)
    assert "video" in listed(place)[IDS[0]]
    assert IDS[1] in annotated(place)
    rows = {row["clip"]: row for row in read_rows(place / "out" / "clips.jsonl")}
    assert set(rows) == set(IDS)
    assert any("video" in note for note in rows[IDS[2]]["notes"]), rows[IDS[2]]["notes"]


def test_a_damaged_parquet_file_costs_its_episodes(program: Program, place: Path) -> None:
    make_v3(place / "data", (20, 31, 12, 25), video=True)
    v3_data(place / "data", 1).write_bytes(b"PAR1 and nothing else")
    ended = annotate(program, place, "data", "--task=two.toml", "--model=model")
    assert ended.code == 0, ended.said
    assert {"episode_000002", "episode_000003"} <= set(listed(place))
    assert set(IDS[:2]) <= annotated(place)


def test_a_camera_that_only_some_episodes_have(program: Program, place: Path) -> None:
    source = write_mimicgen(place / "demos.hdf5", lengths=(60, 70), pictures=True)
    with edited(source) as file:
        del file["data/demo_1/obs/agentview_image"]
    (place / "stack.toml").write_text('name = "stack"\nevents = ["zigging to the cube"]\n')
    options = ("--task=stack.toml", "--model=model", "--camera=agentview")
    ended = annotate(program, place, "demos.hdf5", *options)
    assert ended.code == 0, ended.said
    assert "no video" in listed(place)["demo_1"]
    assert "demo_0" in annotated(place)
    shutil.rmtree(place / "out")
    ended = annotate(program, place, "demos.hdf5", *options[:2], "--camera=nowhere")
    assert ended.code == 2
    assert "nowhere" in ended.err
    assert "agentview" in ended.err


ROW_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "another value": lambda line: line.replace(b'"frame":', b'"fr\\u0061me":7,"x":', 1),
    "no JSON": lambda _line: b"[half a row\n",
    "another type": lambda _line: b'{"clip": 3}\n',
    "nothing": lambda _line: b"\n",
    "not finite": lambda line: line.replace(b"0.0,", b"NaN,", 1),
}


@pytest.mark.parametrize("kind", ROW_DAMAGE)
def test_a_damaged_row_is_made_again(program: Program, place: Path, kind: str) -> None:
    make_v2(place / "data", video=True)
    options = ("--task=two.toml", "--model=model")
    assert annotate(program, place, "data", *options).code == 0
    whole = tree(place / "out")
    for name in ("signals.jsonl", "answers.jsonl", "clips.jsonl"):
        file = place / "out" / name
        lines = file.read_bytes().splitlines(keepends=True)
        damaged = ROW_DAMAGE[kind](lines[1])
        file.write_bytes(b"".join([lines[0], damaged, *lines[2:]]))
    ended = annotate(program, place, "data", *options)
    assert ended.code == 0, ended.said
    again = tree(place / "out")
    for name in ("signals.jsonl", "clips.jsonl", "boundaries.jsonl", "annotations.html"):
        assert again[name] == whole[name]
    assert len(read_rows(place / "out" / "answers.jsonl")) == 3


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"format": 1, "kind": "annotation", "config": {"task": 3}}'),
        ("config.json", '{"format": 1, "kind": "annotation", "config": [1]}'),
        ("environment.json", "[]"),
        ("environment.json", '{"resumed": 5}'),
        ("environment.json", '{"resumed": [4]}'),
    ],
)
def test_a_damaged_config_is_named(program: Program, place: Path, file: str, text: str) -> None:
    write_mimicgen(place / "demos.hdf5", lengths=(LENGTH,) * 3)
    assert annotate(program, place, "demos.hdf5", *SIGNALS).code == 0
    before = tree(place / "out")
    (place / "out" / file).write_text(text)
    ended = annotate(program, place, "demos.hdf5", *SIGNALS)
    if file == "config.json":
        assert ended.code == 2, ended.said
        assert "out" in ended.err
    after = tree(place / "out")
    assert after["demos.hdf5"] == before["demos.hdf5"]
