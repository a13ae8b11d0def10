"""Labels that LeRobot datasets have, in each of their three forms."""

from pathlib import Path
from typing import Any

import lerobot_files as files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_files import make_v2, make_v3

from kairoscope.events import Event
from kairoscope.robot.episode import Episode
from kairoscope.robot.lerobot import open_lerobot

IDS = ("episode_000000", "episode_000001", "episode_000002")


def spans(episode: Episode) -> list[tuple[float | None, float]]:
    """(start, end) of the labels; the files hold times as float32."""
    return [(e.start_s and round(e.start_s, 5), round(e.end_s, 5)) for e in episode.events]


def label_with_frames(root: Path, numbers: list[int]) -> None:
    table = {"subtask_index": pa.array([0, 1]), "subtask": pa.array(["grasp", "place"])}
    pq.write_table(pa.table(table), root / "meta/subtasks.parquet")
    files.set_columns(files.v2_data(root, 0), subtask_index=pa.array(numbers))


def test_runs_of_subtask_index_are_events(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    label_with_frames(root, [-1] * 2 + [0] * 6 + [1] * 8 + [7] * 4)
    episode = open_lerobot(root).episode(IDS[0])
    assert [e.name for e in episode.events] == ["grasp", "place"]
    assert spans(episode) == [(0.2, 0.8), (0.8, 1.6)]
    assert episode.labelled_by == "unknown"
    assert any("subtask_index [7] is in no table" in note for note in episode.notes)


def test_the_last_run_ends_with_the_episode(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    label_with_frames(root, [0] * 5 + [1] * 15)
    assert open_lerobot(root).episode(IDS[0]).events[-1].end_s == pytest.approx(2.0, abs=1e-6)


def sarm(prefix: str, names: Any, starts: Any, ends: Any) -> dict[str, Any]:
    return {
        f"{prefix}subtask_names": names,
        f"{prefix}subtask_start_times": starts,
        f"{prefix}subtask_end_times": ends,
    }


@pytest.mark.parametrize("prefix", ["dense_", "sparse_", ""])
def test_sarm_columns_come_before_frames(tmp_path: Path, prefix: str) -> None:
    root = make_v2(tmp_path / "d")
    label_with_frames(root, [0] * 20)
    rows = files.read_lines(root / "meta/episodes.jsonl")
    rows[0] |= sarm(prefix, ["reach", "hold"], [0, 0.31], [0.31, 1.07])
    files.write_lines(root / "meta/episodes.jsonl", rows)
    assert open_lerobot(root).episode(IDS[0]).events == (
        Event("reach", 0.0, 0.31),
        Event("hold", 0.31, 1.07),
    )


@pytest.mark.parametrize(
    "found",
    [
        sarm("dense_", ["reach"], [0.0, 1.0], [1.0]),
        sarm("dense_", ["reach"], None, [1.0]),
        sarm("dense_", ["reach"], ["00:00"], ["00:01"]),
        sarm("dense_", ["reach"], [0.0], [float("nan")]),
    ],
)
def test_sarm_columns_that_do_not_fit_are_named(tmp_path: Path, found: dict[str, Any]) -> None:
    root = make_v2(tmp_path / "d")
    rows = files.read_lines(root / "meta/episodes.jsonl")
    files.write_lines(root / "meta/episodes.jsonl", [rows[0] | found, *rows[1:]])
    episode = open_lerobot(root).episode(IDS[0])
    assert episode.events == ()
    assert any("dense_subtask_*" in note for note in episode.notes)


def test_one_stage_called_task_is_no_label(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    rows = files.read_lines(root / "meta/episodes.jsonl")
    rows[0] |= sarm("sparse_", ["task"], [0], [2])
    files.write_lines(root / "meta/episodes.jsonl", rows)
    assert open_lerobot(root).episode(IDS[0]).events == ()


def test_subtasks_of_the_language_column(tmp_path: Path) -> None:
    root = make_v3(tmp_path / "d")

    def row(style: str, content: str, timestamp: float) -> dict[str, Any]:
        about = {"role": "assistant", "content": content, "style": style}
        return about | {"timestamp": timestamp, "camera": None, "tool_calls": None}

    first = [row("subtask", "place", 0.9), row("plan", "a plan", 0), row("subtask", "grasp", 0.2)]
    table = pq.read_table(files.v3_data(root))
    rows = [first if i == 0 else [] for i in table["episode_index"].to_pylist()]
    files.set_columns(
        files.v3_data(root),
        language_persistent=pa.array(rows),
        language_events=pa.array([[] for _ in rows], type=pa.array(rows).type),
    )
    dataset = open_lerobot(root)
    episode = dataset.episode(IDS[0])
    assert [event.name for event in episode.events] == ["grasp", "place"]
    assert spans(episode) == [(0.2, 0.9), (0.9, 2.0)]
    assert dataset.episode(IDS[1]).events == ()
