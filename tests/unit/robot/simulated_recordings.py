"""Clips of the simulated world as robots' files would hold them: without a picture, with the truth.

The world is not made for signals: its hands close beside things, its events end by contact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kairoscope.events import Query
from kairoscope.robot.columns import Floats
from kairoscope.robot.episode import Channel, Episode
from kairoscope.simulate.arm import JOINTS
from kairoscope.simulate.produce import Settings, draw_take
from kairoscope.simulate.render import load_mujoco

FPS = 20.0


@dataclass(frozen=True)
class Recording:
    """An episode, what is asked about it and when it truly ended."""

    episode: Episode
    query: Query
    ends_s: tuple[float, ...]


def recordings(family: str, count: int, *, as_mimicgen: bool) -> list[Recording]:
    """Demonstrations of one family: joints alone, or what MimicGen writes of them."""
    mujoco = load_mujoco()
    settings = Settings(seed=31, families=(family,), size_px=64, fps=FPS)
    return [_recording(mujoco, settings, i, as_mimicgen=as_mimicgen) for i in range(count)]


def _recording(mujoco: Any, settings: Settings, index: int, *, as_mimicgen: bool) -> Recording:
    take = draw_take(mujoco, settings, index)
    model, data, qpos = take.model, take.data, take.episode.qpos_TQ
    joints = qpos[:, [int(model.jnt_qposadr[model.joint(name).id]) for name in JOINTS]]
    scene = take.plan.scene
    moving = [f.moving.name for f in scene.fixtures if f.moving is not None]
    names = [thing.key for thing in scene.things] + moving
    poses: dict[str, list[Floats]] = {name: [] for name in ("hand", *names)}
    for row in qpos:
        data.qpos[:] = row
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for name, found in poses.items():
            body = model.body(name).id
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = data.xmat[body].reshape(3, 3), data.xipos[body]
            found.append(pose.ravel())
    times_s = np.arange(len(qpos)) / FPS
    channels: tuple[Channel, ...] = (Channel(name="joints", kind="state", values_TD=joints),)
    if as_mimicgen:
        channels = _as_mimicgen(joints, {k: np.array(v) for k, v in poses.items()})
    return Recording(
        Episode(id=f"demo_{index}", times_s=times_s, channels=channels),
        tuple(event.name for event in take.plan.events),
        tuple(frame / FPS for frame in take.episode.end_frames),
    )


def _as_mimicgen(joints: Floats, poses: dict[str, Floats]) -> tuple[Channel, ...]:
    """Actions of relative motion and a command of two values, fingers, end effector, objects."""
    fingers = joints[:, 5:7] * [1.0, -1.0]
    speed = np.gradient(joints[:, 5])
    command = np.full(len(joints), -1.0)
    for frame in range(1, len(joints)):
        command[frame] = command[frame - 1]
        if abs(speed[frame]) > 1e-4:
            command[frame] = -np.sign(speed[frame])
    hand = poses["hand"].reshape(-1, 4, 4)[:, :3, 3]
    moves = np.hstack([np.gradient(hand, axis=0), np.zeros((len(hand), 3))]) * 10.0
    info = "datagen_info"
    return (
        Channel(name="actions", kind="action", values_TD=np.hstack([moves, command[:, None]])),
        Channel(name=f"{info}/gripper_action", kind="gripper", values_TD=command[:, None]),
        Channel(
            name="obs/robot0_gripper_qpos", kind="gripper", values_TD=fingers, subject="robot0"
        ),
        Channel(name=f"{info}/eef_pose", kind="eef_pose", values_TD=poses["hand"], unit="m"),
        *(
            Channel(
                name=f"{info}/object_poses/{name}",
                kind="object_pose",
                values_TD=values,
                subject=name,
                unit="m",
            )
            for name, values in poses.items()
            if name != "hand"
        ),
    )
