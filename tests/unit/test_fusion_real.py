"""Signals and a prior of three examples, fused with the shipped weights, on a real robot."""

import json
from pathlib import Path

import numpy as np

from kairoscope.events import Event
from kairoscope.fusion import ends_in_turn, fuse
from kairoscope.pool_fitting import default_pool
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import time_priors
from kairoscope.robot.lerobot import episode_id, open_lerobot
from kairoscope.robot.signals import find_grippers, match, moments

QUERY = ("closing the right hand on the bottle", "opening the right hand")


def test_fused_ends_lie_where_the_fingers_move_and_nearer_than_the_prior(shared_data: Path) -> None:
    rows = [json.loads(x) for x in (shared_data / "ground_truth.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["id"].startswith("g1_bottle")]
    demos = [
        Demonstration(
            id=row["id"],
            group=row["id"],
            scenario="g1",
            query=QUERY,
            gold=tuple(
                Event(name, None, b["nominal_s"])
                for name, b in zip(QUERY, row["boundaries"], strict=True)
            ),
            duration_s=row["duration_s"],
        )
        for row in rows
    ]
    dataset = open_lerobot(shared_data / "g1_yellow_bottle")
    episodes = [dataset.episode(episode_id(int(row["id"].split("_")[-1]))) for row in rows]
    grippers = find_grippers(episodes)
    errors: dict[str, list[float]] = {"fused": [], "prior": []}
    for i, (row, episode) in enumerate(zip(rows, episodes, strict=True)):
        times_s = episode.times_s
        priors = time_priors(QUERY, [*demos[:i], *demos[i + 1 :]][:3], row["duration_s"])
        found = match(moments(episode, grippers), QUERY, times_s)
        evidence = {
            "prior": {slot: prior.probabilities(times_s) for slot, prior in priors.items()},
            "signals": {f"end {n}": own.probabilities_T for n, own in enumerate(found, 1)},
        }
        for fused, truth in zip(
            fuse(times_s, ends_in_turn(2), evidence, default_pool()), row["boundaries"], strict=True
        ):
            assert truth["start_s"] - 0.25 <= fused.time_s <= truth["end_s"] + 0.25
            assert set(fused.said) == {"prior", "signals"}
            assert fused.said["signals"].influence > fused.said["prior"].influence
            errors["fused"].append(abs(fused.time_s - truth["nominal_s"]))
            errors["prior"].append(abs(fused.said["prior"].time_s - truth["nominal_s"]))
    assert np.mean(errors["fused"]) < 0.5 * np.mean(errors["prior"])
