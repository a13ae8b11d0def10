"""Annotation: one row a clip whatever it is, boundaries on the clip's own frames, resumable."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_models import POLICY, QUERY, make_checkpoint, make_samples, write_clip

from kairoscope.annotate import COLUMNS, annotate, clip_row
from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Posterior,
    Request,
    Sampling,
)
from kairoscope.models.in_process import InProcessModel
from kairoscope.posteriors import confidence, quantile_s
from kairoscope.recipes.subtask_times import TASK
from kairoscope.runs import Run
from kairoscope.video.clip import frame_times

SOURCES = Path(__file__).parents[2] / "src"
CLIPS = 5
BAD = 2


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """Five clips, the one in the middle cut off."""
    folder = tmp_path_factory.mktemp("annotate")
    made = [(s.id, s.video) for s in make_samples(folder, CLIPS)]
    whole = made[BAD][1].read_bytes()
    made[BAD][1].write_bytes(whole[: len(whole) // 3])
    return made


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> InProcessModel:
    return InProcessModel(make_checkpoint(tokenizer), batch_size=2)


@dataclass
class Counting:
    """A model that notes what it is asked."""

    inner: InProcessModel
    name: str = "counting"
    identity: str = "x"
    asked: list[str] = field(default_factory=list)

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        def noted() -> Iterator[Request]:
            for request in requests:
                self.asked.append(request.id)
                yield request

        return self.inner.answer(noted(), sampling, decoding)


def run_in(out: Path, model: Any, clips: Any, decoding: Decoding = "posterior") -> Any:
    with Run.open(out, kind="annotation", config={}) as run:
        return annotate(model, TASK, clips, QUERY, policy=POLICY, decoding=decoding, run=run)


def boundaries(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "boundaries.jsonl").read_text().splitlines()]


def test_rows_in_the_order_of_the_source_and_a_reason_for_the_bad_clip(
    model: Any, clips: Any, tmp_path: Path
) -> None:
    progress: list[tuple[int, int]] = []
    with Run.open(tmp_path / "out", kind="annotation", config={}) as run:
        tally = annotate(
            model,
            TASK,
            clips,
            QUERY,
            policy=POLICY,
            decoding="posterior",
            run=run,
            on_progress=lambda done, of: progress.append((done, of)),
        )
    good = [name for i, (name, _) in enumerate(clips) if i != BAD]
    found = boundaries(tmp_path / "out")
    assert [(row["clip"], row["event"]) for row in found] == [(n, e) for n in good for e in QUERY]
    assert (tally.num_clips, tally.num_events) == (CLIPS, 3 * (CLIPS - 1))
    assert tally.num_flagged == sum(bool(row["flags"]) for row in found)
    [(bad, reason)] = tally.problems
    assert bad == clips[BAD][0]
    assert str(clips[BAD][1]) in reason
    assert json.loads((tmp_path / "out" / "problems.json").read_text()) == [
        {"clip": bad, "reason": reason}
    ]
    assert progress == [(i + 1, CLIPS) for i in range(CLIPS)]


def test_boundaries_lie_on_the_clips_frames_and_in_order(
    model: Any, clips: Any, tmp_path: Path
) -> None:
    run_in(tmp_path / "out", model, clips)
    paths = dict(clips)
    by_clip: dict[str, list[dict[str, Any]]] = {}
    for row in boundaries(tmp_path / "out"):
        by_clip.setdefault(row["clip"], []).append(row)
        times_s = frame_times(paths[row["clip"]])
        for what in ("start", "end"):
            assert row[f"{what}_s"] == pytest.approx(times_s[row[f"{what}_frame"]], abs=1e-4)
            low_s, high_s = row[f"{what}_interval_s"]
            assert 0 <= low_s <= high_s <= times_s[-1] + 0.01
        assert row["start_frame"] <= row["end_frame"]
        assert 0 <= row["confidence"] <= 1
        assert ("low confidence" in row["flags"]) == (row["confidence"] < 0.5)
        assert ("no length" in row["flags"]) == (row["start_frame"] == row["end_frame"])
        assert ("ends with the clip" in row["flags"]) == (row["end_frame"] == len(times_s) - 1)
    for rows in by_clip.values():
        assert all(a["start_frame"] <= b["start_frame"] for a, b in pairwise(rows))


def test_the_moment_is_the_median_of_the_distribution_that_is_kept(
    model: Any, clips: Any, tmp_path: Path
) -> None:
    run_in(tmp_path / "out", model, clips[:1])
    clip = json.loads((tmp_path / "out" / "clips.jsonl").read_text())
    step_s = 1 / 12
    for number, event in enumerate(clip["events"], 1):
        kept = {p["slot"]: p for p in clip["posteriors"]}
        weakest = []
        for what in ("start", "end"):
            posterior = kept[f"{what} {number}"]
            times_s = [float(choice) for choice in posterior["choices"]]
            p = posterior["probabilities"]
            median_s = quantile_s(times_s, p, 0.5)
            if what == "end" or number == 1:
                assert abs(event[f"{what}_s"] - median_s) <= step_s / 2 + 1e-3
            weakest.append(confidence(times_s, p, event[f"{what}_s"]))
        assert event["confidence"] == pytest.approx(min(weakest), abs=1e-3)


def test_the_table_says_what_the_lines_say(model: Any, clips: Any, tmp_path: Path) -> None:
    run_in(tmp_path / "out", model, clips)
    with (tmp_path / "out" / "boundaries.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = boundaries(tmp_path / "out")
    assert len(table) == len(lines) > 0
    for told, row in zip(table, lines, strict=True):
        assert tuple(told) == COLUMNS
        assert told["flags"] == "; ".join(row["flags"])
        for column in ("clip", "event"):
            assert told[column] == row[column]
        for column in ("start_s", "end_s", "start_frame", "end_frame", "confidence"):
            assert float(told[column]) == row[column]


def test_finished_clips_are_not_asked_again(model: Any, clips: Any, tmp_path: Path) -> None:
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    run_in(straight, model, clips)
    run_in(parts, model, clips[:3])
    counting = Counting(model)
    run_in(parts, counting, clips)
    assert counting.asked == [name for name, _ in clips[3:]]
    for name in ("boundaries.jsonl", "boundaries.csv", "problems.json"):
        assert (parts / name).read_bytes() == (straight / name).read_bytes()
    again = Counting(model)
    run_in(parts, again, clips)
    assert again.asked == []


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_annotate import CLIPS, run_in
from tiny_models import make_checkpoint, make_tokenizer
from kairoscope.models.in_process import InProcessModel
from kairoscope.runs import Run

append = Run.append
def dying(run, name, row):
    append(run, name, row)
    if row["clip"] == "clip-2":
        with run.file(name).open("a") as file:
            file.write('{{"clip": "clip-3", "ev')
        os.kill(os.getpid(), signal.SIGKILL)

Run.append = dying
model = InProcessModel(make_checkpoint(make_tokenizer()), batch_size=2)
clips = [(f"clip-{{i}}", Path({folder!r}) / f"clip-{{i}}.mp4") for i in range(CLIPS)]
run_in(Path({out!r}), model, clips)
"""


def test_a_killed_run_goes_on(model: Any, clips: Any, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    here, folder = str(Path(__file__).parent), str(clips[0][1].parent)
    program = KILLED.format(here=here, folder=folder, out=str(out))
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, capture_output=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not (out / "boundaries.jsonl").exists()
    counting = Counting(model)
    run_in(out, counting, clips)
    assert counting.asked == ["clip-3", "clip-4"]
    straight = tmp_path / "straight"
    run_in(straight, model, clips)
    for name in ("boundaries.jsonl", "boundaries.csv", "problems.json"):
        assert (out / name).read_bytes() == (straight / name).read_bytes()


def test_constrained_decoding_reports_what_was_written(
    model: Any, clips: Any, tmp_path: Path
) -> None:
    """The most likely times, not the medians, and how sure the model is of them."""
    run_in(tmp_path / "out", model, clips[:1], "constrained")
    clip = json.loads((tmp_path / "out" / "clips.jsonl").read_text())
    events = TASK.parse(QUERY, clip["text"])
    assert isinstance(events, tuple)
    for event, row in zip(events, clip["events"], strict=True):
        assert abs(row["end_s"] - event.end_s) <= 0.5 / 12 + 0.006
        assert 0 <= row["confidence"] <= 1


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
