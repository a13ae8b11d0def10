"""Where boundaries are placed: by the most trusted source, in order, legal or listed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.annotate.combining import Boundary, Evidence, Source, combine
from kairoscope.annotate.evidence import packed, unpacked
from kairoscope.annotate.examples import Example, prior_for
from kairoscope.annotate.legal import made_legal
from kairoscope.pool_fitting import default_pool
from kairoscope.robot.legality import TaskSpec, violations
from kairoscope.robot.naming import SignalPlan

TIMES_S = np.arange(100) / 20
QUERY = ("a", "b", "c")
POOL = default_pool()


def peak(frame: int, width: float = 2.0) -> np.ndarray:
    weights = np.exp(-np.abs(np.arange(len(TIMES_S)) - frame) / width)
    return np.asarray(weights / weights.sum())


def said(source: Source, frame: int, *, decides: bool = True) -> Evidence:
    chosen = frame if decides and source in ("label", "signals") else None
    return Evidence(source=source, probabilities_T=peak(frame), reason="…", frame=chosen)


def flat(source: Source) -> Evidence:
    shares = np.full(len(TIMES_S), 1 / len(TIMES_S))
    return Evidence(source=source, probabilities_T=shares, reason="…")


def test_a_label_stays_whatever_the_others_say() -> None:
    others = [said("signals", 30), said("model", 31), said("prior", 32)]
    (boundary,) = combine(("a",), TIMES_S, [[said("label", 80), *others]], POOL)
    assert (boundary.source, boundary.frame, boundary.confidence) == ("label", 80, None)
    assert len(boundary.reasons) == 4


def test_what_speaks_alone_places_its_event() -> None:
    for source in ("signals", "model", "prior"):
        (boundary,) = combine(("a",), TIMES_S, [[said(source, 40)]], POOL)
        assert (boundary.source, boundary.frame) == (source, 40)


def test_signals_keep_their_moment_beside_a_vague_prior() -> None:
    prior = Evidence(source="prior", probabilities_T=peak(50, 30.0), reason="…")
    (boundary,) = combine(("a",), TIMES_S, [[said("signals", 20), prior]], POOL)
    assert (boundary.source, boundary.frame) == ("signals", 20)


def test_a_signal_that_does_not_decide_leaves_it_to_the_model() -> None:
    (boundary,) = combine(("a",), TIMES_S, [[flat("signals"), said("model", 60)]], POOL)
    assert (boundary.source, boundary.frame) == ("model", 60)
    assert "signals and model disagree" not in boundary.flags
    (boundary,) = combine(("a",), TIMES_S, [[flat("signals")]], POOL)
    assert boundary.frame is None


def test_labels_that_contradict_each_other_place_the_first() -> None:
    boundaries = combine(QUERY, TIMES_S, [[said("label", 50)], [said("label", 50)], []], POOL)
    assert [boundary.frame for boundary in boundaries] == [50, None, None]


def test_events_of_two_arms_end_in_any_order() -> None:
    evidence = [[said("signals", 60)], [said("signals", 30)], [said("signals", 80)]]
    one = combine(QUERY, TIMES_S, evidence, POOL)
    frames = [boundary.frame for boundary in one]
    assert frames == sorted(frames, key=lambda frame: frame or 0)
    two = combine(QUERY, TIMES_S, evidence, POOL, arms=("left", "right", "left"))
    assert [boundary.frame for boundary in two] == [60, 30, 80]
    labelled = [[said("label", 60)], [said("label", 30)], [said("label", 80)]]
    assert [b.frame for b in combine(QUERY, TIMES_S, labelled, POOL)] == [60, None, 80]
    two = combine(QUERY, TIMES_S, labelled, POOL, arms=("left", "right", "left"))
    assert [boundary.frame for boundary in two] == [60, 30, 80]


def test_what_a_source_objects_to_is_doubted_more() -> None:
    alike, apart = (
        combine(("a",), TIMES_S, [[said("signals", 20), said("model", frame)]], POOL)[0]
        for frame in (20, 70)
    )
    assert alike.frame == apart.frame == 20
    assert alike.doubt_s is not None
    assert apart.doubt_s is not None
    assert apart.doubt_s > alike.doubt_s
    (labelled,) = combine(("a",), TIMES_S, [[said("label", 20)]], POOL)
    assert labelled.doubt_s is None


def test_signals_and_model_that_contradict_each_other_are_flagged() -> None:
    for frame, is_odd in ((21, False), (60, True)):
        (boundary,) = combine(("a",), TIMES_S, [[said("signals", 20), said("model", frame)]], POOL)
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
    boundaries = combine(QUERY, TIMES_S, evidence, POOL)
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
        assert boundary.source is None or boundary.source in dict(own)


def placed(frames: list[int], source: Source = "signals") -> tuple[Boundary, ...]:
    return tuple(
        Boundary(
            event=name,
            frame=frame,
            end_s=float(TIMES_S[frame]),
            source=source,
            confidence=None if source == "label" else 0.8,
            interval_s=None,
            doubt_s=None,
            reasons=(),
        )
        for name, frame in zip(QUERY, frames, strict=True)
    )


PLAN = SignalPlan(
    spec=TaskSpec(name="t", signals=("x", "y"), offsets=((5, 10), (5, 10))),
    signals={"a": "x", "b": "y"},
)


def test_every_arm_is_legal_by_itself() -> None:
    plan = SignalPlan(
        spec=TaskSpec(name="t", signals=("x", "y"), offsets=((5, 10), (5, 10))),
        signals={"a": "x", "b": "y"},
        arms={"x": "left", "y": "right"},
    )
    crossed = placed([60, 30, 90])
    assert made_legal(crossed, PLAN, TIMES_S)[1] is not None
    assert made_legal(crossed, plan, TIMES_S) == (crossed, None)
    late, trouble = made_legal(placed([60, 97, 98]), plan, TIMES_S)
    assert trouble is not None
    assert "not legal for generation" not in late[0].flags
    assert "not legal for generation" in late[1].flags


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
