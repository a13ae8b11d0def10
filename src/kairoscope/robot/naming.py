"""Which event ends which subtask termination signal of an HDF5 file. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kairoscope.core import UserError
from kairoscope.events import Event, Events, Query, normalised
from kairoscope.robot.episode import Dataset
from kairoscope.robot.legality import TaskSpec

HDF5_FORMATS = ("mimicgen", "isaaclab")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlan:
    """What an HDF5 file is to hold for a task's events."""

    spec: TaskSpec
    """Signals in order, with the offsets that generation adds."""
    signals: Mapping[str, str]
    """Event -> signal that its end sets. An event without one is not in it."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """Signal -> the arm whose subtask it ends; empty: one arm does them all."""
    notes: tuple[str, ...] = ()
    """What was assumed, in words."""

    @property
    def specs(self) -> tuple[TaskSpec, ...]:
        """One for each arm, in the order in which they are first named."""
        if len(set(self.arms.values())) < 2:
            return (self.spec,)
        offsets = dict(zip(self.spec.signals, self.spec.offsets, strict=True))
        found = []
        for arm in dict.fromkeys(self.arms[signal] for signal in self.spec.signals):
            own = tuple(s for s in self.spec.signals if self.arms[s] == arm)
            ranges = tuple(offsets[signal] for signal in own)
            found.append(TaskSpec(name=f"{self.spec.name}, {arm}", signals=own, offsets=ranges))
        return tuple(found)

    def events_named(self, events: Events) -> Events:
        """Events under the names of signals -> under the names of the task's events."""
        names = {signal: event for event, signal in self.signals.items()}
        return tuple(Event(names.get(e.name, e.name), e.start_s, e.end_s) for e in events)


def signal_plan(
    dataset: Dataset,
    events: Query,
    *,
    signals: Sequence[str] = (),
    offsets: Sequence[tuple[int, int]] = (),
    arms: Sequence[str] = (),
) -> SignalPlan | None:
    """The plan of a dataset for a task; None for formats that keep events under their own names.

    Args:
        dataset: opened.
        events: of the task, in order.
        signals: one for each event, "" for none; empty: by what is known of the environment, in
            order, or by equal names; in an environment that nobody knows, the events' own names.
        offsets: one range for each signal; empty: those of the environment, else 0.
        arms: which arm does each event; empty: one does them all. MimicGen has one.

    Raises UserError where the events cannot be the signals that the environment needs.
    """
    if dataset.format not in HDF5_FORMATS:
        return None
    known: TaskSpec | None = getattr(dataset, "spec", None)
    if signals:
        named = {event: s for event, s in zip(events, signals, strict=True) if s}
    elif known is not None:
        named = _by_environment(dataset, events, known)
    else:
        named = {event: _slug(event) for event in events}
    ranges = _ranges(named, known, offsets)
    notes = []
    if known is None and not offsets:
        notes.append(
            "its environment is not known: ends are legal for offsets of 0 only; a task file with "
            "signals and offsets says what generation really adds"
        )
    if known is not None and tuple(named.values()) != known.signals:
        raise UserError(
            f"{dataset.path}: generation of {known.name} needs {', '.join(known.signals)} in this "
            f"order; the task's events end {', '.join(named.values()) or 'none'}"
        )
    name = known.name if known is not None else "task"
    spec = TaskSpec(name=name, signals=tuple(named.values()), offsets=ranges)
    if len(set(arms)) > 1 and dataset.format == "mimicgen":
        raise UserError(
            f"{dataset.path}: MimicGen's files are of one arm; the task names "
            f"{', '.join(dict.fromkeys(arms))}"
        )
    of_signals = {named[e]: arm for e, arm in zip(events, arms, strict=False) if e in named}
    return SignalPlan(spec=spec, signals=named, arms=of_signals, notes=tuple(notes))


def _by_environment(dataset: Dataset, events: Query, spec: TaskSpec) -> dict[str, str]:
    alike = {normalised(signal): signal for signal in spec.signals}
    named = {event: alike[normalised(event)] for event in events if normalised(event) in alike}
    if len(named) == len(spec.signals):
        return named
    if len(events) - len(spec.signals) in (0, 1):  # the last subtask ends with the demonstration
        return dict(zip(events, spec.signals, strict=False))
    raise UserError(
        f"{dataset.path}: generation of {spec.name} needs the ends of {', '.join(spec.signals)}, "
        f"the task has {len(events)} events ({', '.join(events)}): say in the task file which is "
        'which, as signals = ["grasp", ""]'
    )


def _ranges(
    named: Mapping[str, str], known: TaskSpec | None, offsets: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    if offsets:
        return tuple(offsets)
    of_known = dict(zip(known.signals, known.offsets, strict=True)) if known else {}
    return tuple(of_known.get(signal, (0, 0)) for signal in named.values())


def _slug(event: str) -> str:
    return re.sub(r"\W+", "_", event.strip().lower()).strip("_") or "event"
