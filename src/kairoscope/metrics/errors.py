"""How far one answer is from the truth, boundary by boundary. Pure arithmetic.

Every error exists twice: `error_s`, which a missing answer takes at the worst value possible in
that clip, and `answered_error_s`, which a missing answer does not have. The first makes the
scores of all answers, the second the survivors-only figures that the recipes publish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from kairoscope.core import Unparsed
from kairoscope.events import Event, Events, Query, aligned, gold_places, normalised, starts_s

HIT_SHARE = 0.3
"""An end counts as hit within this share of the event's length: beyond it, the generation of
trajectories from the boundaries slows down sharply (the recipe's own criterion)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One start or end: its error in s, and the time that a relative error is measured against."""

    error_s: float
    """At most the largest error that any time inside the clip could have; that for no answer."""
    answered_error_s: float | None
    """|answer - truth|, without a limit; None where there is no answer."""
    interval_s: float | None
    """Time since the ground-truth boundary of the same kind before it; None where that is 0."""

    @property
    def relative_percent(self) -> float | None:
        """`error_s` in percent of `interval_s`."""
        return None if self.interval_s is None else 100 * self.error_s / self.interval_s

    @property
    def answered_relative_percent(self) -> float | None:
        """`answered_error_s` in percent of `interval_s`."""
        if self.interval_s is None or self.answered_error_s is None:
            return None
        return 100 * self.answered_error_s / self.interval_s


@dataclass(frozen=True, slots=True, kw_only=True)
class EventErrors:
    """One ground-truth event and what the answer made of it."""

    end: Boundary
    start: Boundary | None
    """None where the truth gives no start."""
    tiou: float
    """Temporal intersection over union with the true interval, 0 to 1; 0 for no answer."""
    hit: bool
    answered: bool
    """The answer gives times for this event."""
    named: bool
    """The answer gives times for this event and calls it by its name."""


def event_errors(
    answer: Events | Unparsed, gold: Events, query: Query, duration_s: float | None
) -> tuple[EventErrors, ...]:
    """The errors of one answer, one entry for each ground-truth event in the query's order.

    An answer past the end of a clip counts as the worst inside it. Where `duration_s` is None or
    0 (not known), the last time of the truth stands for it as regards missing answers, and other
    errors have no limit. Raises ValueError where the truth has an event that was not asked for.
    """
    truth = gold_places(gold, query)
    given = (None,) * len(query) if isinstance(answer, Unparsed) else aligned(answer, query)
    given_starts = _starts(given)
    asked = [place for place, event in enumerate(truth) if event is not None]
    events = [event for event in truth if event is not None]
    last_s = max((event.end_s for event in events), default=0.0)
    clip = Clip(
        starts_s=starts_s(events),
        events=events,
        duration_s=max(duration_s or 0.0, last_s),
        limited=bool(duration_s),
    )
    return tuple(
        _one(clip, index, given[place], given_starts[place], query[place])
        for index, place in enumerate(asked)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The truth about one clip."""

    events: Sequence[Event]
    starts_s: Sequence[float]
    duration_s: float
    limited: bool
    """Whether the duration is known, so that errors have a limit."""


def _one(
    clip: Clip, index: int, given: Event | None, given_start_s: float, name: str
) -> EventErrors:
    truth, start_s = clip.events[index], clip.starts_s[index]
    length_s = truth.end_s - start_s
    since_s = truth.end_s - (clip.events[index - 1].end_s if index else 0.0)
    answer_s = None if given is None else given.end_s
    end = _boundary(clip, truth.end_s, answer_s, (since_s, length_s))
    start = None
    if truth.start_s is not None:
        # The first start has no start before it, and is often 0: its event's length stands in.
        since_s = start_s - clip.starts_s[index - 1] if index else length_s
        answer_s = None if given is None else given_start_s
        start = _boundary(clip, start_s, answer_s, (since_s, length_s))
    if given is None:
        return EventErrors(end=end, start=start, tiou=0.0, hit=False, answered=False, named=False)
    return EventErrors(
        end=end,
        start=start,
        tiou=tiou((given_start_s, given.end_s), (start_s, truth.end_s)),
        hit=end.answered_error_s == 0 or end.error_s < HIT_SHARE * length_s,
        answered=True,
        named=normalised(given.name) == normalised(name),
    )


def tiou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Temporal intersection over union of two (start, end) in s, 0 to 1.

    Two equal intervals of length 0 count as 1, so that the truth always scores 1.
    """
    union = max(a[1], b[1]) - min(a[0], b[0])
    if union <= 0:
        return float(a == b)
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / union


def worst_error_s(truth_s: float, duration_s: float) -> float:
    """The largest error that any time from 0 to `duration_s` could have."""
    return max(truth_s, duration_s - truth_s)


def _boundary(
    clip: Clip, truth_s: float, answer_s: float | None, intervals_s: Sequence[float]
) -> Boundary:
    worst_s = worst_error_s(truth_s, clip.duration_s)
    given_s = None if answer_s is None else abs(answer_s - truth_s)
    error_s = worst_s if given_s is None else given_s
    return Boundary(
        error_s=min(error_s, worst_s) if clip.limited else error_s,
        answered_error_s=given_s,
        interval_s=next((interval_s for interval_s in intervals_s if interval_s > 0), None),
    )


def _starts(given: Sequence[Event | None]) -> list[float]:
    """Start of each answered event; one that was not said is the end of the event before it."""
    starts: list[float] = []
    previous_end_s = 0.0
    for event in given:
        said = None if event is None else event.start_s
        end_s = previous_end_s if event is None else event.end_s
        starts.append(min(previous_end_s, end_s) if said is None else said)
        previous_end_s = end_s
    return starts


def answer_scores(errors: Sequence[EventErrors]) -> dict[str, float]:
    """The scores of one answer: means over its events, failures at their worst.

    Keys: `mae_s`, `mre_percent` (both of the ends), `tiou`, `hit`, `events_found` (0 to 1).
    Raises ValueError for no event.
    """
    if not errors:
        raise ValueError("no ground-truth event to score")
    relative = [p for e in errors if (p := e.end.relative_percent) is not None]
    return {
        "mae_s": fmean(e.end.error_s for e in errors),
        "mre_percent": fmean(relative) if relative else 0.0,
        "tiou": fmean(e.tiou for e in errors),
        "hit": fmean(e.hit for e in errors),
        "events_found": fmean(e.named for e in errors),
    }
