"""Sets of physics clips on disk: five of every scene, resumable at any moment."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kairoscope.clip_sets import claim, tidy
from kairoscope.core import UserError
from kairoscope.scale import HIGHEST
from kairoscope.simulate.physics.painter import paint
from kairoscope.simulate.physics.scenes import Scene, draw_scene
from kairoscope.simulate.render import encode_mp4
from kairoscope.storage import plain, whole_file, write_text_atomic

WORLD_VERSION: Final = 1
"""Raised whenever the same seed would show other things or label them otherwise."""
_SETTINGS, _LABELS, _ROWS, _CLIPS = "simulate.json", "labels.jsonl", ".rows", "clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what clip number i shows."""

    seed: int
    size_px: int
    fps: float
    world: str = "physics"
    world_version: int = WORLD_VERSION


def clip_of(settings: Settings, index: int) -> tuple[Scene, int]:
    """The scene of a clip and its score: clips 0 to 4 are of the first scene, and so on.

    Within a scene, scores come in an order of the scene's own, so that names do not tell them.
    """
    group, place = divmod(index, HIGHEST)
    scene = draw_scene(settings.seed, group, settings.fps)
    scores = sorted(range(1, HIGHEST + 1), key=lambda score: (scene.look >> (3 * score)) % 97)
    return scene, scores[place]


def label_row(settings: Settings, index: int) -> dict[str, Any]:
    """The label of a clip."""
    scene, score = clip_of(settings, index)
    wrong = scene.build(score).wrong
    return {
        "video": f"{_CLIPS}/{stem(settings, index)}.mp4",
        "score": score,
        "group": f"{scene.family}_{settings.seed}_{index // HIGHEST:05d}",
        "task": scene.family,
        "duration_s": round(scene.duration_s, 6),
        "violation": "none" if wrong is None else f"{wrong.kind} {wrong.amount:.3f}",
        "seed": settings.seed,
    }


def stem(settings: Settings, index: int) -> str:
    """File name of a clip without its suffix."""
    family = draw_scene(settings.seed, index // HIGHEST, settings.fps).family
    return f"{family}_{settings.seed}_{index:05d}"


def generate_physics(
    out: Path,
    *,
    num_clips: int,
    seed: int,
    size_px: int = 128,
    fps: float = 16.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write clips to `out/clips` and their scores to `out/labels.jsonl`.

    `num_clips` is a multiple of five: every scene comes with each score once. Clip i depends on the
    seed, the settings and i alone, so that a call that was killed is finished by the same call, and
    a larger `num_clips` adds to what is there.

    Raises:
        UserError: a bad argument, a folder made with other settings, or a full disk.
    """
    settings = _checked(num_clips, seed, size_px, fps)
    lock = claim(out, _SETTINGS, plain(settings), (_ROWS, _CLIPS), "simulation")
    try:
        tidy(out, (_CLIPS, _ROWS))
        for index in range(num_clips):
            if not _row_path(out, index).exists():
                _make(out, settings, index)
            if on_progress is not None:
                on_progress(index + 1, num_clips)
        rows = [_row_path(out, i).read_text("utf-8") for i in range(num_clips)]
        write_text_atomic(out / _LABELS, "".join(rows))
    finally:
        os.close(lock)


def _make(out: Path, settings: Settings, index: int) -> None:
    """Write one clip, then its row: a clip whose row is there is complete."""
    scene, score = clip_of(settings, index)
    frames = scene.build(score).frames(scene.num_frames, settings.fps)
    pictures = paint(scene, frames, settings.size_px)
    with whole_file(out / _CLIPS / f"{stem(settings, index)}.mp4") as temporary:
        temporary.write_bytes(encode_mp4(pictures, size_px=settings.size_px, fps=settings.fps))
    write_text_atomic(_row_path(out, index), json.dumps(label_row(settings, index)) + "\n")


def _row_path(out: Path, index: int) -> Path:
    return out / _ROWS / f"{index:05d}.json"


def _checked(num_clips: int, seed: int, size_px: int, fps: float) -> Settings:
    if num_clips < HIGHEST or num_clips % HIGHEST:
        raise UserError(
            f"{num_clips} clips; allowed: a multiple of {HIGHEST}, one of each score for every scene"
        )
    if seed < 0:
        raise UserError(f"seed={seed}: a seed of 0 or more is needed")
    if not 96 <= size_px <= 512 or size_px % 2:
        raise UserError(f"size_px={size_px}: an even number from 96 to 512 is needed")
    if not 4 <= fps <= 60:
        raise UserError(f"fps={fps}: a value from 4 to 60 is needed")
    return Settings(seed=seed, size_px=size_px, fps=float(fps))
