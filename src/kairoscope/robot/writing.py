"""Writing subtask ends into an HDF5 file: the whole new file or the old one, never half of one.

Nothing is written before everything has been checked, and nothing at all where the file already
says what it should. A label that Kairoscope did not make is never replaced unless that is asked for
by name; a demonstration that cannot be written is left as it was and listed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.hdf5 import DATA, Demonstration, demonstration, in_order, opened
from kairoscope.robot.legality import TaskSpec, nearest_legal, violations
from kairoscope.robot.replacing import check_writable, replacing, sweep
from kairoscope.robot.termination import (
    CONFIDENCE,
    MADE_BY,
    Signal,
    SignalPlace,
    change_end,
    label_ends,
    signal_T,
    signals_of,
)

Boundaries = Mapping[str, Mapping[str, int]]
"""Demonstration -> signal -> exclusive end in frames, as `legality` counts them."""
Confidences = Mapping[str, Mapping[str, float]]
"""Demonstration -> signal -> probability that its end is within 0.25 s of the truth."""
Maker = Literal["human", "kairoscope"]
Complete = Callable[[Demonstration], Mapping[str, NDArray[Any]]]
"""Datasets that the reader needs beside the signals and that are not there yet, by path. Raises
UnreadableEpisode where they cannot be had."""


_OVERHEAD = 8192
"""More bytes than a new dataset or group takes beside its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """What became of the demonstrations that had boundaries."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    """Said already what was to be written."""
    problems: tuple[tuple[str, str], ...]
    """(demonstration, reason) of each that was left as it was."""
    notes: tuple[str, ...] = ()
    """What is odd about the file as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be written and how."""

    place: SignalPlace
    specs: tuple[TaskSpec, ...]
    """One for each arm; a demonstration's boundaries name every signal of each."""
    complete: Complete
    overwrite: bool
    labelled_by: Maker
    confidences: Confidences = field(default_factory=dict)
    """Of ends that Kairoscope found; what is not known is not written."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a signal has to say."""

    end: int
    maker: Maker | None
    """None: nobody says who made it."""
    confidence: float | None = None


def write(source: Path, target: Path, boundaries: Boundaries, job: Job) -> WriteReport:
    """Bring `target`, a copy of `source` or `source` itself, to say what `boundaries` say.

    A target that exists is gone on with, so that labels made in it by hand are kept.

    Raises UserError where a file cannot be opened or written, or the target is another dataset.
    """
    sweep(target)
    base = target if target.exists() else source
    if target.exists():
        check_writable(target)
    with opened(base) as file:
        plan, problems, room = _plan(file, base, boundaries, job)
        if base == target and not source.samefile(target):
            with opened(source) as original:
                problems = _stale(file, target, original, source, job) | problems
    changed = {demo: signals for demo, signals in plan.items() if demo not in problems}
    written = [demo for demo, signals in changed.items() if signals is not None]
    if written or base != target:
        with replacing(base, target, room) as copy, opened(copy, "r+") as file:
            for demo in written:
                _apply(demonstration(file, copy, demo), changed[demo] or {}, job)
    return WriteReport(
        written=tuple(written),
        unchanged=tuple(demo for demo, signals in changed.items() if signals is None),
        problems=tuple(problems.items()),
    )


def target_of(source: Path, out: Path | None, *, in_place: bool) -> Path:
    """Which file is written. Raises UserError where the arguments contradict each other."""
    if not source.exists():
        raise UserError(f"{source}: no such file")
    same = out is not None and out.exists() and out.samefile(source)
    if in_place and (out is None or same):
        return source.resolve()
    if in_place or out is None:
        raise UserError(f"{source}: give either an output file or in_place, got {out}")
    if same:
        raise UserError(f"{out}: is the source; to change the source itself ask for in_place")
    return out.resolve()


def _plan(
    file: Any, path: Path, boundaries: Boundaries, job: Job
) -> tuple[dict[str, dict[str, Written] | None], dict[str, str], int]:
    """(signals to write by demonstration, None where there is nothing to do; problems; bytes)."""
    plan: dict[str, dict[str, Written] | None] = {}
    problems: dict[str, str] = {}
    room = 0
    for demo in in_order(list(boundaries)):
        try:
            found = demonstration(file, path, demo)
            signals = _wanted(found, boundaries[demo], job.confidences.get(demo, {}), job)
            lacking = job.complete(found)
        except UnreadableEpisode as error:
            problems[demo] = str(error)
        else:
            plan[demo] = signals if signals or lacking else None
            room += sum(values.nbytes for values in lacking.values())
            room += 8 * found.num_frames * len(signals)
            room += _OVERHEAD * (1 + len(signals) + len(lacking))
    return plan, problems, room


def _wanted(
    demo: Demonstration, ends: Mapping[str, int], sure: Mapping[str, float], job: Job
) -> dict[str, Written]:
    """What each signal has to say that does not say it yet.

    Raises UnreadableEpisode for ends that are not legal and for labels that have to be kept.
    """
    _check_legal(ends, job.specs, demo)
    found = signals_of(demo, job.place)
    wanted: dict[str, Written] = {}
    for spec in job.specs:
        own = {name: values for name, values in found.items() if name in spec.signals}
        labelled = label_ends(own, job.place, spec)
        previous = 0
        for name in spec.signals:
            end, label = ends[name], labelled.get(name)
            new = Written(end, job.labelled_by, sure.get(name))
            if label is None:  # absent, or it never changes and so labels nothing
                wanted[name] = new
            elif label != end:
                if found[name].made_by != "kairoscope" and not job.overwrite:
                    raise UnreadableEpisode(
                        f"{demo.where}: {name!r} ends at {label} by a label that Kairoscope did not "
                        f"make, would end at {end}: kept; pass overwrite=True to replace it"
                    )
                wanted[name] = new
            elif (mended := _agreeing(new, found[name], previous, job)) is not None:
                wanted[name] = mended
            previous = end if job.place.after_previous else 0
    return wanted


def _agreeing(new: Written, signal: Signal, previous: int, job: Job) -> Written | None:
    """What is left to say by a signal that ends where it should; None where it is nothing."""
    if job.labelled_by == "human" and signal.made_by == "kairoscope":
        return new
    maker = None if signal.made_by == "unknown" else signal.made_by
    is_ours = maker == "kairoscope" == job.labelled_by and new.confidence is not None
    mended = Written(new.end, maker, new.confidence if is_ours else signal.confidence)
    reader_agrees = change_end(signal.values_T, previous, rises_only=False) == new.end
    is_readable = reader_agrees and (job.place.may_be_bool or not signal.is_bool)
    return None if is_readable and mended.confidence == signal.confidence else mended


def _check_legal(ends: Mapping[str, int], specs: Sequence[TaskSpec], demo: Demonstration) -> None:
    """Raises UnreadableEpisode, in words, where generation could not start from these ends."""
    names = [name for spec in specs for name in spec.signals]
    found = [f"no end for {name!r}" for name in names if name not in ends]
    found += [f"no signal {name!r} in {names}" for name in ends if name not in names]
    for spec in specs if not found else ():
        own = [ends[name] for name in spec.signals]
        if wrong := violations(own, spec, demo.num_frames):
            nearest = nearest_legal(own, spec, demo.num_frames)
            found += [*wrong, f"nearest legal ends: {list(nearest) if nearest else 'none'}"]
    if found:
        raise UnreadableEpisode(f"{demo.where}: {'; '.join(found)}")


def _stale(file: Any, target: Path, original: Any, source: Path, job: Job) -> dict[str, str]:
    """Demonstrations that somebody has labelled in the source since the target was made.

    Raises UserError where the target holds other demonstrations than the source.
    """
    here, there = set(file.get(DATA) or ()), set(original.get(DATA) or ())
    if here != there:
        odd = ", ".join(in_order(list(here ^ there))[:5])
        raise UserError(
            f"{target}: exists and is not a copy of {source} (only one of them has {odd}); "
            "choose another file or remove it"
        )
    problems = {}
    for demo in in_order(list(there)):
        try:
            first, copied = demonstration(original, source, demo), demonstration(file, target, demo)
            if first.num_frames != copied.num_frames:
                raise UserError(
                    f"{target}: exists and is not a copy of {source} ({demo} has another length); "
                    "choose another file or remove it"
                )
            new = _kept(first, job) - _kept(copied, job)
        except UnreadableEpisode:
            continue  # listed already, or not to be written
        if new and not job.overwrite:
            problems[demo] = (
                f"{target}: {demo}: {source} has a label that Kairoscope did not make for "
                f"{', '.join(sorted(new))}, which is not in this copy: remove it and write again"
            )
    return problems


def _kept(demo: Demonstration, job: Job) -> set[str]:
    """Signals with a label that Kairoscope did not make."""
    signals = signals_of(demo, job.place)
    return {
        name
        for name, end in label_ends(signals, job.place, None).items()
        if end is not None and signals[name].made_by != "kairoscope"
    }


def _apply(demo: Demonstration, signals: Mapping[str, Written], job: Job) -> None:
    """Write what one demonstration lacks."""
    for name, values in job.complete(demo).items():
        demo.group.create_dataset(name, data=values)
    folder = demo.group.require_group(job.place.group)
    for name, said in signals.items():
        if name in folder:
            del folder[name]
        folder.create_dataset(name, data=signal_T(said.end, demo.num_frames, job.place.dtype))
        if said.maker is not None:
            folder[name].attrs[MADE_BY] = said.maker
        if said.confidence is not None:
            folder[name].attrs[CONFIDENCE] = said.confidence
