"""Simulated demonstrations on disk: clips, labels, many workers, resumable at any moment."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kairoscope.core import UserError
from kairoscope.simulate.families import Plan, draw_plan
from kairoscope.simulate.render import Canvas, load_mujoco, write_mp4
from kairoscope.simulate.scene import Look, draw_look, scene_xml
from kairoscope.simulate.simulator import Episode, Simulator, simulate
from kairoscope.simulate.vocabulary import COLOURS, FAMILIES, FAMILIES_SEEN

WORLD_VERSION: Final = 2
"""Raised whenever the same seed would give other clips or labels."""
DURATION_S: Final = (3.0, 12.0)
"""Shortest and longest clip."""
_SETTINGS, _LABELS, _ROWS, _CLIPS = "simulate.json", "labels.jsonl", ".rows", "clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what clip number i shows."""

    seed: int
    families: tuple[str, ...]
    size_px: int
    fps: float
    world_version: int = WORLD_VERSION

    def family(self, index: int) -> str:
        """The family of clip `index`; families take turns."""
        return self.families[index % len(self.families)]

    def stem(self, index: int) -> str:
        """File name of clip `index`, without its suffix."""
        return f"{self.family(index)}_{self.seed}_{index:05d}"


@dataclass(frozen=True, slots=True)
class Take:
    """One simulated clip that is ready to be drawn."""

    plan: Plan
    look: Look
    model: Any
    data: Any
    episode: Episode


def draw_take(mujoco: Any, settings: Settings, index: int) -> Take:
    """Draw and simulate clip `index`. Depends on the settings and the index alone."""
    rng = np.random.default_rng([settings.seed, index])
    while True:
        plan = draw_plan(rng, settings.family(index))
        if plan is None:
            continue
        tail_s = float(rng.uniform(0.2, 2.0))
        look = draw_look(rng, plan.scene, [COLOURS[name] for name in plan.colours])
        if plan.timeline.duration_s > DURATION_S[1] + 2.0:
            continue
        model = mujoco.MjModel.from_xml_string(scene_xml(plan.scene, look, settings.size_px))
        sim = Simulator(mujoco, model, plan.scene)
        episode = simulate(sim, plan.timeline, plan.events, fps=settings.fps, tail_s=tail_s)
        if episode is None:
            continue
        if DURATION_S[0] <= len(episode.qpos_TQ) / settings.fps <= DURATION_S[1]:
            return Take(plan, look, model, sim.data, episode)


def label_row(settings: Settings, index: int, take: Take) -> dict[str, Any]:
    """The label of a clip: contiguous events, times in seconds of exact frames."""
    ends = [round(frame / settings.fps, 6) for frame in take.episode.end_frames]
    starts = [0.0, *ends[:-1]]
    return {
        "video": f"{_CLIPS}/{settings.stem(index)}.mp4",
        "events": [
            {"name": event.name, "start_s": start, "end_s": end}
            for event, start, end in zip(take.plan.events, starts, ends, strict=True)
        ],
        "group": settings.stem(index),
        "duration_s": round(len(take.episode.qpos_TQ) / settings.fps, 6),
        "task": take.plan.family,
        "instruction": take.plan.instruction,
        "seed": settings.seed,
    }


def generate(
    out: Path,
    *,
    num_clips: int,
    seed: int,
    families: Sequence[str] = FAMILIES_SEEN,
    size_px: int = 256,
    fps: float = 30.0,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `num_clips` simulated demonstrations to `out/clips` and their labels.

    `out/labels.jsonl` has one row a clip, in order, and appears when all clips are there. Clip i
    depends on the seed, the settings and i alone, not on `workers` or `num_clips`: a call that was
    killed is finished by the same call again, and a larger `num_clips` adds to what is there.
    `on_progress(done, total)` is called after every clip. With `workers` > 1 new processes are
    started, so a script needs the usual `if __name__ == "__main__":`.

    Raises `UserError` for a bad argument, for a folder made with other settings, and when mujoco
    or a headless OpenGL library is missing.
    """
    settings = _checked(num_clips, seed, tuple(families), size_px, fps, workers)
    (out / _CLIPS).mkdir(parents=True, exist_ok=True)
    (out / _ROWS).mkdir(exist_ok=True)
    _claim(out, settings)
    missing = [i for i in range(num_clips) if not _is_done(out, settings, i)]
    done = num_clips - len(missing)
    for _ in _produce(out, settings, missing, workers):
        done += 1
        if on_progress is not None:
            on_progress(done, num_clips)
    rows = [_row_path(out, i).read_text("utf-8") for i in range(num_clips)]
    _write_atomic(out / _LABELS, "".join(rows))


def _checked(
    num_clips: int, seed: int, families: tuple[str, ...], size_px: int, fps: float, workers: int
) -> Settings:
    if num_clips < 1 or seed < 0 or workers < 1:
        raise UserError(
            f"num_clips={num_clips}, seed={seed}, workers={workers}: "
            "at least 1 clip, 1 worker and a seed of 0 or more are needed"
        )
    unknown = [name for name in families if name not in FAMILIES]
    if unknown or not families:
        raise UserError(f"unknown task families {unknown}; there are: {', '.join(FAMILIES)}")
    if not 96 <= size_px <= 512 or size_px % 2:
        raise UserError(f"size_px={size_px}: an even number from 96 to 512 is needed")
    if not 4 <= fps <= 60:
        raise UserError(f"fps={fps}: a value from 4 to 60 is needed")
    return Settings(seed=seed, families=families, size_px=size_px, fps=float(fps))


def _claim(out: Path, settings: Settings) -> None:
    """Write the settings into the folder, or make sure that they are those already there."""
    path = out / _SETTINGS
    wanted = json.loads(json.dumps(asdict(settings)))
    if not path.exists():
        _write_atomic(path, json.dumps(wanted, indent=1) + "\n")
        return
    present = json.loads(path.read_text("utf-8"))
    different = [k for k in wanted if wanted[k] != present.get(k)]
    if different:
        was = ", ".join(f"{k}={present.get(k)!r} (now {wanted[k]!r})" for k in different)
        raise UserError(f"{out} holds clips made with {was}; choose another folder")


def _is_done(out: Path, settings: Settings, index: int) -> bool:
    clip = out / _CLIPS / f"{settings.stem(index)}.mp4"
    return clip.exists() and _row_path(out, index).exists()


def _produce(out: Path, settings: Settings, missing: Sequence[int], workers: int) -> Iterator[int]:
    """Make the missing clips; yields an index as each is finished."""
    if workers == 1 or len(missing) < 2:
        worker = _Worker(out, settings)
        try:
            for index in missing:
                yield worker.make(index)
        finally:
            worker.close()
        return
    load_mujoco()  # a missing library is reported here, once, not from every worker
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(missing)), _start_worker, (out, settings)) as pool:
        yield from pool.imap_unordered(_work, missing, chunksize=1)


class _Worker:
    """Makes clips in this process, with one OpenGL context for all of them."""

    def __init__(self, out: Path, settings: Settings):
        self._out, self._settings = out, settings
        self._mujoco = load_mujoco()
        self._canvas = Canvas(self._mujoco, settings.size_px)

    def close(self) -> None:
        self._canvas.close()

    def make(self, index: int) -> int:
        settings, stem = self._settings, self._settings.stem(index)
        take = draw_take(self._mujoco, settings, index)
        part = self._out / _CLIPS / f".{stem}.{os.getpid()}.part"
        frames = self._canvas.frames(take.model, take.data, take.episode.qpos_TQ, take.look)
        write_mp4(part, frames, size_px=settings.size_px, fps=settings.fps)
        part.replace(self._out / _CLIPS / f"{stem}.mp4")
        row = json.dumps(label_row(settings, index, take))
        _write_atomic(_row_path(self._out, index), row + "\n")
        return index


_worker: _Worker | None = None


def _start_worker(out: Path, settings: Settings) -> None:
    global _worker
    _worker = _Worker(out, settings)


def _work(index: int) -> int:
    assert _worker is not None
    return _worker.make(index)


def _row_path(out: Path, index: int) -> Path:
    return out / _ROWS / f"{index:05d}.json"


def _write_atomic(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
