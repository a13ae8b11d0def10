"""Whose labels stay in a LeRobot dataset, and whose make room."""

from collections.abc import Callable
from pathlib import Path

import lerobot_files as files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_files import (
    IDS,
    LENGTHS,
    OTHERS,
    OURS,
    labels_of,
    make_v2,
    make_v3,
    states,
)

from kairoscope.events import Event
from kairoscope.robot.lerobot import write_lerobot

Make = Callable[..., Path]
MAKES = pytest.mark.parametrize("make", [make_v2, make_v3])


def label_by_hand(root: Path, episode: int, numbers: list[int], texts: list[str]) -> None:
    table = {"subtask_index": pa.array(range(len(texts))), "subtask": pa.array(texts)}
    pq.write_table(pa.table(table), root / "meta/subtasks.parquet")
    for other, length in enumerate(LENGTHS):
        found = numbers if other == episode else [-1] * length
        files.set_columns(files.v2_data(root, other), subtask_index=pa.array(found))


def test_labels_of_others_are_kept_frame_by_frame(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    numbers = [-1] * 3 + [1] * 5 + [-1] * 2 + [0] * 10
    label_by_hand(source, 0, numbers, ["hold", "reach"])
    written = write_lerobot(source, tmp_path / "out", OURS)
    assert (written.protected, written.written) == (IDS[:1], IDS[1:2])
    table = pq.read_table(files.v2_data(tmp_path / "out", 0))
    assert table["subtask_index"].to_pylist() == numbers
    texts = pq.read_table(tmp_path / "out/meta/subtasks.parquet")["subtask"].to_pylist()
    assert texts == ["hold", "reach", "grasp", "place", ""]
    events, labelled_by = labels_of(tmp_path / "out")[IDS[0]]
    assert [event.name for event in events] == ["reach", "hold"]
    assert labelled_by == "unknown"
    before = states(tmp_path / "out")
    write_lerobot(source, tmp_path / "out", OURS)
    assert states(tmp_path / "out") == before


def test_labels_of_others_are_replaced_when_asked(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    label_by_hand(source, 0, [0] * 20, ["hold"])
    written = write_lerobot(source, tmp_path / "out", OURS, overwrite=True)
    assert written.written == IDS[:2]
    assert labels_of(tmp_path / "out")[IDS[0]] == (OURS[IDS[0]], "kairoscope")


@MAKES
def test_our_own_labels_make_room_and_those_of_a_person_do_not(tmp_path: Path, make: Make) -> None:
    source, out = make(tmp_path / "d"), tmp_path / "out"
    write_lerobot(source, out, OURS)
    assert write_lerobot(source, out, OTHERS).written == IDS[:1]
    assert labels_of(out)[IDS[0]] == (OTHERS[IDS[0]], "kairoscope")
    assert labels_of(out)[IDS[1]] == (OURS[IDS[1]], "kairoscope")

    corrected = {IDS[1]: (Event("grasp", 0.0, 1.5),)}
    assert write_lerobot(out, None, corrected, labelled_by="human", in_place=True).written == (
        IDS[1],
    )
    assert labels_of(out)[IDS[1]] == (corrected[IDS[1]], "human")
    again = write_lerobot(source, out, OURS)
    assert (again.written, again.protected) == (IDS[:1], IDS[1:2])
    assert labels_of(out)[IDS[1]] == (corrected[IDS[1]], "human")
    write_lerobot(source, out, OURS, overwrite=True)
    assert labels_of(out)[IDS[1]] == (OURS[IDS[1]], "kairoscope")


def test_labels_changed_with_another_tool_are_no_longer_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(make_v2(tmp_path / "d"), out, OURS)
    files.set_columns(files.v2_data(out, 0), subtask_index=pa.array([1] * 4 + [0] * 16))
    rows = files.read_lines(out / "meta/episodes.jsonl")
    rows[1]["dense_subtask_end_times"] = [1.0, 2.0]
    files.write_lines(out / "meta/episodes.jsonl", rows)
    found = labels_of(out)
    assert ([e.name for e in found[IDS[0]][0]], found[IDS[0]][1]) == (["place", "grasp"], "unknown")
    assert found[IDS[1]][1] == "unknown"
    written = write_lerobot(out, None, OURS, in_place=True)
    assert written.protected == IDS[:2]


def test_labels_in_the_language_column_are_never_replaced(tmp_path: Path) -> None:
    source = make_v2(tmp_path / "d")
    row = {"role": "assistant", "content": "hold", "style": "subtask", "timestamp": 0.0}
    files.set_columns(files.v2_data(source, 0), language_persistent=pa.array([[row]] * LENGTHS[0]))
    written = write_lerobot(source, tmp_path / "out", OURS, overwrite=True)
    assert written.written == IDS[1:2]
    assert written.problems[0][0] == IDS[0]
    assert "language_persistent" in written.problems[0][1]
