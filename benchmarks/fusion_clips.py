"""Labelled clips with what each source says about them, for learning and judging the fusion."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.events import Event
from kairoscope.fusion import Floats, ends_in_turn, on_frames
from kairoscope.pool_fitting import Labelled
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import time_priors
from kairoscope.robot.episode import Channel, Episode
from kairoscope.robot.lerobot import episode_id, open_lerobot
from kairoscope.robot.signals import find_grippers, match, moments

NUM_EXAMPLES = 3
EPISODES_SHOWN = 8
"""Of a task, to find grippers in."""


def model_evidence(record: dict[str, Any], times_s: Floats) -> dict[str, Floats]:
    """Slot -> the model's distribution on the frames of the clip."""
    return {
        posterior["slot"]: on_frames(
            [float(choice) for choice in posterior["choices"]], posterior["probabilities"], times_s
        )
        for posterior in record["posteriors"]
    }


def signal_evidence(
    episodes: Sequence[Episode], queries: Sequence[tuple[str, ...]]
) -> list[dict[str, Floats]]:
    """For every episode of one dataset, slot -> what its signals say."""
    grippers = find_grippers(list(episodes[:EPISODES_SHOWN]))
    return [
        {
            f"end {place}": evidence.probabilities_T
            for place, evidence in enumerate(
                match(moments(episode, grippers), query, episode.times_s), 1
            )
        }
        for episode, query in zip(episodes, queries, strict=True)
    ]


def prior_evidence(
    demos: Sequence[Demonstration], times: Sequence[Floats], k: int = NUM_EXAMPLES
) -> list[dict[str, Floats]]:
    """What k other demonstrations of its scenario say about each; drawn with a seed."""
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, demo in enumerate(demos):
        alike[demo.scenario, len(demo.query)].append(place)
    rng, found = np.random.default_rng(0), []
    for place, (demo, times_s) in enumerate(zip(demos, times, strict=True)):
        others = [j for j in alike[demo.scenario, len(demo.query)] if j != place]
        picked: list[int] = []
        if others and k:
            picked = rng.choice(others, min(k, len(others)), replace=False).tolist()
        priors = time_priors(demo.query, [demos[j] for j in picked], demo.duration_s)
        found.append({slot: prior.probabilities(times_s) for slot, prior in priors.items()})
    return found


def simulated_clips(folder: Path, run: Path, k: int = NUM_EXAMPLES) -> list[Labelled]:
    """Clips of `kairoscope simulate` that a model was asked about in an evaluation run.

    The signals are the hand's place and its opening, which the format calls a gripper.
    """
    records = {row["sample_id"]: row for row in _rows(run / "records.jsonl")}
    tracks = {row["video"]: row for row in _rows(folder / "tracks.jsonl")}
    names = [name for name in records if name in tracks]
    episodes = []
    for name in names:
        own = tracks[name]["tracks"]
        times_s = np.array(tracks[name]["times_s"])
        hand = np.array([own[c] for c in ("hand_column", "hand_row", "hand_height")]).T
        opening = np.array(own["opening"])[:, None]
        channels = (
            Channel(name="hand", kind="state", values_TD=hand),
            Channel(name="gripper_opening", kind="gripper", values_TD=opening),
        )
        episodes.append(Episode(id=name, times_s=times_s, channels=channels))
    demos = [_demonstration(records[name]) for name in names]
    signals = signal_evidence(episodes, [demo.query for demo in demos])
    priors = prior_evidence(demos, [episode.times_s for episode in episodes], k)
    models = [model_evidence(records[e.id], e.times_s) for e in episodes]
    return [
        labelled(demo, episode.times_s, {"model": m, "signals": s, "prior": p})
        for demo, episode, m, s, p in zip(demos, episodes, models, signals, priors, strict=True)
    ]


def families_of(folder: Path, run: Path, k: int = NUM_EXAMPLES) -> dict[str, list[Labelled]]:
    """The same by what the clips show, as the beginnings of their names say."""
    tracked = {row["video"] for row in _rows(folder / "tracks.jsonl")}
    names = [row["sample_id"] for row in _rows(run / "records.jsonl")]
    names = [name for name in names if name in tracked]
    found: dict[str, list[Labelled]] = defaultdict(list)
    for name, clip in zip(names, simulated_clips(folder, run, k), strict=True):
        found[Path(name).name.split("_")[0]].append(clip)
    return found


def real_clips(data: Path, run: Path, k: int = NUM_EXAMPLES) -> list[Labelled]:
    """The real G1 clips: a run on `benchmarks.real_clips`' labels, and the recorded signals.

    The prior of each is made of k of the others.
    """
    dataset = open_lerobot(data / "g1_yellow_bottle")
    demos, episodes, models = [], [], []
    for record in _rows(run / "records.jsonl"):
        if "g1_yellow_bottle" in record["video"]:
            episode = dataset.episode(episode_id(int(Path(record["video"]).stem.split("_")[-1])))
            demos.append(_demonstration(record))
            episodes.append(episode)
            models.append(model_evidence(record, episode.times_s))
    signals = signal_evidence(episodes, [demo.query for demo in demos])
    priors = prior_evidence(demos, [episode.times_s for episode in episodes], k)
    return [
        labelled(demo, episode.times_s, {"model": m, "signals": s, "prior": p})
        for demo, episode, m, s, p in zip(demos, episodes, models, signals, priors, strict=True)
    ]


def labelled(
    demo: Demonstration, times_s: Floats, evidence: dict[str, dict[str, Floats]]
) -> Labelled:
    """A clip of which the ends are asked."""
    return Labelled(
        times_s=times_s,
        boundaries=ends_in_turn(len(demo.query)),
        evidence=evidence,
        truth_s={f"end {i}": event.end_s for i, event in enumerate(demo.gold, 1)},
        names={f"end {i}": name for i, name in enumerate(demo.query, 1)},
    )


def _demonstration(record: dict[str, Any]) -> Demonstration:
    return Demonstration(
        id=record["sample_id"],
        group=record["group"],
        scenario=record["scenario"],
        query=tuple(record["query"]),
        gold=tuple(Event(e["name"], e["start_s"], e["end_s"]) for e in record["gold"]),
        duration_s=record["duration_s"],
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
