"""What every recipe's document says of its steps and versions."""

from kairoscope.report.blocks import Block, Cell, Paragraph
from kairoscope.report.recipe_run import RecipeRun


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
    return rows


def versions_block(run: RecipeRun) -> Block:
    """Versions, platform and time of a run."""
    versions = run.environment.get("versions", {})
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    platform = run.environment.get("platform", "an unknown platform")
    started = str(run.environment.get("started_at", "")).replace("T", " ").split("+")[0]
    when = f", begun {started} UTC" if started else ""
    return Paragraph(f"Made with {words} on {platform}{when}.")
