"""The parse rules of MimicGen and Isaac Lab, written again from what their readers do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kairoscope.robot import mimicgen
from kairoscope.robot.legality import SPECS, TaskSpec
from kairoscope.robot.writing import WriteReport

THREE = SPECS["stack_three"]
MIMICGEN_SIGNALS = "datagen_info/subtask_term_signals"
ISAAC_SIGNALS = "obs/datagen_info/subtask_term_signals"


def mimicgen_reads(path: Path, spec: TaskSpec) -> dict[str, list[int]]:
    """Subtask ends as MimicGen's `parse_source_dataset` finds them; AssertionError as there."""
    ends = {}
    with h5py.File(path, "r") as file:
        numbers = sorted(int(name[5:]) for name in file["data"])
        interfaces = {
            (info.attrs["env_interface_name"], info.attrs["env_interface_type"])
            for info in (file[f"data/demo_{number}/datagen_info"] for number in numbers)
        }
        assert len(interfaces) == 1
        for number in numbers:
            demo = file[f"data/demo_{number}"]
            info = demo["datagen_info"]
            for name in ("eef_pose", "target_pose", "gripper_action"):
                assert len(info[name][:]) == len(demo["actions"])
            assert all(len(pose[:]) for pose in info["object_poses"].values())
            previous, found = 0, []
            for signal in spec.signals:
                values = info["subtask_term_signals"][signal][:]
                steps = values[1:] - values[:-1]  # numpy refuses this for bool
                places = [int(i) + 1 for i in steps.nonzero()[0] if int(i) + 1 >= previous]
                assert places, f"no valid subtask termination found for {signal}"
                previous = places[0] + 1
                found.append(previous)
            assert_offsets_fit([*found, len(demo["actions"])], spec)
            ends[f"demo_{number}"] = found
    return ends


def isaaclab_reads(path: Path, spec: TaskSpec, arm: str = "franka") -> dict[str, list[int]]:
    """Subtask ends as Isaac Lab's `DataGenInfoPool` finds them."""
    ends = {}
    with h5py.File(path, "r") as file:
        for name, demo in file["data"].items():
            info, length = demo["obs/datagen_info"], len(demo["actions"])
            for pose in (info[f"eef_pose/{arm}"], info[f"target_eef_pose/{arm}"]):
                assert pose.shape == (length, 4, 4)
            assert all(pose.shape == (length, 4, 4) for pose in info["object_pose"].values())
            previous, found = 0, []
            for signal in spec.signals:
                values = np.array(info["subtask_term_signals"][signal]).flatten().astype(np.int32)
                end = int((values[1:] - values[:-1]).nonzero()[0][0]) + 2
                assert end > previous, "subtask termination signal is not increasing"
                previous = end
                found.append(end)
            assert_offsets_fit([*found, length], spec)
            ends[name] = found
    return ends


def assert_offsets_fit(ends: Any, spec: TaskSpec) -> None:
    ranges = [*spec.offsets, (0, 0)]
    for i in range(1, len(ends)):
        assert ends[i - 1] + ranges[i - 1][1] < ends[i] + ranges[i][0]


def boundaries(spec: TaskSpec, ends_by_demo: Mapping[str, list[int]]) -> dict[str, dict[str, int]]:
    return {d: dict(zip(spec.signals, ends, strict=True)) for d, ends in ends_by_demo.items()}


ENDS = {"demo_0": [20, 45, 70], "demo_1": [33, 50, 99], "demo_2": [2, 13, 69]}


def write_three(source: Path, out: Path | None, ends: Any = None, **options: Any) -> WriteReport:
    chosen = boundaries(THREE, ENDS if ends is None else ends)
    return mimicgen.write_signals(source, out, chosen, spec=THREE, **options)
