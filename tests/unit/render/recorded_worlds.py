"""Tiny recordings as robosuite makes them, written by hand, whose event frames are known."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MESH = "v 0 0 0\nv .02 0 0\nv 0 .02 0\nv 0 0 .02\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
ASSET = "/home/someone/lib/robosuite/models/assets/bump.obj"
"""A path of the machine that recorded."""
PAD = 'type="box" size=".01 .005 .01" group="0"'
CUBES = {"cubeA": (0.02, "1 0 0 1"), "cubeB": (0.025, "0 1 0 1"), "cubeC": (0.02, "0 0 1 1")}
TABLE_M = 0.8
OPEN_M, CLOSED_M = 0.045, 0.0245
"""Of a pad's middle from the middle of the hand: closed, it is 0.5 mm inside a cube of 40 mm."""


def cube(name: str) -> str:
    half, colour = CUBES[name]
    sizes = f'type="box" size="{half} {half} {half}"'
    return (
        f'<body name="{name}_main"><joint name="{name}_joint0" type="free"/>'
        f'<geom name="{name}_g0" {sizes} group="0" rgba="0 0 0 0" mass=".1"/>'
        f'<geom name="{name}_vis" {sizes} group="1" rgba="{colour}" contype="0" conaffinity="0"/>'
        "</body>"
    )


def model_xml(extra: str = "", asset: str = ASSET) -> str:
    """A table, a hand with two pads on slides, three cubes, and the camera `agentview`."""
    pads = "".join(
        f'<body name="finger{i}"><joint name="gripper0_finger_joint{i}" type="slide" axis="0 1 0"/>'
        f'<geom name="gripper0_finger{i}_pad_collision" {PAD} mass=".01"/>'
        '<geom type="box" size=".01 .005 .01" group="1" rgba=".3 .3 .3 1" contype="0" '
        'conaffinity="0" mass=".01"/></body>'
        for i in (1, 2)
    )
    return f"""<mujoco model="base">
  <asset><mesh name="bump" file="{asset}"/></asset>
  <visual><global offwidth="64" offheight="64"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="agentview" pos=".6 0 1.3" xyaxes="0 1 0 -.6 0 .6"/>
    <camera name="top" pos="0 0 1.8"/>
    <body name="table" pos="0 0 {TABLE_M - 0.025}">
      <geom type="box" size=".4 .4 .025" group="0" rgba="0 0 0 0"/>
      <geom type="box" size=".4 .4 .025" group="1" rgba=".6 .5 .4 1" contype="0" conaffinity="0"/>
      <geom type="mesh" mesh="bump" pos=".3 .3 .03" group="1" contype="0" conaffinity="0"/>
      <site name="table_top" pos="0 0 .025"/>
    </body>
    <body name="hand">
      <joint name="x" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <geom type="sphere" size=".01" pos="0 0 .05" group="1" contype="0" conaffinity="0" mass=".1"/>
      <site name="gripper0_grip_site"/>{pads}
    </body>
    {cube("cubeA")}{cube("cubeB")}{cube("cubeC")}{extra}
  </worldbody>
</mujoco>"""


NQ, NV = 5 + 21, 5 + 18
PLACES = {"cubeA": (0.0, -0.15), "cubeB": (0.0, 0.15), "cubeC": (0.15, 0.0)}


def stacking(pauses: tuple[int, int, int] = (6, 5, 4), fps: float = 20.0) -> tuple[Any, list[int]]:
    """Three cubes stacked: (T, 1 + NQ + NV) states, and the first frames of the three events.

    The hand closes on A, puts it on B, lets go, closes on C and lifts it.
    """
    at = {name: np.array([*xy, TABLE_M + CUBES[name][0]]) for name, xy in PLACES.items()}
    hand, width, held = np.array([0.0, 0.0, 1.0]), OPEN_M, None
    rows: list[np.ndarray] = []

    def record(count: int = 1) -> None:
        for _ in range(count):
            free = [np.r_[at[name], 1, 0, 0, 0] for name in CUBES]
            qpos = np.concatenate([hand, [width, -width], *free])
            rows.append(np.r_[len(rows) / fps, qpos, np.zeros(NV)])

    def go(target: Any, steps: int = 5) -> None:
        nonlocal hand
        for step in (np.asarray(target, float) - hand) / steps * np.ones((steps, 1)):
            hand = hand + step
            if held is not None:
                at[held] = at[held] + step
            record()

    ends = []
    record(pauses[0])
    go(at["cubeA"])
    width, held = CLOSED_M, "cubeA"
    ends.append(len(rows))
    record(pauses[1])
    go([0.0, -0.15, 0.95])
    go([0.0, 0.15, 0.95])
    go([0.0, 0.15, TABLE_M + 0.05 + 0.02 - 0.0002])
    record(pauses[2])
    width, held = OPEN_M, None
    ends.append(len(rows))
    record(2)
    go([0.0, 0.15, 1.0])
    go([0.15, 0.0, 1.0])
    go(at["cubeC"])
    width, held = CLOSED_M, "cubeC"
    ends.append(len(rows))
    record(3)
    go([0.15, 0.0, 1.0])
    return np.array(rows), ends


def step_signal(length: int, first: int) -> np.ndarray:
    """(T,) int64, 1 from `first` on."""
    return (np.arange(length) >= first).astype(np.int64)


def write_recordings(
    path: Path,
    demos: Mapping[str, np.ndarray],
    *,
    env_name: str = "StackThree_D1",
    model: str | None = None,
    signals: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    sources: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """A file of demonstrations, by name."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        args = {"env_name": env_name, "type": 1, "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"] = json.dumps(args)
        for name, states in demos.items():
            demo = data.create_group(name)
            demo.attrs["model_file"] = model_xml() if model is None else model
            demo.attrs["num_samples"] = len(states)
            demo["states"] = states
            demo["actions"] = np.zeros((len(states), 7))
            for signal, values in (signals or {}).get(name, {}).items():
                demo[f"datagen_info/subtask_term_signals/{signal}"] = values
            if sources and name in sources:
                demo["src_demo_inds"] = np.array(sources[name])
    return path
