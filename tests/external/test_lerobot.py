"""lerobot's own code loads what Kairoscope writes. Skipped where lerobot cannot be imported.

`LEROBOT_PYTHON` names a Python that has lerobot 0.4.4 (docs/robot_lerobot.md says how to make one);
without it, the Python that runs the tests is asked.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kairoscope.events import Event, Events
from kairoscope.robot.lerobot import open_lerobot, write_lerobot

SIDE = Path(__file__).with_name("lerobot_side.py")
IDS = ("episode_000000", "episode_000001", "episode_000002")
LABELS: Mapping[str, Events] = {
    IDS[0]: (Event("grasp the cube", 0.0, 0.93), Event("place the cube", 0.93, 2.0)),
    IDS[1]: (Event("grasp the cube", 0.2, 1.1), Event("place the cube", 1.3, 2.9)),
}
FRAMES = {
    0: ["grasp the cube"] * 9 + ["place the cube"] * 15,
    1: ["grasp the cube"] * 13 + ["place the cube"] * 17,
    2: [""] * 19,
}
"""By hand: 0.93 s is nearest to frame 9 at 10 frames a second; gaps go to the event before."""
Lerobot = Callable[[str, Path], Any]
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory: pytest.TempPathFactory) -> Lerobot:
    """Ask lerobot to do something with a dataset: see `lerobot_side.py`."""
    named = os.environ.get("LEROBOT_PYTHON")
    if named is None and importlib.util.find_spec("lerobot") is None:
        pytest.skip("lerobot cannot be imported, and LEROBOT_PYTHON names no Python that can")
    python = named or sys.executable
    scratch = tmp_path_factory.mktemp("hub")
    environment = {**os.environ, **OFFLINE, "HF_HOME": str(scratch), "OMP_NUM_THREADS": "1"}

    def ask(verb: str, root: Path) -> Any:
        ended = subprocess.run(
            [python, str(SIDE), verb, str(root)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr[-4000:]
        return json.loads(ended.stdout.splitlines()[-1])

    return ask


@pytest.fixture(scope="module")
def recorded(lerobot: Lerobot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A v3.0 dataset that lerobot recorded: three episodes of 24, 30 and 19 frames."""
    root = tmp_path_factory.mktemp("recorded") / "arm"
    lerobot("create", root)
    return root


@pytest.fixture(scope="module")
def labelled(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labelled") / "arm"
    assert write_lerobot(recorded, root, LABELS).written == IDS[:2]
    return root


def test_we_read_what_lerobot_recorded(recorded: Path) -> None:
    dataset = open_lerobot(recorded)
    assert (dataset.format, dataset.fps, tuple(dataset.ids)) == ("lerobot v3.0", 10, IDS)
    assert dataset.notes == ()
    table = pq.read_table(recorded / "data/chunk-000/file-000.parquet")
    first = 0
    for number, (name, length) in enumerate(zip(dataset.ids, (24, 30, 19), strict=True)):
        episode = dataset.episode(name)
        assert episode.notes == ()
        assert len(episode.times_s) == length
        kinds = {channel.name: channel.kind for channel in episode.channels}
        assert kinds["action.gripper"] == kinds["observation.state.gripper"] == "gripper"
        gripper = next(c for c in episode.channels if c.name == "action.gripper")
        rows = table["action"].to_pylist()[first : first + length]
        assert gripper.values_TD[:, 0].tolist() == [row[2] for row in rows]
        assert episode.task.startswith("put the ")
        span = episode.videos["observation.images.top"]
        assert span.start_s == pytest.approx([0, 2.4, 5.4][number])
        first += length


def test_lerobot_loads_every_frame_with_its_subtask(lerobot: Lerobot, labelled: Path) -> None:
    seen = lerobot("load", labelled)
    check_frames(seen, FRAMES)
    assert seen["num_frames"] == 73
    assert seen["batch"]["subtask"] == ["grasp the cube"] * 4
    shapes = [row["shapes"] for row in seen["frames"] if "shapes" in row]
    assert {tuple(shape["observation.images.top"]) for shape in shapes} == {(3, 64, 96)}


def check_frames(seen: Any, wanted: Mapping[int, list[str]]) -> None:
    """Every frame's text, as lerobot looks it up; statistics; SARM's columns."""
    found: dict[int, list[str]] = {}
    for row in seen["frames"]:
        text = seen["subtasks"][row["subtask_index"]]
        assert row.get("subtask", text) == text
        found.setdefault(row["episode_index"], []).append(text)
    assert found == wanted
    numbers = [row["subtask_index"] for row in seen["frames"]]
    stats = seen["stats"]
    assert (stats["min"], stats["max"], stats["count"]) == (
        [min(numbers)],
        [max(numbers)],
        [len(numbers)],
    )
    assert stats["mean"] == pytest.approx([sum(numbers) / len(numbers)])
    names = seen["sarm"]["dense_subtask_names"]
    assert names[0] == ["grasp the cube", "place the cube"]


def test_all_other_columns_are_as_lerobot_recorded_them(recorded: Path, labelled: Path) -> None:
    before, after = (
        pq.read_table(root / "data/chunk-000/file-000.parquet") for root in (recorded, labelled)
    )
    assert after.drop_columns(["subtask_index"]).equals(before)


def test_sarm_makes_progress_of_the_labels(lerobot: Lerobot, labelled: Path) -> None:
    """Formula 2 of the SARM paper at the frames that the labels name."""
    seen = lerobot("sarm", labelled)
    assert seen["stages"] == ["grasp the cube", "place the cube"]
    shares = [0.93 / 2.0, 0.9 / 2.5]
    assert seen["shares"]["grasp the cube"] == pytest.approx(sum(shares) / 2)
    first, second, none = seen["progress"]
    assert (first[0], first[9], first[20]) == (0.0, 1.0, 1.999)
    assert first[:10] == sorted(first[:10])
    assert first[10] == pytest.approx(1 + 1 / 11)
    assert second[:3] == [0.0, 0.0, 0.0]  # the first event begins at frame 2
    assert second[11:14] == [1.0, 1.0, 1.0]  # the gap
    assert none == [0.0] * 19


def test_lerobots_annotation_tool_finds_the_labels(lerobot: Lerobot, labelled: Path) -> None:
    seen = lerobot("annotations", labelled)
    assert set(seen) == {"0", "1"}
    assert [s["name"] for s in seen["1"]] == ["grasp the cube", "place the cube"]
    assert [s["timestamps"] for s in seen["1"]] == [
        {"start": "00:00", "end": "00:01"},
        {"start": "00:01", "end": "00:02"},
    ]


def test_lerobots_editing_tool_sums_the_statistics(lerobot: Lerobot, labelled: Path) -> None:
    seen = lerobot("drop_first", labelled)
    assert seen["num_frames"] == 49
    assert seen["stats"]["count"] == [49]
    assert seen["stats"]["mean"] == pytest.approx([(17 * 1 + 19 * 2) / 49])


def as_v2(recorded: Path, root: Path) -> Path:
    """The recorded dataset as v2.1: a parquet file and a video an episode."""
    table = pq.read_table(recorded / "data/chunk-000/file-000.parquet")
    rows = pq.read_table(recorded / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    (root / "data/chunk-000").mkdir(parents=True)
    (root / "meta").mkdir()
    info = json.loads((recorded / "meta/info.json").read_text())
    del info["features"]["observation.images.top"]
    for key in ("data_files_size_in_mb", "video_files_size_in_mb"):
        info.pop(key, None)
    info |= {
        "codebase_version": "v2.1",
        "total_chunks": 1,
        "total_videos": 0,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": None,
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    tasks = pq.read_table(recorded / "meta/tasks.parquet").to_pylist()
    write_lines(
        root / "meta/tasks.jsonl",
        [{"task_index": t["task_index"], "task": t["__index_level_0__"]} for t in tasks],
    )
    keys = ("episode_index", "tasks", "length")
    write_lines(root / "meta/episodes.jsonl", [{key: row[key] for key in keys} for row in rows])
    stats = []
    for row in rows:
        found: dict[str, dict[str, Any]] = {}
        for key, value in row.items():
            parts = key.split("/")
            if parts[0] == "stats" and "images" not in key:
                found.setdefault(parts[1], {})[parts[2]] = value
        stats.append({"episode_index": row["episode_index"], "stats": found})
        part = table.slice(row["dataset_from_index"], row["length"])
        name = f"data/chunk-000/episode_{row['episode_index']:06d}.parquet"
        pq.write_table(part, root / name)
    write_lines(root / "meta/episodes_stats.jsonl", stats)
    return root


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def convert(lerobot: Lerobot, root: Path) -> None:
    """lerobot's converter, and the copies that the documentation asks for after it."""
    lerobot("convert", root)
    old = root.with_name(f"{root.name}_old")
    for name in ("subtasks.parquet", "temporal_proportions_dense.json"):
        assert not (root / "meta" / name).exists()
        shutil.copy2(old / "meta" / name, root / "meta" / name)


def test_labels_survive_lerobots_conversion_of_v2(
    lerobot: Lerobot, recorded: Path, tmp_path: Path
) -> None:
    source = as_v2(recorded, tmp_path / "v2")
    root = tmp_path / "arm"
    assert write_lerobot(source, root, LABELS).written == IDS[:2]
    convert(lerobot, root)
    check_frames(lerobot("load", root), FRAMES)
    assert lerobot("sarm", root)["progress"][0][9] == 1.0
    dataset = open_lerobot(root)
    assert dataset.format == "lerobot v3.0"
    for name in IDS[:2]:
        assert dataset.episode(name).events == LABELS[name]


def test_a_real_dataset_goes_all_the_way(
    lerobot: Lerobot, shared_data: Path, tmp_path: Path
) -> None:
    """Eight real episodes, AV1: labelled as v2.1, converted and loaded by lerobot."""
    source = renumbered(shared_data / "g1_yellow_bottle", tmp_path / "in")
    every = read_lines(shared_data / "ground_truth.jsonl")
    rows = sorted((r for r in every if "g1_yellow_bottle" in r["video"]), key=lambda r: r["video"])
    truth = [[(b["name"], b["nominal_s"]) for b in row["boundaries"]] for row in rows]
    labels = {
        f"episode_{number:06d}": tuple(Event(name, None, end_s) for name, end_s in found)
        for number, found in enumerate(truth)
    }
    root = tmp_path / "g1"
    assert len(write_lerobot(source, root, labels).written) == 8
    convert(lerobot, root)
    seen = lerobot("load", root)
    assert seen["num_frames"] == sum(row["n_frames"] for row in rows)
    for number, (row, found) in enumerate(zip(rows, truth, strict=True)):
        mine = [f for f in seen["frames"] if f["episode_index"] == number]
        texts = [seen["subtasks"][frame["subtask_index"]] for frame in mine]
        first_end = row["boundaries"][0]["nominal_frame"]
        assert texts.index(found[1][0]) == first_end
        assert set(texts[:first_end]) == {found[0][0]}


def renumbered(source: Path, root: Path) -> Path:
    """The episodes that are there as a whole dataset: lerobot's converter wants all of them."""
    (root / "data/chunk-000").mkdir(parents=True)
    shutil.copytree(source / "meta", root / "meta", copy_function=shutil.copyfile)
    there = sorted((source / "data/chunk-000").glob("*.parquet"))
    lists = {
        name: {row["episode_index"]: row for row in read_lines(root / name)}
        for name in ("meta/episodes.jsonl", "meta/episodes_stats.jsonl")
    }
    first = 0
    for number, path in enumerate(there):
        table = pq.read_table(path)
        index = int(path.stem.split("_")[1])
        for rows in lists.values():
            rows[index]["episode_index"] = number
        for column, values in (
            ("episode_index", [number] * table.num_rows),
            ("index", range(first, first + table.num_rows)),
        ):
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, pa.array(values, type=pa.int64()))
        pq.write_table(table, root / f"data/chunk-000/episode_{number:06d}.parquet")
        for camera in (source / "videos/chunk-000").iterdir():
            video = root / "videos/chunk-000" / camera.name / f"episode_{number:06d}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(camera / f"{path.stem}.mp4", video)
        first += table.num_rows
    kept = [int(path.stem.split("_")[1]) for path in there]
    for name, rows in lists.items():
        write_lines(root / name, [rows[index] for index in kept])
    info = json.loads((root / "meta/info.json").read_text())
    info |= {"total_episodes": len(kept), "total_videos": len(kept), "total_frames": first}
    info["splits"] = {"train": f"0:{len(kept)}"}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root
