"""The twelve recorded robot clips: signals, prior and model alone, and fused, in one table.

    python -m benchmarks.real_sources ../shared/data RUN_OF_ALL [RUN_AFTER_TRAINING] [--out FOLDER]

RUN_OF_ALL and RUN_AFTER_TRAINING: the evaluations `eval_all` and `eval_after` that
`benchmarks.real_clips` leaves. A boundary counts as inside where it lies in the recorded motion that
ends its event, or within 0.25 s of it.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fusion_clips import labelled, model_evidence, signal_evidence
from benchmarks.results import RESULTS, Goal, Result, Table, shown_command, write
from kairoscope.annotate.trusting import STRENGTH
from kairoscope.calibration import reliability
from kairoscope.events import Event
from kairoscope.fusion import Floats, Pool, fuse
from kairoscope.fusion.doubt import agreement, doubting, lost_share
from kairoscope.pool_fitting import Labelled, default_pool, fit_pool, only
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import time_priors
from kairoscope.robot.episode import Dataset, Episode
from kairoscope.robot.lerobot import episode_id
from kairoscope.robot.opening import open_dataset

TOLERANCE_S = 0.25
FOLDERS = {
    "g1_bottle": "g1_yellow_bottle",
    "gr1_pnp": "gr1_pick_place/robot_sim.PickNPlace",
    "aloha_transfer_cube_human": "aloha/aloha_sim_transfer_cube_human",
    "aloha_insertion_scripted": "aloha/aloha_sim_insertion_scripted",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A recorded clip, its truth, and what the sources say of it."""

    name: str
    dataset: str
    intervals_s: tuple[tuple[float, float], ...]
    demo: Demonstration
    told: Labelled


def clips_of(data: Path, run: Path) -> list[Clip]:
    """The robot clips that a model was asked about, with signals and the model's answers."""
    records = {r["group"]: r for r in _rows(run / "records.jsonl")}
    truths = {t["id"]: t for t in _rows(data / "ground_truth.jsonl") if t["id"] in records}
    found = []
    for kind, folder in FOLDERS.items():
        own = [t for name, t in truths.items() if name.startswith(kind)]
        if not own:
            continue
        dataset = open_dataset(data / folder)
        episodes = [_episode(dataset, truth) for truth in own]
        demos = [_demonstration(truth) for truth in own]
        signals = signal_evidence(episodes, [demo.query for demo in demos])
        for truth, episode, demo, signal in zip(own, episodes, demos, signals, strict=True):
            model = model_evidence(records[truth["id"]], episode.times_s)
            told = labelled(demo, episode.times_s, {"model": model, "signals": signal})
            spans = tuple((b["start_s"], b["end_s"]) for b in truth["boundaries"])
            found.append(Clip(truth["id"], kind, spans, demo, told))
    return found


def _episode(dataset: Dataset, truth: dict[str, Any]) -> Episode:
    name = dataset.ids[0]
    if truth["id"][-3:].isdigit():
        name = episode_id(int(truth["id"][-3:]))
    return dataset.episode(name)


def _demonstration(truth: dict[str, Any]) -> Demonstration:
    gold = tuple(Event(b["name"], None, b["nominal_s"]) for b in truth["boundaries"])
    return Demonstration(
        id=truth["id"],
        group=truth["id"],
        scenario=truth["id"],
        query=tuple(event.name for event in gold),
        gold=gold,
        duration_s=truth["duration_s"],
    )


def with_prior(clip: Clip, others: Sequence[Clip]) -> Labelled:
    """With the prior that other clips of its dataset give; without, where there is none."""
    if not others:
        return clip.told
    times_s = clip.told.times_s
    priors = time_priors(clip.demo.query, [o.demo for o in others], float(times_s[-1]))
    prior: dict[str, Floats] = {
        slot: priors[slot].probabilities(times_s) for slot in clip.told.truth_s
    }
    return replace(clip.told, evidence={**clip.told.evidence, "prior": prior})


def doubted(clips: Sequence[Clip]) -> Pool:
    """The shipped weights, less sure of a model that does not find what signals find here."""
    found = [
        agreement(c.told.times_s, c.told.evidence["model"][s], c.told.evidence["signals"][s])
        for c in clips
        for s in sorted(c.told.truth_s)
    ]
    return doubting(default_pool(), {"model": lost_share(found)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One boundary under one way of finding it."""

    inside: bool
    error_s: float
    confidence: float


def outcomes(clip: Clip, told: Labelled, sources: Sequence[str], pool: Pool) -> list[Outcome]:
    """Where some sources place the boundaries of a clip; nothing where it lacks one of them."""
    if not set(sources) <= set(told.evidence):
        return []
    found = []
    for one, (start_s, end_s) in zip(
        fuse(told.times_s, told.boundaries, only(told, sources).evidence, pool),
        clip.intervals_s,
        strict=True,
    ):
        inside = start_s - TOLERANCE_S <= one.time_s <= end_s + TOLERANCE_S
        found.append(Outcome(inside, abs(one.time_s - told.truth_s[one.slot]), one.confidence))
    return found


def judged(clips: Sequence[Clip], examples: Sequence[Clip]) -> dict[str, list[Outcome]]:
    """Every way of finding boundaries -> what came of it.

    Args:
        clips: those to judge.
        examples: labelled clips for priors; a clip among them is never its own.
    """
    found: dict[str, list[Outcome]] = {}
    for kind in FOLDERS:
        own = [clip for clip in clips if clip.dataset == kind]
        labels = [clip for clip in examples if clip.dataset == kind]
        pool = doubted(own) if own else default_pool()
        for clip in own:
            others = [other for other in labels if other.name != clip.name]
            told = with_prior(clip, others)
            learned = [
                with_prior(other, [o for o in others if o.name != other.name]) for other in others
            ]
            with_model = [one for one in learned if "model" in one.evidence]
            adapted = fit_pool(with_model, pool, STRENGTH) if with_model else pool
            for way, sources, how in (
                ("signals", ("signals",), pool),
                ("prior from the others", ("prior",), pool),
                ("model", ("model",), default_pool()),
                ("fused, no label", ("model", "signals"), pool),
                ("fused, the others labelled", ("model", "signals", "prior"), adapted),
            ):
                found.setdefault(way, []).extend(outcomes(clip, told, sources, how))
    return found


def table(title: str, found: dict[str, list[Outcome]]) -> Table:
    """Errors, and whether confidences came true: how often a boundary was within 0.25 s of its nominal end."""
    rows = [
        (
            way,
            str(len(own)),
            f"{np.mean([one.inside for one in own]):.0%}",
            f"{np.median([one.error_s for one in own]):.3f}",
            f"{np.mean([one.error_s for one in own]):.3f}",
            *_calibration(own),
        )
        for way, own in found.items()
        if own
    ]
    columns = (
        *("from", "boundaries", "inside +-0.25 s", "median error s", "mean error s"),
        *("mean confidence", "within 0.25 s", "calibration error"),
    )
    return Table(title=title, columns=columns, rows=tuple(rows))


def _calibration(found: Sequence[Outcome]) -> tuple[str, str, str]:
    sure = [one.confidence for one in found]
    came = [one.error_s <= TOLERANCE_S + 1e-6 for one in found]
    off = reliability(sure, came).error
    return f"{np.mean(sure):.0%}", f"{np.mean(came):.0%}", f"{off:.3f}"


def result(data: Path, run: Path, after: Path | None) -> Result:
    """Both tables."""
    everything = clips_of(data, run)
    zero = judged(everything, everything)
    tables = [table("All clips; the model never saw these robots", zero)]
    facts: dict[str, Any] = {"zero_shot": _plain(zero)}
    if after is not None:
        tested = clips_of(data, after)
        names = {clip.name for clip in tested}
        # The model has learned these six: what it says of them now is not asked.
        six = [
            replace(c, told=only(c.told, ("signals",)))
            for c in everything
            if c.dataset == "g1_bottle" and c.name not in names
        ]
        trained = judged(tested, six)
        tables.append(
            table("Two G1 clips, the model trained on six others, which are labelled", trained)
        )
        facts["trained"] = _plain(trained)
    inside = float(np.mean([one.inside for one in zero["signals"]]))
    return Result(
        name="real_sources",
        title="Recorded robot clips: what each source finds",
        what=(
            "Eight clips of a Unitree G1, two of a simulated GR-1, two of a simulated ALOHA; 24 ends of "
            "graspings, releases and handovers. No column is named to the signals of ALOHA; the other "
            "files name some. The prior of a clip comes from the other clips of its dataset."
        ),
        tables=tuple(tables),
        goals=(
            Goal(
                text="recorded clips, boundaries from signals alone inside the motion +-0.25 s",
                limit=95,
                value=round(100 * inside, 1),
                at_least=True,
                unit=" %",
            ),
        ),
        data=facts,
    )


def _plain(found: dict[str, list[Outcome]]) -> dict[str, Any]:
    return {
        way: {
            "inside": [one.inside for one in own],
            "error_s": [round(one.error_s, 4) for one in own],
        }
        for way, own in found.items()
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def main() -> None:
    """Judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("after", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options: Any = parser.parse_args()
    options.load_before, options.smoke = os.getloadavg()[0], False
    options.command = shown_command("python -m benchmarks.real_sources", sys.argv[1:])
    write(result(options.data, options.run, options.after), options)


if __name__ == "__main__":
    main()
