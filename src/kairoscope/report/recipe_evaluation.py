"""The document's steps 1 to 3: benchmark, zero-shot evaluation, problem analysis."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from os.path import relpath
from statistics import median
from typing import Any

from kairoscope.core import Record
from kairoscope.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Findings,
    Heading,
    Link,
    Number,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.boundaries import event_views
from kairoscope.report.figures import HEADLINE, KINDS, dig, figures, shown
from kairoscope.report.plots import Bar, bars
from kairoscope.report.recipe_run import Evaluated, RecipeRun
from kairoscope.report.svg import short, span

LONGEST_LINE = 88
NOT_RUN = "This step was not run in this folder."


def benchmark_blocks(run: RecipeRun) -> list[Block]:
    """Step 1: the clips, what is asked about them, and how far one gets without looking."""
    blocks: list[Block] = [Heading(2, "Step 1: Benchmark Selection")]
    if run.benchmark is None and run.zero_shot is None:
        return [*blocks, Paragraph(NOT_RUN)]
    if run.benchmark is not None:
        found = run.benchmark
        blocks.append(
            Paragraph(
                f"{found['n_test']} clips to test on, {found['n_train']} to train on: "
                f"{found['split']}."
            )
        )
        blocks.append(Table(_SCENARIO_COLUMNS, [_scenario(r) for r in found["scenarios"]], 1))
        blocks += _question(found["scenarios"])
    if run.zero_shot is not None:
        blocks += _difficulty(run.zero_shot)
    return blocks


_SCENARIO_COLUMNS = ("Scenario", "Clips", "Demonstrations", "Duration, s", "Events")


def _scenario(row: Mapping[str, Any]) -> list[Cell]:
    low, high = row.get("shortest_s"), row.get("longest_s")
    return [
        str(row["scenario"]),
        str(row["n_clips"]),
        str(row["n_groups"]),
        "–" if low is None or high is None else span(low, high),
        str(len(row["example_events"])),
    ]


def _question(scenarios: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The events of the scenario with the most clips, as they are asked for."""
    if not scenarios:
        return []
    row = max(scenarios, key=lambda r: (r["n_clips"], str(r["scenario"])))
    listed = "\n".join(f"Event {i}: {name}" for i, name in enumerate(row["example_events"], 1))
    return [
        Paragraph(f"What is asked about a clip of {row['scenario']}, with the video:"),
        Code(listed),
    ]


def _difficulty(zero_shot: Evaluated) -> list[Block]:
    """How long events are, and what the no-video prior gets."""
    lengths = [
        event.gold[1] - event.gold[0]
        for record in zero_shot.records
        if record.trial == 0
        for event in event_views(record)
        if event.gold is not None
    ]
    prior = dig(zero_shot.metrics, "prior/mre_percent")
    sentences = []
    if lengths:
        sentences.append(
            f"The median event lasts {short(median(lengths))} s, the shortest {short(min(lengths))} s."
        )
    if prior is not None:
        sentences.append(
            "Without looking at any video, the median of the other demonstrations' times errs by "
            f"{shown(prior, '%')} ({shown(zero_shot.metrics['prior']['mae_s'], ' s')}): "
            "what a model has to beat."
        )
    return [Paragraph(" ".join(sentences))] if sentences else []


def zero_shot_blocks(run: RecipeRun) -> list[Block]:
    """Step 2: settings and figures of the model as it came."""
    blocks: list[Block] = [Heading(2, "Step 2: Zero-shot Evaluation")]
    if run.zero_shot is None:
        return [*blocks, Paragraph(NOT_RUN)]
    config = run.zero_shot.run.config
    frames, sampling = config["frames"], config["evaluation"]["sampling"]
    blocks += [
        Heading(3, "Run Baseline Evaluation"),
        Table(
            ("Setting", "Value"),
            [
                ["Model", str(config["model"])],
                ["Weights", str(config["model_identity"])],
                ["Frames", _frames_words(frames)],
                ["Decoding", str(config["evaluation"]["decoding"])],
                ["Trials, temperature", f"{sampling['trials']}, {short(sampling['temperature'])}"],
            ],
            2,
        ),
        *command_block(run.environment),
        Heading(3, "Baseline Results"),
        *evaluation_blocks(run.zero_shot, run, "zero_shot"),
    ]
    return blocks


def _frames_words(frames: Mapping[str, Any]) -> str:
    stamp = "no time stamp" if frames["stamp"] == "none" else f"one time stamp a {frames['stamp']}"
    return f"{short(frames['fps'])} a second, at most {frames['max_frames']}; {stamp}"


def command_block(environment: Mapping[str, Any]) -> list[Block]:
    """The command line that made a run, where it is known."""
    command = str(environment.get("command") or "")
    return [Code(one_option_a_line(command), "bash")] if command else []


def one_option_a_line(command: str) -> str:
    """A long command as a shell takes it in several lines, broken before its options."""
    if len(command) <= LONGEST_LINE:
        return command
    words = [shlex.quote(word) for word in shlex.split(command)]
    return " ".join(f"\\\n  {word}" if word.startswith("--") else word for word in words)


def evaluation_blocks(found: Evaluated, run: RecipeRun, name: str) -> list[Block]:
    """Figures, scenarios and plot of one evaluation, with a link to its page."""
    metrics = found.metrics
    answered = float(metrics["answered"] or 0.0)
    blocks: list[Block] = [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} demonstrations; "
            f"{shown(100 * answered, '%')} of the answers could be read, the others count at the "
            "worst value possible in their clip. Intervals are 95 %, resampling demonstrations."
        ),
        Table(_FIGURE_COLUMNS, _figure_rows(metrics)),
        Plot(f"{name}_comparison", _reference_plot(metrics, run.targets), HEADLINE.label),
    ]
    if len(metrics["scenarios"]) > 1:
        blocks.append(Table(_BY_SCENARIO, _by_scenario(metrics)))
    page = found.run.path / "report.html"
    if page.exists():
        url = relpath(page.resolve(), run.folder.resolve())
        blocks.append(Link("Every clip with its answer", url))
    return blocks


_FIGURE_COLUMNS = ("Metric", "All answers", "Prior", "Skill", "Wrong video", "Answered only")
_BY_SCENARIO = ("Scenario", "Clips", HEADLINE.label, "Prior", "Skill", "Answered")


def _figure_rows(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [
            figure.label,
            Number(figure.value, figure.suffix, figure.interval),
            Number(figure.prior, figure.suffix),
            Number(figure.skill),
            Number(figure.control, figure.suffix),
            Number(figure.answered_only, figure.suffix),
        ]
        for figure in figures(metrics)
    ]


def _by_scenario(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for name, table in metrics["scenarios"].items():
        first = next(iter(figures(table)), None)
        if first is not None:
            rows.append(
                [
                    str(name),
                    str(table["n_clips"]),
                    Number(first.value, first.suffix, first.interval),
                    Number(first.prior, first.suffix),
                    Number(first.skill),
                    Number(100 * table["answered"], "%"),
                ]
            )
    return rows


def _reference_plot(metrics: Mapping[str, Any], targets: Mapping[str, float]) -> str:
    first = figures(metrics)[0]
    rows = [Bar(label="Model", value=first.value, interval=first.interval, note="%")]
    if first.prior is not None:
        rows.append(Bar(label="No-video prior", value=first.prior, colour="prior", note="%"))
    if first.control is not None:
        rows.append(Bar(label="Wrong video", value=first.control, colour="control", note="%"))
    unit = f"% {HEADLINE.label.lower()}"
    return bars(rows, title=HEADLINE.label, unit=unit, aim=targets.get("mre_percent"))


def analysis_blocks(run: RecipeRun) -> list[Block]:
    """Step 3: what the rules found in the zero-shot answers, and what counts as success."""
    blocks: list[Block] = [Heading(2, "Step 3: Problem Analysis")]
    if run.findings is None:
        blocks.append(Paragraph(NOT_RUN))
    else:
        gaps = [finding for finding in run.findings if finding.severity == "gap"]
        others = [finding for finding in run.findings if finding.severity != "gap"]
        blocks.append(Heading(3, "Key Gaps Identified"))
        blocks.append(Findings(gaps) if gaps else Paragraph("The rules found no gap."))
        if others:
            blocks += [Heading(3, "Also Observed"), Findings(others)]
    success = str(run.config.get("success") or "")
    if success or run.targets:
        blocks.append(Heading(3, "Success Criteria"))
        goals = [_goal(run, key, goal) for key, goal in run.targets.items()]
        blocks.append(Bullets([*([success] if success else []), *goals]))
    return blocks


def _goal(run: RecipeRun, key: str, goal: float) -> str:
    """A target beside what was measured of it."""
    kind = next((kind for kind in KINDS if kind.path.endswith(f"/{key}")), None)
    if kind is None:
        return f"{key} below {short(goal)}"
    words = []
    for name, found in (("zero-shot", run.zero_shot), ("after training", run.re_evaluation)):
        figure = None if found is None else found.by_score.get(kind.score)
        if figure is not None:
            words.append(f"{shown(figure.value, kind.suffix)} {name}")
    measured = f": {', '.join(words)}" if words else ""
    return f"{kind.label} below {shown(goal, kind.suffix)}{measured}"


def first_records(records: Sequence[Record]) -> dict[str, Record]:
    """Sample id -> its first trial."""
    by_id: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_id[record.sample_id].append(record)
    return {name: min(found, key=lambda r: r.trial) for name, found in by_id.items()}
