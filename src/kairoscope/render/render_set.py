"""Files of recorded simulations -> a training set on disk: the whole of `kairoscope render`.

clips/<file>_<demonstration>_<camera>.mp4    and clips_ts/, the same with the time in every frame
labels.jsonl, train/, test/                  labels of all clips, and of each side of the split
conversations_train/, conversations_test/    the same as datasets of conversations
card.md, sample_sheet.png, problems.json     what is in it, and what is not
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kairoscope import __version__
from kairoscope.clip_sets import claim, tidy
from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile
from kairoscope.render.assets import assets_in
from kairoscope.render.card import SHEET, Making, card
from kairoscope.render.collect import (
    Collection,
    EventTask,
    collect,
    write_dialogues,
    write_sets,
)
from kairoscope.render.picture import SIZES_PX
from kairoscope.render.produce import CLIPS, ROWS, STAMPED, Job, Look, Shop, produce
from kairoscope.render.recording import environment_of, open_recordings
from kairoscope.render.sheet import chosen_samples, write_sheet
from kairoscope.render.truth import plan_for, task_for
from kairoscope.robot.mimicgen import MimicgenDataset
from kairoscope.storage import plain, write_json_atomic, write_text_atomic

FPS = (1.0, 120.0)
SETTINGS = "render.json"
SUFFIXES = (".hdf5", ".h5")
OnProgress = Callable[[str, int, int], None]
"""(what, done, of how many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What became of the demonstrations."""

    found: Collection
    problems: tuple[tuple[str, str], ...]
    """(demonstration or file, reason) of everything that gave no clip."""
    notes: tuple[str, ...]
    """What was assumed about the files."""


def render_set(
    files: Sequence[Path],
    out: Path,
    *,
    look: Look,
    task: TaskFile | None = None,
    dialogue: EventTask | None = None,
    assets: Sequence[Path] = (),
    per_file: int | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    stamps: bool = True,
    workers: int = 1,
    recorded_fps: float | None = None,
    on_progress: OnProgress = lambda _what, _done, _total: None,
) -> Rendered:
    """Draw the demonstrations of robosuite recordings and label them.

    A call that was killed is finished by the same call; what is finished is not made again, and a
    call with more files adds to what is there. With `workers` > 1 new processes are started, so a
    script needs the usual `if __name__ == "__main__":`.

    Args:
        files: HDF5 of robomimic or MimicGen, with `states` and `model_file`; or folders of them.
        out: folder; new, empty, or of an earlier call with the same `look`.
        look: camera, size, rate, quality.
        task: whose events are labelled; None: those of each file's environment.
        dialogue: asks and answers in the datasets of conversations; None: none are written.
        assets: folders with meshes and textures, before installed packages.
        per_file: demonstrations taken of each file, the first ones; None: all.
        holdout: share of the source demonstrations of every task that is kept for the test.
        seed: of that choice.
        stamps: also write stamped clips, which the conversations speak of; without, there are none.
        workers: processes.
        recorded_fps: states a second, where the files record it wrongly.
        on_progress: told what is done.

    Raises UserError where nothing can be drawn or written, and where not one demonstration gives a
    clip; what is wrong with one of them is in the result.
    """
    files = _expanded(files)
    _check(files, look, holdout, workers)
    assets_in(assets)  # what is missing is said before anything is written
    lock = claim(out, SETTINGS, plain(look), (ROWS, CLIPS), "rendered clips")
    try:
        tidy(out, (ROWS, CLIPS, STAMPED, "."))
        listed = _listed(files, task, per_file, recorded_fps, look)
        shop = Shop(out=out, look=look, assets=tuple(assets), stamps=stamps)
        problems = _drawn(shop, listed, workers, on_progress)
        names = [job.name for job in listed.jobs]
        found = collect(out, names, holdout=holdout, seed=seed)
        on_progress("writing the set", 0, 1)
        write_sets(out, found)
        if dialogue is not None and stamps:
            write_dialogues(out, found, dialogue)
        making = Making(
            look=look,
            versions=_versions(),
            sources=listed.sources,
            holdout=holdout,
            seed=seed,
            stamps=stamps,
        )
        _write_card(out, making, found, problems)
        on_progress("writing the set", 1, 1)
    finally:
        os.close(lock)
    return Rendered(found=found, problems=tuple(problems), notes=listed.notes)


def _drawn(
    shop: Shop, listed: "_Listed", workers: int, on_progress: OnProgress
) -> list[tuple[str, str]]:
    """Draw every job; returns what is wrong with demonstrations, in their order, and keeps it.

    Raises UserError where not one gives a clip.
    """
    problems = list(listed.problems)
    for done, (job, reason) in enumerate(produce(shop, listed.jobs, workers), 1):
        if reason is not None:
            problems.append((job.name, reason))
        on_progress("rendering", done, len(listed.jobs))
    place = {job.name: number for number, job in enumerate(listed.jobs)}
    problems.sort(key=lambda item: place.get(item[0], -1))
    rows = [{"clip": name, "reason": why} for name, why in problems]
    write_json_atomic(shop.out / "problems.json", rows)
    if problems and len(problems) >= len(listed.jobs) + len(listed.problems):
        raise UserError(f"{shop.out}: not one demonstration gave a clip; first: {problems[0][1]}")
    return problems


def _write_card(
    out: Path, making: Making, found: Collection, problems: Sequence[tuple[str, str]]
) -> None:
    """Pictures of some clips, and what came out."""
    if found.samples:
        write_sheet(chosen_samples(found.samples), out / SHEET)
    write_text_atomic(out / "card.md", card(making, found, problems))


def _expanded(files: Sequence[Path]) -> list[Path]:
    """Folders replaced by the HDF5 files in them. Raises UserError for one without any."""
    found: list[Path] = []
    for path in files:
        inside = [path]
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES)
            if not inside:
                raise UserError(f"{path}: no HDF5 file in it ({', '.join(SUFFIXES)})")
        found += inside
    return found


def _check(files: Sequence[Path], look: Look, holdout: float, workers: int) -> None:
    if not files:
        raise UserError("no files to render")
    if not SIZES_PX[0] <= look.size_px <= SIZES_PX[1] or look.size_px % 2:
        raise UserError(
            f"size {look.size_px}: an even number of pixels from {SIZES_PX[0]} to {SIZES_PX[1]}"
        )
    if not FPS[0] <= look.fps <= FPS[1]:
        raise UserError(f"fps {look.fps:g}: from {FPS[0]:g} to {FPS[1]:g} frames a second")
    if not 0 <= holdout < 1:
        raise UserError(f"holdout {holdout:g}: a share from 0 to below 1")
    if workers < 1:
        raise UserError(f"workers {workers}: at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    jobs: tuple[Job, ...]
    sources: tuple[tuple[Path, str, int, float], ...]
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def _listed(
    files: Sequence[Path],
    task: TaskFile | None,
    per_file: int | None,
    fps: float | None,
    look: Look,
) -> _Listed:
    """Every demonstration of every file that can be opened."""
    jobs: list[Job] = []
    sources: list[tuple[Path, str, int, float]] = []
    problems: list[tuple[str, str]] = []
    notes: list[str] = []
    for path, stem in zip(files, _stems(files), strict=True):
        try:
            dataset = open_recordings(path, fps=fps)
            asked = task_for(dataset, task)
            plan = plan_for(dataset, asked) if asked is not None else None
        except UserError as error:
            problems.append((path.name, str(error)))
            continue
        ids = dataset.ids[:per_file]
        notes += [f"{path.name}: {note}" for note in dataset.notes]
        sources.append((path, environment_of(path), len(ids), dataset.fps))
        jobs += [
            Job(
                path=path,
                episode_id=name,
                name=f"{stem}_{name.replace('_', '').replace('/', '')}_{look.camera}",
                fps=dataset.fps,
                task=asked.name if asked is not None else None,
                family=_family(dataset, stem),
                plan=plan,
            )
            for name in ids
        ]
    return _Listed(
        jobs=tuple(jobs),
        sources=tuple(sources),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _family(dataset: MimicgenDataset, stem: str) -> str:
    """Within what demonstrations are numbered: variants of a task have the same sources."""
    return dataset.spec.name if dataset.spec is not None else stem


def _stems(files: Sequence[Path]) -> list[str]:
    """What the clips of each file begin with. Raises UserError where two files would share it."""
    counts = Counter(path.stem for path in files)
    stems = [
        path.stem if counts[path.stem] == 1 else f"{path.resolve().parent.name}_{path.stem}"
        for path in files
    ]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise UserError(f"two files are called {twice[0]}: rename one, clips are named after them")
    return stems


def _versions() -> dict[str, str]:
    found = {"kairoscope": __version__}
    for name in ("mujoco", "robosuite", "mimicgen"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # assets may come from a folder
    return found
