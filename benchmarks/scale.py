"""Ten thousand clips: memory as a list grows, and shards and Ray beside one process on the same list."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.annotate import TASK, lines_of
from benchmarks.clips import Clip, clips_for, model_name, smoke_clips, smoke_model
from benchmarks.commands import kairoscope_command, run_command
from benchmarks.harness import REPOSITORY, status_mib
from benchmarks.many_clips import (
    FLAT_MIB_PER_1000,
    Asked,
    ask,
    growth_goals,
    memory_table,
    with_own_bytes,
)
from benchmarks.results import WORK, Goal, Result, Table, announce, arguments, number, write
from kairoscope.annotate.sealed import write_rows
from kairoscope.annotate.shards import KIND
from kairoscope.json_lines import read_lines
from kairoscope.run_folders import write_config
from kairoscope.shards import Shard, shard_config
from kairoscope.storage import read_json

NUMBERS = (1000, 5000, 10_000)
"""Clips of the lists whose shards are put together."""
NUM_DIFFERENT = 8
"""Tiny clips of which those of long lists are made."""
NUM_CLIPS = 100
"""Of the list that all ways are given."""
FEW = ("--frames", "fps=1")
"""Of the long lists: what a model sees of a clip is let go before the next."""
ALONE, JOINED = "one process asks", "two shards put together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A list of clips, annotated in some way."""

    way: str
    num_clips: int
    wall_s: float
    peak_mib: float
    """Of the largest process."""
    total_mib: float
    """Of all processes together, at their most."""


def listed(clips: Sequence[Clip], count: int, folder: Path) -> Path:
    """A list of `count` clips: links to the given ones, in turns."""
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"{index:05d}.mp4").symlink_to(clips[index % len(clips)].path)
    manifest = folder / "clips.txt"
    manifest.write_text("".join(f"{index:05d}.mp4\n" for index in range(count)))
    return manifest


def given(source: Path, model: str, place: Path, out: Path) -> list[str]:
    """Arguments of the command."""
    task = place / "task.toml"
    task.write_text(TASK)
    asked = ["annotate", str(source), "--task", str(task), "--model", model, "--no-store"]
    return [*asked, "--out", str(out)]


def checked(out: Path, count: int) -> None:
    """Raise RuntimeError where not every clip has an answer."""
    found = lines_of(out / "clips.jsonl")()
    if found != count or (out / "problems.json").read_text().strip() != "[]":
        raise RuntimeError(f"{out}: {found} of {count} clips were annotated")


def together(
    commands: Sequence[Sequence[str]], threads: int | None, beside: Sequence[str] = ()
) -> tuple[float, float, float]:
    """Run commands at the same time: (wall s, MiB of the largest process, MiB of all at their most).

    `beside`: words in the command lines of processes that the commands have others start.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    most: dict[int, float] = {}
    peak = [0.0]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        running = [
            subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=said, stderr=said)
            for command in commands
        ]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.1):
                now = _resident([one.pid for one in running], beside)
                most.update({pid: max(mib, most.get(pid, 0.0)) for pid, mib in now.items()})
                peak[0] = max(peak[0], sum(now.values()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        codes = [one.wait() for one in running]
        ended.set()
        watcher.join()
        if any(codes):
            said.seek(0)
            raise RuntimeError(said.read().decode(errors="replace")[-4000:])
    return time.perf_counter() - started, max(most.values(), default=0.0), peak[0]


def _resident(pids: Sequence[int], beside: Sequence[str]) -> dict[int, float]:
    """MiB of these processes and of those whose command line has one of the words."""
    found: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            words = (folder / "cmdline").read_text() if beside else ""
            if pid in pids or any(word in words for word in beside):
                found[pid] = status_mib((folder / "status").read_text(), "VmRSS")
        except OSError:
            continue
    return found


def put_together(model: str, count: int, asked: Path, place: Path) -> Measured:
    """Two shards with answers to the first `count` clips: rows taken in, tables and page written.

    Args:
        model: that has answered.
        count: clips.
        asked: folder of the list, and of the run in which one process asked about all of it.
        place: where the shards are put together.
    """
    announce(f"putting two shards together, {count} clips in all")
    out = place / f"out-{count}"
    names = (asked / "clips.txt").read_text().splitlines()[:count]
    source = asked / f"first-{count}.txt"
    source.write_text("".join(f"{name}\n" for name in names))
    found = read_json(asked / "asked" / "config.json")
    rows = list(read_lines(asked / "asked" / "clips.jsonl"))[:count]
    for shard in (Shard(1, 2), Shard(2, 2)):
        (out / shard.folder).mkdir(parents=True)
        write_config(out / shard.folder, KIND, shard_config(found["config"], shard))
        mine = set(shard.takes(names))
        write_rows(out / shard.folder / "clips.jsonl", (row for row in rows if row["clip"] in mine))
    run = run_command([*kairoscope_command(), *given(source, model, place, out), *FEW])
    checked(out, count)
    mib = run.peak_mib
    return Measured(way=JOINED, num_clips=count, wall_s=run.wall_s, peak_mib=mib, total_mib=mib)


def ways(
    model: str, clips: Sequence[Clip], count: int, place: Path, ray_python: str | None
) -> Iterator[Measured]:
    """One process, two shards and two workers of Ray on the same list."""
    source = listed(clips, count, place / "list")
    command = kairoscope_command()
    out = place / "ways"
    asked = given(source, model, place, out)
    made: set[bytes] = set()

    def measured(
        way: str, commands: Sequence[Sequence[str]], threads: int | None, *beside: str
    ) -> Measured:
        announce(way)
        shutil.rmtree(out, ignore_errors=True)
        wall_s, peak_mib, total_mib = together(commands, threads, beside)
        checked(out, count)
        if threads == 1:
            made.add((out / "boundaries.jsonl").read_bytes())
        if len(made) > 1:
            raise RuntimeError(f"{way}: other boundaries than one process has")
        return Measured(
            way=way, num_clips=count, wall_s=wall_s, peak_mib=peak_mib, total_mib=total_mib
        )

    yield measured("one process, one thread", [[*command, *asked]], 1)
    shards = [[*command, *asked, "--shard", f"{i}/2"] for i in (1, 2)]
    yield measured("two shards, one thread each", shards, 1)
    if ray_python is not None:
        line = [ray_python, "-m", "kairoscope", *asked, "--ray", "--ray-workers", "2"]
        workers = ("ray::", "raylet", "gcs_server")
        yield measured("Ray, two workers of one thread", [line], 1, *workers)
    yield measured("one process, as it starts", [[*command, *asked]], None)


def result(
    asked: Asked, lists: Sequence[Measured], side_by_side: Sequence[Measured], model: str
) -> Result:
    """Tables and goals."""

    def row(one: Measured) -> tuple[str, ...]:
        per_s = number(one.num_clips / one.wall_s)
        return (one.way, str(one.num_clips), per_s, number(one.peak_mib), number(one.total_mib))

    growth = [
        (b.peak_mib - a.peak_mib) / (b.num_clips - a.num_clips) * 1000 for a, b in pairwise(lists)
    ]
    alone = Measured(
        way=ALONE,
        num_clips=asked.num_clips,
        wall_s=asked.wall_s,
        peak_mib=asked.peak_mib,
        total_mib=asked.peak_mib,
    )
    columns = ("way", "clips", "clips/s", "peak MiB", "all processes, MiB")
    return Result(
        name="scale",
        title="Long lists of clips: memory, shards, Ray",
        what=(
            "`kairoscope annotate` as a command over lists (`.txt`), start-up and page included. Memory: "
            "eight tiny clips of 2 s in turns, each with bytes of its own, at one frame a second, and a "
            "very small model, because what grows with a list is not the network; shards hold the answers "
            "that one process was given. With the built-in model: [many_clips](many_clips.md). "
            "Side by side: links to simulated clips "
            f"of 10 s, 256 x 256, with `{model}`; shards and workers run at the same time on one machine, "
            "and their boundaries are, byte for byte, those of one process with one thread."
        ),
        tables=(
            Table(
                title="Longer and longer lists",
                columns=columns,
                rows=tuple(map(row, (alone, *lists))),
            ),
            memory_table(asked),
            Table(
                title="The same list in several ways",
                columns=columns,
                rows=tuple(map(row, side_by_side)),
            ),
        ),
        goals=growth_goals(asked)
        + tuple(
            Goal(
                text="putting shards together: memory for a thousand clips more",
                limit=FLAT_MIB_PER_1000,
                value=mib,
                unit=" MiB",
                case=f"{a.num_clips} to {b.num_clips}",
            )
            for (a, b), mib in zip(pairwise(lists), growth, strict=True)
        ),
        data={
            "lists": [asdict(one) for one in (alone, *lists)],
            "ways": [asdict(one) for one in side_by_side],
            "rss": asked.rss,
        },
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments(
        "scale",
        __doc__,
        argv,
        default_rounds=1,
        model={"help": "as kairoscope's --model, for the ways side by side (default: builtin)"},
        ray_python={
            "help": "interpreter of an environment with the extra ray (default: not measured)"
        },
    )
    tiny = smoke_model()
    spec = options.model or (tiny if options.smoke else "builtin")
    numbers, count = ((20, 40), 4) if options.smoke else (NUMBERS, NUM_CLIPS)
    clips = clips_for(min(count, NUM_CLIPS), 256, smoke=options.smoke)
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        place = Path(name)
        side_by_side = list(ways(spec, clips, count, place, options.ray_python))
        long = place / "long"
        tiny_clips = [Path(clip.path) for clip in smoke_clips(NUM_DIFFERENT, WORK / "smoke-clips")]
        source = with_own_bytes(tiny_clips, numbers[-1], long)
        announce(f"asking about {numbers[-1]} clips")
        asked = ask(source, tiny, long, FEW)
        lists = [put_together(tiny, number_of, long, place) for number_of in numbers]
    write(result(asked, lists, side_by_side, model_name(spec)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
