"""Which clips a path means, and which of them are there. Nothing is decoded here."""

import os
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeVar

from kairoscope.core import Sample, UnreadableClip, UserError
from kairoscope.data.rows import Problem, kind_of, parse_json_line, read_lines, show

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
LIST_SUFFIXES = (".txt", ".jsonl")

AnySample = TypeVar("AnySample", bound=Sample[Any, Any])


def list_videos(source: Path) -> list[Path]:
    """The clips that `source` means: one video, a folder of videos, or a list of them.

    A folder is searched with its subfolders, sorted by path, without hidden files. A list is a
    `.txt` (a path a line; `#` starts a comment line) or a `.jsonl` (a text or an object with
    `video` a line), in its own order, paths relative to the list's folder; what it names need not
    exist, so that a missing clip can be counted by whoever reads it.

    Raises:
        UserError: no such path, nothing in it, another kind of file, or a clip listed twice.
    """
    kind = kind_of(source)
    if kind == "folder":
        return _in_folder(source)
    if kind == "nothing":
        raise UserError(f"{source}: no such file or folder; expected a video, a folder or a list")
    suffix = source.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return [source]
    if suffix in LIST_SUFFIXES:
        return _in_list(source)
    raise UserError(
        f"{source}: not a known kind of file ({source.suffix or 'no suffix'}); allowed: a video "
        f"({' '.join(VIDEO_SUFFIXES)}), a list ({' '.join(LIST_SUFFIXES)}) or a folder"
    )


def check_clips(samples: Sequence[AnySample]) -> tuple[list[AnySample], list[Problem]]:
    """The samples whose clip is a readable file with something in it, and what the others lack."""
    good: list[AnySample] = []
    problems: list[Problem] = []
    for sample in samples:
        reason = clip_fault(sample.video)
        if reason is None:
            good.append(sample)
        else:
            problems.append(Problem(where=str(sample.video), what=reason))
    return good, problems


def clip_fault(video: Path) -> str | None:
    """Why this cannot be a clip, seen without opening it; None where nothing speaks against it."""
    try:
        size = video.stat().st_size
    except FileNotFoundError:
        return "a link to nothing" if video.is_symlink() else "no such file"
    except (OSError, ValueError) as error:
        return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    if not video.is_file():
        return "not a file"
    if size == 0:
        return "an empty file (0 bytes)"
    return None if os.access(video, os.R_OK) else "no permission to read it"


def _in_folder(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    ]
    if not found:
        raise UserError(f"{folder}: no video in this folder; looked for {' '.join(VIDEO_SUFFIXES)}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _in_list(file: Path) -> list[Path]:
    read = _jsonl_entry if file.suffix.lower() == ".jsonl" else _text_entry
    line_of: dict[str, int] = {}
    videos: list[Path] = []
    for number, raw in read_lines(file):
        try:
            entry = read(raw)
        except UserError as error:
            raise UserError(f"{file}:{number}: {error}") from error
        if not entry:
            continue
        first = line_of.setdefault(os.path.normpath(entry), number)
        if first != number:
            raise UserError(
                f"{file}:{number}: video {entry!r} is already on line {first}; "
                "allowed: every clip once"
            )
        videos.append(file.parent / entry)
    if not videos:
        raise UserError(f"{file}: the list names no video; expected one a line")
    return videos


def _text_entry(raw: bytes) -> str:
    try:
        line = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text (byte {error.start + 1})") from error
    return "" if line.startswith("#") else line


def _jsonl_entry(raw: bytes) -> str:
    row = parse_json_line(raw)
    entry = row.get("video") if isinstance(row, dict) else row
    if not isinstance(entry, str) or not entry.strip():
        raise UserError(f"{show(row)} names no video; allowed: text, or an object with 'video'")
    return entry.strip()


def hash_clip(video: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal. Raises UnreadableClip."""
    try:
        with video.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableClip(f"{video}: cannot be read: {error.strerror}") from error
