"""Which demonstrations to label first: those that stand for as many of the others as possible.

Greedy k-medoids (the BUILD step of PAM, Kaufman & Rousseeuw, 1990) on durations and on how hand
and arm move. Every third is one in which hands close another number of times than in those before,
where there is one: nobody learns from clean demonstrations what a grasp that missed looks like.
Each choice keeps the ones before it, so that a fourth can be labelled later.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from kairoscope.robot.arm_speed import parts_of, speed_without
from kairoscope.robot.columns import Floats, Table, table_of
from kairoscope.robot.episode import Episode
from kairoscope.robot.gripper import Gripper, places_of
from kairoscope.robot.motions import motions_in

NUM_POINTS = 32
"""Moments, evenly over an episode, at which profiles are compared."""
ODD_ONE = 3
"""Every so many, an odd one is chosen."""
LEAST_DIFFERENCE = 0.02
"""Durations, or courses, that usually differ by less than 2 % are not blown up to count in full."""
MOST_COMPARED = 2000
"""Of more episodes, this many are compared, evenly chosen by name."""


def choose_examples(
    episodes: Iterable[Episode], k: int, grippers: Sequence[Gripper] = ()
) -> tuple[str, ...]:
    """Ids of the k episodes to label first; `choose_examples(…, k - 1)` is their beginning.

    The order of the episodes does not matter. Equal ones go by their ids.

    Args:
        episodes: read one at a time and not kept.
        k: how many; all, where there are fewer.
        grippers: of the dataset, from `find_grippers`; none: durations and the arm's speed alone.
    """
    rows = sorted(
        (episode.id, profile(episode, grippers), closings(episode, grippers))
        for episode in episodes
    )
    if not rows or k <= 0:
        return ()
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_COMPARED)).astype(int))
    ids = [rows[place][0] for place in places]
    features = _weighed(np.array([rows[place][1] for place in places]), 1 + len(grippers))
    squares = (features**2).sum(1)
    distances = np.sqrt(
        np.maximum(squares[:, None] + squares[None, :] - 2 * features @ features.T, 0.0)
    )
    kinds = [rows[place][2] for place in places]
    return tuple(ids[place] for place in medoids(distances, k, kinds))


def profile(episode: Episode, grippers: Sequence[Gripper] = ()) -> tuple[float, ...]:
    """Log duration, then how long hands were closed and how far the arm went, up to 32 moments.

    Courses are added up, so that a grasp that comes twice as much later is twice as far away; and
    divided, so that they end at the mean of the course and distances are root mean squares.
    """
    times_s = np.asarray(episode.times_s, dtype=np.float64)
    duration_s = max(float(times_s[-1] - times_s[0]), 1e-3) if len(times_s) else 1e-3
    blank = np.zeros(NUM_POINTS)
    courses = [blank for _ in range(1 + len(grippers))]
    if episode.channels and len(times_s) >= 5:
        table = table_of(episode)
        at = np.linspace(times_s[0], times_s[-1], NUM_POINTS)
        for place, gripper in enumerate(grippers):
            closed_T = gripper.closedness(table)
            if closed_T is not None:
                courses[place] = np.interp(at, times_s, closed_T)
        courses[-1] = np.interp(at, times_s, np.clip(_speed(table, grippers), 0.0, 2.0) / 2)
    added = np.concatenate([np.cumsum(course) for course in courses]) / NUM_POINTS**1.5
    return (float(np.log(duration_s)), *added.tolist())


def closings(episode: Episode, grippers: Sequence[Gripper]) -> tuple[int, ...]:
    """How often each hand closes."""
    if not episode.channels or len(episode.times_s) < 5:
        return (0,) * len(grippers)
    table = table_of(episode)
    courses = [gripper.closedness(table) for gripper in grippers]
    times_s = np.asarray(episode.times_s, dtype=np.float64)
    return tuple(
        0 if course is None else sum(motion.travel > 0 for motion in motions_in(course, times_s))
        for course in courses
    )


def _speed(table: Table, grippers: Sequence[Gripper]) -> Floats:
    widths = dict(grippers[0].widths) if grippers else {}
    hands = [places_of(table, gripper) for gripper in grippers]
    places = [place for hand in hands for place in hand]
    return np.asarray(speed_without(parts_of(table, widths), places))


def _weighed(features: Floats, num_courses: int) -> Floats:
    """Duration and every course count alike: each in units of how much it differs usually."""
    weighed = features - features.mean(0)
    parts = [slice(0, 1)]
    parts += [
        slice(1 + place * NUM_POINTS, 1 + (place + 1) * NUM_POINTS) for place in range(num_courses)
    ]
    for part in parts:
        usual = float(np.sqrt((weighed[:, part] ** 2).sum(1).mean()))
        weighed[:, part] /= max(usual, LEAST_DIFFERENCE)
    return np.asarray(weighed)


def medoids(distances: Floats, k: int, kinds: Sequence[object] = ()) -> list[int]:
    """Places of k medoids, each the one that lowers the sum of distances most; first come first.

    Args:
        distances: (N, N), symmetric.
        k: how many; N where there are fewer.
        kinds: of each; every third medoid is of a kind that none before it has, as long as there
            are such. Empty: all are of one kind.
    """
    chosen: list[int] = []
    nearest = np.full(len(distances), np.inf)
    for _ in range(min(k, len(distances))):
        totals = np.minimum(nearest[None, :], distances).sum(1)
        totals[chosen] = np.inf
        if kinds and len(chosen) % ODD_ONE == ODD_ONE - 1:
            known = {kinds[place] for place in chosen}
            new = [place for place, kind in enumerate(kinds) if kind not in known]
            if new:
                totals[[place for place in range(len(totals)) if place not in new]] = np.inf
        # Rounding must not decide between equals: the first within a hair is taken.
        best = int(np.flatnonzero(totals <= totals.min() + 1e-9 * (1 + totals.min()))[0])
        chosen.append(best)
        nearest = np.minimum(nearest, distances[best])
    return chosen
