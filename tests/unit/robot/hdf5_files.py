"""Small synthetic HDF5 files, field by field as robosuite, MimicGen and Isaac Lab write them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MODEL = """
<mujoco><worldbody>
  <body name="base">
    <body name="link"><joint name="robot0_joint1" type="hinge" axis="0 0 1"/>
      <geom size="0.1" mass="1"/>
      <body name="finger_1"><joint name="gripper0_finger_joint1" type="slide"/>
        <geom size="0.1" mass="1"/></body>
      <body name="finger_2"><joint name="gripper0_finger_joint2" type="slide"/>
        <geom size="0.1" mass="1"/></body>
    </body>
  </body>
  <body name="cubeA"><geom size="0.1" mass="1"/><joint name="cubeA_joint0" type="free"/></body>
  <body name="cubeB"><geom size="0.1" mass="1"/><freejoint name="cubeB_joint0"/></body>
</worldbody></mujoco>
"""
NUM_POSITIONS, NUM_VELOCITIES = 3 + 7 + 7, 3 + 6 + 6


@contextmanager
def edited(path: Path, mode: str = "r+") -> Iterator[Any]:
    """The file, open for changes."""
    with h5py.File(path, mode) as file:
        yield file


def poses(num_frames: int, seed: int) -> np.ndarray:
    """(T, 4, 4): a slow turn about z and a straight way."""
    matrices = np.tile(np.eye(4), (num_frames, 1, 1))
    angles = np.linspace(0, 1, num_frames) + seed
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angles)
    matrices[:, 1, 0] = np.sin(angles)
    matrices[:, 0, 1] = -np.sin(angles)
    matrices[:, :3, 3] = np.linspace([0, 0, 1], [seed, 0.1, 0.8], num_frames)
    return matrices


def step(num_frames: int, end: int, dtype: Any = np.int64) -> np.ndarray:
    """(T,) signal whose subtask ends at `end`, exclusive."""
    signal = np.ones(num_frames, dtype=dtype)
    signal[: end - 1] = 0
    return signal


def write_mimicgen(
    path: Path,
    *,
    lengths: tuple[int, ...] = (100, 120, 90),
    env_name: str = "Stack_D1",
    interface: str = "MG_Stack",
    control_freq: float | None = 20,
    clock_hz: float = 20,
    signals: Mapping[str, int] | None = None,
    prepared: bool = True,
    observed: bool = True,
    pictures: bool = False,
) -> Path:
    """A source dataset; `signals` gives the end of each, the same in every demonstration."""
    kwargs = {"robots": ["Panda"]} | ({"control_freq": control_freq} if control_freq else {})
    args = {"env_name": env_name, "type": 1, "env_version": "1.4.1", "env_kwargs": kwargs}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(args)
        data.attrs["total"] = sum(lengths)
        for number, length in enumerate(lengths):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = length
            demo.attrs["model_file"] = MODEL
            _fill_mimicgen(demo, length, number, clock_hz)
            if observed:
                _observe(demo, length, pictures=pictures)
            if prepared:
                _prepare(demo, length, number, interface, signals or {})
    return path


def gripper_command(length: int) -> np.ndarray:
    """(T,): closes after 0.4 of the way, opens after 0.9."""
    frames = np.arange(length) / length
    return np.where((frames >= 0.4) & (frames < 0.9), 1.0, -1.0)


def _fill_mimicgen(demo: Any, length: int, number: int, clock_hz: float) -> None:
    rng = np.random.default_rng(number)
    actions = rng.normal(size=(length, 7)).clip(-1, 1)
    actions[:, 6] = gripper_command(length)
    demo["actions"] = actions
    states = np.zeros((length, 1 + NUM_POSITIONS + NUM_VELOCITIES))
    states[:, 0] = 0.35 + np.arange(length) / clock_hz
    states[:, 2] = 0.04 - 0.02 * (gripper_command(length) + 1)
    states[:, 3] = -states[:, 2]
    states[:, 4:11] = [0.1, 0.2, 0.3, 1, 0, 0, 0]
    states[:, 11:18] = [0.4, 0.5, 0.6, 0, 1, 0, 0]
    demo["states"] = states


def _observe(demo: Any, length: int, *, pictures: bool) -> None:
    fingers = demo["states"][:, 2:4]
    demo["obs/robot0_gripper_qpos"] = fingers
    demo["obs/robot0_gripper_qvel"] = np.zeros((length, 2))
    demo["obs/robot0_eef_pos"] = np.linspace([0, 0, 1], [0.1, 0.1, 0.8], length)
    demo["obs/robot0_eef_quat"] = np.tile([1.0, 0, 0, 0], (length, 1))
    demo["obs/object"] = np.zeros((length, 23))
    if pictures:
        frames = np.arange(length, dtype=np.uint8)[:, None, None, None]
        images = np.broadcast_to(frames, (length, 6, 8, 3))
        demo.create_dataset("obs/agentview_image", data=images, compression="gzip")


def _prepare(
    demo: Any, length: int, number: int, interface: str, signals: Mapping[str, int]
) -> None:
    demo["datagen_info/eef_pose"] = poses(length, number)
    demo["datagen_info/target_pose"] = poses(length, number + 1)
    demo["datagen_info/gripper_action"] = demo["actions"][:, 6:7]
    demo["datagen_info/object_poses/cubeA"] = poses(length, number + 2)
    demo["datagen_info/object_poses/cubeB"] = poses(length, number + 3)
    for name, end in signals.items():
        demo[f"datagen_info/subtask_term_signals/{name}"] = step(length, end)
    demo["datagen_info"].attrs["env_interface_name"] = interface
    demo["datagen_info"].attrs["env_interface_type"] = "robosuite"


def write_isaaclab(
    path: Path,
    *,
    lengths: tuple[int, ...] = (200, 220),
    env_name: str = "Isaac-Stack-Cube-Franka-IK-Rel-v0",
    sim_args: bool = False,
    order: str = "wxyz",
    num_action_columns: int = 7,
    pictures: bool = False,
) -> Path:
    """A recorded (not annotated) dataset of cube stacking."""
    args: dict[str, Any] = {"env_name": env_name, "type": 2}
    if sim_args:
        args["sim_args"] = {"dt": 0.01, "decimation": 4, "render_interval": 2, "num_envs": 1}
    with h5py.File(path, "w") as file:
        if order == "xyzw":
            file.attrs["format_version"] = 1
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(args)
        data.attrs["total"] = sum(lengths)
        for number, length in enumerate(lengths):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = length
            demo.attrs["success"] = True
            _fill_isaaclab(demo, length, number, order, num_action_columns)
            if pictures:
                demo["obs/table_cam"] = np.full((length, 4, 5, 3), number, dtype=np.uint8)
    return path


def quaternions(num_rows: int, seed: int, order: str) -> np.ndarray:
    """(T, 4) unit quaternions in any direction."""
    found = np.random.default_rng(seed).normal(size=(num_rows, 4))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found if order == "wxyz" else np.roll(found, -1, axis=1)


def _fill_isaaclab(demo: Any, length: int, number: int, order: str, num_columns: int) -> None:
    rng = np.random.default_rng(number)
    actions = rng.normal(scale=0.1, size=(length, num_columns)).astype(np.float32)
    actions[:, -1] = -gripper_command(length)
    actions[3, 3:6] = 0  # no turn at all
    demo.create_dataset("actions", data=actions, compression="gzip")
    demo["obs/actions"] = actions
    demo["obs/eef_pos"] = rng.normal(size=(length, 3)).astype(np.float32)
    demo["obs/eef_quat"] = quaternions(length, number, order).astype(np.float32)
    demo["obs/gripper_pos"] = np.tile(0.04 * (actions[:, -1:] > 0), (1, 2)) * [1, -1]
    demo["obs/joint_pos"] = rng.normal(size=(length, 9)).astype(np.float32)
    demo["obs/object"] = rng.normal(size=(length, 39)).astype(np.float32)
    robot = "articulation/robot"
    demo[f"states/{robot}/joint_position"] = demo["obs/joint_pos"][()]
    demo[f"states/{robot}/root_pose"] = np.zeros((length, 7), dtype=np.float32)
    demo[f"initial_state/{robot}/root_pose"] = np.zeros((1, 7), dtype=np.float32)
    for cube in (1, 2, 3):
        root = np.hstack(
            [rng.normal(size=(length + 1, 3)), quaternions(length + 1, 9 * number + cube, order)]
        ).astype(np.float32)
        folder = f"rigid_object/cube_{cube}/root_pose"
        demo[f"initial_state/{folder}"], demo[f"states/{folder}"] = root[:1], root[1:]
