"""How well a moment fits what an event's name asks for, and where in the moment the event ends. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal

import numpy as np

from kairoscope.robot.columns import Floats
from kairoscope.robot.moment import Moment
from kairoscope.robot.wording import Action, Meaning, names_object

BOTH_WITHIN_S = 1.5
"""Two hands that close this near to each other close together."""
OTHER_ARM = {True: -6.0, False: -2.5}
"""Log-odds of the hand that was not asked for, where the file names hands and where it does not."""
ONE_OF_BOTH = -2.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where an event ends in a moment: a peak and how far it may be before and after, in s."""

    at: Literal["moment", "start", "arrival", "since", "parted"] = "moment"
    """The moment itself, the start of its motion, when the arm arrived where it happens, when hand and
    object parted (the moment itself, where that is not known), or some time after it: then the moment
    only keeps others from being taken for it."""
    before_s: float = 0.15
    after_s: float = 0.15
    motion_share: float = 0.2
    """It may be earlier than that by this share of the motion, where motions are long."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A moment as the end of an event."""

    log_odds: float
    """Relative to a moment of the very kind that was asked for: 0 or less, or more for a name."""
    anchor: Anchor


END = Anchor()
CLOSED = Anchor(before_s=0.06, motion_share=0.1)
LET_GO = Anchor("parted", before_s=0.25, after_s=0.25)
"""Without a recorded object, when it is let go while fingers open is a matter of definition: between
first and last move."""
ARRIVED = Anchor("arrival", before_s=0.3, after_s=0.3)
START = Anchor("start")
SINCE = Anchor("since", before_s=0.05, after_s=3.0)
STANDS = Anchor(before_s=0.3, after_s=0.3)
FITS: Final[Mapping[Action, Mapping[str, tuple[float, Anchor]]]] = {
    "grasp": {"closing": (0.0, CLOSED)},
    "release": {"opening": (0.0, LET_GO), "rest": (-2.5, END)},
    "insert": {"rest": (-0.5, END), "opening": (-1.0, ARRIVED), "pause": (-2.5, STANDS)},
    "push": {"rest": (0.0, END), "pause": (-1.0, STANDS), "closing": (-1.5, SINCE)},
    "operate": {"rest": (-0.5, END), "pause": (-1.0, STANDS), "opening": (-2.0, ARRIVED)},
    "press": {
        "rest": (-0.5, END),
        "contact": (-1.0, START),
        "pause": (-1.0, STANDS),
        "closing": (-1.5, SINCE),
    },
    "touch": {"contact": (0.0, START), "closing": (-1.0, START), "pause": (-1.5, STANDS)},
    "handover": {"opening": (-2.5, LET_GO), "closing": (-2.5, CLOSED)},
    "other": {"rest": (-2.5, END), "pause": (-1.5, STANDS), "opening": (-3.0, END)},
}
BLIND: Final[Mapping[Action, tuple[str, ...]]] = {
    "insert": ("opening", "pause"),
    "push": ("pause", "closing"),
    "press": ("pause", "closing"),
}
"""Moments that say less than the objects themselves, where objects are recorded."""
UNSEEN_HAND: Final[Mapping[Action, Mapping[str, tuple[float, Anchor]]]] = {
    "grasp": {"contact": (-0.5, Anchor("start", before_s=0.5)), "pause": (-2.0, STANDS)},
    "release": {"rest": (-0.5, Anchor(after_s=0.8)), "pause": (-2.0, STANDS)},
}
"""Where no hand is found in the recording, the objects say what it did: what is grasped sets out, what
is let go has come to rest, some time before."""
NOTHING: Final[Mapping[Action, float]] = {
    "grasp": 0.05, "release": 0.05, "insert": 0.08, "push": 0.1, "operate": 0.15, "press": 0.15, "touch": 0.15,
    "handover": 0.1, "other": 0.3,
}  # fmt: skip
"""Probability that no moment of an episode is the event, before anything is known of them."""


def fit_of(
    meaning: Meaning, moment: Moment, subjects: Sequence[str], *, hands: bool = True
) -> Fit | None:
    """How a moment fits an event; None where it cannot be its end.

    Args:
        meaning: of the event's name.
        moment: of the episode.
        subjects: every object that moves in the episode, as the file calls it.
        hands: whether the recording shows what any hand does.
    """
    fits = FITS[meaning.action] if hands else UNSEEN_HAND.get(meaning.action, FITS[meaning.action])
    base = fits.get(moment.kind)
    if base is None:
        return None
    log_odds, anchor = base
    if meaning.action == "handover" and moment.other_holds:
        log_odds = 0.0
    if meaning.action == "push" and moment.carried:
        log_odds -= 0.5  # a hand that is closed to push seems to hold what it moves
    for_good = meaning.action in ("insert", "push") or (meaning.action == "release" and not hands)
    if for_good and moment.kind == "rest" and not moment.is_last:
        log_odds -= 2.5
    if meaning.action == "insert" and moment.kind == "rest" and not moment.carried and hands:
        log_odds -= 2.0
    if subjects and moment.kind in BLIND.get(meaning.action, ()):
        log_odds -= 1.5  # objects are recorded: their own motion would say it
    if meaning.action == "operate" and moment.goes_on:
        log_odds -= 2.5
    log_odds += _side(meaning, moment) + _subject(meaning, moment, subjects)
    return Fit(log_odds, anchor)


def _side(meaning: Meaning, moment: Moment) -> float:
    if meaning.side is None or moment.gripper is None:
        return 0.0
    if meaning.side == "both":
        return 0.0 if moment.source.count(" and ") else ONE_OF_BOTH
    if moment.arm is None or moment.arm == meaning.side:
        return 0.0
    return OTHER_ARM[moment.arm_is_named]


def _subject(meaning: Meaning, moment: Moment, subjects: Sequence[str]) -> float:
    """An object that the event names, or another one although the event names one."""
    likeness = {name: names_object(meaning, name) for name in subjects}
    best = max(likeness.values(), default=0.0)
    if moment.subject is None or best < 0.5:
        return 0.0
    if likeness.get(moment.subject, 0.0) == best:
        return 1.0
    return -2.5


def with_pairs(moments: Sequence[Moment], times_s: Floats) -> list[Moment]:
    """The moments, and one more for every two hands that close, or open, together."""
    pairs = []
    for first, second in combinations(moments, 2):
        apart = first.gripper is not None and first.gripper != second.gripper
        if not apart or second.gripper is None or first.kind != second.kind:
            continue
        if abs(times_s[first.frame] - times_s[second.frame]) > BOTH_WITHIN_S:
            continue
        later = max(first, second, key=lambda moment: moment.frame)
        pairs.append(
            replace(
                later,
                start_frame=min(first.start_frame, second.start_frame),
                log_odds=(first.log_odds + second.log_odds) / 2,
                source=f"{first.source} and {second.source}",
                arm=None,
                arm_is_named=False,
            )
        )
    return sorted([*moments, *pairs], key=lambda moment: moment.frame)


def end_of(moment: Moment, anchor: Anchor) -> int:
    """The frame at which an event ends if this moment is its end."""
    if anchor.at == "arrival" and moment.arrival is not None:
        return moment.arrival
    if anchor.at == "parted" and moment.parted is not None:
        return moment.parted
    return moment.frame if anchor.at in ("moment", "since", "parted") else moment.start_frame


def density_of(moment: Moment, anchor: Anchor, times_s: Floats) -> Floats:
    """(T,) probability that an event ends at a frame if this moment is its end. Sums to 1.

    A motion of the fingers ends an event at any time from its first to its last frame, most likely
    at the last; around it the probability falls off exponentially, by 1/e in the anchor's times.
    """
    start_s, peak_s = float(times_s[moment.start_frame]), float(times_s[end_of(moment, anchor)])
    before_s, after_s = anchor.before_s, anchor.after_s
    is_end = anchor.at == "moment" or (anchor.at == "parted" and moment.parted is None)
    if is_end:
        before_s = max(before_s, anchor.motion_share * (peak_s - start_s))
    elif anchor.at == "parted":
        before_s, after_s = END.before_s, END.after_s
    late = np.asarray(times_s) - peak_s
    weights = np.where(late < 0, np.exp(late / before_s), np.exp(-late / after_s))
    if is_end and moment.end_frame > moment.frame:
        until_s = float(times_s[moment.end_frame])
        weights = np.where((late >= 0) & (np.asarray(times_s) <= until_s), 1.0, weights)
    return np.asarray(weights / weights.sum())


def log_share(log_odds: float) -> float:
    """Log of the probability that belongs to log-odds."""
    return -math.log1p(math.exp(-log_odds)) if log_odds > -30 else log_odds
