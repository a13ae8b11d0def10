"""Several answers about the same clip as one: the median of each boundary, and how they scatter.

For engines that give no distribution. Where every answer comes with one, given what it wrote before, their
mean stands for the scatter instead: it is what counting would come to with many more answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Model,
    Posterior,
    Request,
    Sampling,
    Task,
    Unparsed,
    UserError,
)
from kairoscope.events import Event, Events, Query, aligned, nearest, starts_s, time_grid
from kairoscope.wrapping import Wrapping

EventTask = Task[Query, Events]
ENOUGH = 0.5
"""Share of the answers that must name an event."""


def check_drawn(decoding: Decoding, sampling: Sampling) -> None:
    """Raise UserError where several trials would all be the same."""
    if decoding == "posterior":
        raise UserError(
            "--trials needs --decoding constrained or free: posterior answers are not drawn, and "
            "say how sure they are without"
        )
    if sampling.temperature == 0:
        raise UserError(
            f"{sampling.trials} trials at temperature 0 are {sampling.trials} times the same "
            "answer; give --temperature, such as 0.7"
        )


class Median(Wrapping):
    """A model that is asked several times and answers once. A `Model` like the one behind it."""

    def __init__(self, model: Model, task: EventTask, sampling: Sampling) -> None:
        """Ask `model` for `sampling.trials` answers about every clip, whatever it is called with."""
        super().__init__(model)
        self.task = task
        self.sampling = sampling

    @property
    def identity(self) -> str:
        """Of the model, and how it is asked."""
        how = self.sampling
        drawn = f"T{how.temperature:g} top_p{how.top_p:g} seed{how.seed}"
        return f"{super().identity} median of {how.trials} {drawn}"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. One answer a clip.

        Raises:
            UserError: nothing is drawn, so that all answers would be the same.
        """
        check_drawn(decoding, self.sampling)
        queries: dict[str, Query] = {}

        def noted() -> Iterator[Request]:
            for request in requests:
                queries[request.id] = request.query
                yield request

        own = replace(self.sampling, max_new_tokens=sampling.max_new_tokens)
        for name, answer in self.model.answer(noted(), own, decoding):
            query = queries.pop(name)
            if isinstance(answer, Failed):
                yield name, answer
            else:
                yield name, (summed_up(self.task, query, answer),)


def summed_up(task: EventTask, query: Query, answers: Sequence[Completion]) -> Completion:
    """One answer that stands for all, with a distribution for each boundary.

    Where too few of them can be read, one that cannot. An event that less than half of them name is
    left out.
    """
    found: list[tuple[tuple[Event | None, ...], tuple[float, ...], Completion]] = []
    for answer in answers:
        parsed = task.parse(query, answer.text)
        if not isinstance(parsed, Unparsed):
            places = aligned(parsed, query)
            starts = iter(starts_s([event for event in places if event is not None]))
            begun = tuple(next(starts) if event is not None else 0.0 for event in places)
            found.append((places, begun, answer))
    read = {id(answer) for _, _, answer in found}
    if len(found) < ENOUGH * len(answers):
        return _costing(next(a for a in answers if id(a) not in read), answers)
    events: list[Event] = []
    posteriors: list[Posterior] = []
    for place, name in enumerate(query):
        own = [
            (begun[place], event.end_s, answer)
            for places, begun, answer in found
            if (event := places[place]) is not None
        ]
        if len(own) < ENOUGH * len(answers):
            continue
        givers = [answer for _, _, answer in own]
        starts_at, ends_at = [start for start, _, _ in own], [end for _, end, _ in own]
        events.append(Event(name, median(starts_at), median(ends_at), place + 1))
        posteriors.append(_distribution(f"start {place + 1}", starts_at, givers))
        posteriors.append(_distribution(f"end {place + 1}", ends_at, givers))
    text = task.render(query, _in_order(events))
    return _costing(replace(answers[0], text=text, posteriors=tuple(posteriors)), answers)


def _in_order(events: Sequence[Event]) -> Events:
    """The same with starts that never go back, on hundredths: medians of each need not keep order."""
    latest_s, placed = 0.0, []
    for event in events:
        latest_s = max(latest_s, round(event.start_s or 0.0, 2))
        end_s = max(latest_s, round(event.end_s, 2))
        placed.append(replace(event, start_s=latest_s, end_s=end_s))
    return tuple(placed)


def _distribution(slot: str, moments_s: Sequence[float], givers: Sequence[Completion]) -> Posterior:
    """Of a boundary: the mean of the answers' own distributions, else each moment on its nearest frame."""
    own = [next((p for p in giver.posteriors if p.slot == slot), None) for giver in givers]
    whole = [posterior for posterior in own if posterior is not None]
    if len(whole) == len(own) and len({posterior.choices for posterior in whole}) == 1:
        columns = zip(*(posterior.probabilities for posterior in whole), strict=True)
        return replace(
            whole[0], probabilities=tuple(sum(column) / len(whole) for column in columns)
        )
    choices = time_grid(givers[0].frame_times_s)
    grid = [float(choice) for choice in choices]
    counts = [0] * len(grid)
    for moment_s in moments_s:
        counts[nearest(grid, moment_s)] += 1
    return Posterior(
        slot=slot, choices=choices, probabilities=tuple(c / len(moments_s) for c in counts)
    )


def _costing(one: Completion, answers: Sequence[Completion]) -> Completion:
    """`one`, with what all of them took."""
    return replace(
        one,
        trial=0,
        num_new_tokens=sum(answer.num_new_tokens for answer in answers),
        seconds=sum(answer.seconds for answer in answers),
        stored=all(answer.stored for answer in answers),
    )
