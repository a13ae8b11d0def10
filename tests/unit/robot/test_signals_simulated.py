"""The simulated world: truth by contact, hands that miss, objects that are carried and pushed."""

from collections import defaultdict

import numpy as np
import pytest
from simulated_recordings import Recording, recordings

from kairoscope.robot.signals import Evidence, find_grippers, match, moments

pytestmark = pytest.mark.usefixtures("mujoco")
FAMILIES = ("stack", "place", "insert", "push", "press")
COUNT = 8
Errors = dict[str, list[float]]


def evidence_of(recorded: list[Recording]) -> list[tuple[Recording, tuple[Evidence, ...]]]:
    grippers = find_grippers([one.episode for one in recorded])
    assert len(grippers) == 1
    return [
        (one, match(moments(one.episode, grippers), one.query, one.episode.times_s))
        for one in recorded
    ]


def errors_by_verb(*, as_mimicgen: bool) -> Errors:
    """Verb -> absolute errors in s, infinite where there is no answer."""
    errors: Errors = defaultdict(list)
    for family in FAMILIES:
        for one, found in evidence_of(recordings(family, COUNT, as_mimicgen=as_mimicgen)):
            for evidence, end_s in zip(found, one.ends_s, strict=True):
                missed = evidence.time_s is None
                error = float("inf") if missed else abs(float(evidence.time_s or 0.0) - end_s)
                errors[evidence.event.split()[0]].append(error)
    return errors


@pytest.fixture(scope="module")
def from_mimicgen() -> Errors:
    return errors_by_verb(as_mimicgen=True)


@pytest.fixture(scope="module")
def from_joints() -> Errors:
    return errors_by_verb(as_mimicgen=False)


def share(errors: list[float], within_s: float) -> float:
    return float(np.mean(np.array(errors) <= within_s))


@pytest.mark.parametrize("verb", ["grasping", "inserting", "pushing", "pressing", "pulling"])
def test_with_object_poses_nearly_all_within_a_quarter_second(
    from_mimicgen: Errors, verb: str
) -> None:
    assert share(from_mimicgen[verb], 0.25) >= 0.9


@pytest.mark.parametrize("verb", ["releasing", "placing"])
def test_releases_within_the_time_that_fingers_take(from_mimicgen: Errors, verb: str) -> None:
    assert share(from_mimicgen[verb], 0.4) >= 0.95


@pytest.mark.parametrize("verb", ["releasing", "placing"])
def test_a_recorded_object_parts_from_the_fingers_as_they_begin_to_open(
    from_mimicgen: Errors, verb: str
) -> None:
    assert share(from_mimicgen[verb], 0.1) >= 0.9


@pytest.mark.parametrize(
    ("verb", "least"), [("grasping", 0.85), ("releasing", 0.9), ("placing", 0.9)]
)
def test_joints_alone_say_when_hands_close_and_open(
    from_joints: Errors, verb: str, least: float
) -> None:
    assert share(from_joints[verb], 0.4) >= least


@pytest.mark.parametrize("verb", ["pushing", "pressing"])
def test_joints_alone_do_not_say_when_a_push_ends_and_nothing_is_claimed(
    from_joints: Errors, verb: str
) -> None:
    silent = [error for error in from_joints[verb] if error == float("inf")]
    assert len(silent) >= 0.9 * len(from_joints[verb])


def test_what_is_held_is_named() -> None:
    for one, found in evidence_of(recordings("place", 4, as_mimicgen=True)):
        words = one.query[0].removeprefix("grasping the ").replace(" ", "_")
        assert found[0].moment is not None
        assert found[0].moment.subject == words


def test_the_truth_lies_where_probability_is() -> None:
    """The share of truths inside the likeliest frames is about what the distribution says."""
    inside, said = [], []
    for one, found in evidence_of(recordings("stack", COUNT, as_mimicgen=True)):
        for evidence, end_s in zip(found, one.ends_s, strict=True):
            near = np.abs(one.episode.times_s - end_s) <= 0.25
            said.append(evidence.confidence)
            inside.append(evidence.probabilities_T[near].sum())
    assert np.mean(inside) >= 0.5
    assert abs(np.mean(inside) - np.mean(said)) < 0.3
