"""Assigning moments to events: against every possible assignment, and laws."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from kairoscope.robot.chain import NEVER, SAME_MOMENT, Chain
from kairoscope.robot.fits import FITS, NOTHING, density_of, fit_of, log_share
from kairoscope.robot.matching import log_score, match
from kairoscope.robot.moment import Moment
from kairoscope.robot.wording import meaning_of

TIMES_S = np.arange(300) / 30.0


def moment(
    kind: str, frame: int, log_odds: float = 4.0, gripper: int | None = 0, **more: object
) -> Moment:
    start = max(0, frame - 10)
    return Moment(
        kind=kind,  # type: ignore[arg-type]
        start_frame=start,
        end_frame=frame,
        frame=frame,
        log_odds=log_odds,
        reason="it was made up",
        source=f"signal[{gripper}]" if gripper is not None else "motion of the arm",
        gripper=gripper,
        **more,  # type: ignore[arg-type]
    )


def drawn(seed: int) -> tuple[list[Moment], tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    kinds = ["closing", "opening", "rest", "pause", "contact"]
    frames = np.sort(rng.choice(np.arange(5, 295), 5, replace=False))
    moments = [
        moment(str(rng.choice(kinds)), int(f), float(rng.normal(0, 3)), int(rng.integers(2)))
        for f in frames
    ]
    names = ["grasping it", "releasing it", "inserting it", "pushing it", "opening the lid", "hm"]
    return moments, tuple(str(rng.choice(names)) for _ in range(3))


def chain_of(moments: list[Moment], query: tuple[str, ...]) -> Chain:
    meanings = [meaning_of(name) for name in query]
    fits = [[fit_of(meaning, one, []) for one in moments] for meaning in meanings]
    return Chain(moments, meanings, fits, TIMES_S)


def every_score(chain: Chain) -> dict[tuple[int | None, ...], float]:
    """Score of every assignment, one by one, from the same costs."""
    count = len(chain.moments)
    scores = {}
    for choice in itertools.product([None, *range(count)], repeat=len(chain.meanings)):
        last, total = 0, 0.0
        for i, one in enumerate(choice):
            if one is None:
                total += float(np.log(NOTHING[chain.meanings[i].action]))
            else:
                total += float(chain._steps[i][last, one + 1] + chain._emit[i][one])
                last = one + 1
        scores[choice] = total + float(chain._tail[last])
    return scores


@pytest.mark.parametrize("seed", range(12))
def test_sums_and_best_equal_those_over_every_assignment(seed: int) -> None:
    chain = chain_of(*drawn(seed))
    scores = every_score(chain)
    assert chain.total() == pytest.approx(np.logaddexp.reduce(list(scores.values())))
    best = max(scores.values())
    assert scores[tuple(chain.best())] == pytest.approx(best)
    whole = np.exp(np.array(list(scores.values())) - chain.total())
    for i, shares in enumerate(chain.shares()):
        for k in range(len(chain.moments)):
            own = sum(p for choice, p in zip(scores, whole, strict=True) if choice[i] == k)
            assert shares[k] == pytest.approx(own, abs=1e-9)
        assert shares.sum() == pytest.approx(1.0)


def test_no_path_goes_back_in_time_for_one_hand() -> None:
    moments = [moment("closing", 50), moment("opening", 100), moment("closing", 150)]
    steps = chain_of(moments, ("grasping it", "releasing it"))._steps[1]
    assert (steps[2:, 1] <= NEVER).all()
    assert steps[1, 1] == SAME_MOMENT


@pytest.mark.parametrize("seed", range(20))
def test_distributions_sum_to_one_and_boundaries_are_on_frames(seed: int) -> None:
    moments, query = drawn(seed)
    found = match(moments, query, TIMES_S)
    assert [one.event for one in found] == list(query)
    for one in found:
        assert one.probabilities_T.shape == TIMES_S.shape
        assert one.probabilities_T.min() > 0
        assert one.probabilities_T.sum() == pytest.approx(1.0)
        assert 0.0 <= one.found <= 1.0
        assert 0.0 <= one.confidence <= 1.0
        assert (one.frame is None) == (one.time_s is None) == (one.moment is None)
        if one.frame is not None:
            assert one.time_s == TIMES_S[one.frame]
        assert one.reason


def test_densities_sum_to_one_and_peak_at_the_moment() -> None:
    for action, kinds in FITS.items():
        for kind, (_, anchor) in kinds.items():
            density = density_of(moment(kind, 150, arrival=120), anchor, TIMES_S)
            assert density.sum() == pytest.approx(1.0), (action, kind)
    closing = density_of(moment("closing", 150), FITS["grasp"]["closing"][1], TIMES_S)
    assert int(np.argmax(closing)) == 150


def test_a_false_closure_is_passed_over_and_named() -> None:
    moments = [
        moment("closing", 20, -6.0),
        moment("opening", 40, -6.0),
        moment("closing", 120, 5.0),
        moment("opening", 240, 5.0),
    ]
    grasp, release = match(moments, ("grasping the pear", "releasing the pear"), TIMES_S)
    assert (grasp.frame, release.frame) == (120, 240)
    assert "earlier closing at 10-20" in grasp.reason


def test_of_two_real_grasps_the_first_is_the_first() -> None:
    moments = [moment("closing", 50), moment("opening", 100), moment("closing", 150)]
    assert match(moments, ("grasping it",), TIMES_S)[0].frame == 50
    both = match(moments, ("grasping this", "grasping that"), TIMES_S)
    assert [one.frame for one in both] == [50, 150]


def test_nothing_fits_is_said_and_not_guessed() -> None:
    for moments in ([], [moment("opening", 100)], [moment("closing", 100, -8.0)]):
        (grasp,) = match(moments, ("grasping it",), TIMES_S)
        assert grasp.frame is None
        assert grasp.confidence == 0.0
        assert grasp.reason
    (found,) = match([], ("grasping it",), TIMES_S)
    assert found.probabilities_T == pytest.approx(np.full(300, 1 / 300))
    assert match([moment("closing", 50)], (), TIMES_S) == ()


def test_named_hands_take_their_own_moments() -> None:
    left = moment("closing", 100, gripper=0, arm="left", arm_is_named=True)
    right = moment("closing", 90, gripper=1, arm="right", arm_is_named=True)
    moments = [right, left]
    for query, frames in (
        (("left hand grasps it", "right hand grasps it"), [100, 90]),
        (("right hand grasps it", "left hand grasps it"), [90, 100]),
        (("right hand grasps it",), [90]),
        (("left hand grasps it",), [100]),
        (("both hands grasp it",), [100]),
    ):
        assert [one.frame for one in match(moments, query, TIMES_S)] == frames, query


def test_objects_that_are_named_are_preferred() -> None:
    moments = [
        moment("closing", 60, subject="red_cube"),
        moment("opening", 110, subject="red_cube"),
        moment("closing", 180, subject="green_cube"),
    ]
    assert match(moments, ("grasping the green cube",), TIMES_S)[0].frame == 180
    assert match(moments, ("grasping the red cube",), TIMES_S)[0].frame == 60


def test_doubt_about_the_direction_lowers_what_is_found() -> None:
    sure = [moment("closing", 100, trust=1.0)]
    unsure = [replace(one, trust=0.6) for one in sure]
    query = ("grasping it",)
    (a,), (b,) = match(sure, query, TIMES_S), match(unsure, query, TIMES_S)
    assert b.found == pytest.approx(0.6 * a.found)
    assert b.confidence < a.confidence


def test_a_better_reading_scores_higher() -> None:
    query = ("grasping it", "releasing it")
    good = [moment("closing", 100, 5.0), moment("opening", 200, 5.0)]
    upside_down = [moment("opening", 100, -1.0), moment("closing", 200, 0.0)]
    assert log_score(good, query, TIMES_S) > log_score(upside_down, query, TIMES_S) + 2.0


def test_log_share_is_the_log_of_a_probability() -> None:
    values = np.linspace(-40, 40, 9)
    for value in values:
        expected = -np.log1p(np.exp(-value))
        assert log_share(float(value)) == pytest.approx(expected)
