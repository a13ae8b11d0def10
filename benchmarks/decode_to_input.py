"""From a clip on disk to what a vision tower takes, beside bare decoding and Hugging Face's processor."""

import sys
from typing import Any

from benchmarks.clips import as_usually_encoded, clips_for
from benchmarks.harness import Facts, Runs, Way, interleaved, measure
from benchmarks.input_jobs import REPEATS
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    write,
)

LIMIT = 1.4


def measured(clip: str, rounds: int, *, fresh: bool) -> tuple[Runs, Facts]:
    """All ways in turns, and how much their results differ."""
    module = "benchmarks.input_jobs"
    rows: list[tuple[str, str, str, dict[str, Any]]] = [
        ("bare", "bare decoding, one thread", "bare_decoding", {"threads": "one"}),
        ("bare_default", "the same as PyAV sets it up", "bare_decoding", {"threads": "default"}),
        ("bare_auto", "the same on several threads", "bare_decoding", {"threads": "several"}),
        (
            "ours_frames",
            "ours: stamped frames as an accelerator takes them",
            "ours",
            {"stamp": "pair", "cut": False},
        ),
        ("ours", "ours: the same, cut into patches here", "ours", {"stamp": "pair"}),
        ("ours_plain", "ours: patches without stamps", "ours", {"stamp": "none"}),
        (
            "ours_builtin",
            "ours: patches of the built-in model",
            "ours",
            {"stamp": "pair", "builtin": True},
        ),
        (
            "hf_all",
            "all frames to arrays, Hugging Face processor",
            "hugging_face",
            {"sample_first": False},
        ),
        (
            "hf_sampled",
            "`load_video` of the sampled frames, Hugging Face processor",
            "hugging_face",
            {"sample_first": True},
        ),
    ]
    ways = [
        Way(
            key=key,
            title=title,
            function=f"{module}:{function}",
            arguments={"clip": clip, **more},
            warmups=1,
            units=REPEATS,
        )
        for key, title, function, more in rows
    ]
    ways.append(
        Way(
            key="stages",
            title="stages",
            function=f"{module}:stages",
            arguments={"clip": clip},
            warmups=1,
        )
    )
    runs = interleaved(ways, rounds, announce, fresh=fresh)
    if "hf_all" in runs.unavailable:
        return runs, {}
    judge = Way(
        key="agreement",
        title="agreement",
        function=f"{module}:agreement",
        arguments={"clip": clip},
    )
    return runs, measure(judge, fresh=fresh).facts


def clip_tables(title: str, runs: Runs, differences: Facts) -> list[Table]:
    """Cost and likeness on one clip."""
    shape = runs.measured["ours"][0].facts
    grid = " x ".join(str(side) for side in shape["grid_thw"])
    size = f"{shape['frames']} frames, {grid} patches, {shape['rows'] // 4} vision tokens"
    whole = Runs(runs.ways[:-1], runs.measured, runs.unavailable)  # all but the stages
    tables = [cost_table(f"{title}: {size}", whole, "bare", "clip"), stage_table(title, runs)]
    rows = tuple(
        (name, f"{value:.2g}" if value is not None else "other shape")
        for name, value in differences.items()
    )
    if rows:
        heading = f"{title}: ours, unstamped, against the processor's input"
        columns = ("decoded as", "largest difference of a value")
        tables.append(Table(title=heading, columns=columns, rows=rows))
    return tables


def stage_table(title: str, runs: Runs) -> Table:
    """Where the CPU time of the full budget goes."""
    bare_s = runs.spread("bare", "cpu_s").median
    rows = []
    for name in runs.measured["stages"][0].facts:
        taken_s = runs.spread("stages", name).median
        rows.append((name, number(taken_s), number(taken_s / bare_s)))
    return Table(
        title=f"{title}: the steps of the full budget",
        columns=("step", "CPU s per clip", "ratio to bare decoding, one thread"),
        rows=tuple(rows),
    )


def clip_goals(title: str, runs: Runs) -> list[Goal]:
    """CPU time against the least that decoding takes of it (one thread), and wall time likewise."""
    goals = []
    budgets = (
        ("ours_frames", "full budget, as sent to an accelerator"),
        ("ours_builtin", "built-in model's patches"),
    )
    for key, budget in budgets:
        for figure, name, reference in (
            ("cpu_s", "CPU time", "bare"),
            ("wall_s", "wall time", "bare_auto"),
        ):
            ratio = runs.ratio(key, reference, figure)
            text = f"decode to input, {budget}: {name}, ratio to bare decoding"
            value = ratio.median if ratio else None
            goals.append(Goal(text=text, limit=LIMIT, value=value, case=title))
    return goals


def result(by_title: dict[str, tuple[Runs, Facts]]) -> Result:
    """Tables and goals of all clips."""
    tables: list[Table] = []
    goals: list[Goal] = []
    notes: list[str] = []
    data: dict[str, Any] = {}
    for title, (runs, differences) in by_title.items():
        tables += clip_tables(title, runs, differences)
        goals += clip_goals(title, runs)
        notes += missing_notes(runs)
        data[title] = {**runs.to_json(), "largest_difference": dict(differences)}
    return Result(
        name="decode_to_input",
        title="From a clip of ten seconds to model input",
        what=(
            "Sampled at 8 fps, resized to the recipe's full budget of 8192 vision tokens, or as the "
            "built-in model takes them. Bare decoding hands out all frames as they come from the "
            "decoder; nothing is converted. Ours decodes what it needs, resizes and stamps; the frames "
            "go to an accelerator as bytes and are cut into patches there, and are cut here for a "
            "model on the CPU. The processor's routes give it the same frames and the same size, without "
            "stamps; both use PyAV. Goals compare CPU time with bare decoding on one thread and wall "
            "time with bare decoding on several, the least of each. A job is "
            f"{REPEATS} clips, after one uncounted job. How much bare decoding costs depends on the "
            "pictures; filling a budget with patches does not: the tables of steps say what it costs "
            "here, and what of it is merely writing the result."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=tuple(dict.fromkeys(notes)),
        data={"clips": data},
    )


def titled(given: str) -> tuple[str, str]:
    """`TITLE=PATH`. Raises ValueError for anything else."""
    title, path = given.split("=", 1)
    return title, path


def main(argv: list[str]) -> None:
    """Measure and write."""
    further: dict[str, Any] = {
        "action": "append",
        "default": [],
        "type": titled,
        "metavar": "TITLE=PATH",
        "help": "a further clip and what results call it; repeatable",
    }
    options = arguments("decode_to_input", __doc__, argv, clip=further)
    clip = clips_for(1, 512, smoke=options.smoke)[0]
    clips = {"simulated, 512 x 512": clip.path}
    if not options.smoke:
        clips["the same as x264's defaults encode it"] = as_usually_encoded(clip).path
    clips |= dict(options.clip)
    fresh = not options.smoke
    by_title = {title: measured(path, options.rounds, fresh=fresh) for title, path in clips.items()}
    write(result(by_title), options)


if __name__ == "__main__":
    main(sys.argv[1:])
