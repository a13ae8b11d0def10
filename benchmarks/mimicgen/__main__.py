"""MimicGen's generation with our boundaries and with the true ones, on the same scenes.

    python -m benchmarks.mimicgen --mimicgen-python PATH --attempts 100

Records, annotates and generates; what is there already is kept, so the same command goes on where
it was stopped. README.md in `benchmarks` says how the other environment is made.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from benchmarks.harness import REPOSITORY, Unavailable
from benchmarks.mimicgen import annotations
from benchmarks.mimicgen.annotations import FPS, NUM_EXAMPLES, Workplace, read_ends
from benchmarks.mimicgen.measures import Ends
from benchmarks.mimicgen.report import Outcome, TaskOutcome, result
from benchmarks.mimicgen.tasks import CASES
from benchmarks.results import WORK, announce, arguments, write

NUM_SOURCES = 10
"""Demonstrations that MimicGen generates from, as in its core configurations."""
VARIANTS = ("true", "signals", "fused", "video", "shifted")
SEED = 1


def elsewhere(python: str, module: str, *words: str | Path) -> None:
    """Run one of our modules where MimicGen can be imported. Raises RuntimeError where it fails."""
    command = [python, "-m", f"benchmarks.mimicgen.{module}", *map(str, words)]
    environment = {"MUJOCO_GL": "osmesa", "OMP_NUM_THREADS": "1", **os.environ}
    log = WORK / "mimicgen" / f"{module}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=file, stderr=file, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{module} failed: see {log}\n{log.read_text()[-2000:]}")


def checked_python(given: str | None) -> str:
    """The interpreter that imports MimicGen. Raises Unavailable."""
    python = given or os.environ.get("MIMICGEN_PYTHON")
    if not python:
        raise Unavailable("--mimicgen-python, or MIMICGEN_PYTHON, must name MimicGen's interpreter")
    command = [python, "-c", "import mimicgen.datagen.data_generator"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{Path(python).name} cannot import MimicGen: {done.stderr[-500:]}")
    return python


def assets_of(python: str) -> tuple[Path, ...]:
    """The packages there that hold the meshes of the scenes."""
    find = "import importlib.util as u; print(*(u.find_spec(n).origin for n in ('robosuite', 'mimicgen')))"
    done = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True)
    return tuple(Path(origin).parent for origin in done.stdout.split())


def recorded(python: str, place: Workplace, num_demos: int) -> None:
    """Record demonstrations, unless they are there."""
    place.folder.mkdir(parents=True, exist_ok=True)
    annotations.write_task(place)
    if not place.demos.exists():
        announce(f"{place.case.key}: recording {num_demos} demonstrations")
        words = ("--demos", str(num_demos), "--seed", str(SEED))
        elsewhere(python, "record", place.case.key, place.demos, *words)


FILES = {
    "true": "demos.hdf5",
    "signals": "signals/stripped.hdf5",
    "fused": "fused/partly.hdf5",
    "video": "video/demos.hdf5",
    "shifted": "shifted/demos.hdf5",
}
"""Where each annotation lies in a task's folder."""


def annotate(place: Workplace, wanted: Sequence[str]) -> None:
    """Make the annotations that are not there yet."""
    missing = [key for key in wanted if not (place.folder / FILES[key]).exists()]
    if "signals" in missing or not place.chosen.exists():
        announce(f"{place.case.key}: annotating from signals")
        annotations.from_signals(place)
    examples, true = annotations.examples_of(place), true_ends(place)
    if {"fused", "video"} & set(missing):
        announce(f"{place.case.key}: drawing")
        annotations.draw(place)
        announce(f"{place.case.key}: fine-tuning on {', '.join(examples)}")
        model = annotations.trained(place, examples, true)
        announce(f"{place.case.key}: annotating")
        if "fused" in missing:
            annotations.from_everything(place, model, examples, place.folder / "fused")
        if "video" in missing:
            annotations.from_video(place, model, examples, true, place.folder / "video")
    if "shifted" in missing:
        annotations.from_shifts(place, true, place.folder / "shifted")


def true_ends(place: Workplace) -> dict[str, tuple[int, ...]]:
    """Of every demonstration that has all of them."""
    found = read_ends(place.demos, place.case.signals)
    return {name: ends for name, ends in found.items() if ends is not None}


def rows_file(place: Workplace, ends: Ends) -> Path:
    """Where outcomes go: annotations with the same ends share them."""
    digest = blake2b(json.dumps(sorted(ends.items())).encode(), digest_size=6).hexdigest()
    return place.folder / f"attempts-{digest}.jsonl"


def generate(python: str, place: Workplace, ends: Mapping[str, Ends], num_attempts: int) -> None:
    """Let MimicGen try that often with each annotation; what is there already counts."""
    jobs = {}
    for key, own in ends.items():
        rows = rows_file(place, own)
        if own and str(rows) not in jobs:
            file = place.folder / FILES[key]
            jobs[str(rows)] = {"source": str(file), "demos": list(own), "rows": str(rows)}
    if all(len(read_rows(Path(rows))) >= num_attempts for rows in jobs):
        return
    announce(f"{place.case.key}: generating")
    listed = place.folder / "jobs.json"
    listed.write_text(json.dumps(list(jobs.values()), indent=1))
    elsewhere(python, "generate", place.case.key, listed, "--attempts", str(num_attempts))


def read_rows(file: Path) -> tuple[dict[str, Any], ...]:
    """Outcomes so far."""
    lines = file.read_text().splitlines() if file.exists() else []
    return tuple(json.loads(line) for line in lines)


def measured(python: str | None, place: Workplace, options: Any) -> TaskOutcome:
    """One task from recording to rates; without an interpreter, what is there of it."""
    if python is not None:
        recorded(python, place, options.sources + NUM_EXAMPLES)
        annotate(place, options.annotations)
    true, examples = true_ends(place), annotations.examples_of(place)
    sources = [name for name in true if name not in examples][: options.sources]
    files = {key: place.folder / FILES[key] for key in options.annotations}
    found = {
        key: read_ends(file, place.case.signals) if file.exists() else {}
        for key, file in files.items()
    }
    usable = {
        key: {name: own for name in sources if (own := ends.get(name)) is not None}
        for key, ends in found.items()
    }
    if python is not None:
        generate(python, place, usable, options.attempts)
    rows = {key: read_rows(rows_file(place, own)) for key, own in usable.items()}
    # Stopped in the middle of a turn, some have one attempt more than others.
    num = min(options.attempts, *(len(own) for own in rows.values() if own), len(rows["true"]))
    return TaskOutcome(
        case=place.case,
        fps=FPS,
        true={name: true[name] for name in sources},
        num_frames=annotations.lengths(place.demos),
        examples=examples,
        outcomes=tuple(
            Outcome(key=key, ends={name: own.get(name) for name in sources}, rows=rows[key][:num])
            for key, own in found.items()
        ),
    )


def main(argv: Sequence[str]) -> None:
    """Measure and write."""
    options = arguments(
        "mimicgen",
        __doc__,
        argv,
        mimicgen_python={"help": "interpreter that imports MimicGen (default: $MIMICGEN_PYTHON)"},
        tasks={"nargs": "+", "choices": sorted(CASES), "default": list(CASES)},
        annotations={"nargs": "+", "choices": VARIANTS, "default": list(VARIANTS)},
        attempts={"type": int, "default": 100, "help": "of each annotation (default: 100)"},
        sources={"type": int, "default": NUM_SOURCES, "help": "demonstrations to generate from"},
        model={"default": "builtin", "help": "what is fine-tuned on the examples"},
        set={"action": "append", "default": [], "help": "a setting of the fine-tuning"},
        as_is={
            "action": "store_true",
            "help": "record, annotate and generate nothing: the page of what is there",
        },
        folder={"type": Path, "default": WORK / "mimicgen", "help": "recordings and annotations"},
    )
    if options.smoke:
        options.attempts, options.sources = 2, 3
        options.tasks, options.set = ["stack"], ["max_steps=2", "batch_size=2"]
        options.folder = options.folder / "smoke"
    if "true" not in options.annotations:
        options.annotations = ["true", *options.annotations]
    python = None if options.as_is else checked_python(options.mimicgen_python)
    assets, outcomes = assets_of(python) if python else (), []
    for key in options.tasks:
        place = Workplace(
            case=CASES[key],
            folder=options.folder / key,
            sft=tuple(options.set),
            model=options.model,
            assets=assets,
        )
        outcomes.append(measured(python, place, options))
    write(result(outcomes), options)


if __name__ == "__main__":
    main(sys.argv[1:])
