"""Clips from the web into a folder: in parallel, resumable, checked. Pure but for the network.

A clip's name follows from its URL alone, never from its place in a list: another list, or another order,
never gives a clip another one's label. `downloads.jsonl` keeps URL, name, bytes and checksum of each; a
file that is not what it says is fetched again.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from kairoscope.core import UserError
from kairoscope.data.clips import VIDEO_SUFFIXES, hash_clip
from kairoscope.data.rows import Problem
from kairoscope.json_lines import append_lines, cut_torn_line, read_lines

MANIFEST = "downloads.jsonl"
BLOCK = 2**18
ATTEMPTS = 3
TIMEOUT_S = 30.0
_SLUG = re.compile(r"[^A-Za-z0-9]+")
_MAGIC: tuple[tuple[int, bytes], ...] = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"RIFF"),
)
"""(place, bytes) by which MP4, QuickTime, Matroska, WebM and AVI begin."""


def clip_name(url: str) -> str:
    """The file name of a URL's clip: readable words of it, and a digest of all of it."""
    path = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    stem, dot, suffix = path.rpartition(".")
    ending = f".{suffix.lower()}" if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else ".mp4"
    words = _SLUG.sub("_", stem or path).strip("_")[:60].rstrip("_")
    return f"{words or 'clip'}-{sha256(url.encode('utf-8')).hexdigest()[:12]}{ending}"


def download_clips(
    urls: Sequence[str],
    folder: Path,
    *,
    workers: int = 8,
    wait_s: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Path], list[Problem]]:
    """Fetch what is not there yet; returns URL -> clip, and a problem for each that cannot be had.

    Args:
        urls: repeated ones are fetched once.
        folder: made if need be; the same call again goes on where it was.
        workers: clips at a time.
        wait_s: before a second attempt at a server that is busy, doubled for the next.
        on_progress: (clips finished, clips in all).

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).is_file():
        cut_torn_line(folder / MANIFEST)
    known = {row["url"]: row for row in read_lines(folder / MANIFEST)}
    wanted = list(dict.fromkeys(urls))
    found: dict[str, Path] = {}
    problems: dict[str, Problem] = {}
    pool = ThreadPoolExecutor(workers)
    jobs = {pool.submit(_have, url, folder, known.get(url), wait_s): url for url in wanted}
    try:
        for done, job in enumerate(as_completed(jobs), 1):
            url, (row, problem) = jobs[job], job.result()
            if problem is not None:
                problems[url] = Problem(where=url, what=problem)
            else:
                found[url] = folder / clip_name(url)
            if row is not None:
                append_lines(folder / MANIFEST, [row])
            if on_progress is not None:
                on_progress(done, len(wanted))
    finally:
        pool.shutdown(cancel_futures=True)
    # In the order of the list, whichever came first.
    return (
        {url: found[url] for url in wanted if url in found},
        [problems[url] for url in wanted if url in problems],
    )


def _have(
    url: str, folder: Path, known: Mapping[str, Any] | None, wait_s: float
) -> tuple[dict[str, Any] | None, str | None]:
    """(row for the manifest where it was fetched, why it could not be had)."""
    clip = folder / clip_name(url)
    if known is not None and clip.is_file() and hash_clip(clip) == known["sha256"]:
        return None, None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        return None, "not a web address; allowed: http:// or https://"
    part = clip.with_name(f".{clip.name}.part")
    problem = "no attempt was made"
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(wait_s * 2 ** (attempt - 1))
        problem, again = _fetch(url, part)
        if not again:
            break
    if problem:
        return None, problem
    part.replace(clip)
    row = {"url": url, "name": clip.name, "bytes": clip.stat().st_size, "sha256": hash_clip(clip)}
    return row, None


def _fetch(url: str, part: Path) -> tuple[str, bool]:
    """(what went wrong or nothing, whether to try again); goes on in a file that was cut off."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "kairoscope"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(Request(_encoded(url), headers=headers), timeout=TIMEOUT_S) as answer:
            if "html" in (answer.headers.get("Content-Type") or "").lower():
                return "a web page instead of a video", False
            goes_on = answer.status == 206 and have > 0
            expected = answer.headers.get("Content-Length")
            got = _write(answer, part, append=goes_on)
    except HTTPError as error:
        if error.code == 416 and have:  # what is there is not what the server has now
            part.unlink(missing_ok=True)
            return f"HTTP {error.code}", True
        dead = f"dead link (HTTP {error.code} {error.reason})"
        return dead, error.code in (408, 429) or error.code >= 500
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        return f"cannot be fetched: {getattr(error, 'reason', None) or error}", True
    except ValueError as error:
        return f"not a web address: {error}", False
    if expected is not None and got < int(expected):
        return f"cut off after {got} of {expected} bytes", True
    return _not_a_video(part)


def _encoded(url: str) -> str:
    """A URL as servers take it: people paste blanks, commas and letters of all alphabets."""
    parts = urlsplit(url)
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit(parts._replace(path=path, query=quote(parts.query, safe="=&%+:/?-._~")))


def _write(answer: Any, part: Path, *, append: bool) -> int:
    got = 0
    try:
        with part.open("ab" if append else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                got += len(block)
    except OSError as error:
        if isinstance(error, TimeoutError | ConnectionError):
            raise
        raise UserError(f"{part.parent}: cannot be written: {error.strerror or error}") from error
    return got


def _not_a_video(part: Path) -> tuple[str, bool]:
    """Look at how a file begins; what is no video is not kept."""
    with part.open("rb") as file:
        begins = file.read(512)
    if any(begins[place : place + len(magic)] == magic for place, magic in _MAGIC):
        return "", False
    part.unlink(missing_ok=True)
    if not begins:
        return "an empty file (0 bytes)", False
    if begins.lstrip()[:1] == b"<":
        return "a web page instead of a video", False
    return f"not a video: it begins with {begins[:8]!r}", False
