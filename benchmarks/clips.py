"""Clips to measure on: simulated demonstrations of exactly ten seconds, made once and kept."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import REPOSITORY
from benchmarks.results import WORK

DURATION_S = 10
FPS = 30
SEED = 4242
FAMILIES = ("stack", "place", "insert")
"""Those whose demonstrations are often ten seconds long."""
SMOKE_PX = 64


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip and the events that it shows."""

    path: str
    events: tuple[str, ...]


def ten_second_clips(number: int, size_px: int) -> list[Clip]:
    """`number` different clips of 10 s, 30 fps and `size_px` x `size_px` pixels.

    Simulated demonstrations that take longer, cut at ten seconds. A process of its own makes what is
    missing, so that the one that measures stays small.
    """
    folder = WORK / f"clips-{size_px}"
    if not (folder / f"{number - 1:04d}.json").exists():
        command = [sys.executable, "-m", "benchmarks.clips", str(folder), str(number), str(size_px)]
        subprocess.run(command, cwd=REPOSITORY, check=True)
    return [_read(folder / f"{index:04d}.json") for index in range(number)]


def as_usually_encoded(clip: Clip) -> Clip:
    """The same pictures as most encoders' defaults store them: with B-frames, which the simulator's
    files do not have.
    """
    target = Path(clip.path).with_suffix(".medium.mp4")
    if not target.exists():
        part = target.with_suffix(".part.mp4")
        encode_x264(Path(clip.path), part, "medium", 23)
        part.replace(target)
    return Clip(str(target), clip.events)


def encode_x264(source: Path, target: Path, preset: str, crf: int) -> None:
    """As `ffmpeg -i SOURCE -c:v libx264 -preset PRESET -crf CRF -pix_fmt yuv420p TARGET` does."""
    import av
    from av.video.frame import PictureType

    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        video = given.streams.video[0]
        video.thread_type = "AUTO"
        encoder = output.add_stream("libx264", rate=video.average_rate or 30)
        encoder.width, encoder.height = video.width, video.height
        encoder.pix_fmt = "yuv420p"
        encoder.options = {"preset": preset, "crf": str(crf)}
        for frame in given.decode(video):
            frame.pict_type = PictureType.NONE
            output.mux(encoder.encode(frame))
        output.mux(encoder.encode(None))


def smoke_clips(number: int, folder: Path) -> list[Clip]:
    """Two-second clips of a square that moves, 64 pixels wide: made in no time, no simulator."""
    from kairoscope.simulate.render import encode_mp4

    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for index in range(number):
        path = folder / f"{index:04d}.mp4"
        if not path.exists():
            data = encode_mp4(_moving_square(index), size_px=SMOKE_PX, fps=FPS)
            part = path.with_suffix(".part")
            part.write_bytes(data)
            part.replace(path)
        clips.append(Clip(str(path), ("grasping the red cube", "releasing the red cube")))
    return clips


def clips_for(number: int, size_px: int, *, smoke: bool) -> list[Clip]:
    """The real ones, or tiny ones for a smoke test."""
    return smoke_clips(number, WORK / "smoke-clips") if smoke else ten_second_clips(number, size_px)


def smoke_model() -> str:
    """Folder of a very small untrained checkpoint, made by a process of its own if need be."""
    folder = WORK / "smoke-model"
    if not (folder / "kairoscope.json").exists():
        command = [sys.executable, "-m", "benchmarks.engines", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return str(folder)


def model_name(spec: str) -> str:
    """A model as results name it: a folder by its own name alone."""
    return spec.rstrip("/").rpartition("/")[2] if spec.startswith((".", "/")) else spec


def _moving_square(seed: int) -> Iterator[NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    background = random.integers(60, 120, (SMOKE_PX, SMOKE_PX, 3), np.uint8)
    for index in range(2 * FPS):
        picture = background.copy()
        left = (3 + index + seed) % (SMOKE_PX - 12)
        picture[20:32, left : left + 12] = (220, 30, 30)
        yield picture


def _read(row_file: Path) -> Clip:
    row = json.loads(row_file.read_text())
    return Clip(str(row_file.with_suffix(".mp4")), tuple(row["events"]))


def _make(folder: Path, number: int, size_px: int) -> None:
    """Draw takes in order, keep those of ten seconds and more."""
    from kairoscope.simulate.produce import Settings, draw_take
    from kairoscope.simulate.render import Canvas, encode_mp4, load_mujoco

    num_frames = DURATION_S * FPS
    settings = Settings(seed=SEED, families=FAMILIES, size_px=size_px, fps=FPS)
    mujoco = load_mujoco()
    canvas = Canvas(mujoco, size_px)
    folder.mkdir(parents=True, exist_ok=True)
    kept = index = 0
    while kept < number:
        take = draw_take(mujoco, settings, index)
        index += 1
        if len(take.episode.qpos_TQ) < num_frames:
            continue
        target = folder / f"{kept:04d}.mp4"
        if not target.with_suffix(".json").exists():
            poses = take.episode.qpos_TQ[:num_frames]
            frames = canvas.frames(take.model, take.data, poses, take.look)
            target.write_bytes(encode_mp4(frames, size_px=size_px, fps=FPS))
            row = {"events": [event.name for event in take.plan.events]}
            target.with_suffix(".json").write_text(json.dumps(row))
        kept += 1
        sys.stderr.write(f"clip {kept} of {number}\n")
    canvas.close()


if __name__ == "__main__":
    _make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
