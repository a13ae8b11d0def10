"""Laws of combining what model, signals and prior say."""

from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.annotate.usual_error import usual_error_s
from kairoscope.calibration import Calibration
from kairoscope.fusion import (
    Boundary,
    Evidence,
    Mix,
    Pool,
    Trust,
    ends_in_turn,
    expected_error_s,
    fuse,
    in_order,
    marginals,
    on_frames,
    quantile_frame,
    starts_and_ends,
    within,
)
from kairoscope.posteriors import mass_before

SOURCES = ("model", "signals", "prior")
TIMES = np.arange(60) / 10


def pool_of(weight: float = 0.7, floor: float = 0.02, slope: float = 1.0) -> Pool:
    return Pool(
        {
            frozenset(names): Mix(
                trust=dict.fromkeys(names, Trust(weight, floor)), calibration=Calibration(slope)
            )
            for count in (1, 2, 3)
            for names in combinations(SOURCES, count)
        }
    )


POOL = pool_of()


def bump(centre_s: float, width_s: float = 0.2, times_s: np.ndarray = TIMES) -> np.ndarray:
    p = np.exp(-0.5 * ((times_s - centre_s) / width_s) ** 2) + 1e-30
    return np.asarray(p / p.sum())


LAYOUTS = st.sampled_from(
    [ends_in_turn(3), starts_and_ends(2), starts_and_ends(2, overlapping=True), ends_in_turn(1)]
)


@st.composite
def evidences(draw: st.DrawFn, boundaries: tuple[Boundary, ...]) -> Evidence:
    """Any subset of sources, each with any subset of slots, some of them very sure."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for source in draw(st.sets(st.sampled_from(SOURCES))):
        slots = draw(st.sets(st.sampled_from([b.slot for b in boundaries])))
        found[source] = {
            slot: bump(draw(st.floats(-1, 7)), draw(st.sampled_from([1e-3, 0.1, 1.0, 50.0])))
            for slot in sorted(slots)
        }
    return found


@settings(deadline=None)
@given(data=st.data(), boundaries=LAYOUTS)
def test_whatever_the_sources_say_the_answer_is_in_order(
    data: st.DataObject, boundaries: tuple[Boundary, ...]
) -> None:
    fused = fuse(TIMES, boundaries, data.draw(evidences(boundaries)), POOL)
    for boundary, found in zip(boundaries, fused, strict=True):
        assert found.slot == boundary.slot
        assert found.probabilities_T.sum() == pytest.approx(1)
        assert (found.probabilities_T >= 0).all()
        assert found.interval_s[0] <= found.time_s <= found.interval_s[1]
        assert found.time_s == TIMES[found.frame]
        assert 0 <= found.confidence <= 1
        assert found.expected_error_s >= 0
        assert all(0 <= said.influence <= 1 for said in found.said.values())
        if boundary.after is not None:
            before = fused[boundary.after]
            assert found.frame >= before.frame + boundary.gap_frames
            assert found.interval_s[0] >= before.interval_s[0]
            assert found.interval_s[1] >= before.interval_s[1]


@pytest.mark.parametrize(
    "boundaries", [ends_in_turn(3), starts_and_ends(2), starts_and_ends(2, overlapping=True)]
)
def test_sweeps_equal_the_sum_over_all_choices(boundaries: tuple[Boundary, ...]) -> None:
    rng = np.random.default_rng(len(boundaries))
    logs = rng.normal(0, 3, (len(boundaries), 6))
    slow = np.zeros_like(logs)
    for choice in product(range(6), repeat=len(boundaries)):
        if all(
            b.after is None or choice[i] >= choice[b.after] + b.gap_frames
            for i, b in enumerate(boundaries)
        ):
            weight = np.exp(sum(logs[i, t] for i, t in enumerate(choice)))
            for i, t in enumerate(choice):
                slow[i, t] += weight
    np.testing.assert_allclose(
        in_order(logs, boundaries), slow / slow.sum(1, keepdims=True), atol=1e-12
    )


def test_a_missing_or_flat_source_changes_nothing() -> None:
    boundaries = ends_in_turn(2)
    own = {"end 1": bump(2), "end 2": bump(4)}
    flat = np.full(60, 1 / 60)
    plain = marginals(TIMES, boundaries, {"model": own}, POOL)
    for absent in ({}, {"end 1": flat, "end 2": flat}):
        evidence: Evidence = {"model": own, "signals": absent}
        np.testing.assert_array_equal(marginals(TIMES, boundaries, evidence, POOL), plain)
    found = fuse(TIMES, boundaries, {"model": own, "signals": {"end 1": flat}}, POOL)[0]
    assert found.said["signals"].influence == 0
    assert found.said["model"].influence > 0.5


def test_the_order_of_sources_changes_nothing() -> None:
    evidence = {s: {"end 1": bump(1 + i, 0.5)} for i, s in enumerate(SOURCES)}
    turned = dict(reversed(evidence.items()))
    np.testing.assert_allclose(
        marginals(TIMES, ends_in_turn(1), evidence, POOL),
        marginals(TIMES, ends_in_turn(1), turned, POOL),
    )


def test_a_certain_source_wins_over_vague_ones() -> None:
    evidence = {
        "model": {"end 1": bump(4.0, 0.01)},
        "signals": {"end 1": bump(1.0, 3.0)},
        "prior": {"end 1": bump(2.0, 2.0)},
    }
    (found,) = fuse(TIMES, ends_in_turn(1), evidence, POOL)
    assert found.time_s == pytest.approx(4.0)
    assert found.said["model"].influence > max(
        found.said["signals"].influence, found.said["prior"].influence
    )


def test_sources_that_agree_are_surer_together_and_two_outvote_one() -> None:
    def fused(**moments_s: float) -> tuple[float, float]:
        evidence = {source: {"end 1": bump(t, 0.3)} for source, t in moments_s.items()}
        (found,) = fuse(TIMES, ends_in_turn(1), evidence, POOL)
        return found.time_s, found.confidence

    assert fused(model=3, signals=3)[1] > fused(model=3)[1]
    assert fused(model=1, signals=4, prior=4)[0] == pytest.approx(4, abs=0.11)


def test_order_moves_a_boundary_that_nothing_else_is_known_about() -> None:
    first, last = fuse(TIMES, ends_in_turn(2), {"model": {"end 1": bump(4.0, 0.05)}}, POOL)
    assert first.time_s == pytest.approx(4.0, abs=0.1)
    assert last.interval_s[0] > 3.9
    assert last.said == {}


def test_events_may_overlap_where_they_are_said_to() -> None:
    evidence = {
        "model": {"start 1": bump(1), "end 1": bump(5), "start 2": bump(2), "end 2": bump(4)}
    }
    times = {
        f.slot: f.time_s for f in fuse(TIMES, starts_and_ends(2, overlapping=True), evidence, POOL)
    }
    assert times == pytest.approx({"start 1": 1, "end 1": 5, "start 2": 2, "end 2": 4}, abs=0.11)
    in_turn = [f.time_s for f in fuse(TIMES, starts_and_ends(2), evidence, POOL)]
    assert in_turn == sorted(in_turn)


@given(
    raw=st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda p: sum(p) > 1e-3),
    seen_fps=st.sampled_from([2.0, 4.0, 7.0, 60.0]),
    fps=st.sampled_from([10.0, 30.0]),
)
def test_a_model_s_frames_spread_over_those_of_the_clip(
    raw: list[float], seen_fps: float, fps: float
) -> None:
    p = np.array(raw) / sum(raw)
    seen = np.arange(len(p)) / seen_fps
    times = np.arange(int(seen[-1] * fps) + 2) / fps
    q = on_frames(seen, p, times)
    assert q.sum() == pytest.approx(1)
    # No probability goes further than half way to the next frame that was seen, or one frame.
    for t in times:
        here = q[times <= t + 1e-9].sum()
        reach = 0.5 / seen_fps + 1 / fps
        assert here <= p[seen <= t + reach + 1e-9].sum() + 1e-9
        assert here >= p[seen <= t - reach - 1e-9].sum() - 1e-9


def test_the_same_grid_stays_as_it_is() -> None:
    p = bump(2.2, 0.7)
    np.testing.assert_allclose(on_frames(TIMES, p, TIMES), p, rtol=1e-12)
    half = quantile_frame(p, 0.5)
    assert mass_before(TIMES.tolist(), p.tolist(), float(TIMES[half]) + 0.05) >= 0.5 - 1e-9


def test_confidence_is_mended_by_the_pool() -> None:
    evidence: Evidence = {"model": {"end 1": bump(2.0, 0.1)}}
    plain, doubtful = (
        fuse(TIMES, ends_in_turn(1), evidence, pool_of(slope=slope))[0] for slope in (1.0, 0.3)
    )
    assert 0.5 < doubtful.confidence < plain.confidence
    assert plain.frame == doubtful.frame


def test_many_frames_and_hard_contradictions_do_not_underflow() -> None:
    times = np.arange(20_000) / 30
    boundaries = ends_in_turn(12)
    evidence = {
        source: {b.slot: bump(600 - 50 * i, 0.01, times) for i, b in enumerate(boundaries)}
        for source in SOURCES
    }
    found = fuse(times, boundaries, evidence, pool_of(weight=3.0, floor=1e-4))
    assert all(np.isfinite(f.probabilities_T).all() for f in found)
    assert all(a.frame < b.frame for a, b in pairwise(found))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="2 frames are too few for 3"):
        fuse([0.0, 0.1], ends_in_turn(3), {}, POOL)
    with pytest.raises(ValueError, match="no mix of sonar"):
        fuse(TIMES, ends_in_turn(1), {"sonar": {"end 1": bump(1)}}, POOL)
    with pytest.raises(ValueError, match="not a distribution over 60 frames"):
        fuse(TIMES, ends_in_turn(1), {"model": {"end 1": 2 * bump(1)}}, POOL)
    with pytest.raises(ValueError, match="floors"):
        Mix(trust={"model": Trust(1.0, 0.0)})
    with pytest.raises(ValueError, match="after an earlier"):
        fuse(TIMES, (Boundary(slot="end 1", after=0),), {}, POOL)


@given(data=st.data(), at=st.integers(0, len(TIMES) - 1), usual_s=st.floats(0, 0.25))
def test_what_is_usual_stands_in_for_what_is_near(
    data: st.DataObject, at: int, usual_s: float
) -> None:
    p = bump(data.draw(st.floats(-1, 7)), data.draw(st.sampled_from([1e-3, 0.1, 1.0, 50.0])))
    moment_s = float(TIMES[at])
    found = expected_error_s(TIMES, p, moment_s, usual_s)
    near = within(TIMES, p, moment_s)
    most = expected_error_s(TIMES, p, moment_s) + near * usual_s
    assert near * usual_s - 1e-9 <= found <= most + 1e-9
    assert found >= (1 - near) * 0.25 + near * usual_s - 1e-6
    assert expected_error_s(TIMES, p, moment_s, 0.25) >= found - 1e-9


def test_of_two_that_are_equally_sharp_the_kind_that_is_usually_worse_comes_first() -> None:
    p = bump(2.0, 0.05)
    grasp, release = (usual_error_s(name) for name in ("grasping it", "releasing it"))
    assert 0 < grasp < release < 0.25
    assert grasp < usual_error_s("something else happens") < release
    doubts = [expected_error_s(TIMES, p, 2.0, usual) for usual in (grasp, release)]
    assert doubts[0] < doubts[1]
