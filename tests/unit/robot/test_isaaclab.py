from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_files import edited, step, write_isaaclab

from kairoscope.robot.episode import Dataset, UnreadableEpisode
from kairoscope.robot.hdf5 import Demonstration
from kairoscope.robot.isaaclab import missing_poses, open_isaaclab
from kairoscope.robot.poses import matrices, moved, rotations, rotations_from_vectors

Array = np.ndarray[Any, np.dtype[np.float64]]
SIGNALS = "obs/datagen_info/subtask_term_signals"


def product(p: Array, q: Array) -> Array:
    """Hamilton product of quaternions w, x, y, z."""
    a, b, c, d = p.T
    e, f, g, h = q.T
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=1,
    )


def turned(quaternions: Array, vector: Array) -> Array:
    """A vector turned by each quaternion: q v q*."""
    pure = np.tile([0.0, *vector], (len(quaternions), 1))
    return product(product(quaternions, pure), quaternions * [1, -1, -1, -1])[:, 1:]


def some_quaternions(count: int) -> Array:
    found = np.random.default_rng(1).normal(size=(count, 4))
    unit: Array = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def test_matrices_turn_as_their_quaternions_do() -> None:
    q = some_quaternions(50)
    for vector in np.eye(3):
        np.testing.assert_allclose(rotations(3 * q) @ vector, turned(q, vector), atol=1e-12)


def test_a_motion_turns_in_the_world_s_axes_after_the_pose() -> None:
    q, motion = some_quaternions(50), np.random.default_rng(2).normal(size=(50, 6))
    motion[0, 3:] = 0
    angle = np.linalg.norm(motion[:, 3:], axis=1, keepdims=True)
    axis = np.divide(motion[:, 3:], angle, where=angle > 0, out=np.zeros((50, 3)))
    turn = np.hstack([np.cos(angle / 2), axis * np.sin(angle / 2)])
    found = moved(matrices(np.ones((50, 3)), rotations(q)), motion)
    np.testing.assert_allclose(found[:, :3, 3], 1 + motion[:, :3])
    for column, vector in enumerate(np.eye(3)):
        np.testing.assert_allclose(
            found[:, :3, column], turned(product(turn, q), vector), atol=1e-12
        )
    assert (rotations_from_vectors(np.zeros((2, 3))) == np.eye(3)).all()


@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
def test_a_recording_gives_every_channel(tmp_path: Path, order: str) -> None:
    path = write_isaaclab(tmp_path / "raw.hdf5", order=order, pictures=True)
    dataset: Dataset = open_isaaclab(path)
    assert dataset.ids == ("demo_0", "demo_1")
    episode = dataset.episode("demo_1")
    found = {channel.name: channel for channel in episode.channels}
    assert {name: channel.kind for name, channel in found.items()} == {
        "actions": "action",
        "actions[6]": "gripper",
        "obs/gripper_pos": "gripper",
        "obs/joint_pos": "state",
        "obs/eef_pos": "eef_pose",
        **{f"states/rigid_object/cube_{i}/root_pose": "object_pose" for i in (1, 2, 3)},
    }
    quaternion = ("qw", "qx", "qy", "qz") if order == "wxyz" else ("qx", "qy", "qz", "qw")
    assert found["obs/eef_pos"].columns == ("x", "y", "z", *quaternion)
    cube = found["states/rigid_object/cube_2/root_pose"]
    assert (cube.subject, cube.unit, cube.columns) == ("cube_2", "m", ("x", "y", "z", *quaternion))
    with edited(path, "r") as file:
        demo = file["data/demo_1"]
        roots = [
            demo[f"{part}/rigid_object/cube_2/root_pose"][()]
            for part in ("initial_state", "states")
        ]
        np.testing.assert_array_equal(cube.values_TD, np.vstack(roots)[:-1])
    assert episode.events == ()
    assert episode.cameras_in_file == ("table_cam",)
    assert (dataset.pictures("demo_1", "table_cam") == 1).all()


def test_frame_rate_from_the_simulation_s_step_or_said_to_be_assumed(tmp_path: Path) -> None:
    recorded = open_isaaclab(write_isaaclab(tmp_path / "a.hdf5", sim_args=True))
    assert (recorded.fps, recorded.notes) == (25, ())
    assumed = open_isaaclab(write_isaaclab(tmp_path / "b.hdf5"))
    assert assumed.fps == 20
    assert "20 frames a second assumed" in assumed.notes[0]
    given = open_isaaclab(tmp_path / "b.hdf5", fps=30)
    assert (given.fps, given.notes) == (30, ())


def annotate(path: Path, signals: Any) -> None:
    """Poses as Isaac Lab would record them, and signals."""
    with edited(path) as file:
        for demo in file["data"].values():
            length = demo["actions"].shape[0]
            for name, values in missing_poses(
                Demonstration(demo, "x"), arm="franka", order="wxyz"
            ).items():
                demo[name] = values
            for name, end in signals.items():
                demo[f"{SIGNALS}/{name}"] = step(length, end, np.bool_)


def test_an_annotated_file_gives_poses_and_labels(tmp_path: Path) -> None:
    path = write_isaaclab(tmp_path / "annotated.hdf5")
    annotate(path, {"grasp_1": 31, "grasp_2": 121, "stack_1": 81})
    episode = open_isaaclab(path).episode("demo_0")
    kinds = {channel.name: channel.kind for channel in episode.channels}
    assert kinds["obs/datagen_info/eef_pose/franka"] == "eef_pose"
    assert kinds["obs/datagen_info/object_pose/cube_3"] == "object_pose"
    assert "obs/eef_pos" not in kinds
    assert [event.name for event in episode.events] == ["grasp_1", "stack_1", "grasp_2"]
    assert [event.end_s for event in episode.events] == pytest.approx([1.5, 4.0, 6.0])


def test_a_label_is_the_first_change_of_the_whole_signal(tmp_path: Path) -> None:
    path = write_isaaclab(tmp_path / "annotated.hdf5")
    annotate(path, {"grasp_1": 31, "stack_1": 81, "grasp_2": 121})
    with edited(path) as file:
        signal = file[f"data/demo_0/{SIGNALS}/grasp_2"]
        signal[10:12] = True
    by_name = {event.name: event.end_s for event in open_isaaclab(path).episode("demo_0").events}
    assert by_name["grasp_2"] == pytest.approx(0.5)


@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
def test_poses_are_those_of_the_recorded_quaternions(tmp_path: Path, order: str) -> None:
    path = write_isaaclab(tmp_path / "raw.hdf5", order=order)
    with edited(path, "r") as file:
        demo = file["data/demo_0"]
        found = missing_poses(Demonstration(demo, "x"), arm="franka", order=order)
        assert set(found) == {
            "obs/datagen_info/eef_pose/franka",
            "obs/datagen_info/target_eef_pose/franka",
            *(f"obs/datagen_info/object_pose/cube_{i}" for i in (1, 2, 3)),
        }
        eef = found["obs/datagen_info/eef_pose/franka"]
        assert eef.shape == (200, 4, 4)
        assert (eef[:, 3] == [0, 0, 0, 1]).all()
        q = demo["obs/eef_quat"][()].astype(float)
        q = q if order == "wxyz" else q[:, [3, 0, 1, 2]]
        for column, vector in enumerate(np.eye(3)):
            np.testing.assert_allclose(eef[:, :3, column], turned(q, vector), atol=4e-7)
        target = found["obs/datagen_info/target_eef_pose/franka"]
        np.testing.assert_allclose(
            target[:, :3, 3], demo["obs/eef_pos"][()] + demo["actions"][:, :3], atol=4e-7
        )
        np.testing.assert_allclose(target[3, :3, :3], eef[3, :3, :3], atol=4e-7)
        cube = found["obs/datagen_info/object_pose/cube_1"]
        before = demo["initial_state/rigid_object/cube_1/root_pose"][0, :3]
        np.testing.assert_allclose(cube[0, :3, 3], before, atol=4e-7)
        np.testing.assert_allclose(
            cube[1:, :3, 3], demo["states/rigid_object/cube_1/root_pose"][:-1, :3], atol=4e-7
        )


def test_the_target_of_absolute_control_is_the_action(tmp_path: Path) -> None:
    path = write_isaaclab(tmp_path / "raw.hdf5", num_action_columns=8)
    with edited(path) as file:
        demo = file["data/demo_0"]
        demo["actions"][:, 3:7] = demo["obs/eef_quat"][()]
        found = missing_poses(Demonstration(demo, "x"), arm="franka", order="wxyz")
        target = found["obs/datagen_info/target_eef_pose/franka"]
        np.testing.assert_allclose(target[:, :3, 3], demo["actions"][:, :3], atol=4e-7)
        eef = found["obs/datagen_info/eef_pose/franka"]
        np.testing.assert_allclose(target[:, :3, :3], eef[:, :3, :3], atol=4e-7)


def replace(demo: Any, name: str, values: Any) -> None:
    del demo[name]
    demo[name] = values


CANNOT: dict[str, tuple[Callable[[Any], object], str | None, str]] = {
    "control unknown": (lambda _: None, None, "how its arm is controlled is not known"),
    "columns": (lambda d: replace(d, "actions", np.zeros((200, 36))), "franka", "these have 36"),
    "NaN": (
        lambda d: replace(d, "obs/eef_pos", np.full((200, 3), np.nan)),
        "franka",
        "not be finite",
    ),
    "zero quaternion": (
        lambda d: replace(d, "obs/eef_quat", np.zeros((200, 4))),
        "franka",
        "not be finite",
    ),
    "poses of nobody": (
        lambda d: d.__setitem__("obs/datagen_info/eef_pose", np.zeros((200, 4, 4))),
        "franka",
        "eef_pose is a dataset, must be a group",
    ),
    "no quaternion": (lambda d: d.__delitem__("obs/eef_quat"), "franka", "has no obs/eef_quat"),
    "no objects": (lambda d: d.__delitem__("states/rigid_object"), "franka", "object poses"),
    "no start": (lambda d: d.__delitem__("initial_state"), "franka", "has no initial_state"),
    "short states": (
        lambda d: replace(d, "states/rigid_object/cube_1/root_pose", np.zeros((199, 7))),
        "franka",
        "has shape",
    ),
    "columns of a pose": (
        lambda d: replace(d, "states/rigid_object/cube_1/root_pose", np.zeros((200, 13))),
        "franka",
        "must have 7 columns",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_poses_that_cannot_be_computed_are_refused_in_words(tmp_path: Path, case: str) -> None:
    damage, arm, said = CANNOT[case]
    path = write_isaaclab(tmp_path / "raw.hdf5")
    with edited(path) as file:
        damage(file["data/demo_0"])
        with pytest.raises(UnreadableEpisode, match=said):
            missing_poses(Demonstration(file["data/demo_0"], "x"), arm=arm, order="wxyz")


def test_two_arms_and_hands_are_found_by_their_names(tmp_path: Path) -> None:
    path = write_isaaclab(tmp_path / "raw.hdf5", num_action_columns=36)
    with edited(path) as file:
        demo = file["data/demo_0"]
        del demo["obs/gripper_pos"]
        for side in ("left", "right"):
            demo[f"obs/{side}_eef_pos"] = demo["obs/eef_pos"][()]
            demo[f"obs/{side}_eef_quat"] = demo["obs/eef_quat"][()]
        del demo["obs/eef_pos"]
        demo["obs/hand_joint_state"] = np.zeros((200, 22))
        demo.attrs["success"] = False
    episode = open_isaaclab(path).episode("demo_0")
    found = {channel.name: channel for channel in episode.channels}
    assert found["obs/hand_joint_state"].kind == "gripper"
    assert found["obs/left_eef_pos"].subject == "left"
    assert found["obs/right_eef_pos"].values_TD.shape == (200, 7)
    assert "actions[35]" not in found
    assert episode.notes == ("is recorded as a failure",)
