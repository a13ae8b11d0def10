"""Reading LeRobot datasets: one content in every layout, names, pictures, labels."""

import io
import json
from pathlib import Path

import lerobot_files as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lerobot_files import CAMERA, FPS, LENGTHS, TASKS, make_v2, make_v3
from PIL import Image

from kairoscope.robot.episode import Dataset, Episode, UnreadableEpisode
from kairoscope.robot.lerobot import LeRobotDataset, is_lerobot, open_lerobot
from kairoscope.robot.lerobot.parts import Range, is_gripper, is_position, split_feature

IDS = ("episode_000000", "episode_000001", "episode_000002")


def episodes(dataset: Dataset) -> list[Episode]:
    return [dataset.episode(name) for name in dataset.ids]


def spans(episode: Episode) -> list[tuple[float | None, float]]:
    """(start, end) of the labels; the files hold times as float32."""
    return [(e.start_s and round(e.start_s, 5), round(e.end_s, 5)) for e in episode.events]


def same(one: Episode, other: Episode) -> None:
    assert (one.id, one.task, one.events, one.notes) == (
        other.id,
        other.task,
        other.events,
        other.notes,
    )
    np.testing.assert_array_equal(one.times_s, other.times_s)
    for mine, theirs in zip(one.channels, other.channels, strict=True):
        assert (mine.name, mine.kind, mine.columns) == (theirs.name, theirs.kind, theirs.columns)
        np.testing.assert_array_equal(mine.values_TD, theirs.values_TD)


def test_an_episode_is_what_was_recorded(tmp_path: Path) -> None:
    dataset = open_lerobot(make_v2(tmp_path / "d"))
    assert (dataset.format, dataset.fps, tuple(dataset.ids)) == ("lerobot v2.1", FPS, IDS)
    assert dataset.notes == ()
    for number, episode in enumerate(episodes(dataset)):
        table = pq.read_table(files.v2_data(tmp_path / "d", number))
        np.testing.assert_allclose(episode.times_s, np.arange(LENGTHS[number]) / FPS, atol=1e-6)
        assert episode.task == TASKS[number % 2]
        by_name = {channel.name: channel for channel in episode.channels}
        assert [c.kind for c in episode.channels] == ["state", "gripper", "action", "gripper"]
        whole = np.array(table["action"].to_pylist())
        np.testing.assert_array_equal(by_name["action"].values_TD, whole[:, :2])
        np.testing.assert_array_equal(by_name["action.gripper"].values_TD, whole[:, 2:])
        assert by_name["action"].columns == ("shoulder.pos", "elbow.pos")
        assert episode.notes == ()


@pytest.mark.parametrize("rows_per_group", [None, 7, 1000])
@pytest.mark.parametrize("per_file", [1, 2, 3])
def test_the_layout_changes_nothing(
    tmp_path: Path, per_file: int, rows_per_group: int | None
) -> None:
    reference = open_lerobot(make_v2(tmp_path / "v2"))
    root = make_v3(tmp_path / "v3", per_file=per_file, rows_per_group=rows_per_group)
    dataset = open_lerobot(root)
    assert dataset.notes == ()
    for one, other in zip(episodes(reference), episodes(dataset), strict=True):
        same(one, other)


def test_the_order_of_reading_changes_nothing(tmp_path: Path) -> None:
    dataset = open_lerobot(make_v3(tmp_path / "d"))
    forwards = episodes(dataset)
    for place in (2, 0, 2, 1, 0):
        same(dataset.episode(IDS[place]), forwards[place])
        assert isinstance(dataset, LeRobotDataset)
        dataset.labels(IDS[place])


def test_videos_are_spans_of_files(tmp_path: Path) -> None:
    v2 = open_lerobot(make_v2(tmp_path / "v2", video=True))
    v3 = open_lerobot(make_v3(tmp_path / "v3", video=True))
    assert v2.notes == v3.notes == ()
    assert [e.notes for e in episodes(v2)] == [e.notes for e in episodes(v3)] == [(), (), ()]
    span = v2.episode(IDS[1]).videos[CAMERA]
    assert (span.path.name, span.start_s, span.end_s) == ("episode_000001.mp4", 0.0, None)
    parts = [episode.videos[CAMERA] for episode in episodes(v3)]
    assert [s.path.name for s in parts] == ["file-000.mp4", "file-000.mp4", "file-001.mp4"]
    assert [s.start_s for s in parts] == [0.0, LENGTHS[0] / FPS, 0.0]
    ends = [s.end_s for s in parts]
    assert ends == pytest.approx([2.0, 5.1, 1.2])


def test_pictures_in_the_table_come_out_as_they_went_in(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    pictures = np.random.default_rng(0).integers(0, 255, (LENGTHS[0], 8, 6, 3), dtype=np.uint8)
    rows = []
    for number, picture in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        rows.append({"bytes": buffer.getvalue(), "path": f"frame-{number}.png"})
    files.set_columns(files.v2_data(root, 0), cam=pa.array(rows))
    raw = json.loads((root / "meta/info.json").read_text())
    image = {"dtype": "image", "shape": [8, 6, 3], "names": ["height", "width", "channels"]}
    files.write_info(root, features=raw["features"] | {"cam": image})
    dataset = open_lerobot(root)
    episode = dataset.episode(IDS[0])
    assert episode.cameras_in_file == ("cam",)
    assert "cam" not in {channel.name for channel in episode.channels}
    np.testing.assert_array_equal(dataset.pictures(IDS[0], "cam"), pictures)
    with pytest.raises(UnreadableEpisode, match=r"no pictures of 'cam'.*there are cam"):
        dataset.pictures(IDS[1], "cam")


def test_matrices_and_single_numbers_are_flattened(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    poses = np.arange(LENGTHS[0] * 16, dtype=np.float64).reshape(-1, 4, 4)
    files.set_columns(
        files.v2_data(root, 0),
        observation__eef_pose=pa.array(poses.tolist()),
        next__done=pa.array([False] * LENGTHS[0]),
    )
    by_name = {c.name: c for c in open_lerobot(root).episode(IDS[0]).channels}
    assert by_name["observation.eef_pose"].kind == "eef_pose"
    np.testing.assert_array_equal(
        by_name["observation.eef_pose"].values_TD, poses.reshape(len(poses), 16)
    )
    assert by_name["next.done"].values_TD.shape == (LENGTHS[0], 1)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("kRightHandPinky", True),
        ("kLeftHandThumbRotation", True),
        ("gripper.pos", True),
        ("main_gripper", True),
        ("left_hand", True),
        ("effector.position", True),
        ("right_jaw", True),
        ("gripper_velocity", False),
        ("left_hand_x", False),
        ("left_hand_pose", False),
        ("end_effector_position", False),
        ("handle_angle", False),
        ("kLeftWristRoll", False),
        ("motor_6", False),
    ],
)
def test_what_is_a_gripper_by_name(name: str, *, is_one: bool) -> None:
    assert is_gripper(name) is is_one


@pytest.mark.parametrize(
    ("name", "width", "is_one"),
    [
        ("end_effector_position", 3, True),
        ("observation.eef_pose", 7, True),
        ("observation.state.ee_pos", 3, True),
        ("end_effector_position_relative", 3, False),
        ("end_effector_rotation", 3, False),
        ("joint_position", 3, False),
        ("eef_pose", 6, False),
    ],
)
def test_what_is_a_position_by_name(name: str, width: int, *, is_one: bool) -> None:
    assert is_position(name, width) is is_one


def test_axes_of_a_state_make_a_position_and_those_of_an_action_do_not() -> None:
    columns = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
    state = split_feature("observation.state", 7, columns, ())
    assert [(p.name, p.kind, p.places) for p in state] == [
        ("observation.state", "state", (3, 4, 5)),
        ("observation.state.gripper", "gripper", (6,)),
        ("observation.state.position", "eef_pose", (0, 1, 2)),
    ]
    action = split_feature("action", 7, columns, ())
    assert [(p.kind, p.places) for p in action] == [
        ("action", (0, 1, 2, 3, 4, 5)),
        ("gripper", (6,)),
    ]


@given(
    st.sampled_from(["action", "observation.state", "observation.gripper", "next.reward"]),
    st.lists(
        st.sampled_from(["x", "y", "z", "left_hand", "right_gripper", "elbow", "LeftThumb", "m"]),
        max_size=12,
    ),
    st.lists(st.tuples(st.sampled_from(["left_hand", "arm", "eef_position"]), st.integers(0, 9))),
)
def test_parts_are_disjoint_and_together_everything(
    feature: str, columns: list[str], starts: list[tuple[str, int]]
) -> None:
    ranges = [Range(name, start, start + 3) for name, start in starts]
    parts = split_feature(feature, len(columns), columns, ranges)
    places = [place for part in parts for place in part.places]
    assert sorted(places) == list(range(len(columns)))
    for part in parts:
        assert len(part.columns) in (0, len(part.places))


def test_modality_names_columns_and_finds_hands(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    modality = {
        "state": {"arm": {"start": 0, "end": 2}, "left_hand": {"start": 2, "end": 3}},
        "action": {"arm": {"start": 0, "end": 2}, "broken": {"start": "a"}},
    }
    (root / "meta/modality.json").write_text(json.dumps(modality))
    dataset = open_lerobot(root)
    assert [n for n in dataset.notes if "broken" in n]
    state, hand = dataset.episode(IDS[0]).channels[:2]
    assert (state.name, state.columns) == ("observation.state", ("arm[0]", "arm[1]"))
    assert (hand.name, hand.kind, hand.subject) == (
        "observation.state.left_hand",
        "gripper",
        "left",
    )


def test_of_several_instructions_the_one_that_frames_point_to(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "d")
    rows = files.read_lines(root / "meta/episodes.jsonl")
    rows[0]["tasks"] = ["valid", TASKS[0]]  # frames point to TASKS[0]
    rows[1]["tasks"] = ["pick the pear", "valid"]  # frames point to neither
    rows[2]["tasks"] = []
    files.write_lines(root / "meta/episodes.jsonl", rows)
    found = [episode.task for episode in episodes(open_lerobot(root))]
    assert found == [TASKS[0], "pick the pear", TASKS[0]]


def test_v1_is_one_table(tmp_path: Path) -> None:
    root = tmp_path / "d"
    (root / "train").mkdir(parents=True)
    video = "videos/observation.images.top_episode_000001.mp4"
    files.make_video(root / video, 5)
    columns = [files.frames(i, n, 0, task_index=None) for i, n in enumerate((4, 5))]
    table = pa.concat_tables([pa.table(c) for c in columns])
    paths = [{"path": "videos/gone.mp4", "timestamp": 0.0}] * 4
    paths += [{"path": video, "timestamp": 0.0}] * 5
    table = table.append_column(CAMERA, pa.array(paths))
    with (
        pa.OSFile(str(root / "train/data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    dataset = open_lerobot(root)
    assert is_lerobot(root)
    assert (dataset.format, dataset.fps, len(dataset.ids)) == ("lerobot v1", FPS, 2)
    without, episode = episodes(dataset)
    assert any("videos/gone.mp4 is missing" in note for note in without.notes)
    assert episode.videos[CAMERA].path == root / video
    np.testing.assert_array_equal(
        episode.channels[1].values_TD, np.array(columns[1]["action"].to_pylist())
    )
