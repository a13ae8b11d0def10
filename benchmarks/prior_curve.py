"""How far one, two, three labelled demonstrations predict the others, and how sure they may be.

    python -m benchmarks.prior_curve TRUTH.json [LABELS.jsonl …] [--out FOLDER]   errors, coverage
    python -m benchmarks.prior_curve --fit TRUTH.json LABELS.jsonl …      the defaults of Spread

TRUTH.json: the published benchmark's end times by task and episode. LABELS.jsonl: as
`kairoscope simulate` writes them. Every choice of k demonstrations predicts every other one (40
choices an episode, drawn with a seed, where there are more). `chosen` predicts them from those that
`annotate --examples k` would have labelled first, as far as it can be told from durations; where
these are not known, the last event's end stands for them.
"""

import argparse
import itertools
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import RESULTS, Goal, Result, Table, shown_command, write
from kairoscope.events import Event
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import DEFAULT_SPREAD, Spread, time_priors
from kairoscope.robot.examples import medoids

Tasks = dict[str, list[Demonstration]]
MOST_CHOICES = 40
PUBLISHED = (
    ("isaac_lab_nut_pouring", 0.220, 9.9),
    ("isaac_lab_cube_stacking", 0.544, 36.7),
    ("bridge_cube_stacking", 0.132, 23.2),
    ("agibot", 1.03, 31.2),
)
"""(tasks, mean error in s, in %) of one example; the mean of all tasks whose names begin so."""


def benchmark_tasks(truth: Path) -> Tasks:
    """The published benchmark's demonstrations, by task; their durations are not known."""
    tasks: Tasks = {}
    for task, entry in json.loads(truth.read_text()).items():
        query = tuple(entry["events"])
        tasks[task] = [
            Demonstration(
                id=f"{task}/{name}",
                group=f"{task}/{name}",
                scenario=task,
                query=query,
                gold=tuple(Event(n, None, t) for n, t in zip(query, ends, strict=True)),
            )
            for name, ends in entry["end_times_s"].items()
        ]
    return tasks


def labelled_tasks(labels: Path) -> Tasks:
    """Clips of a label file by what they show and how many events they have, 30 of each."""
    tasks: Tasks = defaultdict(list)
    for line in labels.read_text().splitlines():
        row = json.loads(line)
        query = tuple(event["name"] for event in row["events"])
        key = f"{row['task']} {len(query)}"
        if len(tasks[key]) < 30:
            tasks[key].append(
                Demonstration(
                    id=row["video"],
                    group=row["group"],
                    scenario=key,
                    query=query,
                    gold=tuple(Event(e["name"], None, e["end_s"]) for e in row["events"]),
                    duration_s=row["duration_s"],
                )
            )
    return {key: demos for key, demos in tasks.items() if len(demos) >= 5}


def choices(
    demos: Sequence[Demonstration], k: int, most: int = MOST_CHOICES
) -> list[tuple[Demonstration, list[Demonstration]]]:
    """(the one to predict, the k to predict it from), at most `most` times for each."""
    rng, pairs = np.random.default_rng(0), []
    for i, demo in enumerate(demos):
        others = [*demos[:i], *demos[i + 1 :]]
        if math.comb(len(others), k) <= most:
            chosen = [list(c) for c in itertools.combinations(others, k)]
        else:
            picks = (rng.choice(len(others), k, replace=False) for _ in range(most))
            chosen = [[others[j] for j in sorted(pick)] for pick in picks]
        pairs += [(demo, choice) for choice in chosen]
    return pairs


Pairs = Sequence[tuple[Demonstration, list[Demonstration]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """How well examples predict."""

    error_s: float
    """Mean absolute."""
    percent: float
    """Mean of the error as a share of the event's length."""
    inside: float
    """Share inside the 80 % interval."""

    def cell(self) -> str:
        return f"{self.error_s:.3f} s, {self.percent:.1f} %, {self.inside:.0%}"


def judged(pairs: Pairs) -> Judged:
    """Predict each demonstration from its examples."""
    absolute, relative, inside = [], [], []
    for demo, examples in pairs:
        priors = time_priors(demo.query, examples, demo.duration_s)
        grid = np.arange(0.0, 2.5 * demo.gold[-1].end_s, 0.02)
        before_s = 0.0
        for place, event in enumerate(demo.gold, 1):
            prior = priors[f"end {place}"]
            error = abs(prior.location_s - event.end_s)
            absolute.append(error)
            relative.append(100 * error / (event.end_s - before_s))
            cdf = np.cumsum(prior.probabilities(grid))
            low, high = grid[np.searchsorted(cdf, (0.1, 0.9))]
            inside.append(low <= event.end_s <= high)
            before_s = event.end_s
    return Judged(float(np.mean(absolute)), float(np.mean(relative)), float(np.mean(inside)))


def chosen(demos: Sequence[Demonstration], k: int) -> Pairs:
    """The others, to be predicted from the k that durations say to label first."""
    lasts = np.log([demo.duration_s or demo.gold[-1].end_s for demo in demos])
    first = set(medoids(np.abs(lasts[:, None] - lasts[None, :]), k))
    examples = [demos[i] for i in sorted(first)]
    return [(demo, examples) for i, demo in enumerate(demos) if i not in first]


def best_chosen(demos: Sequence[Demonstration], k: int) -> Judged:
    """What the k that turn out best would give, of at most 120 choices: nobody can know them."""
    found = []
    for picks in itertools.islice(itertools.combinations(range(len(demos)), k), 120):
        examples = [demos[i] for i in picks]
        found.append(judged([(d, examples) for i, d in enumerate(demos) if i not in picks]))
    return min(found, key=lambda one: one.error_s)


def log_likelihood(tasks: Tasks, spread: Spread) -> float:
    """Mean log density of the true ends, every task and k = 1, 2, 3 and 9 counting alike."""
    means = []
    for demos in tasks.values():
        for k in (1, 2, 3, min(9, len(demos) - 1)):
            values = []
            for demo, examples in choices(demos, k, 3):
                priors = time_priors(demo.query, examples, demo.duration_s, spread)
                for place, event in enumerate(demo.gold, 1):
                    p = priors[f"end {place}"]
                    values.append(_log_student(event.end_s - p.location_s, p.scale_s, p.freedom))
            means.append(np.mean(values))
    return float(np.mean(means))


def _log_student(offset: float, scale: float, freedom: float) -> float:
    return (
        math.lgamma((freedom + 1) / 2)
        - math.lgamma(freedom / 2)
        - 0.5 * math.log(freedom * math.pi)
        - math.log(scale)
        - (freedom + 1) / 2 * math.log1p((offset / scale) ** 2 / freedom)
    )


def order_log_likelihood(tasks: Tasks, spread: Spread) -> float:
    """The same without demonstrations, of the shares of the duration."""
    means = []
    for demos in tasks.values():
        values = []
        for demo in demos:
            for place, prior in enumerate(
                (time_priors(demo.query, (), demo.duration_s, spread)[f"end {i + 1}"])
                for i in range(len(demo.query))
            ):
                x = demo.gold[place].end_s / (demo.duration_s or 1.0)
                a, b = prior.before, prior.after
                norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                values.append(norm + (a - 1) * math.log(x) + (b - 1) * math.log(1 - x))
        means.append(np.mean(values))
    return float(np.mean(means))


def fit(tasks: Tasks) -> Spread:
    """The spread under which the tasks are likeliest: one factor at a time, in smaller steps."""
    timed = {name: demos for name, demos in tasks.items() if demos[0].duration_s}
    with_examples = ("share", "growth", "weight", "follows_duration")
    spread = DEFAULT_SPREAD
    for names, score, judged in (
        (with_examples, log_likelihood, tasks),
        (("evenness", "tail"), order_log_likelihood, timed),
    ):
        best, step = score(judged, spread), 1.4
        while step > 1.04:
            improved = False
            for name, factor in itertools.product(names, (step, 1 / step)):
                tried = replace(spread, **{name: getattr(spread, name) * factor})
                value = score(judged, tried)
                if value > best + 1e-5:
                    best, spread, improved = value, tried, True
            if not improved:
                step = math.sqrt(step)
    return spread


def main() -> None:
    """Print a table, or fitted defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("labels", type=Path, nargs="*")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    tasks = benchmark_tasks(options.truth)
    for labels in options.labels:
        tasks |= labelled_tasks(labels)
    if options.fit:
        spread = fit(tasks)
        for field in fields(spread):
            print(field.name, round(getattr(spread, field.name), 4))
        return
    options.load_before, options.smoke = os.getloadavg()[0], False
    options.command = shown_command("python -m benchmarks.prior_curve", sys.argv[1:])
    write(result(tasks), options)


def result(tasks: Tasks) -> Result:
    """Errors as curves over k, and the published figures of one example as goals."""
    drawn, first = [], []
    data: dict[str, Any] = {}
    for name, demos in tasks.items():
        counts = (1, 2, 3, len(demos) - 1)
        all_of = {k: judged(choices(demos, k)) for k in counts}
        by_us = {k: judged(chosen(demos, k)) for k in counts[:3]}
        best = {k: best_chosen(demos, k) for k in counts[:3]}
        data[name] = {
            "n": len(demos),
            "all_choices": {str(k): asdict(one) for k, one in all_of.items()},
            "chosen": {str(k): asdict(one) for k, one in by_us.items()},
            "best_in_hindsight": {str(k): asdict(one) for k, one in best.items()},
        }
        drawn.append((name, str(len(demos)), *(all_of[k].cell() for k in counts)))
        first.append((name, *(f"{by_us[k].cell()} ({best[k].error_s:.3f} s)" for k in counts[:3])))
    goals = []
    for start, limit_s, limit_percent in PUBLISHED:
        own = [row for name, row in data.items() if name.startswith(start)]
        for case in ("all_choices", "chosen") if own else ():
            for key, limit, unit in (("error_s", limit_s, " s"), ("percent", limit_percent, " %")):
                value = float(np.mean([row[case]["1"][key] for row in own]))
                text = f"prior from one example, {case.replace('_', ' ')}, {start}: mean error"
                goals.append(
                    Goal(
                        text=text,
                        limit=limit,
                        value=round(value, 3 if unit == " s" else 1),
                        unit=unit,
                    )
                )
    return Result(
        name="prior_curve",
        title="How far labelled demonstrations predict the others",
        what=(
            "Mean error of the prior's centre, the same as a share of the event's length, and the "
            "share of ends inside the 80 % interval."
        ),
        tables=(
            Table(
                title="All choices of k",
                columns=("task", "n", "k = 1", "2", "3", "all others"),
                rows=tuple(drawn),
            ),
            Table(
                title="The k that durations say to label first (the best in hindsight)",
                columns=("task", "k = 1", "2", "3"),
                rows=tuple(first),
            ),
        ),
        goals=tuple(goals),
        notes=(
            "goals are the published figures for one example; where the benchmark's durations are "
            "not known, the last event's end stands for them in the choice and in nothing else",
        ),
        data={"tasks": data},
    )


if __name__ == "__main__":
    main()
