"""LeRobot datasets with something wrong: named, and the rest goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lerobot_files as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_files import FPS, LENGTHS, make_v2, make_v3

from kairoscope.core import UserError
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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codebase_version": "v9.0"}, r"codebase_version is 'v9.0'; known are v2.0"),
        ({"data_path": "../{episode_index}.parquet"}, "data_path leads out of the dataset"),
        ({"data_path": "/etc/{episode_index}"}, "data_path leads out of the dataset"),
        ({"data_path": "data/{episode}.parquet"}, "data_path is 'data/{episode}.parquet'"),
        ({"data_path": "data/{episode_index.x}.parquet"}, "data_path is"),
        ({"video_path": "{video_key}/../../{episode_index}"}, "video_path leads out"),
        ({"features": ["action"]}, "features must be an object, is list"),
    ],
)
def test_an_info_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    root = make_v2(tmp_path / "d")
    files.write_info(root, **changes)
    if "codebase_version" in changes:
        (root / "meta/episodes.jsonl").unlink()
    with pytest.raises(UserError, match=reason.replace("{", r"\{")):
        open_lerobot(root)


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "is not JSON"), ("[]", "must be a JSON object, is list")]
)
def test_an_info_that_is_no_object(tmp_path: Path, text: str, reason: str) -> None:
    root = make_v2(tmp_path / "d")
    (root / "meta/info.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        open_lerobot(root)


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_lerobot(tmp_path / "gone")
    with pytest.raises(UserError, match="is no LeRobot dataset"):
        open_lerobot(tmp_path)


@pytest.mark.parametrize("version", ["v2.7", "v4.0", None])
def test_a_version_that_is_not_known_is_read_by_its_files(
    tmp_path: Path, version: str | None
) -> None:
    root = make_v2(tmp_path / "d")
    files.write_info(root, codebase_version=version)
    dataset = opened(root)
    assert any("codebase_version" in n and "read as v2.x" in n for n in dataset.notes)
    assert all(isinstance(found, Episode) for found in read_all(dataset).values())


@pytest.mark.parametrize("fps", [None, 0, -3, "30", float("nan"), True])
def test_a_rate_that_is_none_is_taken_from_the_timestamps(tmp_path: Path, fps: Any) -> None:
    root = make_v2(tmp_path / "d")
    files.write_info(root, fps=fps)
    dataset = opened(root)
    assert dataset.fps == FPS
    assert any("taken from the timestamps" in note for note in dataset.notes)


def test_a_rate_that_timestamps_contradict(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d")
    files.write_info(root, fps=30)
    dataset = opened(root)
    assert dataset.fps == FPS
    assert any("info.json says 30" in note and "timestamps 10" in note for note in dataset.notes)
    assert dataset.episode(IDS[0]).times_s[-1] == pytest.approx((LENGTHS[0] - 1) / FPS)


def test_a_rate_that_nobody_says(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    files.write_info(root, fps=None)
    for episode in range(3):
        files.set_columns(files.v2_data(root, episode), timestamp=None)
    with pytest.raises(UserError, match="timestamps tell the frame rate"):
        _ = opened(root).fps
    assert open_lerobot(root, fps=5).episode(IDS[0]).times_s[1] == pytest.approx(0.2)


def test_a_given_rate_counts_frames(tmp_path: Path) -> None:
    dataset = open_lerobot(make_v2(tmp_path / "d"), fps=20)
    assert dataset.fps == 20
    np.testing.assert_allclose(dataset.episode(IDS[0]).times_s, np.arange(LENGTHS[0]) / 20)
    with pytest.raises(UserError, match="must be above 0"):
        open_lerobot(tmp_path / "d", fps=0)


def test_a_part_of_a_dataset(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d", video=True)
    files.v2_data(root, 1).unlink()
    dataset = opened(root)
    assert tuple(dataset.ids) == IDS
    assert tuple(dataset.missing) == (IDS[1],)
    assert "1 of 3 episodes have no data file" in dataset.notes
    assert "is missing" in str(read_all(dataset)[IDS[1]])


def test_episodes_that_no_list_names(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    rows = files.read_lines(root / "meta/episodes.jsonl")
    files.write_lines(root / "meta/episodes.jsonl", rows[:1])
    dataset = opened(root)
    assert tuple(dataset.ids) == IDS
    assert any("2 data files hold episodes that no list names" in note for note in dataset.notes)
    assert isinstance(read_all(dataset)[IDS[2]], Episode)


@pytest.mark.parametrize("make", [make_v2, make_v3])
def test_without_a_list_the_files_are_the_list(tmp_path: Path, make: Callable[..., Path]) -> None:
    root = make(tmp_path / "d")
    for path in (*root.glob("meta/episodes.jsonl"), *root.glob("meta/episodes/*/*.parquet")):
        path.unlink()
    dataset = opened(root)
    assert tuple(dataset.ids) == IDS
    assert all(isinstance(found, Episode) for found in read_all(dataset).values())


@pytest.mark.parametrize("make", [make_v2, make_v3])
def test_nothing_at_all(tmp_path: Path, make: Callable[..., Path]) -> None:
    root = make(tmp_path / "d")
    lists = (*root.glob("meta/episodes.jsonl"), *root.glob("meta/episodes/*/*.parquet"))
    for path in (*lists, *root.glob("data/*/*.parquet")):
        path.unlink()
    with pytest.raises(UserError, match="no episodes"):
        open_lerobot(root)


def test_lines_of_the_list_that_are_no_rows(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    path = root / "meta/episodes.jsonl"
    rows = path.read_text().splitlines()
    bad = ["{", "[]", '{"episode_index": "x"}', rows[0]]
    path.write_text("\n".join([*rows, *bad]) + "\n")
    dataset = opened(root)
    assert tuple(dataset.ids) == IDS
    named = [f"meta/episodes.jsonl, line {number}:" for number in (4, 5, 6, 7)]
    assert [note[: len(named[0])] for note in dataset.notes] == named


def test_a_list_of_v3_that_is_broken(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d")
    files.v3_episodes(root, 1).write_bytes(b"PAR1 not at all")
    files.v3_episodes(root, 0).with_name("file-007.parquet").write_bytes(b"")
    dataset = opened(root)
    assert tuple(dataset.ids) == IDS[:2]
    assert sum("cannot be read" in note for note in dataset.notes) == 2


def test_tables_that_are_broken(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d")
    (root / "meta/tasks.parquet").write_bytes(b"nothing")
    pq.write_table(pa.table({"a": pa.array([1])}), root / "meta/subtasks.parquet")
    notes = opened(root).notes
    assert any("meta/tasks.parquet: cannot be read" in note for note in notes)
    assert any("meta/subtasks.parquet: has columns ['a']" in note for note in notes)


def test_marks_that_are_damaged(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    (root / "meta/kairoscope.json").write_text('{"episodes": {"0": {}}}')
    with pytest.raises(UserError, match="is not as Kairoscope writes it"):
        open_lerobot(root)
