"""Which moment of an episode is which event that the user names: the best order-keeping choice. Pure.

The events are a chain: each one takes a moment at or after the one before it, or none. Every choice
costs something: a moment that probably means nothing, one of another kind or hand, a passed-over
moment that would have done as well, an event without a moment. Sums over all choices give each
event a distribution over frames; the single best choice gives its boundary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.events import Query
from kairoscope.posteriors import confidence
from kairoscope.robot.chain import Chain
from kairoscope.robot.columns import Floats
from kairoscope.robot.explain import why_none, why_this
from kairoscope.robot.fits import (
    Fit,
    density_of,
    end_of,
    fit_of,
    with_pairs,
)
from kairoscope.robot.moment import Moment
from kairoscope.robot.wording import Meaning, meaning_of

UNKNOWN_SHARE = 0.02
"""Probability that is spread over all frames, whatever the signals say."""
LEAST_FOUND = 0.5
"""An event gets a boundary where the probability that a moment is its end is at least this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the signals say about one event."""

    event: str
    action: str
    """How its name was understood, see `wording.VERBS`."""
    frame: int | None
    """The last frame of the event; None where nothing fits."""
    time_s: float | None
    interval_s: tuple[float, float] | None
    """First and last moment of the motion that ends it."""
    probabilities_T: Floats
    """(T,) of the event ending at each frame; sums to 1. Flat where nothing is known."""
    found: float
    """Probability that any of the episode's moments is its end, 0 to 1."""
    confidence: float
    """Probability that the boundary is within 0.25 s of `time_s`, 0 to 1; 0 without one."""
    reason: str
    moment: Moment | None
    """The moment that was taken."""


def match(moments: Sequence[Moment], query: Query, times_s: Floats) -> tuple[Evidence, ...]:
    """Assign the moments of an episode to the events of a query.

    Args:
        moments: from `moments`.
        query: names of the events, in order; see `wording` for the words that are understood.
        times_s: (T,) times of the frames, ascending, at least one.

    Returns:
        One for each event, in the order of the query.
    """
    chain = _chain(moments, query, times_s)
    shares, best = chain.shares(), chain.best()
    return tuple(
        _evidence(
            name,
            chain.meanings[i],
            chain.moments,
            chain.fits[i],
            shares[i],
            best[i],
            np.asarray(times_s),
        )
        for i, name in enumerate(query)
    )


def log_score(moments: Sequence[Moment], query: Query, times_s: Floats) -> float:
    """How well the moments of an episode explain a query, as a log; higher is better.

    The sum over all choices, comparable between two readings of one episode.
    """
    return _chain(moments, query, times_s).total()


def _chain(moments: Sequence[Moment], query: Query, times_s: Floats) -> Chain:
    times_s = np.asarray(times_s, dtype=np.float64)
    meanings = [meaning_of(name) for name in query]
    candidates = list(moments)
    if any(meaning.side == "both" for meaning in meanings):
        candidates = with_pairs(candidates, times_s)
    subjects = sorted({m.subject for m in candidates if m.subject is not None})
    hands = any(m.gripper is not None for m in candidates)
    fits = [
        [fit_of(meaning, moment, subjects, hands=hands or not subjects) for moment in candidates]
        for meaning in meanings
    ]
    return Chain(candidates, meanings, fits, times_s)


def _evidence(
    name: str,
    meaning: Meaning,
    candidates: Sequence[Moment],
    fits: Sequence[Fit | None],
    shares: Floats,
    best: int | None,
    times_s: Floats,
) -> Evidence:
    """What is known about one event.

    Args:
        shares: (M + 1,) probability of each moment, and of none, last.
        best: the moment of the best choice, or None.
    """
    flat = np.full(len(times_s), 1.0 / len(times_s))
    trusted = shares[:-1] * np.array([moment.trust for moment in candidates])
    mixture = (1.0 - float(trusted.sum())) * flat
    for share, moment, fit in zip(trusted, candidates, fits, strict=True):
        if fit is not None and share > 1e-6:
            mixture = mixture + share * density_of(moment, fit.anchor, times_s)
    mixture = (1.0 - UNKNOWN_SHARE) * mixture / mixture.sum() + UNKNOWN_SHARE * flat
    said = [fit is not None and fit.anchor.at != "since" for fit in fits]
    found = float(trusted @ np.array(said, dtype=np.float64))
    usable = [moment for moment, says in zip(candidates, said, strict=True) if says]
    fit = None if best is None else fits[best]
    if best is None or fit is None or fit.anchor.at == "since" or found < LEAST_FOUND:
        return Evidence(
            event=name,
            action=meaning.action,
            frame=None,
            time_s=None,
            interval_s=None,
            probabilities_T=mixture,
            found=found,
            confidence=0.0,
            reason=why_none(meaning, usable, times_s),
            moment=None,
        )
    moment = candidates[best]
    frame = end_of(moment, fit.anchor)
    time_s = float(times_s[frame])
    return Evidence(
        event=name,
        action=meaning.action,
        frame=frame,
        time_s=time_s,
        interval_s=(float(times_s[moment.start_frame]), float(times_s[moment.end_frame])),
        probabilities_T=mixture,
        found=found,
        confidence=confidence(times_s.tolist(), mixture.tolist(), time_s),
        reason=why_this(meaning, moment, usable, times_s),
        moment=moment,
    )
