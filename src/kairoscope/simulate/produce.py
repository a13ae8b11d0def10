"""Simulated demonstrations on disk: clips, labels, many workers, resumable at any moment."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from kairoscope.clip_sets import claim, in_processes, tidy
from kairoscope.core import UserError
from kairoscope.simulate.families import Plan, draw_plan
from kairoscope.simulate.planner import IDLE_S
from kairoscope.simulate.render import Canvas, encode_mp4, load_mujoco
from kairoscope.simulate.scene import Look, draw_look, scene_xml
from kairoscope.simulate.simulator import Episode, Simulator, simulate
from kairoscope.simulate.state import Reader
from kairoscope.simulate.tracks import hand_tracks
from kairoscope.simulate.vocabulary import COLOURS, FAMILIES, FAMILIES_SEEN
from kairoscope.storage import plain, whole_file, write_text_atomic

WORLD_VERSION: Final = 3
"""Raised whenever the same seed would show other things or label them otherwise."""
DURATION_S: Final = (3.0, 14.0)
"""Shortest and longest clip."""
TAIL_S: Final = (0.2, 4.5)
"""How long a clip goes on after its last event. Long and varied, so that the length of the clip does
not give the last event away."""
_SETTINGS, _LABELS, _ROWS, _CLIPS = "simulate.json", "labels.jsonl", ".rows", "clips"
_TRACKS = "tracks.jsonl"


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
    reader: Reader
    """Reads the state that belongs to a configuration of `data`."""


def draw_take(mujoco: Any, settings: Settings, index: int) -> Take:
    """Draw and simulate clip `index`. Depends on the settings and the index alone."""
    rng = np.random.default_rng([settings.seed, index])
    while True:
        plan = draw_plan(rng, settings.family(index))
        if plan is None:
            continue
        tail_s = float(rng.uniform(*TAIL_S))
        look = draw_look(rng, plan.scene, [COLOURS[name] for name in plan.colours])
        if plan.timeline.duration_s - IDLE_S > DURATION_S[1]:
            continue
        model = mujoco.MjModel.from_xml_string(scene_xml(plan.scene, look, settings.size_px))
        sim = Simulator(mujoco, model, plan.scene)
        episode = simulate(sim, plan.timeline, plan.events, fps=settings.fps, tail_s=tail_s)
        if episode is None:
            continue
        if DURATION_S[0] <= len(episode.qpos_TQ) / settings.fps <= DURATION_S[1]:
            return Take(plan, look, model, sim.data, episode, sim.reader)


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


def track_row(mujoco: Any, settings: Settings, index: int, take: Take) -> dict[str, Any]:
    """What the hand does at every frame of a clip: see `hand_tracks`."""
    times_s = [round(i / settings.fps, 4) for i in range(len(take.episode.qpos_TQ))]
    video = f"{_CLIPS}/{settings.stem(index)}.mp4"
    return {"video": video, "times_s": times_s, "tracks": hand_tracks(mujoco, take)}


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
    """Write `num_clips` simulated demonstrations to `out/clips`, their labels and hand tracks.

    `out/labels.jsonl` has one row a clip, in order, and appears when all clips are there;
    `out/tracks.jsonl` says for every frame where the hand is and whether it holds something. Clip i
    depends on the seed, the settings and i alone, not on `workers` or `num_clips`: a call that was
    killed is finished by the same call again, and a larger `num_clips` adds to what is there.
    `on_progress(done, total)` is called after every clip. With `workers` > 1 new processes are
    started, so a script needs the usual `if __name__ == "__main__":`.

    Raises `UserError` for a bad argument, for a folder made with other settings, and when mujoco
    or a headless OpenGL library is missing.
    """
    settings = _checked(num_clips, seed, tuple(families), size_px, fps, workers)
    lock = claim(out, _SETTINGS, plain(settings), (_ROWS, _CLIPS), "simulation")
    try:
        missing = [i for i in range(num_clips) if not _is_done(out, settings, i)]
        done = num_clips - len(missing)
        for _ in _produce(out, settings, missing, workers):
            done += 1
            if on_progress is not None:
                on_progress(done, num_clips)
        for name, suffix in ((_TRACKS, ".tracks.json"), (_LABELS, ".json")):
            rows = [_row_path(out, i, suffix).read_text("utf-8") for i in range(num_clips)]
            write_text_atomic(out / name, "".join(rows))
        tidy(out, (_CLIPS, _ROWS))
    finally:
        os.close(lock)


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


def _is_done(out: Path, settings: Settings, index: int) -> bool:
    clip = out / _CLIPS / f"{settings.stem(index)}.mp4"
    return clip.exists() and _row_path(out, index).exists()


def _produce(out: Path, settings: Settings, missing: Sequence[int], workers: int) -> Iterator[None]:
    """Make the missing clips; yields as each is finished."""
    mujoco = load_mujoco()  # here first: what is missing is reported once, not by every worker
    if workers == 1 or len(missing) < 2:
        canvas = Canvas(mujoco, settings.size_px)
        try:
            for index in missing:
                _make(out, settings, mujoco, canvas, index)
                yield
        finally:
            canvas.close()
        return
    for _ in in_processes(partial(_work, out, settings), missing, workers, out):
        yield


def _make(out: Path, settings: Settings, mujoco: Any, canvas: Canvas, index: int) -> None:
    """Write one clip, then its row: a clip whose row is there is complete."""
    take = draw_take(mujoco, settings, index)
    frames = canvas.frames(take.model, take.data, take.episode.qpos_TQ, take.look)
    clip = out / _CLIPS / f"{settings.stem(index)}.mp4"
    data = encode_mp4(frames, size_px=settings.size_px, fps=settings.fps)
    with whole_file(clip) as temporary:
        temporary.write_bytes(data)
    tracks = json.dumps(track_row(mujoco, settings, index, take))
    write_text_atomic(_row_path(out, index, ".tracks.json"), tracks + "\n")
    row = json.dumps(label_row(settings, index, take))
    write_text_atomic(_row_path(out, index), row + "\n")


@cache
def _worker_canvas(size_px: int) -> tuple[Any, Canvas]:
    """This worker's mujoco and its one OpenGL context."""
    mujoco = load_mujoco()
    return mujoco, Canvas(mujoco, size_px)


def _work(out: Path, settings: Settings, index: int) -> None:
    _make(out, settings, *_worker_canvas(settings.size_px), index)


def _row_path(out: Path, index: int, suffix: str = ".json") -> Path:
    return out / _ROWS / f"{index:05d}{suffix}"
