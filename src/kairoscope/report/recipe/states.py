"""What every recipe's document says of its steps, versions, commands and settings."""

import shlex
from collections.abc import Mapping
from os.path import relpath
from typing import Any

from kairoscope.report.blocks import Block, Cell, Code, Link, Paragraph, Table
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.svg import short

LONGEST_LINE = 88
LONGEST_ANSWER = 1500
NOT_RUN = "This step was not run in this folder."
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "changed": "changed",
    "not shown": "no difference shown",
}


def states_of(run: RecipeRun) -> list[list[Cell]]:
    """Which steps left something to report on."""
    training = "not run"
    if run.training is not None:
        training = "done" if run.training.finished else "not finished"
    steps = (
        ("1 Benchmark selection", run.benchmark is not None or run.zero_shot is not None),
        ("2 Zero-shot evaluation", run.zero_shot is not None),
        ("3 Problem analysis", run.findings is not None),
        ("4 Data curation", run.curation is not None),
    )
    rows: list[list[Cell]] = [[name, "done" if done else "not run"] for name, done in steps]
    rows.append(["5 Post-training", training])
    rows.append(["6 Re-evaluation", "done" if run.re_evaluation is not None else "not run"])
    if run.grpo_run is not None:
        done = "done" if run.after_grpo is not None else "not judged yet"
        rows.append(["7 Reinforcement learning", done])
    return rows


def versions_block(run: RecipeRun) -> Block:
    """Versions, platform and time of a run."""
    versions = run.environment.get("versions", {})
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    platform = run.environment.get("platform", "an unknown platform")
    started = str(run.environment.get("started_at", "")).replace("T", " ").split("+")[0]
    when = f", begun {started} UTC" if started else ""
    return Paragraph(f"Made with {words} on {platform}{when}.")


def scenario_table(benchmark: Mapping[str, Any]) -> Table:
    """Clips and groups of every scenario of the test set."""
    rows: list[list[Cell]] = [
        [str(row["scenario"]), str(row["n_clips"]), str(row["n_groups"])]
        for row in benchmark["scenarios"]
    ]
    return Table(("Scenario", "Clips", "Groups"), rows, 1)


def settings_table(found: Evaluated) -> Table:
    """How a model was asked."""
    config = found.run.config
    frames, sampling = config["frames"], config["evaluation"]["sampling"]
    return Table(
        ("Setting", "Value"),
        [
            ["Model", str(config["model"])],
            ["Weights", str(config["model_identity"])],
            ["Frames", _frames_words(frames)],
            ["Decoding", str(config["evaluation"]["decoding"])],
            ["Trials, temperature", f"{sampling['trials']}, {short(sampling['temperature'])}"],
        ],
        2,
    )


def _frames_words(frames: Mapping[str, Any]) -> str:
    stamp = "no time stamp" if frames["stamp"] == "none" else f"one time stamp a {frames['stamp']}"
    return f"{short(frames['fps'])} a second, at most {frames['max_frames']}; {stamp}"


def page_link(found: Evaluated, run: RecipeRun) -> list[Block]:
    """The page of an evaluation, where it was written."""
    page = found.run.path / "report.html"
    if not page.exists():
        return []
    url = relpath(page.resolve(), run.folder.resolve())
    return [Link("Every clip with its answer", url)]


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


def answer_text(text: str, unparsed: str | None, *, failed: bool) -> str:
    """What a model wrote, cut where it is long, or why there is nothing."""
    words = text.strip()
    if failed or not words:
        return unparsed or "(nothing was written)"
    return words if len(words) <= LONGEST_ANSWER else f"{words[:LONGEST_ANSWER]} …"
