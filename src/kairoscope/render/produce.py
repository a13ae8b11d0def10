"""Recorded simulations -> clips and their rows, in many processes, resumable at any moment.

A demonstration is finished when its row is there: `.rows/<clip>.json` is written after the clip, and
after the stamped copy. What was finished is recognised by what it was made from, and not made again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from kairoscope.clip_sets import in_processes
from kairoscope.render.assets import assets_in
from kairoscope.render.picture import (
    Quality,
    check_states,
    compiled,
    painter,
    quaternion_columns,
)
from kairoscope.render.recording import Recording, read_recording
from kairoscope.render.timing import configurations, num_frames, places
from kairoscope.render.truth import Truth, UnknownTruth, truth
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.naming import SignalPlan
from kairoscope.simulate.render import encode_mp4, load_mujoco
from kairoscope.storage import canonical_json, read_json, whole_file, write_text_atomic
from kairoscope.video.stampfile import stamp_file

RENDER_VERSION: Final = 1
"""Raised whenever the same recording would be drawn or labelled otherwise."""
ROWS, CLIPS, STAMPED = ".rows", "clips", "clips_ts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything that decides how a clip is drawn, besides the recording."""

    camera: str
    size_px: int
    fps: float
    quality: Quality = "full"
    version: int = RENDER_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One demonstration."""

    path: Path
    episode_id: str
    name: str
    """Of the clip, without suffix; no other job has it."""
    fps: float
    """At which states were recorded."""
    task: str | None
    """The scenario of its row; None where its events are not known."""
    family: str
    """What its sources are counted within: the task of MimicGen, or the file."""
    plan: SignalPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Where clips go, and what they are made with."""

    out: Path
    look: Look
    assets: tuple[Path, ...]
    stamps: bool

    def clip(self, name: str) -> Path:
        """The clip of a job."""
        return self.out / CLIPS / f"{name}.mp4"

    def stamped(self, name: str) -> Path:
        """The same with its time in every frame."""
        return self.out / STAMPED / f"{name}.mp4"

    def row(self, name: str) -> Path:
        """What is known of the clip."""
        return self.out / ROWS / f"{name}.json"


def produce(shop: Shop, jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, str | None]]:
    """Make the clips; yields each job as it is finished, with the reason where there is no clip.

    Raises UserError where nothing can be drawn here, or nothing can be written.
    """
    painter(
        shop.look.size_px, shop.look.quality
    )  # what is missing is said once, not by each worker
    yield from in_processes(partial(make, shop), jobs, workers, shop.out)


def make(shop: Shop, job: Job) -> str | None:
    """Write one clip and its row; returns why not, where the recording does not allow it."""
    try:
        _make(shop, job)
    except UnreadableEpisode as error:
        for stale in (shop.row(job.name), shop.clip(job.name), shop.stamped(job.name)):
            stale.unlink(missing_ok=True)
        return str(error)
    return None


def _make(shop: Shop, job: Job) -> None:
    recording = read_recording(job.path, job.episode_id)
    made_of = {
        "picture": f"{recording.digest} {job.fps:g}",
        "label": f"{recording.signals_digest} {_digest(job)}",
    }
    before = _row(shop, job)
    is_drawn = before.get("picture") == made_of["picture"] and shop.clip(job.name).is_file()
    if is_drawn and before.get("label") == made_of["label"]:
        _stamp(shop, job)
        return
    mujoco = load_mujoco()
    at_home = _assets(shop.assets).at_home(recording.model_xml, recording.where)
    model = compiled(mujoco, at_home, recording.where)
    check_states(model, recording.states_TS.shape[1], recording.where)
    found, unlabelled = _truth(mujoco, model, recording, job)
    if is_drawn:
        checksum = before["checksum"]
    else:
        shop.row(job.name).unlink(missing_ok=True)
        checksum = _draw(shop, job, recording, model)
    _stamp(shop, job)
    row = made_of | {
        "clip": job.name,
        "checksum": checksum,
        "file": job.path.name,
        "demonstration": job.episode_id,
        "task": job.task,
        "groups": _groups(job, recording),
        "num_states": len(recording.states_TS),
        "recorded_fps": job.fps,
        "duration_s": round(
            num_frames(len(recording.states_TS), job.fps, shop.look.fps) / shop.look.fps, 6
        ),
        "events": [{"name": e.name, "end_s": round(e.end_s, 6)} for e in found.events]
        if found
        else None,
        "unlabelled": unlabelled,
        "by": ("recorded" if len(found.recorded) == len(found.events) else "computed")
        if found
        else None,
        "differences": found.differences if found else {},
    }
    write_text_atomic(shop.row(job.name), canonical_json(row) + "\n")


def _truth(
    mujoco: Any, model: Any, recording: Recording, job: Job
) -> tuple[Truth | None, str | None]:
    """The events, or why there are none to be had from this kind of recording."""
    if job.plan is None:
        return None, "its events are not known: say which with --task"
    try:
        return truth(mujoco, model, recording, job.plan, job.fps), None
    except UnknownTruth as error:
        return None, str(error)


def _draw(shop: Shop, job: Job, recording: Recording, model: Any) -> str:
    """Write the clip; returns the checksum of its bytes."""
    look = shop.look
    mujoco, brush = painter(look.size_px, look.quality)
    qpos = recording.states_TS[:, 1 : 1 + model.nq]
    when = places(len(qpos), job.fps, look.fps)
    shown = configurations(qpos, when, quaternion_columns(mujoco, model))
    frames = brush.frames(model, look.camera, shown, recording.where)
    data = encode_mp4(frames, size_px=look.size_px, fps=look.fps)
    clip = shop.clip(job.name)
    with whole_file(clip) as temporary:
        temporary.write_bytes(data)
    return blake2b(data, digest_size=12).hexdigest()


def _stamp(shop: Shop, job: Job) -> None:
    if shop.stamps:
        stamp_file(shop.clip(job.name), shop.stamped(job.name))


def _row(shop: Shop, job: Job) -> dict[str, Any]:
    path = shop.row(job.name)
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _groups(job: Job, recording: Recording) -> list[str]:
    """Source demonstrations, which no split may tear from each other.

    Variants of a task are generated from the same sources, so the task counts and not the file.
    """
    own = job.episode_id.rpartition("_")[2]
    return [f"{job.family} source {number}" for number in recording.sources or (own,)]


def _digest(job: Job) -> str:
    asked = canonical_json([job.task, job.family, job.plan and [job.plan.spec, job.plan.signals]])
    return blake2b(asked.encode(), digest_size=8).hexdigest()


_assets = cache(assets_in)
