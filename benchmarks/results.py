"""What a benchmark hands back: tables, goals, versions, as Markdown to read and JSON to compute with."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.harness import REPOSITORY, Runs, Spread

RESULTS = REPOSITORY / "benchmarks" / "results"
README = REPOSITORY / "benchmarks" / "README.md"
MARKS = ("<!-- goals: written by the benchmarks -->", "<!-- end of goals -->")
"""The table of all goals stands between these lines of `README`."""
WORK = REPOSITORY / "build" / "benchmarks"
"""Clips and other things that are made once and kept; not part of the repository."""
PACKAGES = ("kairoscope", "torch", "transformers", "av", "numpy", "pillow")
COMPUTING = ("torch", "transformers", "peft")
"""What the speed and the numbers of training depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure that was promised."""

    text: str
    limit: float
    value: float | None
    """None where it could not be measured."""
    at_least: bool = False
    """Whether the limit is the least that is good instead of the most."""
    unit: str = ""
    case: str = ""
    """On what, where the same is promised of several things."""

    @property
    def met(self) -> bool | None:
        """None where it could not be measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of ready texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One benchmark, measured."""

    name: str
    title: str
    what: str
    """What was done, in a few sentences."""
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...]
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    """Everything that was measured, for the JSON file."""
    packages: tuple[str, ...] = ()
    """More of them whose versions matter."""


def number(value: float) -> str:
    """Three significant digits, without exponents in the range of what is measured."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def span(figure: Spread | None) -> str:
    """`median (least to greatest)`."""
    if figure is None:
        return "not measured"
    return f"{number(figure.median)} ({number(figure.low)} to {number(figure.high)})"


def cost_table(title: str, runs: Runs, reference: str, unit: str) -> Table:
    """CPU time, wall time and memory of every way, and ratios to the reference way."""
    rows: list[tuple[str, ...]] = []
    for way in runs.ways:
        if way.key in runs.unavailable:
            rows.append((way.title, *("not measured",) * 5))
            continue
        figures = [span(runs.spread(way.key, name)) for name in ("cpu_s", "wall_s")]
        ratios = [span(runs.ratio(way.key, reference, name)) for name in ("cpu_s", "wall_s")]
        if way.key == reference:
            ratios = ["1", "1"]
        rows.append((way.title, *figures, *ratios, number(runs.spread(way.key, "peak_mib").median)))
    reference_title = next(way.title for way in runs.ways if way.key == reference)
    columns = (
        "way",
        f"CPU s per {unit}",
        f"wall s per {unit}",
        f"CPU, ratio to “{reference_title}”",
        "wall, ratio",
        "peak MiB",
    )
    return Table(title=title, columns=columns, rows=tuple(rows))


def missing_notes(runs: Runs) -> tuple[str, ...]:
    """One note for each way that could not be measured."""
    titles = {way.key: way.title for way in runs.ways}
    return tuple(f"not measured: {titles[key]}: {why}" for key, why in runs.unavailable.items())


def arguments(
    name: str,
    description: str | None,
    argv: Sequence[str],
    *,
    default_rounds: int = 7,
    **extra: dict[str, Any],
) -> Any:
    """Options that all benchmarks share, and `extra` ones as name -> keywords of argparse."""
    program = f"python -m benchmarks.{name}"
    parser = argparse.ArgumentParser(program, description=(description or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny clips, one round: does it run?")
    rounds = f"interleaved rounds (default: {default_rounds}; 1 with --smoke)"
    parser.add_argument("--rounds", type=int, help=rounds)
    parser.add_argument("--out", type=Path, help="folder for the results")
    for option, keywords in extra.items():
        parser.add_argument(f"--{option.replace('_', '-')}", **keywords)
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (1 if options.smoke else default_rounds)
    options.out = options.out or (WORK / "smoke" if options.smoke else RESULTS)
    options.command = shown_command(program, argv)
    options.load_before = os.getloadavg()[0]
    return options


def announce(what: str) -> None:
    """Say what runs now."""
    sys.stderr.write(f"{what}\n")


def shown_command(program: str, argv: Sequence[str]) -> str:
    """The command line without folders of this machine."""
    return " ".join([program, *(shlex.quote(_without_folders(word)) for word in argv)])


def _without_folders(word: str) -> str:
    """A path by its name alone, also in `TITLE=PATH`."""
    title, equals, path = word.rpartition("=")
    return f"{title}{equals}{Path(path).name}" if Path(path).is_absolute() else word


def machine() -> str:
    """The machine in words: processor, cores, memory, system; no names, no paths."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores} cores of {_processor()}, {memory_gib:.0f} GiB of memory, "
        f"{platform.system()} {platform.machine()}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "an unnamed processor"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(result: Result, options: Any) -> None:
    """Write `<name>.md` and `<name>.json`, and print the former."""
    about = {
        "command": options.command,
        "machine": machine(),
        "versions": versions((*PACKAGES, *result.packages)),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "load_before": round(options.load_before, 2),
    }
    goals = [asdict(goal) | {"met": goal.met} for goal in result.goals]
    row = {"name": result.name, **about, "goals": goals, **result.data}
    if options.smoke:
        smoke_note = "**a smoke test on tiny clips: its figures mean nothing**"
        result = replace(result, notes=(smoke_note, *result.notes))
    text = markdown(result, about)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{result.name}.md").write_text(text, encoding="utf-8")
    (options.out / f"{result.name}.json").write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    sys.stdout.write(text)
    if options.out.resolve() == RESULTS.resolve():
        README.write_text(with_overview(README.read_text("utf-8"), RESULTS), "utf-8")


def with_overview(page: str, folder: Path) -> str:
    """A page with all goals of the results in a folder between its two marks."""
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return f"{before}{MARKS[0]}\n{overview(folder)}\n{MARKS[1]}{after}"


def overview(folder: Path) -> str:
    """Every goal of every result in a folder with what was reached, as a table."""
    rows: list[tuple[str, ...]] = []
    for file in sorted(folder.glob("*.json")):
        row = json.loads(file.read_text("utf-8"))
        by_text: dict[tuple[str, str], list[str]] = {}
        for given in row["goals"]:
            goal = Goal(**{key: value for key, value in given.items() if key != "met"})
            text, limit, value, _ = _goal_row(replace(goal, case=""))
            reached = f"{value} {goal.case}".rstrip()
            by_text.setdefault((text, limit), []).append(
                f"**no: {reached}**" if goal.met is False else reached
            )
        link = f"[{row['name']}]({RESULTS.name}/{row['name']}.md)"
        rows += [
            (text, limit, "; ".join(values), link) for (text, limit), values in by_text.items()
        ]
    return "\n".join(_table(("goal", "limit", "reached", "measured by"), rows))


def markdown(result: Result, about: dict[str, Any]) -> str:
    """The page of a result."""
    lines = [f"# {result.title}", "", result.what, ""]
    for table in result.tables:
        lines += [f"## {table.title}", "", *_table(table.columns, table.rows), ""]
    if result.goals:
        rows = tuple(_goal_row(goal) for goal in result.goals)
        lines += ["## Goals", "", *_table(("goal", "limit", "measured", "met"), rows), ""]
    lines += [f"- {note}" for note in result.notes] + ([""] if result.notes else [])
    shown = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines += [
        f"Made with `{about['command']}` on {about['date']}; {about['machine']}; load average "
        f"before the start {about['load_before']:.2f}; {shown}.",
        "",
    ]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return head + ["| " + " | ".join(row) + " |" for row in rows]


def _goal_row(goal: Goal) -> tuple[str, ...]:
    sign = "at least" if goal.at_least else "at most"
    value = "not measured" if goal.value is None else f"{number(goal.value)}{goal.unit}"
    met = {True: "yes", False: "**no**", None: "not measured"}[goal.met]
    text = f"{goal.text}: {goal.case}" if goal.case else goal.text
    return text, f"{sign} {number(goal.limit)}{goal.unit}", value, met
