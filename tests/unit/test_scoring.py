"""A file of answers against a file of labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.scoring import score_predictions

NAMES = ("grasping the red cube", "releasing the red cube")
ENDS = {"a.mp4": (2.0, 3.0), "b.mp4": (1.0, 4.0), "sub/c.mp4": (1.5, 3.0)}


def events(ends: tuple[float, float], *, late_s: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"name": name, "start_s": start_s + late_s, "end_s": end_s + late_s}
        for name, start_s, end_s in zip(NAMES, (0.0, ends[0]), ends, strict=True)
    ]


def text(ends: tuple[float, float]) -> str:
    return f"Event 1: <0.0> <{ends[0]}> {NAMES[0]}\nEvent 2: <{ends[0]}> <{ends[1]}> {NAMES[1]}"


def lines(path: Path, rows: list[Any]) -> Path:
    written = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(row + "\n" for row in written), encoding="utf-8")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    rows = [{"video": v, "events": events(e), "duration_s": 6.0} for v, e in ENDS.items()]
    return lines(tmp_path / "labels.jsonl", rows)


def scored(tmp_path: Path, gold: Path, rows: list[Any]) -> dict[str, Any]:
    return score_predictions(lines(tmp_path / "predictions.jsonl", rows), gold, draws=50)


def test_text_and_events_score_alike_and_the_truth_is_perfect(tmp_path: Path, gold: Path) -> None:
    as_text = scored(
        tmp_path, gold, [{"video": v, "trial": 0, "text": text(e)} for v, e in ENDS.items()]
    )
    as_events = scored(tmp_path, gold, [{"video": v, "events": events(e)} for v, e in ENDS.items()])
    assert as_text == as_events
    assert as_text["ends"]["all"]["mae_s"] == as_text["starts"]["all"]["mae_s"] == 0
    assert as_text["answered"] == as_text["events_found"] == as_text["tiou_mean"] == 1
    assert (as_text["n_clips"], as_text["n_trials"]) == (3, 3)
    assert sum(as_text["problems"].values()) == 0
    assert json.dumps(as_text, allow_nan=False)


def test_a_clip_without_a_prediction_is_unanswered_in_every_trial(
    tmp_path: Path, gold: Path
) -> None:
    rows = [{"video": "a.mp4", "trial": t, "text": text(ENDS["a.mp4"])} for t in range(2)]
    rows.append({"video": "b.mp4", "trial": 0, "text": text(ENDS["b.mp4"])})
    summary = scored(tmp_path, gold, rows)
    assert (summary["n_clips"], summary["n_trials"], summary["answered"]) == (3, 6, 0.5)
    # b in one of two trials: ends 1 and 4 of 6 s can miss by 5 and 4; c in both: 4.5 and 3.
    assert summary["ends"]["all"]["mae_s"] == pytest.approx((0 + 4.5 / 2 + 3.75) / 3)
    assert summary["ends"]["answered_only"]["mae_s"] == 0


def test_a_video_is_found_by_its_name_where_that_is_unique(tmp_path: Path, gold: Path) -> None:
    written = ("./a.mp4", "/somewhere/else/b.mp4", "c.mp4")
    rows = [{"video": w, "events": events(e)} for w, e in zip(written, ENDS.values(), strict=True)]
    assert scored(tmp_path, gold, rows)["answered"] == 1
    twice = [{"video": v, "events": events((1.0, 2.0))} for v in ("x/b.mp4", "y/b.mp4", "a.mp4")]
    summary = scored(tmp_path, gold, twice)
    assert summary["problems"]["unknown_videos"] == 2
    assert summary["answered"] == pytest.approx(1 / 3)


def test_a_name_that_two_labels_share_says_nothing(tmp_path: Path) -> None:
    same = [{"video": f"{d}/a.mp4", "events": events((1.0, 2.0))} for d in "xy"]
    gold = lines(tmp_path / "labels.jsonl", same)
    rows = [{"video": "a.mp4", "events": events((1.0, 2.0))}, {"video": "x/a.mp4", "events": []}]
    summary = scored(tmp_path, gold, rows)
    assert summary["problems"]["unknown_videos"] == 1
    assert summary["answered"] == 0


def test_bad_rows_are_counted_and_listed_with_their_lines(tmp_path: Path, gold: Path) -> None:
    rows = [
        {"video": "a.mp4", "text": text(ENDS["a.mp4"]), "seconds": 3.5},
        '{"video": "a.mp4", ',
        {"video": "a.mp4", "text": "again"},
        {"video": "b.mp4"},
        {"video": "b.mp4", "text": "x", "events": []},
        {"video": "b.mp4", "trial": -1, "text": "x"},
        {"video": "b.mp4", "trial": 1.5, "text": "x"},
        {"video": 3, "text": "x"},
        {"video": "b.mp4", "text": 3},
        {"video": "b.mp4", "events": {}},
        ["b.mp4"],
        {"video": "nowhere.mp4", "text": "x"},
    ]
    summary = scored(tmp_path, gold, rows)
    assert summary["problems"] == {
        "gold_rows": 0,
        "prediction_rows": 9,
        "unknown_videos": 1,
        "repeated_predictions": 1,
    }
    listed = "\n".join(summary["problems_listed"])
    for found in (
        "predictions.jsonl:2: not JSON",
        "predictions.jsonl:3: video 'a.mp4', trial 0 is already on line 1",
        "predictions.jsonl:4: a prediction has either text or events; this one has neither",
        "predictions.jsonl:5: a prediction has either text or events; this one has both",
        "predictions.jsonl:6: trial is -1",
        "predictions.jsonl:8: video is 3",
        "predictions.jsonl:9: text is 3",
        "predictions.jsonl:10: events is {}",
        "predictions.jsonl:11: ",
        "predictions.jsonl:12: video 'nowhere.mp4' has no labels",
    ):
        assert found in listed
    assert summary["answered"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "row",
    [
        {"name": NAMES[0], "start_s": 2.0, "end_s": 1.0},
        {"name": NAMES[0], "start_s": -1.0, "end_s": 1.0},
        {"name": NAMES[0], "end_s": float("nan")},
        {"name": NAMES[0], "end_s": 1e300},
        {"name": NAMES[0], "end_s": "soon"},
        {"name": NAMES[0]},
        "soon",
        None,
    ],
)
def test_an_event_that_cannot_be_used_is_missing(tmp_path: Path, gold: Path, row: Any) -> None:
    rows = [{"video": "a.mp4", "events": [row, events(ENDS["a.mp4"])[1]]}]
    summary = scored(tmp_path, gold, rows)
    assert summary["ends"]["answered_only"]["mae_s"] == 0
    assert summary["events_found"] == pytest.approx(0.5 / 3)
    assert scored(tmp_path, gold, [{"video": "a.mp4", "events": [row]}])["answered"] == 0


def test_a_bad_label_is_counted_and_its_clip_not_scored(tmp_path: Path, gold: Path) -> None:
    bad = {"video": "d.mp4", "events": [{"name": "x", "end_s": -1}]}
    gold.write_text(gold.read_text("utf-8") + json.dumps(bad) + "\n", "utf-8")
    rows = [{"video": v, "events": events(e)} for v, e in [*ENDS.items(), ("d.mp4", (1.0, 2.0))]]
    summary = scored(tmp_path, gold, rows)
    assert (summary["n_clips"], summary["answered"]) == (3, 1)
    assert summary["problems"]["gold_rows"] == summary["problems"]["unknown_videos"] == 1


def test_the_labels_may_be_given_as_their_folder(tmp_path: Path, gold: Path) -> None:
    path = lines(tmp_path / "p.jsonl", [{"video": "a.mp4", "text": text(ENDS["a.mp4"])}])
    assert score_predictions(path, tmp_path, draws=50) == score_predictions(path, gold, draws=50)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "predictions.jsonl: nothing to score: it is empty"),
        (["{"], "none of its 1 rows is valid; first: .*predictions.jsonl:1: not JSON"),
        (
            [{"video": "z.mp4", "text": ""}],
            "no prediction is about a labelled clip: it has 'z.mp4'",
        ),
    ],
)
def test_a_file_without_one_usable_prediction_is_refused(
    tmp_path: Path, gold: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        scored(tmp_path, gold, rows)


def test_missing_files_are_named(tmp_path: Path, gold: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        score_predictions(tmp_path / "none.jsonl", gold)
    with pytest.raises(UserError, match="a folder; expected a file of predictions"):
        score_predictions(tmp_path, gold)
    predictions = lines(tmp_path / "p.jsonl", [{"video": "a.mp4", "text": "x"}])
    with pytest.raises(UserError, match=r"none\.jsonl"):
        score_predictions(predictions, tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="no valid row of labels"):
        score_predictions(predictions, lines(tmp_path / "empty.jsonl", []))
