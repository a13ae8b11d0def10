"""robomimic and MimicGen HDF5: one group a demonstration in `data`, recorded with robosuite.

    states           (T, S) clock, qpos, qvel of the simulation before each step
    actions          (T, A) 6 of the end effector's motion and the gripper last (-1 open, +1 closed)
    obs              what a policy sees: `robot0_gripper_qpos`, `robot0_eef_pos`, `<camera>_image`
    datagen_info     MimicGen's: `eef_pose`, `target_pose` and `object_poses/<name>` (T, 4, 4),
                     `gripper_action` (T, 1), `subtask_term_signals/<name>` (T,) int64

MimicGen's `prepare_src_dataset.py` writes `datagen_info`, its generation reads it. A signal is 1 from
the frame on which its subtask is done; generation takes the first change at or after the end of the
subtask before (github.com/NVlabs/mimicgen, `mimicgen/utils/file_utils.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot import hdf5
from kairoscope.robot.episode import Episode, UnreadableEpisode
from kairoscope.robot.gathering import QUATERNION, Gathering
from kairoscope.robot.legality import TaskSpec, spec_for
from kairoscope.robot.mujoco_states import joints
from kairoscope.robot.termination import SignalPlace, labels
from kairoscope.robot.writing import (
    Boundaries,
    Confidences,
    Job,
    Maker,
    WriteReport,
    target_of,
    write,
)

INFO = "datagen_info"
PLACE = SignalPlace(
    group=f"{INFO}/subtask_term_signals", dtype=np.int64, may_be_bool=False, after_previous=True
)
_NEEDED = ("eef_pose", "gripper_action", "object_poses", "target_pose")
_GRIPPER_OBS = re.compile(r"(robot\d+(?:_\w+?)?)_gripper_qpos")
_EEF_OBS = re.compile(r"(robot\d+(?:_(?:right|left))?)_eef_pos")
_IMAGE = "_image"
_ONE_ARM = ("x", "y", "z", "rx", "ry", "rz", "gripper")
_GRIPPER_COLUMNS: Mapping[int, tuple[int, ...]] = {4: (3,), 7: (6,), 8: (7,), 14: (6, 13)}
"""Columns of the action -> those that command a gripper: the last of each arm of robosuite's
controllers for position, pose, joints, and pose of two arms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MimicgenDataset:
    """An opened file; see `kairoscope.robot.episode.Dataset`."""

    path: Path
    fps: float
    ids: tuple[str, ...]
    spec: TaskSpec | None
    """MimicGen's subtasks of this task, where it is one of its own."""
    notes: tuple[str, ...] = ()
    """What was assumed about the file as a whole, and what MimicGen would not accept in it."""
    format: str = "mimicgen"

    def episode(self, episode_id: str) -> Episode:
        """Read one demonstration. Raises UnreadableEpisode, naming what is wrong and where."""
        where = f"{self.path}: {episode_id}"
        with hdf5.opened(self.path) as file, hdf5.damage_named(where):
            demo = hdf5.demonstration(file, self.path, episode_id)
            gathering = Gathering(demo)
            _add_channels(gathering)
            cameras = tuple(
                name.removesuffix(_IMAGE)
                for name in demo.names("obs")
                if name.endswith(_IMAGE) and demo.is_rgb(f"obs/{name}")
            )
            return gathering.episode(
                episode_id,
                self.fps,
                cameras,
                labels(demo, PLACE, self.spec, self.fps),
                task=_instruction(demo),
                source=_source(demo),
            )

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB of a camera. Raises UnreadableEpisode."""
        with hdf5.opened(self.path) as file:
            return hdf5.demonstration(file, self.path, episode_id).rgb(f"obs/{camera}{_IMAGE}")


def open_mimicgen(path: Path, *, fps: float | None = None) -> MimicgenDataset:
    """Open a robomimic or MimicGen file.

    Args:
        path: HDF5 file with a `data` group.
        fps: frames a second; None: as the file records it, else robosuite's 20 Hz with a note.

    Raises UserError where the file cannot be opened or has no demonstrations.
    """
    given = hdf5.checked_fps(fps)
    with hdf5.opened(path) as file:
        data = file.get(hdf5.DATA)
        if not isinstance(data, h5py.Group) or not len(data):
            raise UserError(f"{path}: has no demonstrations; {hdf5.DATA} is absent or empty")
        ids = hdf5.in_order(list(data))
        args = hdf5.environment(data)
        notes, interface = _interfaces(data, ids)
        rate, rate_note = (given, None) if given else _frame_rate(data, ids, args)
        spec = spec_for(interface or "") or spec_for(str(args.get("env_name", "")))
    notes = [*([rate_note] if rate_note else []), *notes]
    return MimicgenDataset(path=path, fps=rate, ids=tuple(ids), spec=spec, notes=tuple(notes))


def write_signals(
    source: Path,
    out: Path | None,
    boundaries: Boundaries,
    *,
    spec: TaskSpec,
    in_place: bool = False,
    overwrite: bool = False,
    labelled_by: Maker = "kairoscope",
    confidences: Confidences | None = None,
) -> WriteReport:
    """Write subtask ends where MimicGen's generation reads them.

    Args:
        source: prepared by MimicGen's `prepare_src_dataset.py`; never touched unless in_place.
        out: the copy; one that exists is gone on with, and is not touched where nothing changes.
        boundaries: exclusive ends in frames, all of the spec's signals of each demonstration.
        spec: signals in order with their offset ranges; ends that are not legal are not written.
        in_place: change the source itself, whole or not at all; `out` is then None.
        overwrite: also replace labels that Kairoscope did not make.
        labelled_by: who made these ends; a human's are replaced only with overwrite.
        confidences: of ends that Kairoscope found, written as an attribute of their signals.

    Raises UserError where a file cannot be opened or written; what is wrong with one demonstration
    is in the report.
    """
    target = target_of(source, out, in_place=in_place)
    job = Job(
        place=PLACE,
        specs=(spec,),
        complete=_nothing_lacking,
        overwrite=overwrite,
        labelled_by=labelled_by,
        confidences=confidences or {},
    )
    report = write(source.resolve(), target, boundaries, job)
    return WriteReport(
        written=report.written,
        unchanged=report.unchanged,
        problems=report.problems,
        notes=open_mimicgen(target).notes,
    )


def _nothing_lacking(demo: hdf5.Demonstration) -> dict[str, NDArray[Any]]:
    """Raises UnreadableEpisode where MimicGen has not prepared a demonstration."""
    lacking = [name for name in _NEEDED if demo.find(f"{INFO}/{name}") is None]
    if lacking:
        raise UnreadableEpisode(
            f"{demo.where}: has no {INFO}/{{{','.join(lacking)}}}: run MimicGen's "
            "prepare_src_dataset.py first (it would delete signals written before it)"
        )
    return {}


def _add_channels(gathering: Gathering) -> None:
    """Actions, gripper, end effector and object poses, from the best place that has them."""
    demo = gathering.demo
    actions = demo.values("actions")
    columns = _ONE_ARM if actions.shape[1] == len(_ONE_ARM) else ()
    gathering.add("actions", "action", actions, columns=columns)
    if demo.has(f"{INFO}/gripper_action"):
        gathering.add(f"{INFO}/gripper_action", "gripper")
    else:
        for column in _GRIPPER_COLUMNS.get(actions.shape[1], ()):
            name = f"actions[{column}]"
            gathering.add(name, "gripper", actions[:, [column]], columns=("gripper",))
    has_fingers = _add_observed(gathering)
    if demo.has(f"{INFO}/eef_pose"):
        gathering.add(f"{INFO}/eef_pose", "eef_pose", unit="m")
    gathering.add_matrices(f"{INFO}/object_poses", "object_pose")
    if demo.has("states"):
        demo.check("states")
        if not has_fingers or not demo.names(f"{INFO}/object_poses"):
            _add_states(gathering, has_fingers=has_fingers)
    elif not demo.names("states"):
        gathering.notes.append("has no states: pictures cannot be rendered from it")


def _add_observed(gathering: Gathering) -> bool:
    """Gripper joints and, where MimicGen gives none, end effectors as a policy sees them.

    Returns whether there are gripper joints.
    """
    names = gathering.demo.names("obs")
    for name in names:
        if arm := _GRIPPER_OBS.fullmatch(name):
            gathering.add(f"obs/{name}", "gripper", subject=arm[1])
        elif (arm := _EEF_OBS.fullmatch(name)) and not gathering.demo.has(f"{INFO}/eef_pose"):
            quaternion = f"obs/{arm[1]}_eef_quat"
            gathering.add_pose(f"obs/{name}", quaternion, "eef_pose", "xyzw", arm[1])
    return any(_GRIPPER_OBS.fullmatch(name) for name in names)


def _add_states(gathering: Gathering, *, has_fingers: bool) -> None:
    """Free objects and the gripper's joints from the simulation's state, by the model's joints."""
    states = gathering.demo.values("states")
    model = hdf5.attribute(gathering.demo.group, "model_file") or ""
    found = joints(model, states.shape[1])
    if not found:
        if not has_fingers:
            gathering.add("states", "state", states)
        return
    has_objects = bool(gathering.demo.names(f"{INFO}/object_poses"))
    for joint in found:
        name, values = f"states/{joint.name}", states[:, joint.columns]
        if joint.kind == "free" and not has_objects:
            subject = re.sub(r"_joint\d*$", "", joint.name)
            columns = ("x", "y", "z", *QUATERNION["wxyz"])
            gathering.add(name, "object_pose", values, columns=columns, unit="m", subject=subject)
        elif "gripper" in joint.name and not has_fingers:
            unit = "m" if joint.kind == "slide" else "rad"
            gathering.add(name, "gripper", values, columns=(joint.name,), unit=unit)


def _instruction(demo: hdf5.Demonstration) -> str:
    """The task in words, where a demonstration's `ep_meta` has it."""
    meta = hdf5.json_object(hdf5.attribute(demo.group, "ep_meta"))
    return str(meta.get("lang") or "")


def _source(demo: hdf5.Demonstration) -> str | None:
    """Which source demonstrations MimicGen made this one of, by their number; None: of none."""
    if not demo.has("src_demo_inds"):
        return None
    with hdf5.damage_named(f"{demo.where}/src_demo_inds"):
        numbers = np.unique(demo.find("src_demo_inds")[()])
    return "source " + "+".join(str(number) for number in numbers)


def _interfaces(data: Any, ids: list[str]) -> tuple[list[str], str | None]:
    """(what MimicGen would not accept, the environment interface where all agree on one)."""
    notes = []
    if badly_named := [name for name in ids if not re.fullmatch(r"demo_\d+", name)]:
        notes.append(f"MimicGen takes names such as demo_0 only, not {', '.join(badly_named[:5])}")
    found = {
        (hdf5.attribute(info, "env_interface_name"), hdf5.attribute(info, "env_interface_type"))
        for name in ids
        if (info := _info(data, name)) is not None
    }
    if len(found) > 1:
        named = sorted(str(name) for name, _ in found)
        notes.append(f"demonstrations have several environment interfaces: {', '.join(named)}")
    elif found and None in next(iter(found)):
        notes.append(f"{INFO} has no env_interface_name or env_interface_type")
    return notes, next(iter(found))[0] if len(found) == 1 else None


def _info(data: Any, name: str) -> Any:
    try:
        return data[name].get(INFO)
    except (OSError, RuntimeError, KeyError, AttributeError):
        return None  # reading that demonstration says what is wrong with it


def _frame_rate(data: Any, ids: list[str], args: Mapping[str, Any]) -> tuple[float, str | None]:
    """(frames a second, what to tell the user): the simulation's clock before the metadata."""
    said = hdf5.number_in(args, "env_kwargs", "control_freq")
    clock = next((rate for name in ids[:10] if (rate := _clock_rate(data, name))), None)
    if clock is None:
        assumed = f"its frame rate is not recorded: {hdf5.ASSUMED_FPS:g} frames a second assumed"
        return (said, None) if said else (hdf5.ASSUMED_FPS, assumed)
    if said and abs(clock / said - 1) < 0.01:
        return said, None
    told = f"control_freq says {said:g}" if said else "control_freq is not recorded"
    return clock, f"{told}, the simulation's clock {clock:g} frames a second: the clock was taken"


def _clock_rate(data: Any, name: str) -> float | None:
    """Frames a second by the first column of `states`, where that is a clock."""
    try:
        times = data[name]["states"][:, 0].astype(np.float64)
    except (OSError, RuntimeError, TypeError, LookupError, ValueError, AttributeError):
        return None  # no such states: not every file has them
    steps = np.diff(times)
    if len(steps) < 2 or not np.isfinite(steps).all() or steps.min() <= 0:
        return None
    is_clock = float(np.ptp(steps)) < 1e-3 * float(steps.mean())
    return float(np.round(1 / steps.mean(), 3)) if is_clock else None
