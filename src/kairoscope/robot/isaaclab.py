"""Isaac Lab Mimic HDF5: one group a demonstration in `data`, recorded with Isaac Lab.

    actions           (T, A), the gripper last (+1 open, -1 close: the opposite of robosuite's)
    initial_state     `rigid_object/<name>/root_pose` (1, 7): before the first step
    states            `rigid_object/<name>/root_pose` (T, 7): after each step, so that states[t]
                      belongs to frame t + 1
    obs               `eef_pos` (T, 3), `eef_quat` (T, 4), `gripper_pos` (T, 2): before each step
    obs/datagen_info  added by annotation: `eef_pose/<arm>`, `target_eef_pose/<arm>`,
                      `object_pose/<name>` (T, 4, 4), `subtask_term_signals/<name>` (T,) bool

A signal is True from the frame on which its subtask is done; generation takes the first change of
the whole signal (github.com/isaac-sim/IsaacLab, `isaaclab_mimic/datagen/datagen_info_pool.py`).
Quaternions are w, x, y, z, and x, y, z, w in files whose `format_version` is 1 or more.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot import hdf5, poses
from kairoscope.robot.episode import Episode, UnreadableEpisode
from kairoscope.robot.gathering import QUATERNION, Gathering
from kairoscope.robot.legality import TaskSpec, spec_for
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

INFO = "obs/datagen_info"
PLACE = SignalPlace(
    group=f"{INFO}/subtask_term_signals", dtype=np.bool_, may_be_bool=True, after_previous=False
)
_RELATIVE, _ABSOLUTE = 7, 8
"""Columns of the action of one arm with a gripper: motion of 6, or position and quaternion."""
_EEF_OBS = re.compile(r"((?:\w+_)?)eef_pos")
_GRIPPER_OBS = re.compile(r"(?:\w+_)?(?:gripper_pos|hand_joint_state)")
_ONE_ARM = ("x", "y", "z", "rx", "ry", "rz", "gripper")


@dataclass(frozen=True, slots=True, kw_only=True)
class IsaacLabDataset:
    """An opened file; see `kairoscope.robot.episode.Dataset`."""

    path: Path
    fps: float
    ids: tuple[str, ...]
    spec: TaskSpec | None
    """Isaac Lab's subtasks of this task, where it is known here."""
    notes: tuple[str, ...] = ()
    """What was assumed about the file as a whole."""
    format: str = "isaaclab"

    def episode(self, episode_id: str) -> Episode:
        """Read one demonstration. Raises UnreadableEpisode, naming what is wrong and where."""
        where = f"{self.path}: {episode_id}"
        with hdf5.opened(self.path) as file, hdf5.damage_named(where):
            demo = hdf5.demonstration(file, self.path, episode_id)
            gathering = Gathering(demo)
            _add_channels(gathering, quaternion_order(file))
            success = demo.group.attrs.get("success")
            if success is not None and not np.all(success):
                gathering.notes.append("is recorded as a failure")
            cameras = tuple(name for name in demo.names("obs") if demo.is_rgb(f"obs/{name}"))
            found = labels(demo, PLACE, self.spec, self.fps)
            return gathering.episode(episode_id, self.fps, cameras, found)

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB of a camera. Raises UnreadableEpisode."""
        with hdf5.opened(self.path) as file:
            return hdf5.demonstration(file, self.path, episode_id).rgb(f"obs/{camera}")


def open_isaaclab(path: Path, *, fps: float | None = None) -> IsaacLabDataset:
    """Open a file recorded or annotated with Isaac Lab.

    Args:
        path: HDF5 file with a `data` group.
        fps: frames a second; None: from the simulation's time step where it is recorded, else the
            20 Hz of Isaac Lab's cube stacking with a note.

    Raises UserError where the file cannot be opened or has no demonstrations.
    """
    given = hdf5.checked_fps(fps)
    with hdf5.opened(path) as file:
        data = file.get(hdf5.DATA)
        if not isinstance(data, h5py.Group) or not len(data):
            raise UserError(f"{path}: has no demonstrations; {hdf5.DATA} is absent or empty")
        args = hdf5.environment(data)
        ids = hdf5.in_order(list(data))
    step_s = hdf5.number_in(args, "sim_args", "dt")
    steps = hdf5.number_in(args, "sim_args", "decimation")
    recorded = round(1 / (step_s * steps), 6) if step_s and steps else None
    assumed = f"its frame rate is not recorded: {hdf5.ASSUMED_FPS:g} frames a second assumed"
    return IsaacLabDataset(
        path=path,
        fps=given or recorded or hdf5.ASSUMED_FPS,
        ids=tuple(ids),
        spec=spec_for(str(args.get("env_name", ""))),
        notes=() if given or recorded else (assumed,),
    )


def quaternion_order(file: Any) -> str:
    """`wxyz` or, since Isaac Lab 3, `xyzw`, as the file's format version says."""
    version = file.attrs.get("format_version", 0)
    return "xyzw" if np.all(np.asarray(version) >= 1) else "wxyz"


def write_signals(
    source: Path,
    out: Path | None,
    boundaries: Boundaries,
    *,
    spec: TaskSpec | Sequence[TaskSpec],
    in_place: bool = False,
    overwrite: bool = False,
    labelled_by: Maker = "kairoscope",
    confidences: Confidences | None = None,
    arm: str | None = None,
) -> WriteReport:
    """Write subtask ends where Isaac Lab Mimic's generation reads them.

    Poses that its annotation would have added and that are not there are computed from what is
    recorded, where the control is known to be that of the Franka arm by inverse kinematics.

    Args:
        source: recorded or annotated; never touched unless in_place.
        out: the copy; one that exists is gone on with, and is not touched where nothing changes.
        boundaries: exclusive ends in frames, all of the specs' signals of each demonstration.
        spec: signals in order with their offset ranges, one for each arm; ends that are not legal
            are not written.
        in_place: change the source itself, whole or not at all; `out` is then None.
        overwrite: also replace labels that Kairoscope did not make.
        labelled_by: who made these ends; a human's are replaced only with overwrite.
        confidences: of ends that Kairoscope found, written as an attribute of their signals.
        arm: what the task's `subtask_configs` calls the end effector. Giving it says that poses
            may be computed for another robot than the Franka.

    Raises UserError where a file cannot be opened or written; what is wrong with one demonstration
    is in the report.
    """
    target = target_of(source, out, in_place=in_place)
    with hdf5.opened(source) as file:
        args = hdf5.environment(file[hdf5.DATA]) if hdf5.DATA in file else {}
        order = quaternion_order(file)
    name = str(args.get("env_name", ""))
    if arm is None and re.search(r"Franka.*IK-(Rel|Abs)", name):
        arm = "franka"
    job = Job(
        place=PLACE,
        specs=(spec,) if isinstance(spec, TaskSpec) else tuple(spec),
        complete=partial(missing_poses, arm=arm, order=order),
        overwrite=overwrite,
        labelled_by=labelled_by,
        confidences=confidences or {},
    )
    return write(source.resolve(), target, boundaries, job)


def missing_poses(
    demo: hdf5.Demonstration, *, arm: str | None, order: str
) -> dict[str, NDArray[np.float32]]:
    """Poses of `datagen_info` that are not there, (T, 4, 4) by path.

    Equal to those that Isaac Lab records when it replays a demonstration, to float32: the target of
    relative control is the pose moved by the action in the world's axes, that of absolute control
    is the action itself.

    Raises UnreadableEpisode where they cannot be computed.
    """
    kinds = ("eef_pose", "object_pose", "target_eef_pose")
    lacking = [kind for kind in kinds if not demo.names(f"{INFO}/{kind}")]
    if not lacking:
        return {}
    if odd := [name for name in (INFO, *(f"{INFO}/{kind}" for kind in kinds)) if demo.has(name)]:
        raise UnreadableEpisode(f"{demo.where}: {odd[0]} is a dataset, must be a group")
    if arm is None:
        raise UnreadableEpisode(
            f"{demo.where}: has no {INFO}/{{{','.join(lacking)}}}, and how its arm is controlled "
            "is not known: annotate it with Isaac Lab once, or name the arm"
        )
    actions = demo.values("actions")
    if actions.shape[1] not in (_RELATIVE, _ABSOLUTE):
        raise UnreadableEpisode(
            f"{demo.where}: poses can be computed for actions of {_RELATIVE} columns (relative) or "
            f"{_ABSOLUTE} (absolute), these have {actions.shape[1]}"
        )
    eef = poses.matrices(demo.values("obs/eef_pos"), _rotations(demo.values("obs/eef_quat"), order))
    target = (
        poses.moved(eef, actions[:, :6])
        if actions.shape[1] == _RELATIVE
        else poses.matrices(actions[:, :3], _rotations(actions[:, 3:7], order))
    )
    found = {f"{INFO}/eef_pose/{arm}": eef, f"{INFO}/target_eef_pose/{arm}": target}
    for name, root in _object_roots(demo).items():
        object_pose = poses.matrices(root[:, :3], _rotations(root[:, 3:7], order))
        found[f"{INFO}/object_pose/{name}"] = object_pose
    wanted = {name: m for name, m in found.items() if name.split("/")[2] in lacking}
    if bad := [name for name, matrix in wanted.items() if not np.isfinite(matrix).all()]:
        raise UnreadableEpisode(f"{demo.where}: {', '.join(bad)} would not be finite")
    if "object_pose" in lacking and not any("/object_pose/" in name for name in wanted):
        raise UnreadableEpisode(f"{demo.where}: has no states/rigid_object, where object poses are")
    return {name: matrix.astype(np.float32) for name, matrix in wanted.items()}


def _rotations(quaternions: NDArray[np.float64], order: str) -> NDArray[np.float64]:
    """(T, 4) quaternions in the file's order -> (T, 3, 3)."""
    with np.errstate(invalid="ignore", divide="ignore"):  # zeros and NaN are reported by the caller
        return poses.rotations(quaternions if order == "wxyz" else np.roll(quaternions, 1, axis=1))


def _object_roots(demo: hdf5.Demonstration) -> dict[str, NDArray[np.float64]]:
    """(T, 7) position and quaternion of each object at each frame, before its step."""
    found = {}
    for name in demo.names("states/rigid_object"):
        folder = f"rigid_object/{name}/root_pose"
        after = demo.values(f"states/{folder}")
        before = demo.values(f"initial_state/{folder}", num_rows=1)
        if after.shape[1] != 7 or before.shape[1] != 7:
            raise UnreadableEpisode(f"{demo.where}/states/{folder}: a pose must have 7 columns")
        found[name] = np.vstack([before, after[:-1]])
    return found


def _add_channels(gathering: Gathering, order: str) -> None:
    """Actions, gripper, end effector and object poses, from the best place that has them."""
    demo = gathering.demo
    actions = demo.values("actions")
    num_columns = actions.shape[1]
    columns = _ONE_ARM if num_columns == _RELATIVE else ()
    gathering.add("actions", "action", actions, columns=columns)
    if num_columns in (_RELATIVE, _ABSOLUTE):
        name = f"actions[{num_columns - 1}]"
        gathering.add(name, "gripper", actions[:, [-1]], columns=("gripper",))
    has_eef = bool(demo.names(f"{INFO}/eef_pose"))
    for name in demo.names("obs"):
        if _GRIPPER_OBS.fullmatch(name):
            gathering.add(f"obs/{name}", "gripper")
        elif name == "joint_pos":
            gathering.add(f"obs/{name}", "state")
        elif (arm := _EEF_OBS.fullmatch(name)) and not has_eef:
            subject, quaternion = arm[1].rstrip("_") or None, f"obs/{arm[1]}eef_quat"
            gathering.add_pose(f"obs/{name}", quaternion, "eef_pose", order, subject)
    gathering.add_matrices(f"{INFO}/eef_pose", "eef_pose")
    gathering.add_matrices(f"{INFO}/object_pose", "object_pose")
    if demo.names(f"{INFO}/object_pose"):
        return
    for name, root in _object_roots(demo).items():
        gathering.add(
            f"states/rigid_object/{name}/root_pose",
            "object_pose",
            root,
            columns=("x", "y", "z", *QUATERNION[order]),
            unit="m",
            subject=name,
        )
