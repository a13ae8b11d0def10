"""Stamp every clip of a folder. One bad file is a line of the report, never the end of the run."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kairoscope.core import FramePolicy, UserError
from kairoscope.video.stampfile import (
    FILE_POLICY,
    CannotWrite,
    Progress,
    StampReport,
    check_settings,
    stamp_file,
)

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts"}
    | {".mts", ".flv", ".wmv", ".3gp", ".ogv", ".gif", ".mjpeg"}
)
"""Names that count as videos when a folder is searched."""
FolderProgress = Callable[[int, int, Path], Progress | None]
"""(clips done, clips in all, the one that begins) -> where its frames are counted, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A clip that could not be stamped."""

    source: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """What became of a folder: every clip is in one of the two lists."""

    clips: tuple[StampReport, ...]
    problems: tuple[Problem, ...]


def find_videos(folder: Path, *, leave_out: Path | None = None) -> tuple[Path, ...]:
    """All files in a folder and its subfolders whose name says video, in alphabetical order.

    Hidden ones and those below `leave_out` are not searched. Symbolic links to files are followed.
    """
    folder_itself = _resolved(folder)
    hidden_from = _resolved(leave_out) if leave_out is not None else None
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES or path.is_dir():
            continue
        below = path.relative_to(folder)
        if any(part.startswith(".") for part in below.parts):
            continue
        if hidden_from is not None and (folder_itself / below).is_relative_to(hidden_from):
            continue
        found.append(path)
    return tuple(found)


def stamp_folder(
    source: Path,
    target: Path,
    policy: FramePolicy = FILE_POLICY,
    *,
    preset: str = "superfast",
    crf: int = 23,
    on_progress: FolderProgress | None = None,
) -> FolderReport:
    """`stamp_file` for every video below `source`, to the same place below `target`, as .mp4.

    Run again after an interruption it goes on where it was. Raises UserError for a folder without
    videos and for settings that make no sense, and CannotWrite when the target's disk is full or
    does not allow writing; what was finished by then stays.
    """
    source, target = Path(source), Path(target)
    check_settings(policy, preset, crf)
    if not source.is_dir():
        raise UserError(f"{source}: is not a folder")
    if _resolved(target) == _resolved(source):
        raise UserError(f"{target}: choose another folder than the one that holds the clips")
    videos = find_videos(source, leave_out=target)
    if not videos:
        raise UserError(
            f"{source}: holds no video files (looked for {', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    clips: list[StampReport] = []
    problems: list[Problem] = []
    for number, (video, name) in enumerate(zip(videos, _targets(source, videos), strict=True)):
        count = on_progress(number, len(videos), video) if on_progress is not None else None
        try:
            report = stamp_file(
                video, target / name, policy, preset=preset, crf=crf, on_progress=count
            )
        except CannotWrite:
            raise
        except UserError as error:
            problems.append(Problem(source=video, reason=str(error)))
        else:
            clips.append(report)
    return FolderReport(clips=tuple(clips), problems=tuple(problems))


def _targets(folder: Path, videos: Sequence[Path]) -> list[Path]:
    """Names below the target folder. `a.mkv` and `a.mov` beside each other keep their endings."""
    own = [video.relative_to(folder) for video in videos]
    names = [path.with_suffix(".mp4") for path in own]
    count = Counter(names)
    return [
        name if count[name] == 1 or full == name else full.with_name(f"{full.name}.mp4")
        for name, full in zip(names, own, strict=True)
    ]


def _resolved(path: Path) -> Path:
    """Without symbolic links, where they lead anywhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()
