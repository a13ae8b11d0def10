"""Open a robot dataset of any known format; a new format is one entry of `FORMATS`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py

from kairoscope.core import UserError
from kairoscope.robot import hdf5
from kairoscope.robot.episode import Dataset, UnreadableEpisode
from kairoscope.robot.isaaclab import open_isaaclab
from kairoscope.robot.mimicgen import open_mimicgen


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a format is recognised and opened."""

    recognises: Callable[[Path], bool]
    """Raises UserError for a file that cannot be looked into."""
    open: Callable[[Path, float | None], Dataset]
    """(path, frames a second or None) -> dataset. Raises UserError."""
    layout: str
    """What it looks like, for the message where nothing fits."""


def open_dataset(path: Path, *, fps: float | None = None) -> Dataset:
    """Open what a robot recorded.

    Args:
        path: an HDF5 file of robomimic, MimicGen or Isaac Lab, or a folder of a known format.
        fps: frames a second, for files that do not record it; None: as recorded or, with a note,
            assumed.

    Raises UserError that names what was found where no format fits or the file cannot be opened.
    """
    for entry in FORMATS.values():
        if entry.recognises(path):
            return entry.open(path, fps)
    known = "; ".join(f"{name}: {entry.layout}" for name, entry in FORMATS.items())
    raise UserError(f"{path}: no known robot dataset; it holds {_contents(path)}. Known: {known}")


def _demonstration(path: Path) -> Mapping[str, bool]:
    """Names in the first demonstration with actions, or with anything -> whether each is a group.

    Empty where there is none.
    """
    first: dict[str, bool] = {}
    if path.is_dir():
        return first
    with hdf5.opened(path) as file:
        data = file.get(hdf5.DATA)
        for name in hdf5.in_order(list(data)) if isinstance(data, h5py.Group) else ():
            with suppress(UnreadableEpisode), hdf5.damage_named(name):
                group = data[name]
                if not isinstance(group, h5py.Group):
                    continue
                names = (*group, "obs/datagen_info", "states/rigid_object")
                found = {n: isinstance(group.get(n), h5py.Group) for n in names if n in group}
                first = first or found
                if "actions" in found:
                    return found
    return first


def _is_isaaclab(path: Path) -> bool:
    demo = _demonstration(path)
    marks = ("initial_state", "obs/datagen_info", "states/rigid_object")
    return "actions" in demo and any(demo.get(mark, False) for mark in marks)


def _is_mimicgen(path: Path) -> bool:
    demo = _demonstration(path)
    return "actions" in demo and any(name in demo for name in ("states", "obs", "datagen_info"))


def _contents(path: Path) -> str:
    """What is there instead, in words."""
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
    else:
        with hdf5.opened(path) as file:
            names = sorted(file)
        if hdf5.DATA in names and (demo := _demonstration(path)):
            return f"{hdf5.DATA} with demonstrations of {', '.join(sorted(demo))}"
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "nothing"


def _is_lerobot(path: Path) -> bool:
    if not path.is_dir():
        return False
    from kairoscope.robot.lerobot import is_lerobot  # loads pyarrow, which HDF5 does not need

    return is_lerobot(path)


def _open_lerobot(path: Path, fps: float | None) -> Dataset:
    from kairoscope.robot.lerobot import open_lerobot

    return open_lerobot(path, fps=fps)


FORMATS: Mapping[str, Format] = {
    "isaaclab": Format(
        recognises=_is_isaaclab,
        open=lambda path, fps: open_isaaclab(path, fps=fps),
        layout="HDF5 with data/demo_0/{actions, initial_state}",
    ),
    "mimicgen": Format(
        recognises=_is_mimicgen,
        open=lambda path, fps: open_mimicgen(path, fps=fps),
        layout="HDF5 with data/demo_0/{actions, states or obs or datagen_info}",
    ),
    "lerobot": Format(
        recognises=_is_lerobot, open=_open_lerobot, layout="a folder with meta/info.json"
    ),
}
"""By name, in the order in which they are tried."""
