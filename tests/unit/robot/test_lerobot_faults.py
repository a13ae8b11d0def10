"""LeRobot datasets with something wrong: named, and the rest goes on."""

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


# -------------------------------------------------------------------- the dataset as a whole


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


# ------------------------------------------------------------------------------ one episode


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
