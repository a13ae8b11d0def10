"""`kairoscope annotate` end to end: clips a second, and memory as the number of clips grows."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.clips import Clip, clips_for, model_name, smoke_model
from benchmarks.commands import CommandRun, kairoscope_command, run_command
from benchmarks.harness import Spread, spread
from benchmarks.results import Goal, Result, Table, announce, arguments, number, span, write

SIZE_PX = 256
NUM_CLIPS = 100
MARKS = (250, 500, 1000)
"""Numbers of clips at which memory is compared."""
FLAT = 1.02
"""Memory after the last mark over memory after the first, at most."""
TASK = """\
name = "two_cubes"
events = [
  "grasping the red cube",
  "releasing the red cube",
  "grasping the green cube",
  "releasing the green cube",
]
"""


def linked(clips: Sequence[Clip], number_of_clips: int, folder: Path) -> Path:
    """A folder of `number_of_clips` clips: links to the given ones, in turns."""
    folder.mkdir(parents=True)
    for index in range(number_of_clips):
        (folder / f"{index:05d}.mp4").symlink_to(clips[index % len(clips)].path)
    return folder


def annotate(source: Path, model: str, place: Path) -> CommandRun:
    """Run the command on a folder into a fresh one; memory is watched beside the clips done."""
    out = place / "out"
    shutil.rmtree(out, ignore_errors=True)
    task = place / "task.toml"
    task.write_text(TASK)
    given = ["annotate", str(source), "--task", str(task), "--model", model, "--out", str(out)]
    run = run_command([*kairoscope_command(), *given], watch=lines_of(out / "clips.jsonl"))
    found = lines_of(out / "clips.jsonl")()
    problems = (out / "problems.json").read_text().strip()
    if found != len(list(source.iterdir())) or problems != "[]":
        raise RuntimeError(f"{found} clips were annotated; problems: {problems[:500]}")
    return run


def lines_of(file: Path) -> Callable[[], float]:
    """Counts the lines of a growing file, reading only what is new."""
    seen = [0, 0]  # bytes, lines

    def count() -> float:
        if file.exists():
            with file.open("rb") as stream:
                stream.seek(seen[0])
                new = stream.read()
            seen[0] += len(new)
            seen[1] += new.count(b"\n")
        return float(seen[1])

    return count


def memory_at(run: CommandRun, clips_done: int) -> float:
    """Resident MiB around the moment at which so many clips were done: median of near samples."""
    nearest = sorted(run.rss, key=lambda sample: abs(sample[0] - clips_done))[:15]
    return spread([mib for _, mib in nearest]).median


def result(
    by_size: dict[int, list[CommandRun]],
    long_runs: dict[int, CommandRun],
    num_clips: int,
    model: str,
) -> Result:
    """Tables and goals."""
    per_s: dict[int, Spread] = {
        size: spread([num_clips / run.wall_s for run in runs]) for size, runs in by_size.items()
    }
    rows = tuple(
        (
            f"{size} x {size}",
            span(per_s[size]),
            span(spread([run.wall_s for run in runs])),
            span(spread([run.cpu_s / num_clips for run in runs])),
            number(spread([run.peak_mib for run in runs]).median),
        )
        for size, runs in by_size.items()
    )
    most = max(long_runs)
    marks = [mark for mark in MARKS if mark <= most] or [most]
    at = {mark: memory_at(long_runs[most], mark) for mark in marks}
    memory_rows = tuple(
        (str(number_of), number(run.peak_mib), number(number_of / run.wall_s))
        for number_of, run in sorted(long_runs.items())
    )
    within = tuple((str(mark), number(mib)) for mark, mib in at.items())
    return Result(
        name="annotate",
        title="Annotating folders of clips, end to end",
        what=(
            f"`kairoscope annotate` as a command, start-up included, with the model `{model}` and a "
            f"task of four events: decode, stamp, network, posterior answer, page. {num_clips} "
            "different simulated clips of 10 s at 30 fps; the folder of "
            f"{most} holds links to those of {min(by_size)} x {min(by_size)} pixels, ten times each."
        ),
        tables=(
            Table(
                title=f"Throughput on {num_clips} clips",
                columns=("clip size", "clips/s", "wall s", "CPU s per clip", "peak MiB"),
                rows=rows,
            ),
            Table(
                title="Runs over more and more clips",
                columns=("clips", "peak MiB", "clips/s"),
                rows=memory_rows,
            ),
            Table(
                title=f"Resident memory during the run over {most} clips",
                columns=("clips done", "MiB"),
                rows=within,
            ),
        ),
        goals=(
            *(
                Goal(
                    text=f"clips of 10 s annotated per second, {size} x {size}",
                    limit=2.0,
                    value=figure.median,
                    at_least=True,
                )
                for size, figure in per_s.items()
            ),
            Goal(
                text=f"peak resident memory on {most} clips",
                limit=1536.0,
                value=long_runs[most].peak_mib,
                unit=" MiB",
            ),
            Goal(
                text=f"memory after {marks[-1]} clips over memory after {marks[0]}",
                limit=FLAT,
                value=at[marks[-1]] / at[marks[0]],
            ),
            Goal(
                text=f"peak of a run over {marks[-1]} clips over that of {marks[0]}",
                limit=FLAT,
                value=long_runs[marks[-1]].peak_mib / long_runs[marks[0]].peak_mib,
            ),
        ),
        data={
            "throughput": {size: [_kept(run) for run in runs] for size, runs in by_size.items()},
            "memory": {count: _kept(run) for count, run in long_runs.items()},
            "memory_at": at,
        },
    )


def _kept(run: CommandRun) -> dict[str, Any]:
    """Figures of a run, its memory thinned to a hundred samples."""
    row = asdict(run)
    step = max(1, len(run.rss) // 100)
    return {key: row[key] for key in ("cpu_s", "wall_s", "peak_mib")} | {"rss": run.rss[::step]}


def main(argv: list[str]) -> None:
    """Measure and write."""
    model: dict[str, Any] = {"help": "as kairoscope's --model (default: builtin)"}
    side: dict[str, Any] = {
        "type": int,
        "action": "append",
        "help": "side of the clips; repeatable",
    }
    options = arguments("annotate", __doc__, argv, default_rounds=3, model=model, size=side)
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    sizes = (64,) if options.smoke else tuple(options.size or [SIZE_PX])
    num_clips, numbers = (3, ()) if options.smoke else (NUM_CLIPS, MARKS)
    clips = {size: clips_for(num_clips, size, smoke=options.smoke) for size in sizes}
    by_size: dict[int, list[CommandRun]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory(prefix="annotate-") as name:
        place = Path(name)
        folders = {size: linked(clips[size], num_clips, place / str(size)) for size in sizes}
        for number_of_round in range(options.rounds):
            for size in sizes:
                announce(f"round {number_of_round + 1}: {num_clips} clips of {size} pixels")
                by_size[size].append(annotate(folders[size], spec, place))
        long_runs = {num_clips: by_size[sizes[0]][-1]}
        for count in numbers:
            announce(f"memory on {count} clips")
            folder = linked(clips[sizes[0]], count, place / f"{count}-clips")
            long_runs[count] = annotate(folder, spec, place)
    write(result(by_size, long_runs, num_clips, model_name(spec)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
