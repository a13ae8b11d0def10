"""The figures of the published benchmark, from its ground truth (60 demonstrations of 7 tasks)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import Record
from kairoscope.events import Event, Events, events_to_json
from kairoscope.metrics import summarize

TASKS: dict[str, Any] = json.loads(
    Path(__file__).with_name("benchmark_ends.json").read_text("utf-8")
)
AGIBOT = [name for name in TASKS if name.startswith("agibot")]


def answered(task: str, answer: Callable[[Events], Events | None]) -> list[Record]:
    """One record a demonstration, with ends only, as the benchmark's ground truth has them."""
    names = TASKS[task]["events"]
    records = []
    for i, ends in enumerate(TASKS[task]["ends_s"]):
        gold = tuple(Event(name, None, end_s) for name, end_s in zip(names, ends, strict=True))
        value = answer(gold)
        records.append(
            Record(
                sample_id=f"{task}/{i}",
                video=f"{i}.mp4",
                group=f"{task}/{i}",
                scenario=task,
                trial=0,
                text="",
                value=None if value is None else events_to_json(value),
                unparsed=None if value else "nothing",
                gold=events_to_json(gold),
                query=names,
                scores={},
                duration_s=0.0,
            )
        )
    return records


def constant(gold: Events) -> Events:
    """`0-1, 1-2`, whatever is shown."""
    return tuple(Event(event.name, float(i), i + 1.0) for i, event in enumerate(gold))


@pytest.mark.parametrize(
    ("tasks", "mae_s", "mre_percent"),
    [
        (["isaac_lab_cube_stacking"], 0.513, 34.0),
        (["isaac_lab_nut_pouring"], 0.190, 8.9),
        (["bridge_cube_stacking"], 0.109, 19.1),
        (AGIBOT, 0.813, 22.9),
    ],
)
def test_the_median_of_the_other_demonstrations(
    tasks: list[str], mae_s: float, mre_percent: float
) -> None:
    records = [record for task in tasks for record in answered(task, lambda _: None)]
    prior = summarize(records, draws=100)["prior"]
    assert prior["mae_s"] == pytest.approx(mae_s, abs=5e-4)
    assert prior["mre_percent"] == pytest.approx(mre_percent, abs=0.05)
    assert prior["n_clips"] == len(records)


def test_the_answer_that_three_published_models_gave_to_every_bridge_clip() -> None:
    summary = summarize(answered("bridge_cube_stacking", constant))
    for over in ("all", "answered_only"):
        assert summary["ends"][over]["mae_s"] == pytest.approx(0.560, abs=5e-4)
        assert summary["ends"][over]["mre_percent"] == pytest.approx(109.65, abs=5e-3)
    assert summary["degenerate"] is True
    assert summary["skill"] == pytest.approx(1 - 109.652 / 19.0994, abs=1e-3)
    assert summary["skill_mae"] == pytest.approx(1 - 0.560 / 0.109, abs=1e-3)
    low, high = summary["ends"]["all"]["mre_ci95"]
    assert low < 109.65 < high


@pytest.mark.parametrize("task", TASKS)
def test_the_truth_is_perfect_and_not_degenerate(task: str) -> None:
    summary = summarize(answered(task, lambda gold: gold), draws=50)
    assert summary["ends"]["all"]["mae_s"] == 0
    assert summary["tiou_mean"] == summary["events_found"] == summary["hit_rate"] == 1
    assert summary["recall"] == {"0.5": 1, "0.7": 1}
    assert summary["skill"] == 1
    assert summary["degenerate"] is False


@pytest.mark.parametrize("task", TASKS)
def test_the_constant_answer_is_degenerate_for_every_task(task: str) -> None:
    assert summarize(answered(task, constant), draws=50)["degenerate"] is True


def test_ten_demonstrations_leave_an_interval_of_about_seven_points_each_way() -> None:
    """Of the prior itself: what a table of ten clips can tell at all."""
    prior = summarize(answered("isaac_lab_cube_stacking", lambda _: None))["prior"]
    low, high = prior["mre_ci95"]
    assert 10 < high - low < 20
