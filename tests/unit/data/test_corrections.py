"""Corrections: a label file with a row a clip, that says after every save what was saved last."""

from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.data.corrections import (
    NAME,
    corrected_events,
    forget_correction,
    labels_of,
    read_corrections,
    save_correction,
)
from kairoscope.data.labels import load_folder


def row(clip: str, *ends_s: float, names: tuple[str, ...] = ("reach", "grasp")) -> dict[str, Any]:
    starts_s = (0.0, *ends_s)
    return {
        "clip": clip,
        "video": f"{clip}.mp4",
        "group": clip,
        "task": "task",
        "duration_s": 9.0,
        "events": [
            {"name": name, "start_s": start_s, "end_s": end_s}
            for name, start_s, end_s in zip(names, starts_s, ends_s, strict=False)
        ],
    }


def test_the_last_word_counts_and_the_others_stay(tmp_path: Path) -> None:
    assert read_corrections(tmp_path) == {}
    for one in (row("a", 1.0, 2.0), row("b", 3.0, 4.0), row("a", 1.5, 2.5)):
        save_correction(tmp_path, one)
    found = read_corrections(tmp_path)
    assert {clip: [e.end_s for e in r.events] for clip, r in found.items()} == {
        "a": [1.5, 2.5],
        "b": [3.0, 4.0],
    }
    forget_correction(tmp_path, "a")
    forget_correction(tmp_path, "never seen")
    assert list(read_corrections(tmp_path)) == ["b"]
    assert [sample.id for sample in load_folder(tmp_path / NAME)] == ["b.mp4"]


def test_what_is_no_label_is_neither_written_nor_read(tmp_path: Path) -> None:
    save_correction(tmp_path, row("a", 1.0, 2.0))
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(UserError, match="after 2, the boundary before it"):
        save_correction(tmp_path, row("b", 2.0, 2.0))
    assert (tmp_path / NAME).read_bytes() == before
    (tmp_path / NAME).write_text('{"clip": "a", "video": "a.mp4", "events": 3}\n')
    with pytest.raises(UserError, match=r"corrections\.jsonl:1.*events is 3"):
        read_corrections(tmp_path)


def test_events_in_the_order_of_the_task_on_the_clip_s_frames(tmp_path: Path) -> None:
    query = ("reach", "grasp", "lift")
    save_correction(tmp_path, row("a", 1.0, 2.0, names=("Reach", "lift")))
    correction = read_corrections(tmp_path)["a"]
    assert labels_of(correction, query) == [[0.0, 1.0], None, [1.0, 2.0]]
    times_s = [0.0, 0.5, 0.98, 1.51, 2.02]
    rows = corrected_events(correction, query, times_s)
    assert [(r["event"], r["start_frame"], r["end_frame"]) for r in rows] == [
        ("reach", 0, 2),
        ("lift", 2, 4),
    ]
    assert all(r["source"] == "label" and r["confidence"] is None for r in rows)
    assert [r["end_frame"] for r in corrected_events(correction, query)] == [None, None]
