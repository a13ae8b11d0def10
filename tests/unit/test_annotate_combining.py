"""Where boundaries are placed: by the most trusted source, in order, legal or listed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.annotate.combining import Boundary, Evidence, Source, combine
from kairoscope.annotate.evidence import packed, unpacked
from kairoscope.annotate.examples import Example, label_first, prior_for
from kairoscope.annotate.legal import made_legal
from kairoscope.annotate.sources import on_frames
from kairoscope.posteriors import mass_before
from kairoscope.robot.legality import TaskSpec, violations
from kairoscope.robot.naming import SignalPlan

TIMES_S = np.arange(100) / 20
QUERY = ("a", "b", "c")


def peak(frame: int, width: float = 2.0) -> np.ndarray:
    weights = np.exp(-np.abs(np.arange(len(TIMES_S)) - frame) / width)
    return np.asarray(weights / weights.sum())


def said(source: Source, frame: int, *, decides: bool = True) -> Evidence:
    chosen = frame if decides and source in ("label", "signals") else None
    return Evidence(source=source, probabilities_T=peak(frame), reason="…", frame=chosen)


def test_the_most_trusted_source_places_an_event() -> None:
    order: tuple[Source, ...] = ("label", "signals", "model", "prior")
    for first in range(4):
        evidence = [[said(source, 10 + 20 * k) for k, source in enumerate(order) if k >= first]]
        (boundary,) = combine(("a",), TIMES_S, evidence)
        assert boundary.source == order[first]
        assert boundary.frame == 10 + 20 * first
        assert len(boundary.reasons) == 4 - first


def test_a_signal_that_does_not_decide_leaves_it_to_the_model() -> None:
    evidence = [[said("signals", 20, decides=False), said("model", 60)]]
    (boundary,) = combine(("a",), TIMES_S, evidence)
    assert (boundary.source, boundary.frame) == ("model", 60)
    assert "signals and model disagree" not in boundary.flags


def test_signals_and_model_that_contradict_each_other_are_flagged() -> None:
    for frame, is_odd in ((21, False), (60, True)):
        (boundary,) = combine(("a",), TIMES_S, [[said("signals", 20), said("model", frame)]])
        assert ("signals and model disagree" in boundary.flags) == is_odd
        assert boundary.frame == 20


evidences = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["label", "signals", "model", "prior"]), st.integers(0, 99)),
        max_size=4,
        unique_by=lambda pair: pair[0],
    ),
    min_size=3,
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(evidences)
def test_boundaries_are_in_order_and_sure_of_themselves(
    drawn: list[list[tuple[Source, int]]],
) -> None:
    evidence = [[said(source, frame) for source, frame in own] for own in drawn]
    boundaries = combine(QUERY, TIMES_S, evidence)
    assert [boundary.event for boundary in boundaries] == list(QUERY)
    placed = [b for b in boundaries if b.frame is not None]
    frames = [b.frame for b in placed if b.frame is not None]
    assert frames == sorted(set(frames))
    for boundary in placed:
        assert boundary.end_s == TIMES_S[boundary.frame or 0]
        assert (boundary.confidence is None) == (boundary.source == "label")
        assert boundary.confidence is None or 0 <= boundary.confidence <= 1
    for own, boundary in zip(drawn, boundaries, strict=True):
        assert own or boundary.frame is None


def placed(frames: list[int], source: Source = "signals") -> tuple[Boundary, ...]:
    return tuple(
        Boundary(
            event=name,
            frame=frame,
            end_s=float(TIMES_S[frame]),
            source=source,
            confidence=None if source == "label" else 0.8,
            interval_s=None,
            reasons=(),
        )
        for name, frame in zip(QUERY, frames, strict=True)
    )


PLAN = SignalPlan(
    spec=TaskSpec(name="t", signals=("x", "y"), offsets=((5, 10), (5, 10))),
    signals={"a": "x", "b": "y"},
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=3, max_size=3, unique=True).map(sorted))
def test_legal_or_listed(frames: list[int]) -> None:
    for source in ("signals", "label"):
        before = placed(frames, source)
        after, trouble = made_legal(before, PLAN, TIMES_S)
        ends = [(b.frame or 0) + 1 for b in after[:2]]
        wrong = violations(ends, PLAN.spec, len(TIMES_S))
        assert bool(wrong) == (trouble is not None)
        moves = [
            abs((b.frame or 0) - a.frame) for a, b in zip(before, after, strict=True) if a.frame
        ]
        assert max(moves, default=0) <= (0 if source == "label" else 5)
        assert after[2] == before[2]  # ends no signal
        if not violations([frame + 1 for frame in frames[:2]], PLAN.spec, len(TIMES_S)):
            assert after == before


def test_the_model_s_frames_spread_over_all_frames() -> None:
    grid = [0.0, 0.5, 1.0, 2.0, 4.0]
    probabilities = [0.1, 0.2, 0.4, 0.2, 0.1]
    density = on_frames(grid, probabilities, TIMES_S)
    assert density.sum() == pytest.approx(1)
    for k in (5, 20, 50, 79):
        border_s = (TIMES_S[k] + TIMES_S[k + 1]) / 2
        expected = mass_before(grid, probabilities, border_s)
        assert density[: k + 1].sum() == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 99))
def test_densities_survive_packing(frame: int) -> None:
    density = 0.98 * peak(frame) + 0.02 / 100
    assert unpacked(packed(density)) == pytest.approx(density, rel=1e-3)


def example(clip: str, *end_s: float, duration_s: float = 5.0) -> Example:
    return Example(clip, clip, end_s, duration_s)


def test_an_episode_is_no_example_for_itself() -> None:
    one = [example("e1", 1.0, 2.0, 3.0)]
    assert prior_for(QUERY, one, "e1", "e1", TIMES_S) == []
    assert prior_for(QUERY, one, "e2", "e1", TIMES_S) == []  # generated from the same recording
    both = [*one, example("e2", 2.0, 3.0, 4.0)]
    for (density, words), expected in zip(
        prior_for(QUERY, both, "e1", "e1", TIMES_S), (2.0, 3.0, 4.0), strict=True
    ):
        assert TIMES_S[int(np.argmax(density))] == pytest.approx(expected, abs=0.11)
        assert "from 1 labelled demonstration" in words


def test_what_to_label_first_stands_for_all_lengths() -> None:
    durations_s = {f"e{i}": float(i) for i in range(9)}
    assert label_first(durations_s, [], 1) == ["e4"]
    assert set(label_first(durations_s, [], 3)) == {"e1", "e4", "e7"}
    assert set(label_first(durations_s, ["e0"], 3)) == {"e4", "e7"}
    assert label_first(durations_s, ["e0", "e4", "e8"], 3) == []
    assert len(label_first(durations_s, [], 20)) == 9


def test_what_to_label_first_does_not_depend_on_the_order() -> None:
    durations_s = {f"e{i}": float(i * 7 % 9) for i in range(9)}
    turned = dict(reversed(durations_s.items()))
    assert label_first(durations_s, [], 4) == label_first(turned, [], 4)
