"""Every way to come by the boundaries of recorded demonstrations, each as a file for MimicGen."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.harness import REPOSITORY
from benchmarks.mimicgen.measures import Ends, shifted
from benchmarks.mimicgen.tasks import Case
from kairoscope.robot.legality import SPECS, nearest_legal
from kairoscope.robot.mimicgen import write_signals

SIGNALS = "datagen_info/subtask_term_signals"
CAMERA = "agentview"
SIZE, FPS = 128, 20
NUM_EXAMPLES = 3
SHIFT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Recorded demonstrations of a task, and the folder in which they are annotated."""

    case: Case
    folder: Path
    sft: tuple[str, ...] = ()
    """Settings of the short fine-tuning on the examples, as `--set` takes them."""
    model: str = "builtin"
    assets: tuple[Path, ...] = ()
    """Packages with the meshes of the recorded scenes."""

    @property
    def demos(self) -> Path:
        """As recorded, with the true boundaries."""
        return self.folder / "demos.hdf5"

    @property
    def chosen(self) -> Path:
        """Names of the examples."""
        return self.folder / "examples.json"

    @property
    def task(self) -> Path:
        """The task file that a user would write."""
        return self.folder / "task.toml"

    def assets_options(self) -> list[str | Path]:
        """As `render` and `annotate` take them."""
        return [word for folder in self.assets for word in ("--assets", folder)]

    def kairoscope(self, *words: str | Path) -> str:
        """Run a command as a user would; what it printed. Raises RuntimeError where it fails."""
        command = [sys.executable, "-m", "kairoscope", *map(str, words)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        with (self.folder / "commands.log").open("a", encoding="utf-8") as log:
            log.write(f"$ kairoscope {' '.join(map(str, words))}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            raise RuntimeError(f"kairoscope {words[0]}: {done.stderr[-2000:]}")
        return done.stdout


def read_ends(file: Path, signals: Sequence[str]) -> dict[str, tuple[int, ...] | None]:
    """The exclusive ends as MimicGen's `parse_source_dataset` takes them; None where it would stop."""
    found: dict[str, tuple[int, ...] | None] = {}
    with h5py.File(file) as opened:
        for name, demo in opened["data"].items():
            ends: list[int] = []
            for signal in signals:
                if f"{SIGNALS}/{signal}" not in demo:
                    break
                values = demo[f"{SIGNALS}/{signal}"][()].astype(np.int64)
                changes = np.flatnonzero(np.diff(values)) + 1
                later = changes[changes >= (ends[-1] if ends else 0)]
                if not later.size:
                    break
                ends.append(int(later[0]) + 1)
            found[name] = tuple(ends) if len(ends) == len(signals) else None
    return dict(sorted(found.items(), key=lambda item: int(item[0].removeprefix("demo_"))))


def lengths(file: Path) -> dict[str, int]:
    """Frames of every demonstration."""
    with h5py.File(file) as opened:
        return {name: len(demo["actions"]) for name, demo in opened["data"].items()}


def strip(source: Path, target: Path, keep: Iterable[str] = ()) -> Path:
    """A copy without the signals of all demonstrations but some."""
    shutil.copy(source, target)
    with h5py.File(target, "a") as opened:
        for name, demo in opened["data"].items():
            if name not in keep and SIGNALS in demo:
                del demo[SIGNALS]
    return target


def write_ends(place: Workplace, ends: Ends, target: Path) -> Path:
    """A copy of the demonstrations with these ends and no others."""
    stripped = strip(place.demos, target.with_suffix(".stripped"))
    target.unlink(missing_ok=True)
    spec = SPECS[place.case.key]
    named = {demo: dict(zip(spec.signals, own, strict=True)) for demo, own in ends.items()}
    report = write_signals(stripped, target, named, spec=spec, labelled_by="human")
    stripped.unlink()
    if report.problems:
        raise RuntimeError(f"{target}: {report.problems}")
    return target


def from_signals(place: Workplace) -> Path:
    """What robot signals say, without a label; says which demonstrations to label first, too."""
    stripped = strip(place.demos, place.folder / "stripped.hdf5")
    out = place.folder / "signals"
    said = place.kairoscope(
        *("annotate", stripped, "--task", place.task, "--signals-only"),
        *("--examples", str(NUM_EXAMPLES), "--out", out),
    )
    first = re.search(r"label these first: (.*)", said)
    if first is None:
        raise RuntimeError(f"{stripped}: no examples were chosen: {said}")
    place.chosen.write_text(json.dumps(re.findall(r"demo_\d+", first[1])))
    return out / stripped.name


def examples_of(place: Workplace) -> tuple[str, ...]:
    """The demonstrations that `from_signals` was told to label first."""
    return tuple(json.loads(place.chosen.read_text()))


def label_rows(place: Workplace, names: Iterable[str], true: Ends) -> list[dict[str, Any]]:
    """Rows of a label file with the true boundaries, as a person would have set them."""
    num_frames = lengths(place.demos)
    return [
        {
            "video": f"{name}.mp4",
            "events": [
                {"name": event, "end_s": round((end - 1) / FPS, 4)}
                for event, end in zip(place.case.events, true[name], strict=True)
            ],
            "group": name,
            "duration_s": round(num_frames[name] / FPS, 4),
            "task": place.case.key,
        }
        for name in names
    ]


def draw(place: Workplace) -> None:
    """A clip of every demonstration, from its states."""
    place.kairoscope(
        *("render", place.demos, "--out", place.folder / "drawn", "--task", place.task),
        *("--camera", CAMERA, "--size", str(SIZE), "--fps", str(FPS), "--fast", "--no-stamps"),
        *place.assets_options(),
    )


def make_clips(
    place: Workplace, folder: Path, names: Iterable[str], labels: Sequence[Mapping[str, Any]]
) -> None:
    """Videos of demonstrations with a label file beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        stem = f"{place.demos.stem}_{name.replace('_', '')}_{CAMERA}"
        shutil.copy(place.folder / f"drawn/clips/{stem}.mp4", folder / f"{name}.mp4")
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))


def trained(place: Workplace, examples: Sequence[str], true: Ends) -> Path:
    """The model after a short fine-tuning on the examples and nothing else."""
    folder = place.folder / "examples"
    # One group, so that none of the few is held out.
    rows = [row | {"group": "examples"} for row in label_rows(place, examples, true)]
    make_clips(place, folder, examples, rows)
    settings = [word for setting in place.sft for word in ("--set", setting)]
    out = place.folder / "sft"
    if (out / "result.json").exists():  # finished here, or on a machine with a GPU
        return out / "best"
    place.kairoscope(
        *("sft", "subtask-times", "--data", folder, "--model", place.model, "--out", out),
        *settings,
    )
    return out / "best"


def from_video(
    place: Workplace, model: str | Path, examples: Sequence[str], true: Ends, out: Path
) -> Path:
    """What the model says of videos alone, with some examples of labels for the prior."""
    clips = place.folder / "clips"
    make_clips(place, clips, true, label_rows(place, examples, true))
    place.kairoscope(
        *("annotate", clips, "--task", place.task, "--model", model),
        *("--examples", str(NUM_EXAMPLES), "--out", out),
    )
    ends: dict[str, list[int]] = {}
    for line in (out / "boundaries.jsonl").read_text().splitlines():
        row = json.loads(line)
        ends.setdefault(Path(row["clip"]).stem, []).append(int(row["end_frame"]) + 1)
    return write_ends(place, legal(place, ends), out / "demos.hdf5")


def legal(place: Workplace, ends: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """The nearest ends that generation can start from; demonstrations that have none are left out."""
    num_frames = lengths(place.demos)
    spec = SPECS[place.case.key]
    near = {
        name: nearest_legal(own, spec, num_frames[name])
        for name, own in ends.items()
        if len(own) == len(spec.signals)
    }
    return {name: own for name, own in near.items() if own is not None}


def from_everything(
    place: Workplace, model: str | Path, examples: Sequence[str], out: Path
) -> Path:
    """Signals, the model where they do not decide, and the examples, fused."""
    partly = strip(place.demos, place.folder / "partly.hdf5", keep=examples)
    place.kairoscope(
        *("annotate", partly, "--task", place.task, "--model", model, "--render", CAMERA),
        *("--examples", str(NUM_EXAMPLES), "--out", out),
        *place.assets_options(),
    )
    return out / partly.name


def from_shifts(place: Workplace, true: Ends, out: Path) -> Path:
    """The true ends, each moved by a fifth of its subtask."""
    rng = np.random.default_rng(0)
    moved = {name: shifted(ends, SHIFT, rng) for name, ends in true.items()}
    out.mkdir(exist_ok=True)
    return write_ends(place, legal(place, moved), out / "demos.hdf5")


def write_task(place: Workplace) -> None:
    """The task file."""
    events = ", ".join(json.dumps(event) for event in place.case.events)
    place.task.write_text(f'name = "{place.case.key}"\nevents = [{events}]\n')
