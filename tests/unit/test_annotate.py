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
from tiny_models import POLICY, QUERY, make_checkpoint, make_samples

from kairoscope.annotate import COLUMNS, annotate
from kairoscope.core import (
    Answer,
    Decoding,
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
