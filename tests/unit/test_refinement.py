"""Asking again about a span: what it shows, and what becomes of both distributions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint, make_samples, request_for, write_clip

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Posterior,
    Request,
    Sampling,
    Span,
    UserError,
)
from kairoscope.events import Event, Query
from kairoscope.models.in_process import InProcessModel
from kairoscope.posteriors import mass_before, quantile_s
from kairoscope.recipes.subtask_times import TASK, prompt, render
from kairoscope.refinement import Refined, Refinement, combined, moved
from kairoscope.store import AnswerStore, Stored
from kairoscope.video.frames import load_frames, spanned

TIMES_S = tuple(round(i / 4, 2) for i in range(33))
QUERY: Query = ("grasping the cube", "placing the cube", "letting go")
SHARP = Refinement(full_rate=True)


def posterior(peaks: dict[float, float], slot: str = "end 1") -> Posterior:
    """On `TIMES_S`, with these probabilities, the rest spread evenly."""
    rest = (1 - sum(peaks.values())) / (len(TIMES_S) - len(peaks))
    return Posterior(
        slot=slot,
        choices=tuple(f"{t:.2f}" for t in TIMES_S),
        probabilities=tuple(peaks.get(t, rest) for t in TIMES_S),
    )


def times_of(posterior: Posterior) -> list[float]:
    return [float(choice) for choice in posterior.choices]


FIRST = posterior({2.5: 0.2, 2.75: 0.5, 3.0: 0.2})
TOLD_S = [2 + i / 30 for i in range(46)]


def test_without_weight_nothing_moves() -> None:
    both = combined(FIRST, TOLD_S, [1 / 46] * 46, 0.0)
    assert sum(both.probabilities) == pytest.approx(1)
    for moment_s in (0.5, 1.9, 2.0, 2.4, 2.7, 3.1, 3.5, 3.7, 6.0):
        before = mass_before(TIMES_S, FIRST.probabilities, moment_s)
        after = mass_before(times_of(both), both.probabilities, moment_s)
        assert after == pytest.approx(before, abs=0.01), moment_s
    medians = [quantile_s(times_of(p), p.probabilities, 0.5) for p in (FIRST, both)]
    assert medians[0] == pytest.approx(medians[1], abs=0.01)


def test_probability_moves_inside_the_span_alone() -> None:
    second = [0.9 if i == 30 else 0.1 / 45 for i in range(46)]
    both = combined(FIRST, TOLD_S, second, 1.0)
    assert quantile_s(times_of(both), both.probabilities, 0.5) == pytest.approx(3.0, abs=0.02)
    for outside_s in (1.0, 1.8, 3.7, 7.0):
        before = mass_before(TIMES_S, FIRST.probabilities, outside_s)
        assert mass_before(times_of(both), both.probabilities, outside_s) == pytest.approx(
            before, abs=0.01
        )
    assert all(a < b for a, b in pairwise(times_of(both)))


def test_what_the_second_answer_rules_out_wholly_is_survived() -> None:
    both = combined(FIRST, TOLD_S, [0.0] * 46, 1.0)
    assert sum(both.probabilities) == pytest.approx(1)


def test_a_start_goes_with_the_end_that_it_was_at() -> None:
    parsed = (
        Event("a", 0.0, 2.5, 1),
        Event("b", 2.5, 4.0, 2),
        Event("c", 5.0, 6.0, 3),
    )
    refined = posterior({2.25: 0.98}, "end 1")
    later = posterior({4.5: 0.98}, "end 2")
    slots = {
        f"{what} {i}": posterior({1.0: 0.9}, f"{what} {i}")
        for i in (1, 2, 3)
        for what in ("start", "end")
    }
    events = moved(("a", "b", "c"), parsed, {0: refined, 1: later}, slots)
    assert [(e.start_s, e.end_s) for e in events] == [
        (0.0, pytest.approx(2.25, abs=0.02)),
        (pytest.approx(2.25, abs=0.02), pytest.approx(4.5, abs=0.02)),
        (5.0, 6.0),
    ]
    assert slots["start 2"].probabilities == slots["end 1"].probabilities
    assert slots["start 2"].slot == "start 2"
    assert slots["end 2"] == later


def test_a_span_is_a_clip_of_its_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", seconds=3, seed=1)
    policy = replace(POLICY, fps=12.0, stamp="none")
    whole = load_frames(clip, policy)
    part = load_frames(clip, policy, span=Span(start_s=1.0, end_s=2.0))
    assert part.indices == tuple(range(12, 25))
    assert part.times_s == pytest.approx([i / 12 for i in range(13)])
    assert torch.equal(part.pixels_THWC, whole.pixels_THWC[12:25])
    slow = load_frames(clip, replace(POLICY, fps=4.0), span=Span(start_s=1.0, end_s=2.0, slow=3.0))
    assert slow.indices == part.indices
    assert slow.times_s == pytest.approx([i / 4 for i in range(13)])
    assert slow.labels[:4] == ("0.00s", "0.00s", "0.50s", "0.50s")
    one = load_frames(clip, policy, span=Span(start_s=9.0, end_s=9.5))
    assert (one.indices, one.times_s) == ((35,), (0.0,))


class Careful:
    """Knows the truth: roughly of a whole clip, to the frame of a span."""

    name = "careful"
    identity = "sha256:1"

    def __init__(self, ends_s: Sequence[float]) -> None:
        self.ends_s = ends_s
        self.asked: list[tuple[str, Query, Span | None, FramePolicy]] = []

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, _decoding: Decoding
    ) -> Iterator[Answer]:
        for request in requests:
            self.asked.append((request.id, request.query, request.span, request.policy))
            assert request.video is not None
            if not request.video.is_file():
                yield request.id, Failed(reason="no such file")
                continue
            yield request.id, (self._one(request),) * sampling.trials

    def _one(self, request: Request) -> Completion:
        assert request.video is not None
        frames = load_frames(request.video, request.policy, span=request.span)
        began_s, slow = 0.0, 1.0
        truth = list(self.ends_s)
        if request.span is not None:
            all_s = tuple(i / 12 for i in range(100))
            began_s, slow = all_s[spanned(all_s, request.span)[0]], request.span.slow
            truth = truth[QUERY.index(request.query[0]) :][:2]
        told = [min(max(0.0, (end_s - began_s) * slow), frames.times_s[-1]) for end_s in truth]
        rough = request.span is None
        places = [
            min(range(len(frames.times_s)), key=lambda i: abs(frames.times_s[i] - t)) for t in told
        ]
        posteriors = []
        for number, place in enumerate(places, 1):
            chances = [0.0] * len(frames.times_s)
            for i in (place - 1, place, place + 1) if rough else (place,):
                chances[min(max(i, 0), len(chances) - 1)] += 1 / 3 if rough else 1.0
            choices = tuple(f"{t:.2f}" for t in frames.times_s)
            posteriors.append(
                Posterior(slot=f"end {number}", choices=choices, probabilities=tuple(chances))
            )
        events = tuple(
            Event(name, None, frames.times_s[place])
            for name, place in zip(request.query, places, strict=True)
        )
        return Completion(
            text=render(request.query, events),
            trial=0,
            frame_times_s=frames.times_s,
            num_prompt_tokens=10,
            num_vision_tokens=5,
            num_new_tokens=3,
            seconds=1.0,
            finish="stop",
            posteriors=tuple(posteriors),
        )


def about(clip: Path) -> Request:
    return Request(
        id=clip.name,
        video=clip,
        prompt=prompt(QUERY),
        policy=POLICY,
        template=partial(TASK.template, QUERY),
        query=QUERY,
    )


@pytest.mark.parametrize("slow", [1.0, 3.0])
def test_a_second_look_that_sees_more_is_believed(tmp_path: Path, slow: float) -> None:
    clip = write_clip(tmp_path / "a.mp4", seconds=6, seed=1)
    ends_s = [17 / 12, 37 / 12, 64 / 12]
    model = Careful(ends_s)
    refined = Refined(model, TASK, replace(SHARP, slow=slow))
    [(name, answer)] = refined.answer([about(clip)], Sampling(), "posterior")
    assert name == "a.mp4"
    assert not isinstance(answer, Failed)
    parsed = TASK.parse(QUERY, answer[0].text)
    assert isinstance(parsed, tuple)
    assert [e.end_s for e in parsed] == pytest.approx(ends_s, abs=0.05)
    assert parsed[1].start_s == parsed[0].end_s
    assert [query for _, query, _, _ in model.asked] == [QUERY, QUERY[:2], QUERY[1:], QUERY[2:]]
    spans = [span for _, _, span, _ in model.asked[1:]]
    assert all(span is not None and span.slow == slow for span in spans)
    assert (answer[0].num_prompt_tokens, answer[0].seconds) == (40, 4.0)
    assert refined.identity != model.identity
    assert Refined(model, TASK, replace(SHARP, weight=0.5)).identity != refined.identity


def test_a_boundary_of_which_little_is_known_is_not_asked_about_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", seconds=6, seed=1)
    narrow = replace(SHARP, half_width_s=0.1)  # the first answer gives so short a span too little
    model = Careful([17 / 12, 37 / 12, 64 / 12])
    [(_, answer)] = Refined(model, TASK, narrow).answer([about(clip)], Sampling(), "posterior")
    [(_, first)] = model.answer([about(clip)], Sampling(), "posterior")
    assert answer == first
    assert len(model.asked) == 2
    bold = Refined(model, TASK, replace(narrow, least_inside=0.0))
    assert next(bold.answer([about(clip)], Sampling(), "posterior"))[1] != first


def test_a_clip_that_cannot_be_read_stays_one(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", seconds=3, seed=1)
    requests = [about(clip), about(tmp_path / "gone.mp4")]
    answers = dict(
        Refined(Careful([1.0, 2.0, 2.5]), TASK).answer(requests, Sampling(), "posterior")
    )
    assert isinstance(answers["gone.mp4"], Failed)
    assert set(answers) == {"a.mp4", "gone.mp4"}


def test_only_distributions_can_be_put_together() -> None:
    with pytest.raises(UserError, match="--refine needs --decoding posterior"):
        next(Refined(Careful([]), TASK).answer([], Sampling(), "constrained"))


def test_a_real_model_is_asked_twice_and_answered_from_the_store(
    tokenizer: Any, tmp_path: Path
) -> None:
    engine = InProcessModel(make_checkpoint(tokenizer, "qwen2_5_vl"))
    samples = make_samples(tmp_path, 3)
    requests = [replace(request_for(sample), query=sample.query) for sample in samples]
    plain = dict(engine.answer(requests, Sampling(), "posterior"))
    how = Refinement(least_inside=0.0)
    with AnswerStore.open(tmp_path / "answers.sqlite") as store:
        stored = Stored(engine, store)
        once = dict(Refined(stored, TASK, how).answer(requests, Sampling(), "posterior"))
        num_boundaries = sum(len(sample.query) for sample in samples)
        assert stored.count.asked == len(samples) + num_boundaries
        again = dict(Refined(stored, TASK, how).answer(requests[::-1], Sampling(), "posterior"))
        assert stored.count.asked == stored.count.stored == len(samples) + num_boundaries
    for sample in samples:
        first, one, two = plain[sample.id], once[sample.id], again[sample.id]
        assert not isinstance(first, Failed)
        assert not isinstance(one, Failed)
        assert not isinstance(two, Failed)
        assert (one[0].text, one[0].posteriors) == (two[0].text, two[0].posteriors)
        assert two[0].stored
        assert isinstance(TASK.parse(sample.query, one[0].text), tuple)
        assert one[0].num_prompt_tokens > first[0].num_prompt_tokens
        assert [p.slot for p in one[0].posteriors] == [p.slot for p in first[0].posteriors]
        for p in one[0].posteriors:
            assert sum(p.probabilities) == pytest.approx(1)
