"""Episodes of LeRobot datasets with something wrong: named, and the others are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lerobot_files as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_files import CAMERA, FPS, LENGTHS, make_v2, make_v3

from kairoscope.robot.episode import Episode, UnreadableEpisode
from kairoscope.robot.lerobot import LeRobotDataset, open_lerobot

IDS = ("episode_000000", "episode_000001", "episode_000002")
Column = Any


def opened(root: Path) -> LeRobotDataset:
    dataset = open_lerobot(root)
    assert isinstance(dataset, LeRobotDataset)
    return dataset


def read_all(dataset: LeRobotDataset) -> dict[str, Episode | str]:
    """Every episode, or why it cannot be read."""
    found: dict[str, Episode | str] = {}
    for name in dataset.ids:
        try:
            found[name] = dataset.episode(name)
        except UnreadableEpisode as error:
            found[name] = str(error)
    return found


def only_first_fails(dataset: LeRobotDataset, reason: str) -> None:
    found = read_all(dataset)
    assert tuple(found) == IDS
    assert isinstance(found[IDS[0]], str)
    assert reason in str(found[IDS[0]])
    assert all(isinstance(found[name], Episode) for name in IDS[1:])


def note_of(root: Path, words: str) -> Episode:
    """The first episode, which has one note with these words."""
    episode = opened(root).episode(IDS[0])
    assert [note for note in episode.notes if words in note], episode.notes
    return episode


def truncated(root: Path) -> None:
    path = files.v2_data(root, 0)
    path.write_bytes(path.read_bytes()[:-100])


def empty(root: Path) -> None:
    path = files.v2_data(root, 0)
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def time(values: Any) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        files.set_columns(files.v2_data(root, 0), timestamp=pa.array(values))

    return change


STEPS = np.arange(LENGTHS[0]) / FPS
BACK = STEPS.copy()
BACK[7] = 0.2
NOT_A_TIME = STEPS.copy()
NOT_A_TIME[3] = np.nan


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda root: files.v2_data(root, 0).unlink(), "episode_000000.parquet: is missing"),
        (truncated, "cannot be read"),
        (lambda root: files.v2_data(root, 0).write_bytes(b""), "cannot be read"),
        (empty, "has no rows"),
        (time(BACK), "timestamps do not ascend: row 7 has 0.2 s after 0.6 s"),
        (time(NOT_A_TIME), "timestamp of row 3 is nan"),
        (time(["a"] * LENGTHS[0]), "timestamp holds string, not numbers"),
    ],
)
def test_an_episode_that_cannot_be_read(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    root = make_v2(tmp_path / "d")
    damage(root)
    only_first_fails(opened(root), reason)


def test_an_episode_of_v3_that_cannot_be_read(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d", per_file=1)
    table = pq.read_table(files.v3_data(root, 0))
    pq.write_table(table.slice(0, 0), files.v3_data(root, 0))
    only_first_fails(opened(root), "has no rows of episode 0")
    both = pa.concat_tables([table, pq.read_table(files.v3_data(root, 1)), table])
    pq.write_table(both, files.v3_data(root, 0))
    only_first_fails(opened(root), "the rows of episode 0 do not lie together")
    files.set_columns(
        files.v3_episodes(root, 0), **{"data/file_index": pa.array([None], type=pa.int64())}
    )
    only_first_fails(opened(root), "data/chunk_index and data/file_index are [0, None]")


def test_an_episode_that_there_is_not(tmp_path: Path) -> None:
    dataset = opened(make_v2(tmp_path / "d"))
    for name in ("episode_000099", "demo_0", "", "episode_-1"):
        with pytest.raises(UnreadableEpisode, match="no episode"):
            dataset.episode(name)


def test_signals_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    values = np.zeros((LENGTHS[0], 3))
    values[4, 1], values[9, 0] = np.nan, np.inf
    files.set_columns(files.v2_data(root, 0), action=pa.array(values.tolist()))
    episode = note_of(root, "action left out: 2 of 20 rows are not finite")
    assert {c.name for c in episode.channels} == {"observation.state", "observation.state.gripper"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([[1.0]] * 19 + [[1.0, 2.0]], "odd left out: it has rows of different lengths, 1 to 2"),
        ([[1.0]] * 19 + [None], "odd left out: it has 1 empty rows"),
        ([1.0] * 19 + [None], "odd left out: 1 of 20 rows are not finite"),
    ],
)
def test_columns_that_are_no_signal(tmp_path: Path, column: Column, words: str) -> None:
    root = make_v2(tmp_path / "d")
    files.set_columns(files.v2_data(root, 0), odd=pa.array(column))
    note_of(root, words)


def test_text_is_no_signal(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    files.set_columns(files.v2_data(root, 0), remark=pa.array(["a"] * LENGTHS[0]))
    assert opened(root).episode(IDS[0]).notes == ()


def test_lengths_that_differ(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d", video=True)
    rows = files.read_lines(root / "meta/episodes.jsonl")
    files.write_lines(root / "meta/episodes.jsonl", [rows[0] | {"length": 25}, *rows[1:]])
    files.make_video(root / f"videos/chunk-000/{CAMERA}/episode_000000.mp4", 14)
    note_of(root, "the list of episodes says 25 frames, there are 20")
    note_of(root, "the video runs 1.40 s, the signals 2.00 s")


def test_a_video_of_v3_that_ends_too_early(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d", video=True)
    files.make_video(root / f"videos/{CAMERA}/chunk-000/file-000.mp4", 30)
    assert opened(root).episode(IDS[0]).notes == ()
    second = opened(root).episode(IDS[1])
    assert any("it ends at 5.10 s of" in n and "which runs 3.00 s" in n for n in second.notes)


@pytest.mark.parametrize("damage", [b"", b"not a video at all", None])
def test_a_video_that_is_none(tmp_path: Path, damage: bytes | None) -> None:
    root = make_v2(tmp_path / "d", video=True)
    path = root / f"videos/chunk-000/{CAMERA}/episode_000000.mp4"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    episode = note_of(root, f"camera {CAMERA}: videos/")
    assert episode.videos == {}
    assert episode.channels
    assert opened(root).episode(IDS[1]).notes == ()


def test_cameras_without_videos_and_videos_without_cameras(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d", video=True)
    raw = json.loads((root / "meta/info.json").read_text())
    gone = {"observation.images.gone": raw["features"][CAMERA]}
    files.write_info(root, features=raw["features"] | gone)
    (root / "videos/chunk-000/observation.images.extra").mkdir()
    notes = opened(root).notes
    assert "info.json lists camera 'observation.images.gone', which has no video" in notes
    assert any("'observation.images.extra' are not listed" in note for note in notes)


@pytest.mark.parametrize(
    "change",
    [
        {f"videos/{CAMERA}/file_index": pa.array([None, None], type=pa.int64())},
        {f"videos/{CAMERA}/from_timestamp": pa.array([3.0, np.nan])},
        {f"videos/{CAMERA}/to_timestamp": pa.array([None, None], type=pa.float64())},
    ],
)
def test_a_span_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    root = make_v3(tmp_path / "d", video=True)
    files.set_columns(files.v3_episodes(root, 0), **change)
    assert note_of(root, f"camera {CAMERA}: ").videos == {}


def test_times_that_do_not_begin_at_0_are_counted_from_the_first(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    time(STEPS + 0.1)(root)
    episode = note_of(root, "the first timestamp is 0.100 s")
    np.testing.assert_allclose(episode.times_s, STEPS, atol=1e-9)


def test_rows_of_another_episode_are_named(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    files.set_columns(files.v2_data(root, 0), episode_index=pa.array([7] * LENGTHS[0]))
    note_of(root, "its rows say that they are of episode 7")
