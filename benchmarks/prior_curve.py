"""How far one, two, three labelled demonstrations predict the others, and how sure they may be.

    python -m benchmarks.prior_curve TRUTH.json [LABELS.jsonl …]          errors, coverage
    python -m benchmarks.prior_curve --fit TRUTH.json LABELS.jsonl …      the defaults of Spread

TRUTH.json: the published benchmark's end times by task and episode. LABELS.jsonl: as
`kairoscope simulate` writes them. Every choice of k demonstrations predicts every other one (40
choices an episode, drawn with a seed, where there are more).
"""

import argparse
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from kairoscope.events import Event
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import DEFAULT_SPREAD, Spread, time_priors

Tasks = dict[str, list[Demonstration]]
MOST_CHOICES = 40


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


def errors(demos: Sequence[Demonstration], k: int) -> tuple[float, float, float]:
    """(mean |error| in s, mean relative error in %, share inside the 80 % interval) of k."""
    absolute, relative, inside = [], [], []
    for demo, examples in choices(demos, k):
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
    return float(np.mean(absolute)), float(np.mean(relative)), float(np.mean(inside))


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
    options = parser.parse_args()
    tasks = benchmark_tasks(options.truth)
    for labels in options.labels:
        tasks |= labelled_tasks(labels)
    if options.fit:
        spread = fit(tasks)
        for field in fields(spread):
            print(field.name, round(getattr(spread, field.name), 4))
        return
    print("| task | n | k = 1 | 2 | 3 | all others |\n|---|---|---|---|---|---|")
    for name, demos in tasks.items():
        cells = []
        for k in (1, 2, 3, len(demos) - 1):
            error_s, percent, inside = errors(demos, k)
            cells.append(f"{error_s:.3f} s, {percent:.1f} %, {inside:.0%}")
        print(f"| {name} | {len(demos)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
