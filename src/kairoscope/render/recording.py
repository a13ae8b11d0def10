"""One recorded simulation: states, model, labels and origin, read from a robomimic or MimicGen file."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot import hdf5
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.mimicgen import PLACE, MimicgenDataset
from kairoscope.robot.opening import open_dataset
from kairoscope.robot.termination import Signal, signals_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a demonstration needs to be drawn."""

    where: str
    """File and demonstration, for messages."""
    states_TS: NDArray[np.float64]
    """(T, 1 + nq + nv): the simulation's clock, qpos, qvel; all finite."""
    model_xml: str
    signals: dict[str, Signal]
    """Subtask termination signals that the file has."""
    sources: tuple[int, ...]
    """Numbers of the demonstrations that this one was generated from; empty: of none."""

    @property
    def digest(self) -> str:
        """Of all that decides how it looks."""
        mark = blake2b(digest_size=12)
        mark.update(np.ascontiguousarray(self.states_TS).tobytes())
        mark.update(self.model_xml.encode("utf-8", "surrogatepass"))
        return mark.hexdigest()

    @property
    def signals_digest(self) -> str:
        """Of all that the file says about its events."""
        mark = blake2b(digest_size=12)
        for name, signal in sorted(self.signals.items()):
            mark.update(f"{name}\0{signal.made_by}\0".encode())
            mark.update(signal.values_T.tobytes())
        return mark.hexdigest()


def open_recordings(path: Path, *, fps: float | None = None) -> MimicgenDataset:
    """Open a file of recorded simulations. Raises UserError for anything else."""
    dataset = open_dataset(path, fps=fps)
    if not isinstance(dataset, MimicgenDataset):
        raise UserError(
            f"{path}: is {dataset.format}; only what robosuite recorded (HDF5 of robomimic or "
            "MimicGen, with states and model_file) can be rendered"
        )
    return dataset


def environment_of(path: Path) -> str:
    """The environment that a file says it was recorded in, such as `Stack_D1`."""
    with hdf5.opened(path) as file:
        return str(hdf5.environment(file[hdf5.DATA]).get("env_name") or "unknown")


def read_recording(path: Path, episode_id: str) -> Recording:
    """Read one demonstration.

    Raises UnreadableEpisode, naming it and what is wrong: no states or no model, states of another
    length than the actions, values that are not finite.
    """
    where = f"{path}: {episode_id}"
    with hdf5.opened(path) as file, hdf5.damage_named(where):
        demo = hdf5.demonstration(file, path, episode_id)
        model = hdf5.attribute(demo.group, "model_file")
        if not demo.has("states"):
            raise UnreadableEpisode(f"{where}: has no states: it cannot be rendered")
        if not model:
            raise UnreadableEpisode(f"{where}: has no model_file: it cannot be rendered")
        states = demo.values("states")
        return Recording(
            where=where,
            states_TS=_checked(states, where),
            model_xml=model,
            signals=signals_of(demo, PLACE),
            sources=_sources(demo),
        )


def _checked(states: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    bad = np.flatnonzero(~np.isfinite(states).all(axis=1))
    if bad.size:
        raise UnreadableEpisode(
            f"{where}/states: frame {bad[0]} is not finite ({bad.size} of {len(states)} frames)"
        )
    if len(states) < 2:
        raise UnreadableEpisode(f"{where}/states: has {len(states)} frame, at least 2 are needed")
    return states


def _sources(demo: hdf5.Demonstration) -> tuple[int, ...]:
    if not demo.has("src_demo_inds"):
        return ()
    found: Any = demo.find("src_demo_inds")[()]
    return tuple(int(number) for number in np.unique(found))
