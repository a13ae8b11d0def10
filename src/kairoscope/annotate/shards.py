"""Answers about clips in several shards, and how they come together; see `kairoscope.shards`.

Whoever annotates OUT next takes their answers in, and asks about nothing that is answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.annotate.sealed import SEAL, is_whole, sealed, write_rows
from kairoscope.data.clips import hash_clip
from kairoscope.json_lines import LineIndex, read_lines
from kairoscope.runs import Run
from kairoscope.shards import WRITTEN_AT_ONCE, shard_folders
from kairoscope.storage import file_state

KIND = "annotation shard"
HASH = "sha256"
"""Key of a shard's row: of the clip's bytes, which are the same on another machine."""
Clips = Sequence[tuple[str, Path]]
"""(name, path) of each."""


def answers_elsewhere(
    out: Path, name: str, besides: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Rows in the folder of all and in its shards but for `besides`, one at a time.

    Others may be writing there: a line that they are in the middle of does not count.
    """
    for folder in (out, *(folder for folder in shard_folders(out) if folder != besides)):
        yield from (row for row in read_lines(folder / f"{name}.jsonl") if is_whole(row))


def answered_elsewhere(
    out: Path, clips: Mapping[str, Path], besides: Path | None = None
) -> set[str]:
    """Clips that have an answer in the folder of all or in a shard other than `besides`."""
    return {
        row["clip"]
        for row in answers_elsewhere(out, "clips", besides)
        if row["clip"] in clips and row["file"] == file_state(clips[row["clip"]])
    }


def take_in(run: Run, clips: Clips) -> int:
    """Bring answers of shards into a run that lacks them; returns how many.

    An answer counts where the clip is the one that the shard saw: the same file, or the same bytes.
    Where there is no such file on this machine, the shard's word is taken.
    """
    indexes = shard_rows(run.path, "clips")
    if not indexes:
        return 0
    done = {key[0] for key in run.done_keys("clips", ("clip",))}
    waiting: list[dict[str, Any]] = []
    count = 0
    for name, path in clips:
        rows = () if name in done else (answer_about(index, name, path) for index in indexes)
        row = next((row for row in rows if row is not None), None)
        if row is not None:
            waiting.append(sealed({**row, "video": run.path_to(path)}))
            count += 1
        if len(waiting) == WRITTEN_AT_ONCE:
            run.append_all("clips", waiting)
            waiting = []
    if waiting:
        run.append_all("clips", waiting)
    return count


def shard_rows(out: Path, name: str) -> list[LineIndex]:
    """The rows of a file in every shard of a folder."""
    indexes = [LineIndex(folder / f"{name}.jsonl", "clip") for folder in shard_folders(out)]
    for index in indexes:
        for _ in index.rows():
            pass
    return indexes


def answer_about(index: LineIndex, name: str, path: Path) -> dict[str, Any] | None:
    """A shard's answer about the clip at `path`, as this machine would keep it; None where it has none."""
    row = index.get(name)
    if row is None or not is_whole(row) or not _is_about(row, path):
        return None
    kept = {key: value for key, value in row.items() if key not in (SEAL, HASH)}
    return kept | {"file": file_state(path)}


def _is_about(row: Mapping[str, Any], path: Path) -> bool:
    """Whether a shard's answer is about what lies at `path`."""
    state = file_state(path)
    if row["file"] == state:
        return True
    if row["problem"] is not None:
        return False  # it speaks of a path on the other machine, and costs little to find again
    return state is None or (row.get(HASH) is not None and row[HASH] == hash_clip(path))


def put_in_order(run: Run, names: Sequence[str]) -> None:
    """Have the rows of a run in the order of the source, however they came."""
    there = [row["clip"] for row in run.rows("clips", ("clip",))]
    known = set(there)
    wanted = [name for name in names if name in known]
    wanted += sorted(known.difference(names))
    if there != wanted:
        write_rows(run.file("clips"), run.rows_ordered("clips", "clip", wanted))
