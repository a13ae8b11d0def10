"""Training data from one or several places, each with a weight."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kairoscope.core import Load, Sample, UserError
from kairoscope.data.conversations import COLUMN
from kairoscope.data.rows import Problem
from kairoscope.data.sources import load_samples
from kairoscope.train.mixing import Mix


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder, label file or dataset, and how often each of its samples comes an epoch."""

    path: Path
    weight: float = 1.0
    column: str = COLUMN
    """Of a dataset: where the conversations are."""
    split: str | None = None
    """Of a dataset that has several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Samples of all sources, what is wrong with other rows, and who comes from where."""

    samples: list[Sample[Any, Any]]
    problems: list[Problem]
    mix: Mix


def parse_source(text: str) -> Source:
    """`PATH` or `PATH=WEIGHT`; what is there as a whole is a path, `=` or not.

    Raises:
        UserError: the weight is no number above 0.
    """
    path, sign, number = text.rpartition("=")
    if not sign or Path(text).exists():
        return Source(path=Path(text))
    try:
        weight = float(number)
    except ValueError as error:
        raise UserError(f"--data {text}: weight {number!r}; allowed: a number above 0") from error
    return Source(path=Path(path), weight=_checked(weight, f"--data {text}"))


def sources_from_table(table: Mapping[str, Any], where: str) -> tuple[Source, ...]:
    """Sources of a table `[data]`: path -> weight. Raises UserError for what is no weight."""
    for path, weight in table.items():
        if type(weight) not in (int, float):
            raise UserError(f"{where}: {path} = {weight!r}; allowed: a number above 0")
    return tuple(
        Source(path=Path(path), weight=_checked(float(weight), f"{where}: {path}"))
        for path, weight in table.items()
    )


def _checked(weight: float, where: str) -> float:
    if not 0 < weight < 1e6:
        raise UserError(f"{where}: weight {weight:g}; allowed: a number above 0")
    return weight


def load_sources(sources: Sequence[Source], load: Load = load_samples) -> Loaded:
    """Everything that is there, read by a task's `load`; by default, labels are times of events.

    Of several sources, samples are known by source and id. Groups keep their names: a recording that two
    sources have stays on one side of a split.

    Raises:
        UserError: a source twice, or what the readers raise.
    """
    twice = [path for path, n in Counter(s.path.resolve() for s in sources).items() if n > 1]
    if twice:
        raise UserError(f"--data {twice[0]}: is given twice; give it once, with a weight")
    problems: list[Problem] = []
    samples: list[Sample[Any, Any]] = []
    source_of: dict[str, str] = {}
    names = _names(sources)
    for source, name in zip(sources, names, strict=True):
        found = _load(source, load, problems)
        if len(sources) > 1:
            found = [replace(sample, id=f"{name}/{sample.id}") for sample in found]
            source_of |= {sample.id: name for sample in found}
        samples += found
    weights = {name: source.weight for source, name in zip(sources, names, strict=True)}
    if len(sources) == 1:
        source_of = {sample.id: names[0] for sample in samples}
        weights = {names[0]: sources[0].weight} if sources[0].weight != 1 else {}
    return Loaded(samples=samples, problems=problems, mix=Mix(source_of=source_of, weights=weights))


def _load(source: Source, load: Load, problems: list[Problem]) -> list[Sample[Any, Any]]:
    return [*load(source.path, problems, column=source.column, split=source.split)]


def _names(sources: Sequence[Source]) -> list[str]:
    """What sources are called: the last part of the path where that tells them apart."""
    last = Counter(source.path.resolve().name for source in sources)
    return [
        source.path.resolve().name
        if last[source.path.resolve().name] == 1
        else source.path.as_posix()
        for source in sources
    ]
