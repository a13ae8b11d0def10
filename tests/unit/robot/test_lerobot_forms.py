"""What lerobot expects beside the labels: features, columns, statistics, shares of time."""

import json
from collections.abc import Callable
from pathlib import Path

import lerobot_files as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_files import (
    IDS,
    OURS,
    frames_of,
    make_v2,
    make_v3,
)

from kairoscope.events import Event
from kairoscope.robot.lerobot import write_lerobot

Make = Callable[..., Path]
MAKES = pytest.mark.parametrize("make", [make_v2, make_v3])


@MAKES
def test_the_feature_is_in_info(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d")
    write_lerobot(source, tmp_path / "out", OURS)
    before, after = (
        json.loads((root / "meta/info.json").read_text()) for root in (source, tmp_path / "out")
    )
    assert after["features"].pop("subtask_index") == {
        "dtype": "int64",
        "shape": [1],
        "names": None,
    }
    assert after == before


def test_every_row_of_v2_has_every_key(tmp_path: Path) -> None:
    write_lerobot(make_v2(tmp_path / "d"), tmp_path / "out", OURS)
    rows = files.read_lines(tmp_path / "out/meta/episodes.jsonl")
    assert len({tuple(row) for row in rows}) == 1
    assert rows[2]["dense_subtask_names"] is None
    assert rows[0]["dense_subtask_start_frames"] == [0, 9]
    assert rows[0]["dense_subtask_end_frames"] == [9, 17]
    assert rows[1]["dense_subtask_end_frames"] == [11, 30]  # the last frame is 30


def test_columns_of_v3_have_one_type_in_every_file(tmp_path: Path) -> None:
    write_lerobot(make_v3(tmp_path / "d"), tmp_path / "out", OURS)
    paths = sorted((tmp_path / "out").glob("meta/episodes/*/*.parquet"))
    first, second = (pq.read_schema(path) for path in paths)
    assert first.equals(second)
    assert first.field("dense_subtask_names").type == pa.list_(pa.string())
    assert first.field("dense_subtask_end_times").type == pa.list_(pa.float64())
    assert first.field("dense_subtask_end_frames").type == pa.list_(pa.int64())


def assert_same_stats(found: dict[str, list[float]], wanted: dict[str, list[float]]) -> None:
    assert list(found) == list(wanted)
    for key, values in wanted.items():
        assert found[key] == pytest.approx(values)


@MAKES
def test_statistics_are_those_of_the_column(tmp_path: Path, make: Make) -> None:
    out = tmp_path / "out"
    write_lerobot(make(tmp_path / "d"), out, OURS)
    texts = pq.read_table(out / "meta/subtasks.parquet")["subtask"].to_pylist()
    columns = {i: [texts.index(text) for text in found] for i, found in frames_of(out).items()}
    if make is make_v2:
        rows = files.read_lines(out / "meta/episodes_stats.jsonl")
        for row in rows:
            wanted = files.stats_of(columns[row["episode_index"]])
            assert_same_stats(row["stats"]["subtask_index"], wanted)
        return
    stats = json.loads((out / "meta/stats.json").read_text())
    whole = files.stats_of([number for found in columns.values() for number in found])
    assert_same_stats(stats["subtask_index"], whole)
    table = pa.concat_tables(map(pq.read_table, sorted(out.glob("meta/episodes/*/*.parquet"))))
    for row in table.to_pylist():
        wanted = files.stats_of(columns[row["episode_index"]])
        found = {key: row[f"stats/subtask_index/{key}"] for key in wanted}
        assert_same_stats(found, wanted)


@MAKES
def test_shares_of_time_sum_to_1_in_the_order_of_the_task(tmp_path: Path, make: Make) -> None:
    partly = {**OURS, IDS[2]: (Event("reach", 0.0, 0.2), Event("grasp", 0.2, 1.2))}
    write_lerobot(make(tmp_path / "d"), tmp_path / "out", partly, prefix="sparse")
    path = tmp_path / "out/meta/temporal_proportions_sparse.json"
    shares = json.loads(path.read_text())
    assert list(shares) == ["reach", "grasp", "place"]
    assert sum(shares.values()) == pytest.approx(1)
    place = np.mean([0.78 / 1.71, 1.8 / 2.7])
    grasp = np.mean([0.93 / 1.71, 0.9 / 2.7, 1.0 / 1.2])
    assert shares["place"] / shares["grasp"] == pytest.approx(place / grasp)


def test_the_older_columns_are_kept_equal_where_they_are(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    rows = [
        row | {"subtask_names": None} for row in files.read_lines(source / "meta/episodes.jsonl")
    ]
    files.write_lines(source / "meta/episodes.jsonl", rows)
    write_lerobot(source, tmp_path / "out", OURS, prefix="sparse")
    row = files.read_lines(tmp_path / "out/meta/episodes.jsonl")[0]
    assert row["subtask_names"] == row["sparse_subtask_names"] == ["grasp", "place"]


def test_quantiles_are_written_where_the_file_has_them(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    rows = files.read_lines(source / "meta/episodes_stats.jsonl")
    for row in rows:
        row["stats"]["task_index"] |= {"q01": [0.0], "q50": [0.0]}
    files.write_lines(source / "meta/episodes_stats.jsonl", rows)
    write_lerobot(source, tmp_path / "out", OURS)
    row = files.read_lines(tmp_path / "out/meta/episodes_stats.jsonl")[0]
    assert row["stats"]["subtask_index"]["q50"] == [1.0]  # 9 frames of 0, 11 of 1
    assert list(row["stats"]["subtask_index"]) == [*files.stats_of([0]), "q01", "q50"]
