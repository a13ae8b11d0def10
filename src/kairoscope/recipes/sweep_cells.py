"""The cells of a sweep: every combination of several values of some settings. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import product
from pathlib import PurePath
from typing import Any

from kairoscope.config import EvalConfig
from kairoscope.core import FramePolicy, Sampling, UserError
from kairoscope.settings import changed

Axes = Mapping[str, Sequence[Any]]
"""Setting -> the values that it is to have, one or more."""
FRAMES = tuple(field.name for field in fields(FramePolicy))
SAMPLING = tuple(field.name for field in fields(Sampling) if field.name != "first_trial")
EVALUATION = tuple(
    field.name
    for field in fields(EvalConfig)
    if field.name not in ("sampling", "bootstrap_draws", "wrong_video_control")
)
MODEL = "model"
REFINE = "refine"
ALLOWED = (MODEL, REFINE, *FRAMES, *SAMPLING, *EVALUATION)
UNUSED_BY_POSTERIOR = ("trials", "temperature", "top_p", "seed")
"""Settings that make no difference to answers which are medians of distributions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination: an evaluation like any other."""

    values: Mapping[str, Any]
    """Of the settings that differ between cells, in the order in which they were given."""
    model: str
    """As `--model` has it."""
    config: EvalConfig
    frames: Mapping[str, Any]
    """Changes to the model's frame policy."""
    refine: bool = False
    """Ask again about a short span around each boundary."""

    @property
    def name(self) -> str:
        """For people: `fps 4, temperature 0.6`."""
        return ", ".join(f"{name} {_word(value)}" for name, value in self.values.items())

    @property
    def folder(self) -> str:
        """Of its run, below the sweep's: the same for the same values, whatever else is asked."""
        return "_".join(f"{name}-{_file_word(value)}" for name, value in self.values.items())


def cells_of(axes: Axes, *, config: EvalConfig, frames: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Every combination, the model changing last of all, so that each is loaded once.

    Args:
        axes: with at least one `model`.
        config: what holds for the settings that are no axis.
        frames: changes to the frame policy that hold for all.

    Raises:
        UserError: a setting that there is not, a value that it may not have, or one given twice.
    """
    for name, values in axes.items():
        _check(name, values)
    names = [MODEL, *(name for name in axes if name != MODEL)]
    cells = []
    for combination in product(*(axes[name] for name in names)):
        chosen = dict(zip(names, combination, strict=True))
        sampling = {name: value for name, value in chosen.items() if name in SAMPLING}
        asked = {name: value for name, value in chosen.items() if name in EVALUATION}
        own = {name: value for name, value in chosen.items() if name in FRAMES}
        cells.append(
            Cell(
                values={name: chosen[name] for name in axes if len(axes[name]) > 1},
                model=str(chosen[MODEL]),
                config=changed(config, {**asked, "sampling": sampling}, "sweep"),
                frames={**frames, **own},
                refine=chosen.get(REFINE, False),
            )
        )
    return tuple(cells)


def _check(name: str, values: Sequence[Any]) -> None:
    where = f"--{name}" if name == MODEL else name
    if name not in ALLOWED:
        raise UserError(f"unknown setting {name!r}; allowed: {', '.join(ALLOWED)}")
    if not values:
        raise UserError(f"{where}: no value")
    twice = [value for value, count in Counter(map(repr, values)).items() if count > 1]
    if twice:
        raise UserError(f"{where}: {twice[0]} is given twice")
    for value in values:
        if name == REFINE and not isinstance(value, bool):
            raise UserError(f"refine is {value!r}; allowed: true or false")
        if name in FRAMES:
            changed(FramePolicy(), {name: value}, "frames")


def alike(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Settings that differ between cells whose answers are not drawn, and so are the same."""
    medians = [cell for cell in cells if cell.config.decoding == "posterior"]
    return tuple(
        name
        for name in UNUSED_BY_POSTERIOR
        if len({repr(cell.values[name]) for cell in medians if name in cell.values}) > 1
    )


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _file_word(value: Any) -> str:
    """A value as part of a file name; what cannot stand there is told apart by a digest."""
    word = _word(value)
    plain = re.sub(r"[^A-Za-z0-9.+-]+", "-", PurePath(word).name).strip(".-")
    if plain == word:
        return word
    return f"{plain[-40:]}-{sha256(word.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
