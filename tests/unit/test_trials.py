"""Several answers as one: medians, scatter, and what is left out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import make_checkpoint, make_samples, request_for

from kairoscope.core import Completion, Failed, Posterior, Sampling, UserError
from kairoscope.events import Event, Query
from kairoscope.models.in_process import InProcessModel
from kairoscope.posteriors import quantile_s
from kairoscope.recipes.subtask_times import TASK, render
from kairoscope.trials import Median, summed_up

QUERY: Query = ("grasping the cube", "letting go")
TIMES_S = tuple(i / 4 for i in range(41))
GREEDY = Sampling()
DRAWN = Sampling(trials=5, temperature=1.5, seed=3, max_new_tokens=40)


def answer(first_end_s: float | None, second_end_s: float | None = 6.0) -> Completion:
    """One trial; None: it does not name the event."""
    ends = zip(QUERY, (first_end_s, second_end_s), strict=True)
    events = tuple(
        Event(name, end_s - 1, end_s, i) for i, (name, end_s) in enumerate(ends, 1) if end_s
    )
    return Completion(
        text=render(QUERY, events) if events else "I do not know",
        trial=0,
        frame_times_s=TIMES_S,
        num_prompt_tokens=100,
        num_vision_tokens=50,
        num_new_tokens=10,
        seconds=0.5,
        finish="stop",
    )


def ends(one: Completion) -> list[float]:
    parsed = TASK.parse(QUERY, one.text)
    assert isinstance(parsed, tuple)
    return [event.end_s for event in parsed]


def spread(one: Completion, slot: str) -> tuple[float, float, float]:
    posterior = next(p for p in one.posteriors if p.slot == slot)
    times_s = [float(choice) for choice in posterior.choices]
    quartiles = (quantile_s(times_s, posterior.probabilities, share) for share in (0.25, 0.5, 0.75))
    low, middle, high = quartiles
    return low, middle, high


def test_each_boundary_is_the_median_and_one_stray_answer_moves_nothing() -> None:
    trials = [answer(t) for t in (2.0, 2.25, 2.25, 2.5, 9.0)]
    one = summed_up(TASK, QUERY, trials)
    assert ends(one) == [2.25, 6.0]
    low, middle, high = spread(one, "end 1")
    assert (low, middle, high) == pytest.approx((2.16, 2.31, 2.56), abs=0.05)
    assert (one.num_new_tokens, one.seconds) == (50, 2.5)
    assert all(sum(p.probabilities) == pytest.approx(1) for p in one.posteriors)
    same = summed_up(TASK, QUERY, [answer(2.25)] * 5)
    assert spread(same, "end 1")[2] - spread(same, "end 1")[0] < high - low


def test_an_event_that_most_do_not_name_is_left_out() -> None:
    one = summed_up(TASK, QUERY, [answer(2.0), answer(2.0, None), answer(2.0, None)])
    assert ends(one) == [2.0]
    assert [p.slot for p in one.posteriors] == ["start 1", "end 1"]


def test_answers_that_cannot_be_read_count() -> None:
    unread = answer(None, None)
    assert ends(summed_up(TASK, QUERY, [unread, answer(2.0), answer(3.0)])) == [2.5, 6.0]
    assert summed_up(TASK, QUERY, [unread, unread, answer(3.0)]).text == unread.text


def test_distributions_that_come_with_the_answers_are_averaged() -> None:
    choices = tuple(f"{t:.2f}" for t in TIMES_S)
    trials = []
    for place in (8, 12):
        chances = tuple(float(i == place) for i in range(len(TIMES_S)))
        own = Posterior(slot="end 1", choices=choices, probabilities=chances)
        trials.append(replace(answer(TIMES_S[place]), posteriors=(own,)))
    one = summed_up(TASK, QUERY, trials)
    [mean] = [p for p in one.posteriors if p.slot == "end 1"]
    assert [i for i, p in enumerate(mean.probabilities) if p == 0.5] == [8, 12]


def test_a_real_model_is_asked_several_times(tokenizer: Any, tmp_path: Path) -> None:
    engine = InProcessModel(make_checkpoint(tokenizer, "qwen2_5_vl"))
    samples = make_samples(tmp_path, 2)
    gone = replace(samples[0], id="gone", video=tmp_path / "gone.mp4")
    requests = [replace(request_for(s), query=s.query) for s in (*samples, gone)]
    several = Median(engine, TASK, DRAWN)
    found = dict(several.answer(requests, Sampling(max_new_tokens=40), "constrained"))
    drawn = dict(engine.answer(requests, DRAWN, "constrained"))
    assert isinstance(found.pop("gone"), Failed)
    for sample in samples:
        one, trials = found[sample.id], drawn[sample.id]
        assert not isinstance(one, Failed)
        assert not isinstance(trials, Failed)
        assert len(one) == 1
        expected = summed_up(TASK, sample.query, trials)
        assert replace(one[0], seconds=0) == replace(expected, seconds=0)
    assert several.identity != engine.identity
    assert Median(engine, TASK, replace(DRAWN, seed=4)).identity != several.identity


def test_what_could_not_scatter_is_refused(tokenizer: Any) -> None:
    engine = InProcessModel(make_checkpoint(tokenizer, "qwen2_5_vl"))
    with pytest.raises(UserError, match="5 times the same answer"):
        next(Median(engine, TASK, replace(DRAWN, temperature=0.0)).answer([], GREEDY, "free"))
    with pytest.raises(UserError, match="--trials needs --decoding constrained or free"):
        next(Median(engine, TASK, DRAWN).answer([], GREEDY, "posterior"))
