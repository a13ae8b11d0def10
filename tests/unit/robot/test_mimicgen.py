import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdf5_files import MODEL, NUM_POSITIONS, NUM_VELOCITIES, edited, step, write_mimicgen

from kairoscope.core import UserError
from kairoscope.robot.episode import Channel, Dataset, UnreadableEpisode
from kairoscope.robot.mimicgen import open_mimicgen
from kairoscope.robot.mujoco_states import joints
from kairoscope.robot.termination import MADE_BY, ends_from_events

THREE = {"grasp_1": 20, "stack_1": 45, "grasp_2": 70}


def channels_of(path: Path, demo: Any = "demo_0") -> dict[str, Channel]:
    return {channel.name: channel for channel in open_mimicgen(path).episode(demo).channels}


def test_a_prepared_source_gives_every_channel_as_recorded(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "stack.hdf5", signals={"grasp": 48}, pictures=True)
    dataset: Dataset = open_mimicgen(path)
    assert (dataset.format, dataset.fps) == ("mimicgen", 20)
    assert dataset.ids == ("demo_0", "demo_1", "demo_2")
    episode = dataset.episode("demo_1")
    assert episode.id == "demo_1"
    assert episode.notes == ()
    assert episode.source is None
    np.testing.assert_allclose(episode.times_s, np.arange(120) / 20)
    found = {channel.name: channel for channel in episode.channels}
    assert {name: channel.kind for name, channel in found.items()} == {
        "actions": "action",
        "datagen_info/gripper_action": "gripper",
        "obs/robot0_gripper_qpos": "gripper",
        "datagen_info/eef_pose": "eef_pose",
        "datagen_info/object_poses/cubeA": "object_pose",
        "datagen_info/object_poses/cubeB": "object_pose",
    }
    with edited(path, "r") as file:
        demo = file["data/demo_1"]
        for name, channel in found.items():
            np.testing.assert_array_equal(channel.values_TD, demo[name][()].reshape(120, -1))
    assert found["actions"].columns[-1] == "gripper"
    assert found["datagen_info/object_poses/cubeB"].subject == "cubeB"
    assert found["datagen_info/object_poses/cubeB"].unit == "m"
    assert found["obs/robot0_gripper_qpos"].subject == "robot0"
    assert episode.cameras_in_file == ("agentview",)
    pictures = dataset.pictures("demo_1", "agentview")
    assert pictures.shape == (120, 6, 8, 3)
    assert (pictures[:, 0, 0, 0] == np.arange(120)).all()


def test_what_a_policy_sees_stands_in_for_what_mimicgen_did_not_prepare(tmp_path: Path) -> None:
    found = channels_of(write_mimicgen(tmp_path / "raw.hdf5", prepared=False))
    assert found["actions[6]"].kind == "gripper"
    assert set(np.unique(found["actions[6]"].values_TD)) == {-1.0, 1.0}
    eef = found["obs/robot0_eef_pos"]
    assert (eef.kind, eef.subject, eef.unit) == ("eef_pose", "robot0", "m")
    assert eef.columns == ("x", "y", "z", "qx", "qy", "qz", "qw")
    cube = found["states/cubeA_joint0"]
    assert (cube.kind, cube.subject) == ("object_pose", "cubeA")
    assert cube.columns == ("x", "y", "z", "qw", "qx", "qy", "qz")
    assert cube.values_TD[0].tolist() == [0.1, 0.2, 0.3, 1, 0, 0, 0]
    assert "states" not in found


def test_states_and_the_model_are_enough(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "raw.hdf5", prepared=False, observed=False)
    found = channels_of(path)
    finger = found["states/gripper0_finger_joint1"]
    assert (finger.kind, finger.unit) == ("gripper", "m")
    assert finger.values_TD.max() == pytest.approx(0.04)
    assert found["states/cubeB_joint0"].values_TD[0, :3].tolist() == [0.4, 0.5, 0.6]
    with edited(path) as file:
        del file["data/demo_0"].attrs["model_file"]
    found = channels_of(path)
    assert found["states"].kind == "state"
    assert "states/cubeB_joint0" not in found


def test_joints_lie_in_the_states_where_mujoco_puts_them(mujoco: Any) -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    found = joints(MODEL, 1 + model.nq + model.nv)
    assert (model.nq, model.nv) == (NUM_POSITIONS, NUM_VELOCITIES)
    assert len(found) == model.njnt
    for index, joint in enumerate(found):
        assert joint.name == model.joint(index).name
        assert joint.columns.start == 1 + model.jnt_qposadr[index]
    assert joints(MODEL, 1 + model.nq + model.nv + 1) == ()
    assert joints("<mujoco>", 10) == ()


def test_labels_are_events_that_end_when_the_signal_first_is_1(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", env_name="StackThree_D1", signals=THREE)
    dataset = open_mimicgen(path)
    episode = dataset.episode("demo_0")
    assert [event.name for event in episode.events] == ["grasp_1", "stack_1", "grasp_2"]
    assert [event.end_s for event in episode.events] == pytest.approx([0.95, 2.2, 3.45])
    assert all(event.start_s is None for event in episode.events)
    assert episode.labelled_by == "unknown"
    assert ends_from_events(episode.events, episode.times_s) == THREE


def test_a_simulator_s_predicate_counts_from_the_end_of_the_subtask_before(tmp_path: Path) -> None:
    path = write_mimicgen(
        tmp_path / "s.hdf5", env_name="X", interface="MG_StackThree", signals=THREE
    )
    flicker = step(100, 70) * (np.arange(100) < 90)
    flicker[5:8] = 1  # a touch of the second cube while the first is still on its way
    with edited(path) as file:
        file["data/demo_0/datagen_info/subtask_term_signals/grasp_2"][()] = flicker
    events = open_mimicgen(path).episode("demo_0").events
    assert [event.end_s for event in events] == pytest.approx([0.95, 2.2, 3.45])


def test_signals_of_an_unknown_task_come_in_the_order_of_their_changes(tmp_path: Path) -> None:
    signals = {"a_last": 60, "b_first": 20}
    path = write_mimicgen(
        tmp_path / "s.hdf5", env_name="Mine", interface="MG_Mine", signals=signals
    )
    with edited(path) as file:
        group = file["data/demo_0/datagen_info/subtask_term_signals"]
        group["never"] = np.zeros(100, dtype=np.int64)
        group["b_first"].attrs[MADE_BY] = "human"
        group["a_last"].attrs[MADE_BY] = "kairoscope"
    episode = open_mimicgen(path).episode("demo_0")
    assert [event.name for event in episode.events] == ["b_first", "a_last"]
    assert episode.labelled_by == "human"
    assert episode.notes == ("signal 'never' never changes",)


def test_generated_demonstrations_name_their_sources(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5")
    with edited(path) as file:
        file["data/demo_0/src_demo_inds"] = np.array([4, 4])
        file["data/demo_1/src_demo_inds"] = np.array([7, 2, 7])
    dataset = open_mimicgen(path)
    found = [dataset.episode(name).source for name in dataset.ids]
    assert found == ["source 4", "source 2+7", None]


def test_the_instruction_is_the_task(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5")
    with edited(path) as file:
        file["data/demo_0"].attrs["ep_meta"] = json.dumps({"lang": "stack the red cube"})
    assert open_mimicgen(path).episode("demo_0").task == "stack the red cube"
    assert open_mimicgen(path).episode("demo_1").task == ""


def test_order_is_by_number_and_a_name_without_one_is_listed_and_unreadable(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", lengths=(30,) * 12)
    with edited(path) as file:
        file.move("data/demo_5", "data/demo_last")
        file["data/demo_99"] = np.zeros(3)
    dataset = open_mimicgen(path)
    assert dataset.ids[:3] == ("demo_0", "demo_1", "demo_2")
    assert dataset.ids[-4:] == ("demo_10", "demo_11", "demo_99", "demo_last")
    assert any("demo_last" in note for note in dataset.notes)
    with pytest.raises(UnreadableEpisode, match="demo_last: its name must end in a number"):
        dataset.episode("demo_last")
    with pytest.raises(UnreadableEpisode, match="demo_99: is a dataset"):
        dataset.episode("demo_99")
    with pytest.raises(UnreadableEpisode, match="demo_77: no such demonstration"):
        dataset.episode("demo_77")


@pytest.mark.parametrize(
    ("control_freq", "clock_hz", "fps", "said"),
    [
        (20, 20, 20, None),
        (50, 50, 50, None),
        (20, 10, 10, "control_freq says 20, the simulation's clock 10"),
        (None, 25, 25, "control_freq is not recorded"),
        (None, None, 20, "is not recorded: 20 frames a second assumed"),
        (40, None, 40, None),
    ],
)
def test_frame_rate_by_clock_then_metadata_then_assumption(
    tmp_path: Path, control_freq: float | None, clock_hz: float | None, fps: float, said: str | None
) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", control_freq=control_freq, clock_hz=clock_hz or 20)
    if clock_hz is None:
        with edited(path) as file:
            for demo in file["data"].values():
                del demo["states"]
    dataset = open_mimicgen(path)
    assert dataset.fps == pytest.approx(fps)
    assert any(said in note for note in dataset.notes) if said else dataset.notes == ()
    given = open_mimicgen(path, fps=12.5)
    assert given.episode("demo_0").times_s[1] == pytest.approx(1 / 12.5)
    assert given.notes == ()


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e9])
def test_a_frame_rate_that_cannot_be_is_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(UserError, match="frames a second"):
        open_mimicgen(write_mimicgen(tmp_path / "s.hdf5"), fps=fps)


def test_interfaces_that_differ_are_said(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5")
    assert open_mimicgen(path).notes == ()
    with edited(path) as file:
        file["data/demo_1/datagen_info"].attrs["env_interface_name"] = "MG_Square"
    (note,) = open_mimicgen(path).notes
    assert "MG_Square, MG_Stack" in note


def shorten(demo: Any, name: str) -> None:
    values = demo[name][:-1]
    del demo[name]
    demo[name] = values


def empty(demo: Any) -> None:
    for name in ("actions", "states"):
        shape = (0, *demo[name].shape[1:])
        del demo[name]
        demo[name] = np.zeros(shape)


def replace(demo: Any, name: str, values: Any) -> None:
    del demo[name]
    demo[name] = values


BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "no actions": (lambda demo: demo.__delitem__("actions"), "has no actions; it has"),
    "no frames": (empty, "has no frames"),
    "states too short": (lambda d: shorten(d, "states"), r"states: has shape \(99, 33\)"),
    "obs too short": (
        lambda d: shorten(d, "obs/robot0_gripper_qpos"),
        "robot0_gripper_qpos: has shape",
    ),
    "signal too short": (
        lambda d: shorten(d, "datagen_info/subtask_term_signals/grasp"),
        "grasp: has shape",
    ),
    "words for numbers": (lambda d: replace(d, "actions", ["x"] * 100), "holds object"),
    "signal of two columns": (
        lambda d: replace(d, "datagen_info/subtask_term_signals/grasp", np.zeros((100, 2))),
        "one value a frame",
    ),
    "signals no group": (
        lambda d: replace(d, "datagen_info/subtask_term_signals", np.zeros(100)),
        "must be a group of signals",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_one_broken_demonstration_is_named_and_the_others_are_read(
    tmp_path: Path, broken: str
) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", signals={"grasp": 48})
    damage, said = BROKEN[broken]
    with edited(path) as file:
        damage(file["data/demo_0"])
    dataset = open_mimicgen(path)
    with pytest.raises(UnreadableEpisode, match=said) as caught:
        dataset.episode("demo_0")
    assert f"{path}: demo_0" in str(caught.value)
    assert dataset.episode("demo_1").notes == ()


def test_values_that_are_not_finite_are_left_out_and_said(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5")
    with edited(path) as file:
        file["data/demo_0/obs/robot0_gripper_qpos"][4:6] = np.nan
        file["data/demo_0/datagen_info/object_poses/cubeA"][7, 0, 0] = np.inf
    episode = open_mimicgen(path).episode("demo_0")
    names = {channel.name for channel in episode.channels}
    assert not names & {"obs/robot0_gripper_qpos", "datagen_info/object_poses/cubeA"}
    assert "obs/robot0_gripper_qpos left out: 2 of 100 rows are not finite" in episode.notes
    assert "datagen_info/object_poses/cubeA left out: 1 of 100 rows" in " ".join(episode.notes)


def test_no_states_no_gripper_and_another_length_in_the_metadata_are_said(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", prepared=False, observed=False)
    with edited(path) as file:
        demo = file["data/demo_0"]
        del demo["states"]
        replace(demo, "actions", np.zeros((100, 6)))
        demo.attrs["num_samples"] = 101
    notes = " | ".join(open_mimicgen(path).episode("demo_0").notes)
    assert "has no states" in notes
    assert "no channel is known to be a gripper" in notes
    assert "num_samples says 101, there are 100 actions" in notes


def test_a_damaged_dataset_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.hdf5"
    write_mimicgen(path)
    with edited(path) as file:
        values = file["data/demo_0/actions"][()]
        del file["data/demo_0/actions"]
        file["data/demo_0"].create_dataset("actions", data=values, compression="gzip")
        chunk = file["data/demo_0/actions"].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * 64)
    dataset = open_mimicgen(path)
    with pytest.raises(UnreadableEpisode, match="demo_0/actions: is damaged"):
        dataset.episode("demo_0")
    assert dataset.episode("demo_1").channels


@pytest.mark.parametrize("camera", ["agentview", "wrist"])
def test_pictures_that_are_none_are_refused(tmp_path: Path, camera: str) -> None:
    path = write_mimicgen(tmp_path / "s.hdf5", pictures=True)
    with edited(path) as file:
        replace(file["data/demo_0"], "obs/agentview_image", np.zeros((100, 6, 8, 3)))
    dataset = open_mimicgen(path)
    assert dataset.episode("demo_0").cameras_in_file == ()
    with pytest.raises(UnreadableEpisode, match=f"obs/{camera}_image: must be uint8"):
        dataset.pictures("demo_0", camera)


def test_a_file_without_demonstrations_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("data")
    with pytest.raises(UserError, match="has no demonstrations"):
        open_mimicgen(path)
