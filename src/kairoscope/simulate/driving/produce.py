"""Simulated drives on disk: clips and their captions, many workers, resumable at any moment."""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from kairoscope.clip_sets import claim, in_processes, tidy
from kairoscope.core import UserError
from kairoscope.fields.writing import caption_json
from kairoscope.simulate.driving.facts import caption_of, draw_drive
from kairoscope.simulate.driving.picture import frames
from kairoscope.simulate.driving.questions import questions_of
from kairoscope.simulate.render import CRF, encode_mp4
from kairoscope.storage import plain, whole_file, write_text_atomic

WORLD_VERSION: Final = 1
"""Raised whenever the same seed would show other things or label them otherwise."""
DURATION_S: Final = (4.5, 6.0)
"""Shortest and longest clip; drawn apart from what happens, so that it gives nothing away."""
SETTINGS, CLIPS, QUESTIONS = "simulate.json", "clips", "questions.jsonl"
CAMERA = "camera_front"
"""Between a clip's id and its suffix, as in the recipe's data sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveSettings:
    """Everything that decides what clip number i shows."""

    seed: int
    width_px: int
    height_px: int
    fps: float
    crf: int = CRF
    """Of the encoder: higher makes smaller files of coarser pictures."""
    world: str = "driving"
    world_version: int = WORLD_VERSION

    def kept(self) -> dict[str, Any]:
        """What a folder keeps of them; folders from before there was a choice of `crf` go on."""
        return {k: v for k, v in plain(self).items() if k != "crf" or v != CRF}

    def id(self, index: int) -> str:
        """Of clip `index`."""
        return f"drive_{self.seed}_{index:05d}"

    def video(self, index: int) -> str:
        """Path of clip `index` in the folder."""
        return f"{CLIPS}/{self.id(index)}.{CAMERA}.mp4"


def generate_drives(
    out: Path,
    *,
    num_clips: int,
    seed: int,
    width_px: int = 288,
    height_px: int = 160,
    fps: float = 10.0,
    crf: int = CRF,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `num_clips` simulated drives: `<id>.camera_front.mp4` beside `<id>.label.json`.

    The labels have the fields of the shipped schema `driving_world`, in the recipe's form; a
    `questions.jsonl` asks about all clips that are there. Clip i depends on the seed, the settings and i alone; a call that was killed is finished by the same call
    again, and a larger `num_clips` adds to what is there.

    Raises `UserError` for a bad argument and for a folder made with other settings.
    """
    settings = _checked(num_clips, seed, width_px, height_px, fps, crf, workers)
    lock = claim(out, SETTINGS, settings.kept(), (CLIPS,), "simulation")
    try:
        missing = [i for i in range(num_clips) if not label_path(out, settings, i).exists()]
        done = num_clips - len(missing)
        for _ in in_processes(partial(_make, out, settings), missing, workers, out):
            done += 1
            if on_progress is not None:
                on_progress(done, num_clips)
        tidy(out, (CLIPS,))
        _write_questions(out, settings)
    finally:
        os.close(lock)


def label_path(out: Path, settings: DriveSettings, index: int) -> Path:
    """Where the label of clip `index` is; it is written after the clip."""
    return out / CLIPS / f"{settings.id(index)}.label.json"


def _write_questions(out: Path, settings: DriveSettings) -> None:
    """About every clip from the first one on, also those of an earlier call for more."""
    lines: list[str] = []
    for index in itertools.count():
        if not label_path(out, settings, index).exists():
            break
        drive = draw_drive(np.random.default_rng([settings.seed, index]))
        rng = np.random.default_rng([settings.seed, index, 1])
        rows = questions_of(drive, settings.id(index), settings.video(index), rng)
        lines += [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    write_text_atomic(out / QUESTIONS, lines)


def _checked(
    num_clips: int, seed: int, width_px: int, height_px: int, fps: float, crf: int, workers: int
) -> DriveSettings:
    if num_clips < 1 or seed < 0 or workers < 1:
        raise UserError(
            f"num_clips={num_clips}, seed={seed}, workers={workers}: "
            "at least 1 clip, 1 worker and a seed of 0 or more are needed"
        )
    for name, pixels in (("width_px", width_px), ("height_px", height_px)):
        if not 96 <= pixels <= 1024 or pixels % 2:
            raise UserError(f"{name}={pixels}: an even number from 96 to 1024 is needed")
    if not 2 <= fps <= 30:
        raise UserError(f"fps={fps}: a value from 2 to 30 is needed")
    if not 0 <= crf <= 51:
        raise UserError(f"crf={crf}: a value from 0 to 51 is needed")
    return DriveSettings(seed=seed, width_px=width_px, height_px=height_px, fps=float(fps), crf=crf)


def _make(out: Path, settings: DriveSettings, index: int) -> None:
    """Write one clip, then its label: a clip whose label is there is complete."""
    rng = np.random.default_rng([settings.seed, index])
    drive = draw_drive(rng)
    num_frames = round(float(rng.uniform(*DURATION_S)) * settings.fps)
    times_s = np.arange(num_frames) / settings.fps
    size = (settings.width_px, settings.height_px)
    pictures = frames(drive, rng, times_s=times_s, size_px=size)
    data = encode_mp4(pictures, size_px=size, fps=settings.fps, crf=settings.crf)
    with whole_file(out / settings.video(index)) as temporary:
        temporary.write_bytes(data)
    label: dict[str, Any] = caption_json(caption_of(drive))
    text = json.dumps(label, indent=2, ensure_ascii=False) + "\n"
    write_text_atomic(label_path(out, settings, index), text)
