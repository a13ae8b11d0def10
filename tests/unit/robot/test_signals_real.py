"""Recorded clips that nobody here made: boundaries from signals alone, without a word about columns.

The columns come without names, as one vector each, except where the test says otherwise.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kairoscope.events import Query
from kairoscope.robot.episode import Channel, Episode
from kairoscope.robot.opening import open_dataset
from kairoscope.robot.signals import find_grippers, match, moments

TOLERANCE_S = 0.25
DATASETS = {"g1": "g1_bottle_", "gr1": "gr1_pnp_", "insertion": "aloha_i", "transfer": "aloha_t"}


def labels(shared_data: Path, prefix: str) -> list[dict[str, Any]]:
    lines = (shared_data / "ground_truth.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["id"].startswith(prefix)]


def recorded(shared_data: Path, row: dict[str, Any]) -> Episode:
    """State and action of a clip as two vectors without names."""
    if row["id"].startswith("aloha"):
        folder = shared_data / Path(row["video"]).parents[1] / "train"
        table = pa.ipc.open_stream(next(folder.glob("*.arrow"))).read_all()
    else:
        root = shared_data / str(row["video"]).split("/videos/")[0]
        table = pq.read_table(root / f"data/chunk-000/{Path(row['video']).stem}.parquet")
    state, action = (
        np.array(table[name].to_pylist(), dtype=float) for name in ("observation.state", "action")
    )
    channels = (
        Channel(name="observation.state", kind="state", values_TD=state),
        Channel(name="action", kind="action", values_TD=action),
    )
    times_s = np.arange(table.num_rows) / row["fps"]
    return Episode(id=row["id"], times_s=times_s, channels=channels, task=row["task"])


def outcomes(
    rows: list[dict[str, Any]], episodes: list[Episode], query: Query
) -> list[tuple[bool, float]]:
    """(inside the recorded interval +-0.25 s, error in s) of every boundary."""
    grippers = find_grippers(episodes, query)
    found = []
    for row, episode in zip(rows, episodes, strict=True):
        evidence = match(moments(episode, grippers), query, episode.times_s)
        for one, truth in zip(evidence, row["boundaries"], strict=True):
            time_s = one.time_s if one.time_s is not None else float("inf")
            early, late = truth["start_s"] - TOLERANCE_S, truth["end_s"] + TOLERANCE_S
            found.append((early <= time_s <= late, abs(time_s - truth["nominal_s"])))
    return found


def test_95_percent_of_the_boundaries_of_all_clips(shared_data: Path) -> None:
    found = []
    for prefix in DATASETS.values():
        rows = labels(shared_data, prefix)
        query = tuple(boundary["name"] for boundary in rows[0]["boundaries"])
        found += outcomes(rows, [recorded(shared_data, row) for row in rows], query)
    assert len(found) == 24
    assert np.mean([inside for inside, _ in found]) >= 0.95
    assert np.median([error for _, error in found]) < 0.15


@pytest.mark.parametrize("prefix", ["g1_bottle_", "gr1_pnp_"])
@pytest.mark.parametrize(
    "query", [("grasping the thing", "releasing the thing"), ("pick it up", "put it down")]
)
def test_other_words_for_the_same(shared_data: Path, prefix: str, query: Query) -> None:
    rows = labels(shared_data, prefix)
    found = outcomes(rows, [recorded(shared_data, row) for row in rows], query)
    assert all(inside for inside, _ in found)


def test_columns_that_are_found(shared_data: Path) -> None:
    titles = {}
    for name, prefix in DATASETS.items():
        rows = labels(shared_data, prefix)
        grippers = find_grippers([recorded(shared_data, row) for row in rows])
        titles[name] = sorted(gripper.title for gripper in grippers)
    assert titles == {
        "g1": ["observation.state[20:26]"],
        "gr1": ["observation.state[29:34]"],
        "insertion": ["observation.state[13]", "observation.state[6]"],
        "transfer": ["observation.state[13]", "observation.state[6]"],
    }


def test_events_of_two_hands_in_either_order(shared_data: Path) -> None:
    (row,) = labels(shared_data, "aloha_i")
    truth = row["boundaries"][0]
    episode = recorded(shared_data, row)
    for query in (
        ("left hand grasps the socket", "right hand grasps the peg"),
        ("right hand grasps the peg", "left hand grasps the socket"),
    ):
        grippers = find_grippers([episode], query)
        for one in match(moments(episode, grippers), query, episode.times_s):
            assert one.time_s is not None
            assert truth["start_s"] - TOLERANCE_S <= one.time_s <= truth["end_s"] + TOLERANCE_S


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [
        ("g1_yellow_bottle", "g1_bottle_"),
        ("gr1_pick_place/robot_sim.PickNPlace", "gr1_pnp_"),
    ],
)
def test_the_same_through_the_reader_with_its_names(
    shared_data: Path, folder: str, prefix: str
) -> None:
    dataset = open_dataset(shared_data / folder)
    rows = labels(shared_data, prefix)
    episodes = [dataset.episode(f"episode_{int(row['id'][-3:]):06d}") for row in rows]
    query = tuple(boundary["name"] for boundary in rows[0]["boundaries"])
    grippers = find_grippers(episodes, query)
    assert [gripper.arm for gripper in grippers] == ["right"]
    assert all(inside for inside, _ in outcomes(rows, episodes, query))
