"""One answer about a clip -> boundaries on the clip's own frames, or the problem."""

from pathlib import Path

import pytest
from tiny_models import QUERY, write_clip

from kairoscope.annotate import clip_row
from kairoscope.core import Completion, Failed, Posterior
from kairoscope.posteriors import confidence
from kairoscope.recipes.subtask_times import TASK


def completion(text: str, *posteriors: Posterior) -> Completion:
    return Completion(
        text=text,
        trial=0,
        frame_times_s=(0.0,),
        num_prompt_tokens=1,
        num_vision_tokens=1,
        num_new_tokens=1,
        seconds=0.5,
        finish="stop",
        posteriors=posteriors,
    )


ANSWER = """<answer>
Event 1: <0.50> <1.00> grasping the red cube
Event 2: <0.25> <0.40> placing the red cube on the green one.
Event 3: <0.90> <99.00> letting go
</answer>"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("one") / "a.mp4", seconds=2, seed=0)


def test_written_times_are_put_in_order_and_on_frames(clip: Path) -> None:
    row = clip_row(TASK, QUERY, "a", clip, (completion(ANSWER),))
    assert [(e["start_frame"], e["end_frame"]) for e in row["events"]] == [
        (6, 12),
        (6, 6),
        (11, 23),
    ]
    assert [e["confidence"] for e in row["events"]] == [None] * 3
    assert [e["flags"] for e in row["events"]] == [[], ["no length"], ["ends with the clip"]]
    assert (row["num_frames"], row["problem"]) == (24, None)
    assert row["duration_s"] == pytest.approx(23 / 12)


def test_events_that_are_missing_are_left_out(clip: Path) -> None:
    text = "<answer>\nEvent 3: <0.50> <1.00> letting go\n</answer>"
    row = clip_row(TASK, QUERY, "a", clip, (completion(text),))
    assert [(e["event"], e["start_s"], e["end_s"]) for e in row["events"]] == [
        ("letting go", 0.5, 1.0)
    ]


def test_distributions_go_to_the_events_they_belong_to(clip: Path) -> None:
    """The end's median lies between two frames of the model, on a frame of the clip."""
    choices = ("0.00", "0.25", "0.50", "0.75", "1.00")
    start = Posterior(slot="start 3", choices=choices, probabilities=(0, 1.0, 0, 0, 0))
    end = Posterior(slot="end 3", choices=choices, probabilities=(0, 0, 0, 0.5, 0.5))
    text = "<answer>\nEvent 3: <0.25> <0.75> letting go\n</answer>"
    row = clip_row(TASK, QUERY, "a", clip, (completion(text, start, end),))
    [event] = row["events"]
    assert (event["start_s"], event["end_frame"]) == (0.25, round(0.875 * 12 - 0.5))
    assert event["start_interval_s"] == pytest.approx([0.15, 0.35])
    assert event["end_interval_s"] == pytest.approx([0.675, 0.975])
    around = event["end_s"]
    assert event["confidence"] == pytest.approx(
        confidence([float(c) for c in choices], end.probabilities, around), abs=1e-4
    )
    assert row["posteriors"][1]["probabilities"] == [0, 0, 0, 0.5, 0.5]


def test_unreadable_answers_and_clips_are_problems(clip: Path, tmp_path: Path) -> None:
    unread = clip_row(TASK, QUERY, "a", clip, (completion("no idea"),))
    assert unread["events"] == []
    assert "could not be read" in unread["problem"]
    failed = clip_row(TASK, QUERY, "a", clip, Failed(reason="broken"))
    assert (failed["events"], failed["problem"]) == ([], "broken")
    gone = clip_row(TASK, QUERY, "a", tmp_path / "gone.mp4", (completion(ANSWER),))
    assert "gone.mp4" in gone["problem"]
