"""Ten thousand clips asked about by one process: its memory, clip after clip.

Each clip has bytes of its own, so none of them is answered from the store, which is on.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.annotate import TASK, lines_of, memory_at
from benchmarks.clips import model_name, smoke_clips, smoke_model
from benchmarks.commands import kairoscope_command, run_command
from benchmarks.harness import REPOSITORY
from benchmarks.results import WORK, Goal, Result, Table, announce, arguments, number, write

NUM_CLIPS = 10_000
NUM_DIFFERENT = 100
"""Simulated demonstrations of different lengths that the clips are made of."""
SEED = 5151
MARKS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Parts of the list at which memory is looked at. Before the first it comes to its size: every
length of clip has a grammar of its own, of which the latest are kept compiled."""
FLAT_MIB_PER_1000 = 4.0
"""Names and places of clips are kept for every one, and nothing that grows with what is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A list that one process has asked about."""

    num_clips: int
    wall_s: float
    peak_mib: float
    at_mib: dict[int, float]
    """Clips done -> resident MiB."""
    store_mib: float
    rss: list[tuple[float, float]]
    """(clips done, resident MiB), about 200 of them."""

    @property
    def growth(self) -> dict[tuple[int, int], float]:
        """(from, to) -> MiB for a thousand clips more, from the second mark on."""
        marks = sorted(self.at_mib)[1:]
        return {
            (a, b): (self.at_mib[b] - self.at_mib[a]) / (b - a) * 1000 for a, b in pairwise(marks)
        }


def simulated(count: int) -> list[Path]:
    """Demonstrations of different lengths, made once and kept."""
    folder = WORK / "clips-varied"
    if len(list(folder.glob("clips/*.mp4"))) < count:
        command = [*kairoscope_command(), "simulate", "--out", str(folder)]
        made = ["--clips", str(count), "--seed", str(SEED)]
        subprocess.run([*command, *made], cwd=REPOSITORY, check=True)
    return sorted(folder.glob("clips/*.mp4"))


def with_own_bytes(sources: Sequence[Path], count: int, folder: Path) -> Path:
    """A list of `count` clips: the given ones in turns, each with a box behind it that players skip."""
    (folder / "clips").mkdir(parents=True)
    given = [source.read_bytes() for source in sources]
    names = [f"clips/{index:05d}.mp4" for index in range(count)]
    for index, name in enumerate(names):
        box = f"{index:016d}".encode()
        head = (len(box) + 8).to_bytes(4, "big") + b"free"
        (folder / name).write_bytes(given[index % len(given)] + head + box)
    manifest = folder / "clips.txt"
    manifest.write_text("".join(f"{name}\n" for name in names))
    return manifest


def ask(source: Path, model: str, place: Path, more: Sequence[str] = ()) -> Asked:
    """Ask about a whole list by the command, with a store of its own.

    Raises RuntimeError where not every clip has an answer, or one of them is the store's.
    """
    task, out, store = place / "task.toml", place / "asked", place / "answers.sqlite"
    task.write_text(TASK)
    command = [*kairoscope_command(), "annotate", str(source), "--task", str(task), *more]
    command += ["--model", model, "--out", str(out), "--store", str(store)]
    done = lines_of(out / "clips.jsonl")
    run = run_command(command, watch=done, every_s=0.2)
    count = len(source.read_text().splitlines())
    if done() != count or (out / "problems.json").read_text().strip() != "[]":
        raise RuntimeError(f"{out}: {done():g} of {count} clips were annotated")
    if '"stored":true' in (out / "clips.jsonl").read_text():
        raise RuntimeError(f"{out}: answers came from the store")
    marks = [max(1, round(part * count)) for part in MARKS]
    return Asked(
        num_clips=count,
        wall_s=run.wall_s,
        peak_mib=run.peak_mib,
        at_mib={mark: memory_at(run, mark) for mark in marks},
        store_mib=store.stat().st_size / 2**20,
        rss=list(run.rss[:: max(1, len(run.rss) // 200)]),
    )


def growth_goals(asked: Asked) -> tuple[Goal, ...]:
    """That memory does not grow with the list."""
    return tuple(
        Goal(
            text="asking: memory for a thousand clips more",
            limit=FLAT_MIB_PER_1000,
            value=mib,
            unit=" MiB",
            case=f"{a} to {b}",
        )
        for (a, b), mib in asked.growth.items()
    )


def memory_table(asked: Asked) -> Table:
    """Memory at every mark."""
    rows = tuple((str(mark), number(mib)) for mark, mib in asked.at_mib.items())
    return Table(
        title=f"One process asks about {asked.num_clips} clips",
        columns=("clips answered", "resident MiB"),
        rows=(*rows, ("peak, page included", number(asked.peak_mib))),
    )


def result(asked: Asked, model: str, num_different: int, how: str) -> Result:
    """Table and goals."""
    return Result(
        name="many_clips",
        title="Ten thousand clips asked about in one process",
        what=(
            f"`kairoscope annotate` over a list of {asked.num_clips} clips with the model `{model}`{how}, "
            "the store of answers on, start-up and page included. "
            f"{num_different} demonstrations of different lengths in turns, each clip with bytes of its "
            f"own, so that all are decoded and asked about: {number(asked.num_clips / asked.wall_s)} "
            f"clips a second; the store holds {number(asked.store_mib)} MiB of answers at the end."
        ),
        tables=(memory_table(asked),),
        goals=growth_goals(asked),
        data={**asdict(asked), "at_mib": list(asked.at_mib.items())},
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    whole: dict[str, Any] = {"type": int, "default": NUM_CLIPS}
    options = arguments(
        "many_clips",
        __doc__,
        argv,
        default_rounds=1,
        model={"help": "as kairoscope's --model (default: builtin)"},
        clips={"type": Path, "help": "folder of .mp4 instead of simulated demonstrations"},
        count={**whole, "help": f"clips of the list (default: {NUM_CLIPS})"},
        device={"help": "as kairoscope's --device"},
        batch_size={"help": "as kairoscope's --batch-size"},
    )
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    if options.smoke:
        sources = [Path(clip.path) for clip in smoke_clips(4, WORK / "smoke-clips")]
    elif options.clips is not None:
        sources = sorted(options.clips.glob("*.mp4"))
    else:
        sources = simulated(NUM_DIFFERENT)
    given = {"--device": options.device, "--batch-size": options.batch_size}
    more = [word for name, value in given.items() if value for word in (name, value)]
    with tempfile.TemporaryDirectory(prefix="many-") as name:
        place = Path(name)
        source = with_own_bytes(sources, 40 if options.smoke else options.count, place)
        announce("asking")
        asked = ask(source, spec, place, more)
    how = f" ({' '.join(more)})" if more else ""
    write(result(asked, model_name(spec), len(sources), how), options)


if __name__ == "__main__":
    main(sys.argv[1:])
