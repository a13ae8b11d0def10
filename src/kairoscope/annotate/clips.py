"""The video of an episode as a clip of its own: its file, a part of one, or pictures of the dataset."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kairoscope.core import UnreadableClip, UserError
from kairoscope.robot.episode import Dataset, VideoSpan
from kairoscope.storage import file_state
from kairoscope.video.clip import probe
from kairoscope.video.cutting import cut_clip, write_clip

FOLDER = "clips"
"""In the run's folder: clips that were cut or made of pictures."""
OF_A_HAND = ("wrist", "hand", "gripper", "eye_in")
"""In names of cameras that move with an arm, and see less of the whole than others."""


@dataclass(frozen=True, slots=True)
class View:
    """Where an episode can be seen."""

    camera: str
    span: VideoSpan | None
    """None: its pictures lie in the dataset's own files."""


def view_of(row: Mapping[str, Any], camera: str | None) -> View | None:
    """The camera through which an episode is shown and asked about; None where it has none.

    Args:
        row: of `signals.jsonl`.
        camera: as the user named it; None: the first that does not move with a hand.

    Raises UserError where there is no camera of that name.
    """
    spans = row.get("videos") or {}
    names = [*spans, *(row.get("cameras_in_file") or [])]
    if camera is not None and names and camera not in names:
        raise UserError(f"{row['clip']}: has no camera {camera!r}; it has {', '.join(names)}")
    chosen = camera if camera in names else chosen_camera(names)
    if chosen is None:
        return None
    if chosen not in spans:
        return View(chosen, None)
    path, start_s, end_s = spans[chosen]
    return View(chosen, VideoSpan(path=Path(path), start_s=start_s, end_s=end_s))


def check_camera(rows: Iterable[Mapping[str, Any]], camera: str) -> None:
    """Raise UserError where not one episode has a camera of that name."""
    known: set[str] = set()
    for row in rows:
        known.update(row.get("videos") or {}, row.get("cameras_in_file") or [])
    if known and camera not in known:
        raise UserError(f"no episode has a camera {camera!r}; there is {', '.join(sorted(known))}")


def chosen_camera(names: Sequence[str]) -> str | None:
    """The camera that shows the whole: the first that does not move with a hand, else the first."""
    still = [name for name in names if not any(word in name.lower() for word in OF_A_HAND)]
    return next(iter([*still, *names]), None)


def clip_of(dataset: Dataset, row: Mapping[str, Any], view: View, folder: Path) -> Path:
    """A video file that shows the episode and nothing else, written into `folder` where need be.

    Raises UnreadableClip or UnreadableEpisode where there are no pictures, UserError where the clip
    cannot be written.
    """
    span = view.span
    if span is not None and _is_whole(span):
        return span.path
    source: object = row["digest"] if span is None else (file_state(span.path), span)
    mark = blake2b(repr((view.camera, source)).encode(), digest_size=5).hexdigest()
    target = folder / f"{row['clip'].replace('/', '_')}-{mark}.mp4"
    if not target.is_file():
        if span is None:
            write_clip(dataset.pictures(row["clip"], view.camera), row["times_s"], target)
        else:
            cut_clip(span.path, span.start_s, span.end_s, target)
    return target


def _is_whole(span: VideoSpan) -> bool:
    """Whether a file holds this episode alone."""
    if span.start_s > 0:
        return False
    if span.end_s is None:
        return True
    try:
        info = probe(span.path)
    except UnreadableClip:
        return True  # whoever decodes it says what is wrong
    return info.duration_s <= span.end_s + 1.5 / max(info.fps, 1.0)
