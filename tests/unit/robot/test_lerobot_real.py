"""Real LeRobot datasets: two humanoids and a pair of arms. Skipped where they are absent."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairoscope.events import Event
from kairoscope.robot.episode import Channel, Episode, UnreadableEpisode
from kairoscope.robot.lerobot import LeRobotDataset, open_lerobot, write_lerobot
from kairoscope.video.clip import probe

FOLDERS = {
    "g1_yellow_bottle": "g1_yellow_bottle",
    "gr1_pick_place": "gr1_pick_place/robot_sim.PickNPlace",
    "aloha": "aloha/aloha_sim_transfer_cube_human",
}


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of the ground truth by the folder of their dataset."""
    lines = (shared_data / "ground_truth.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        folder: [row for row in rows if row["video"].startswith(f"{folder}/")]
        for folder in FOLDERS.values()
    }


def number_of(row: dict[str, Any]) -> str:
    return f"episode_{Path(row['video']).stem.rsplit('_', 1)[1]}"


def readable(dataset: LeRobotDataset) -> dict[str, Episode]:
    found = {}
    for name in dataset.ids:
        if name in dataset.missing:
            with pytest.raises(UnreadableEpisode, match="is missing"):
                dataset.episode(name)
        else:
            found[name] = dataset.episode(name)
    return found


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_lengths_rates_and_videos_are_those_of_the_truth(
    shared_data: Path, truth: dict[str, list[dict[str, Any]]], folder: str
) -> None:
    dataset = open_lerobot(shared_data / folder)
    assert truth[folder]
    for row in truth[folder]:
        episode = dataset.episode(number_of(row))
        assert dataset.fps == row["fps"]
        assert len(episode.times_s) == row["n_frames"]
        np.testing.assert_allclose(
            episode.times_s, np.arange(row["n_frames"]) / row["fps"], atol=1e-4
        )
        (span,) = episode.videos.values()
        assert span.path == shared_data / row["video"]
        assert probe(span.path).num_frames == row["n_frames"]
        assert not [note for note in episode.notes if "the video runs" in note]


def speed(channel: Channel, frames: NDArray[np.bool_]) -> float:
    """Mean movement a frame in those frames, over all columns."""
    steps = np.abs(np.diff(channel.values_TD, axis=0, prepend=channel.values_TD[:1]))
    return float(steps[frames].mean())


@pytest.mark.parametrize("folder", ["g1_yellow_bottle", "gr1_pick_place/robot_sim.PickNPlace"])
def test_what_is_named_a_right_hand_moves_at_the_boundaries(
    shared_data: Path, truth: dict[str, list[dict[str, Any]]], folder: str
) -> None:
    dataset = open_lerobot(shared_data / folder)
    for row in truth[folder]:
        episode = dataset.episode(number_of(row))
        hands = [c for c in episode.channels if c.kind == "gripper" and c.subject == "right"]
        assert [hand.name for hand in hands] == [
            "observation.state.right_hand",
            "action.right_hand",
        ]
        assert {hand.values_TD.shape[1] for hand in hands} == {6}
        at_boundaries = np.zeros(row["n_frames"], dtype=bool)
        for boundary in row["boundaries"]:
            at_boundaries[boundary["start_frame"] - 2 : boundary["end_frame"] + 1] = True
        state = hands[0]
        assert speed(state, at_boundaries) > 1.5 * speed(state, ~at_boundaries)


def test_a_part_of_the_g1_dataset(shared_data: Path) -> None:
    dataset = open_lerobot(shared_data / "g1_yellow_bottle")
    assert isinstance(dataset, LeRobotDataset)
    found = readable(dataset)
    assert (dataset.format, len(dataset.ids), len(found)) == ("lerobot v2.1", 100, 8)
    assert dataset.notes == ("92 of 100 episodes have no data file",)
    assert {e.task for e in found.values()} == {"Pick up the yellow bottle on the table."}
    assert all(episode.notes == () for episode in found.values())


def test_the_traps_of_the_gr1_dataset(shared_data: Path) -> None:
    dataset = open_lerobot(shared_data / "gr1_pick_place/robot_sim.PickNPlace")
    assert isinstance(dataset, LeRobotDataset)
    assert any("'observation.images.egoview', which has no video" in n for n in dataset.notes)
    found = readable(dataset)
    # Frames of 000 point to a task that is not theirs; the list of episodes is right.
    assert found["episode_000000"].task.startswith("pick the pear")
    assert found["episode_000003"].task.startswith("pick the bar")
    for episode in found.values():
        assert list(episode.videos) == ["observation.images.ego_view"]
        assert any("the first timestamp is 0.050 s" in note for note in episode.notes)
        state = next(c for c in episode.channels if c.name == "observation.state")
        assert {"left_arm[0]", "waist[2]"} <= set(state.columns)


def test_jaws_of_aloha_have_no_names(shared_data: Path) -> None:
    episode = open_lerobot(shared_data / FOLDERS["aloha"]).episode("episode_000000")
    assert [(c.kind, c.values_TD.shape) for c in episode.channels] == [
        ("state", (400, 14)),
        ("action", (400, 14)),
        ("other", (400, 1)),
    ]
    assert "no channel is known to be a gripper" in episode.notes


@pytest.mark.parametrize("folder", ["g1_yellow_bottle", "gr1_pick_place/robot_sim.PickNPlace"])
def test_true_boundaries_are_written_and_read(
    shared_data: Path, truth: dict[str, list[dict[str, Any]]], folder: str, tmp_path: Path
) -> None:
    labels = {
        number_of(row): tuple(Event(b["name"], None, b["nominal_s"]) for b in row["boundaries"])
        for row in truth[folder]
    }
    written = write_lerobot(shared_data / folder, tmp_path / "out", labels)
    assert set(written.written) == set(labels)
    dataset = open_lerobot(tmp_path / "out")
    for name, events in labels.items():
        episode = dataset.episode(name)
        assert [(e.name, e.end_s) for e in episode.events] == [(e.name, e.end_s) for e in events]
        assert episode.labelled_by == "kairoscope"
