"""Boundaries asked about again, medians of several trials, and the plain posterior: error and cost.

    python -m benchmarks.refinement --data FOLDER [--first 40] [--clips 60] [--title WORDS]

FOLDER holds labelled clips, as `kairoscope simulate` or `benchmarks.real_clips` leaves them. Several sets may be
given, each with its own `--title`, `--first`, `--clips`, `--model` and `--ways`.
"""

import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.clips import model_name
from benchmarks.results import WORK, Goal, Result, Table, announce, arguments, number, write

DRAWS = 2000
TRIALS, TEMPERATURE = 10, 1.0
PLAIN, REFINED = "plain posterior", "refined: twice the frames, in slow motion (as --refine does)"


@dataclass(frozen=True, slots=True)
class Set:
    """Labelled clips and the model that is asked about them."""

    title: str
    data: Path
    first: int
    clips: int
    model: str
    ways: str
    """`all`, or `main`: without those that show all frames."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one way reached on a set."""

    errors_s: tuple[float, ...]
    """Mean absolute error of the ends of each clip."""
    ends_s: tuple[float, ...]
    """Every boundary's."""
    cpu_s: float
    """A clip."""


def ways(engine: Any) -> dict[str, tuple[Any, str]]:
    """Title -> (model, decoding)."""
    from kairoscope.core import Sampling
    from kairoscope.recipes.subtask_times import TASK
    from kairoscope.refinement import Refined, Refinement
    from kairoscope.trials import Median

    drawn = Sampling(trials=TRIALS, temperature=TEMPERATURE)
    return {
        PLAIN: (engine, "posterior"),
        REFINED: (Refined(engine, TASK), "posterior"),
        "refined: all frames, true pace": (
            Refined(engine, TASK, Refinement(full_rate=True, slow=1.0)),
            "posterior",
        ),
        "refined: all frames, at the model's pace": (
            Refined(engine, TASK, Refinement(full_rate=True, slow=7.5)),
            "posterior",
        ),
        f"median of {TRIALS} trials": (Median(engine, TASK, drawn), "constrained"),
    }


def rows_of(one: Set) -> list[dict[str, Any]]:
    """Labels of the clips of a set."""
    lines = (one.data / "labels.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[one.first : one.first + one.clips]]


def measure(one: Set) -> dict[str, Measured]:
    """Ask about every clip in every way."""
    from benchmarks.engines import load_engine

    engine = load_engine(one.model, preloaded=False)
    rows = rows_of(one)
    found: dict[str, Measured] = {}
    for title, (model, decoding) in ways(engine).items():
        if one.ways == "main" and "all frames" in title:
            continue
        announce(f"{one.title}: {title}")
        clips = [_clip(engine, model, decoding, one, row, title) for row in rows]
        found[title] = Measured(
            tuple(mean(clip["errors_s"]) for clip in clips),
            tuple(error for clip in clips for error in clip["errors_s"]),
            mean(clip["cpu_s"] for clip in clips),
        )
    return found


def _clip(
    engine: Any, model: Any, decoding: str, one: Set, row: dict[str, Any], title: str
) -> dict[str, Any]:
    """One clip in one way, kept, so that a measurement that was stopped goes on."""
    words = [title, model.identity, row["video"], row["events"], str(one.data.resolve())]
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
    file = WORK / "refinement" / f"{digest}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        errors = _errors(engine, model, decoding, one.data, row)
        measured = {"errors_s": errors, "cpu_s": time.process_time() - started}
        file.write_text(json.dumps(measured))
    return dict(json.loads(file.read_text()))


def _errors(engine: Any, model: Any, decoding: str, data: Path, row: dict[str, Any]) -> list[float]:
    """|answered - true| of every end of a clip, in s."""
    from kairoscope.core import Failed, Request, Sampling
    from kairoscope.posteriors import quantile_s
    from kairoscope.recipes.subtask_times import RECIPE, TASK

    query = tuple(event["name"] for event in row["events"])
    request = Request(
        id=row["video"],
        video=data / row["video"],
        prompt=TASK.prompt(query),
        policy=engine.checkpoint.policy or RECIPE.frames,
        template=partial(TASK.template, query),
        query=query,
    )
    [(_, answer)] = model.answer([request], Sampling(), decoding)
    if isinstance(answer, Failed):
        raise RuntimeError(answer.reason)
    slots = {posterior.slot: posterior for posterior in answer[0].posteriors}
    errors = []
    for number_, event in enumerate(row["events"], 1):
        posterior = slots[f"end {number_}"]
        times_s = [float(choice) for choice in posterior.choices]
        end_s = quantile_s(times_s, posterior.probabilities, 0.5)
        errors.append(abs(end_s - event["end_s"]))
    return errors


def interval(values: Sequence[float], of: Callable[[Sequence[float]], float] = mean) -> str:
    """95 % by resampling clips."""
    draw = random.Random(0)
    means = sorted(of(draw.choices(values, k=len(values))) for _ in range(DRAWS))
    low, high = means[int(DRAWS * 0.025)], means[int(DRAWS * 0.975)]
    return f"{low:.3f} to {high:.3f}"


def table(one: Set, found: dict[str, Measured]) -> Table:
    """A line for each way, differences taken clip by clip."""
    plain = found[PLAIN]
    rows = []
    for title, own in found.items():
        less = [a - b for a, b in zip(own.errors_s, plain.errors_s, strict=True)]
        rows.append(
            (
                title,
                f"{mean(own.errors_s):.3f} ({interval(own.errors_s)})",
                f"{median(own.ends_s):.3f}",
                "" if own is plain else f"{mean(less):+.3f} ({interval(less)})",
                number(own.cpu_s),
            )
        )
    columns = (
        "way",
        "mean absolute error of ends, s (95 %)",
        "median, s",
        "difference to plain, s (95 %)",
        "CPU s a clip",
    )
    title = f"{one.title}: {len(plain.errors_s)} clips, {len(plain.ends_s)} ends, model {model_name(one.model)}"
    return Table(title=title, columns=columns, rows=tuple(rows))


def result(sets: Sequence[Set], found: Sequence[dict[str, Measured]]) -> Result:
    """Tables, and the goal: what is on by default must be the best."""
    goals = tuple(
        Goal(
            text="error of refined boundaries over that of the plain posterior",
            limit=1.0,
            value=mean(own[REFINED].errors_s) / mean(own[PLAIN].errors_s),
            case=one.title,
        )
        for one, own in zip(sets, found, strict=True)
    )
    return Result(
        name="refinement",
        title="Refined boundaries and medians of trials beside the plain posterior",
        what=(
            "Every way answers about the same clips with the same weights; a boundary is the median of "
            "its distribution, between frames, too. Refined: asked again about the two events that "
            "meet at a boundary, in a span of 0.75 s to both sides, and both distributions put "
            f"together. Trials: {TRIALS} constrained answers at temperature {TEMPERATURE:g}, the mean "
            "of their distributions."
        ),
        tables=tuple(table(one, own) for one, own in zip(sets, found, strict=True)),
        goals=goals,
        data={
            one.title: {title: {"errors_s": own.errors_s} for title, own in ways_.items()}
            for one, ways_ in zip(sets, found, strict=True)
        },
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    many: dict[str, Any] = {"action": "append"}
    options = arguments(
        "refinement",
        __doc__,
        argv,
        default_rounds=1,
        data={**many, "type": Path, "required": True, "help": "folder with labels.jsonl"},
        title={**many, "help": "what to call it"},
        first={**many, "type": int, "help": "row to begin with (default: 0)"},
        clips={**many, "type": int, "help": "how many (default: 60)"},
        model={**many, "help": "as kairoscope's --model (default: builtin)"},
        ways={**many, "choices": ("main", "all"), "help": "main leaves out those with all frames"},
    )
    sets = [
        Set(
            title=_nth(options.title, i, data.name),
            data=data,
            first=_nth(options.first, i, 0),
            clips=_nth(options.clips, i, 60),
            model=_nth(options.model, i, "builtin"),
            ways=_nth(options.ways, i, "all"),
        )
        for i, data in enumerate(options.data)
    ]
    write(result(sets, [measure(one) for one in sets]), options)


def _nth(values: list[Any] | None, i: int, default: Any) -> Any:
    return values[i] if values is not None and i < len(values) else default


if __name__ == "__main__":
    main(sys.argv[1:])
