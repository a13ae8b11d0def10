"""Asking again about a short span around each boundary, and putting both distributions together.

The first answer places a boundary between the frames that the model saw, a quarter of a second apart at 4 a
second. A second question, about the two events that meet there, shows a span around it with more frames.
What it says moves probability within the span; how much lies inside stays as the first answer had it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Model,
    Posterior,
    Request,
    Sampling,
    Span,
    Task,
    Unparsed,
    UserError,
)
from kairoscope.events import Event, Events, Query, aligned, starts_s
from kairoscope.posteriors import mass_before, quantile_s
from kairoscope.video.clip import frame_times
from kairoscope.video.frames import spanned
from kairoscope.wrapping import Wrapping

MOST_FPS = 60.0
"""More than any robot's camera: all frames."""
CLIPS_AT_ONCE = 16
"""Clips that are asked about before their boundaries are."""
LEAST = 1e-9
"""Probability of a frame that the second answer rules out: it may be wrong."""
SAME_S = 0.005
EventTask = Task[Query, Events]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """How boundaries are asked about again."""

    half_width_s: float = 0.75
    """The span reaches so far to both sides of the first answer's median."""
    slow: float = 2.0
    """See `core.Span`. Slowed down, twice the policy's frames are shown at the pace that the model knows;
    at the clip's full rate and true pace, the built-in model is lost (benchmarks/results/refinement.md)."""
    full_rate: bool = False
    """All frames of the clip are shown; else those that the policy takes of the span as it is slowed."""
    weight: float = 1.0
    """Exponent of the second answer's probabilities: 0 leaves the first as it is."""
    least_inside: float = 0.8
    """Probability that the first answer gives the span, below which nothing is asked again: a model that
    does not know within a second cannot tell by frames."""

    @property
    def tag(self) -> str:
        """For the identity of a model whose answers are refined."""
        rate = "full" if self.full_rate else "policy"
        how = f"{self.half_width_s:g} s x{self.slow:g} {rate} w{self.weight:g}"
        return f"refined {how} from {self.least_inside:g}"

    def policy(self, policy: FramePolicy) -> FramePolicy:
        """Frames of a span."""
        return replace(policy, fps=MOST_FPS) if self.full_rate else policy


@dataclass(frozen=True, slots=True)
class _Asked:
    """A boundary that is asked about again."""

    place: int
    """Of the event that ends there, from 0."""
    span: Span
    times_s: tuple[float, ...]
    """Of the clip's frames."""

    def real_s(self, told_s: float) -> float:
        """A time of the second answer as a time of the clip."""
        first, _ = spanned(self.times_s, self.span)
        return self.times_s[first] + told_s / self.span.slow


def check_refinable(decoding: Decoding) -> None:
    """Raise UserError where answers come without distributions."""
    if decoding != "posterior":
        raise UserError(
            f"--refine needs --decoding posterior, not {decoding}: without distributions there is "
            "nothing to put together; annotate --trials takes the median of several answers"
        )


class Refined(Wrapping):
    """A model whose answers about events are refined. A `Model` like the one behind it."""

    def __init__(self, model: Model, task: EventTask, refinement: Refinement | None = None) -> None:
        """Ask `model` twice.

        Args:
            model: gives distributions (`posterior` decoding).
            task: of events, one after the other.
            refinement: how.
        """
        super().__init__(model)
        self.task = task
        self.refinement = refinement or Refinement()

    @property
    def identity(self) -> str:
        """Of the model, and how its answers are refined."""
        return f"{super().identity} {self.refinement.tag}"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. An answer without a distribution stays as it is.

        Raises:
            UserError: another decoding than `posterior`.
        """
        check_refinable(decoding)
        source = iter(requests)
        while chunk := {request.id: request for request in islice(source, CLIPS_AT_ONCE)}:
            answers = dict(self.model.answer(chunk.values(), sampling, decoding))
            asked = {
                (name, boundary.place): boundary
                for name, answer in answers.items()
                if not isinstance(answer, Failed)
                for boundary in self._boundaries(chunk[name], answer[0])
            }
            names = {f"{number}": key for number, key in enumerate(asked)}
            second = self.model.answer(
                (self._request(chunk[key[0]], asked[key], name) for name, key in names.items()),
                replace(sampling, trials=1, first_trial=0),
                decoding,
            )
            found = {names[name]: answer for name, answer in second}
            for name, answer in answers.items():
                yield name, self._refined(chunk[name], answer, asked, found)

    def _boundaries(self, request: Request, answer: Completion) -> Iterator[_Asked]:
        posteriors = {posterior.slot: posterior for posterior in answer.posteriors}
        if request.query is None or request.video is None or "end 1" not in posteriors:
            return
        times_s = frame_times(request.video)
        for place in range(len(request.query)):
            first = posteriors[f"end {place + 1}"]
            median_s, half_s = _median_s(first), self.refinement.half_width_s
            if _inside(first, median_s - half_s, median_s + half_s) < self.refinement.least_inside:
                continue
            span = Span(
                start_s=max(0.0, median_s - half_s),
                end_s=min(times_s[-1], median_s + half_s),
                slow=self.refinement.slow,
            )
            if len(spanned(times_s, span)[1]) > 1:
                yield _Asked(place, span, times_s)

    def _request(self, request: Request, boundary: _Asked, name: str) -> Request:
        """About the event that ends there and the one that begins."""
        query = request.query[boundary.place : boundary.place + 2]
        return replace(
            request,
            id=name,
            prompt=self.task.prompt(query),
            policy=self.refinement.policy(request.policy),
            template=partial(self.task.template, query),
            query=query,
            span=boundary.span,
        )

    def _refined(
        self,
        request: Request,
        answer: tuple[Completion, ...] | Failed,
        asked: dict[tuple[str, int], _Asked],
        found: dict[tuple[str, int], tuple[Completion, ...] | Failed],
    ) -> tuple[Completion, ...] | Failed:
        if isinstance(answer, Failed):
            return answer
        ends: dict[int, Posterior] = {}
        extra: list[Completion] = []
        posteriors = {posterior.slot: posterior for posterior in answer[0].posteriors}
        for place in range(len(request.query or ())):
            second = found.get((request.id, place))
            if second is None or isinstance(second, Failed):
                continue
            extra.append(second[0])
            first = posteriors[f"end {place + 1}"]
            again = next(p for p in second[0].posteriors if p.slot == "end 1")
            boundary = asked[request.id, place]
            told = [boundary.real_s(float(choice)) for choice in again.choices]
            ends[place] = combined(first, told, again.probabilities, self.refinement.weight)
        return tuple(self._written(request, one, ends, extra) for one in answer)

    def _written(
        self,
        request: Request,
        answer: Completion,
        ends: dict[int, Posterior],
        extra: Sequence[Completion],
    ) -> Completion:
        """The answer with its boundaries moved, and what the second questions cost."""
        parsed = self.task.parse(request.query, answer.text)
        if not ends or isinstance(parsed, Unparsed):
            return answer
        posteriors = {posterior.slot: posterior for posterior in answer.posteriors}
        events = moved(request.query, parsed, ends, posteriors)
        return replace(
            answer,
            text=self.task.render(request.query, events),
            posteriors=tuple(posteriors.values()),
            num_prompt_tokens=answer.num_prompt_tokens + sum(e.num_prompt_tokens for e in extra),
            num_vision_tokens=answer.num_vision_tokens + sum(e.num_vision_tokens for e in extra),
            num_new_tokens=answer.num_new_tokens + sum(e.num_new_tokens for e in extra),
            seconds=answer.seconds + sum(e.seconds for e in extra),
            stored=answer.stored and all(e.stored for e in extra),
        )


def moved(
    query: Query, parsed: Events, ends: dict[int, Posterior], posteriors: dict[str, Posterior]
) -> Events:
    """Events with refined ends; `posteriors` by slot are put in the place of the first ones.

    A start that the first answer had at the end before it goes with that end. Order is kept.
    """
    places = aligned(parsed, query)
    starts = iter(starts_s([event for event in places if event is not None]))
    events: list[Event] = []
    latest_s, before_s, before = 0.0, None, None
    for place, event in enumerate(places):
        if event is None:
            before_s = before = None
            continue
        start_s, end_s = next(starts), event.end_s
        refined = ends.get(place)
        if before is not None and before_s is not None and abs(start_s - before_s) <= SAME_S:
            start_s = _median_s(before)
            posteriors[f"start {place + 1}"] = replace(before, slot=f"start {place + 1}")
        before_s, before = end_s, refined
        if refined is not None:
            end_s = _median_s(refined)
            posteriors[refined.slot] = refined
        start_s = max(latest_s, start_s)
        end_s = max(start_s, end_s)
        latest_s = start_s
        events.append(Event(event.name, round(start_s, 2), round(end_s, 2), place + 1))
    return tuple(events)


def combined(
    first: Posterior, told_s: Sequence[float], second: Sequence[float], weight: float
) -> Posterior:
    """Both distributions as one, on the frames of the first outside the span and those shown inside.

    Args:
        first: of the whole clip.
        told_s: frame times of the span in s of the clip, rising.
        second: probability of each.
        weight: exponent of `second`.
    """
    times_s = [float(choice) for choice in first.choices]
    begin_s, end_s = told_s[0], told_s[-1]
    inside = [
        mass_before(times_s, first.probabilities, high_s)
        - mass_before(times_s, first.probabilities, low_s)
        for low_s, high_s in pairwise(_borders(told_s))
    ]
    weighted = [
        mass * max(again, LEAST) ** weight for mass, again in zip(inside, second, strict=True)
    ]
    scale = sum(inside) / sum(weighted) if sum(weighted) > 0 else 0.0
    rows = [(time_s, value * scale) for time_s, value in zip(told_s, weighted, strict=True)]
    cells = zip(times_s, pairwise(_borders(times_s)), first.probabilities, strict=True)
    for time_s, (low_s, high_s), p in cells:
        shown_s = max(0.0, min(high_s, end_s) - max(low_s, begin_s))
        left = p * (1 - shown_s / (high_s - low_s)) if high_s > low_s else 0.0
        if left > 0:
            # A frame that is shown may stand for a little time that is not.
            edge_s = begin_s if low_s < begin_s else end_s
            rows.append((edge_s if begin_s < time_s < end_s else time_s, left))
    masses: dict[str, float] = {}
    for time_s, value in sorted(rows):
        name = f"{time_s:.2f}"
        masses[name] = masses.get(name, 0.0) + value
    whole = sum(masses.values())
    return Posterior(
        slot=first.slot,
        choices=tuple(masses),
        probabilities=tuple(value / whole for value in masses.values()),
    )


def _borders(times_s: Sequence[float]) -> list[float]:
    """Of the cells that frames stand for; see `posteriors`."""
    return [times_s[0], *((a + b) / 2 for a, b in pairwise(times_s)), times_s[-1]]


def _median_s(posterior: Posterior) -> float:
    times_s = [float(choice) for choice in posterior.choices]
    return quantile_s(times_s, posterior.probabilities, 0.5)


def _inside(posterior: Posterior, begin_s: float, end_s: float) -> float:
    times_s = [float(choice) for choice in posterior.choices]
    late, early = (mass_before(times_s, posterior.probabilities, t) for t in (end_s, begin_s))
    return late - early
