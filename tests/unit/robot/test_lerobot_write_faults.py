"""Labels, datasets and places that a LeRobot dataset cannot be written with: named, the rest goes on."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import lerobot_files as files
import pyarrow.parquet as pq
import pytest
from lerobot_files import (
    CAMERA,
    FPS,
    IDS,
    OTHERS,
    OURS,
    labels_of,
    make_v2,
    make_v3,
    tree,
)

from kairoscope.core import UserError
from kairoscope.events import Event, Events
from kairoscope.robot.lerobot import LeRobotDataset, open_lerobot, write_lerobot

Make = Callable[..., Path]
MAKES = pytest.mark.parametrize("make", [make_v2, make_v3])


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((Event(" ", 0.0, 1.0),), "has no name"),
        ((Event("a", 0.0, float("nan")),), "runs from 0.0 to nan s"),
        ((Event("a", -0.1, 1.0),), "events start at 0 or later"),
        ((Event("a", 1.5, 1.0),), "do not end before they start"),
        ((Event("a", None, 1.0), Event("b", 0.0, 0.9)), "end in order"),
        ((Event("a", None, 2.2),), "ends at 2.2 s, the episode at 2.00 s"),
    ],
)
def test_events_that_cannot_be_labels_are_problems(
    tmp_path: Path, events: Events, reason: str
) -> None:
    source = make_v2(tmp_path / "d")
    offered = {**OURS, IDS[0]: events, "demo_0": events}
    written = write_lerobot(source, tmp_path / "out", offered)
    assert written.written == IDS[1:2]
    problems = dict(written.problems)
    assert set(problems) == {IDS[0], "demo_0"}
    assert reason in problems[IDS[0]]
    assert problems["demo_0"] == "the dataset has no such episode"
    assert labels_of(tmp_path / "out")[IDS[0]][0] == ()


def test_half_a_step_past_the_end_is_the_end(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    write_lerobot(source, tmp_path / "out", {IDS[0]: (Event("a", 0.0, 2.04),)})
    (event,), _ = labels_of(tmp_path / "out")[IDS[0]]
    assert event.end_s == pytest.approx(2.0)


@MAKES
def test_what_cannot_be_read_is_a_problem_and_is_copied(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "d", **({} if make is make_v2 else {"per_file": 1}))
    first = min(source.glob("data/*/*.parquet"))
    first.write_bytes(b"torn")
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert written.written == IDS[1:2]
    assert "cannot be read" in dict(written.problems)[IDS[0]]
    assert (tmp_path / "out" / first.relative_to(source)).read_bytes() == b"torn"


def test_the_part_that_is_there_is_labelled(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    files.v2_data(source, 0).unlink()
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert (written.written, written.unlabelled) == (IDS[1:2], IDS[2:])
    assert "is missing" in dict(written.problems)[IDS[0]]


def test_episodes_that_are_gone_keep_their_marks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(make_v2(tmp_path / "d"), out, OURS)
    data = files.v2_data(out, 0).read_bytes()
    files.v2_data(out, 0).unlink()
    write_lerobot(out, None, {}, in_place=True)
    files.v2_data(out, 0).write_bytes(data)
    assert labels_of(out)[IDS[0]] == (OURS[IDS[0]], "kairoscope")


def test_where_a_copy_may_not_go(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    before = tree(source)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    for out, reason in [
        (source, "is the dataset itself"),
        (source / "data", "must not lie in"),
        (tmp_path, "must not lie in"),
        (full, "is not empty"),
        (tmp_path / "file", "is a file"),
        (None, "give either a folder for the copy or in_place"),
    ]:
        with pytest.raises(UserError, match=reason):
            write_lerobot(source, out, OURS)
    with pytest.raises(UserError, match="give either"):
        write_lerobot(source, tmp_path / "out", OURS, in_place=True)
    with pytest.raises(UserError, match="is no LeRobot dataset"):
        write_lerobot(full, tmp_path / "out", OURS)
    assert tree(source) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "file", "full"]


def test_a_version_that_is_not_known_is_not_written(tmp_path: Path) -> None:
    source = make_v3(tmp_path / "d")
    files.write_info(source, codebase_version="v3.7")
    with pytest.raises(UserError, match=r"codebase_version is 'v3.7'; written are v2.0"):
        write_lerobot(source, tmp_path / "out", OURS)


def test_a_full_disk_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_v2(tmp_path / "d", video=True)
    before = tree(source)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        write_lerobot(source, None, OURS, in_place=True)
    assert tree(source) == before


def test_ids_are_counted_once(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d", (20, 20, 20, 20, 20))
    files.v2_data(source, 4).unlink()
    write_lerobot(source, None, {IDS[1]: OURS[IDS[0]]}, labelled_by="human", in_place=True)
    offered = {IDS[0]: OURS[IDS[0]], IDS[1]: OTHERS[IDS[0]]}
    written = write_lerobot(source, None, offered, in_place=True)
    dataset = open_lerobot(source)
    assert isinstance(dataset, LeRobotDataset)
    counted = [
        *(written.written + written.kept + written.protected + written.unlabelled),
        *(name for name, _ in written.problems),
    ]
    assert sorted(counted) == list(dataset.ids)
    assert all(a < b for a, b in pairwise(sorted(counted)))
    assert CAMERA not in dataset.info.features
    assert dataset.fps == FPS


def test_a_column_that_breaks_off_takes_the_labels_back(tmp_path: Path) -> None:
    """Times can be read, another column of the same file cannot."""
    source = make_v2(tmp_path / "d")
    path = files.v2_data(source, 0)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"x" * column.total_compressed_size
    path.write_bytes(data)
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert written.written == IDS[1:2]
    assert "cannot be read" in dict(written.problems)[IDS[0]]
    assert files.v2_data(tmp_path / "out", 0).read_bytes() == bytes(data)
    row = files.read_lines(tmp_path / "out/meta/episodes.jsonl")[0]
    assert row["dense_subtask_names"] is None
    assert IDS[0] not in (tmp_path / "out/meta/kairoscope.json").read_text()


def test_text_that_is_not_utf8_is_left_as_it_is(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    bad = b'{"episode_index": 3, "tasks": ["\\xff"]}'.replace(b"\\xff", b"\xff")
    path = source / "meta/episodes.jsonl"
    path.write_bytes(path.read_bytes() + bad + b"\n")
    assert write_lerobot(source, tmp_path / "out", OURS).written == IDS[:2]
    assert (tmp_path / "out/meta/episodes.jsonl").read_bytes().splitlines()[-1] == bad


def test_statistics_that_are_not_json_are_left_as_they_are(tmp_path: Path) -> None:
    source = make_v3(tmp_path / "d")
    (source / "meta/stats.json").write_text("{")
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert any("stats.json" in note for note in written.notes)
    assert (tmp_path / "out/meta/stats.json").read_text() == "{"
