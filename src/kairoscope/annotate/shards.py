"""Clips in several shares, each answered by a process of its own, on any machine.

    OUT/shards/2-of-4/   run folder of the process with every fourth clip from the second on

Processes share nothing but the folder, or not even that: shards may be copied into one. Whoever annotates
OUT next takes their answers in, and asks about nothing that is answered.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.annotate.sealed import SEAL, is_whole, sealed, write_rows
from kairoscope.core import UserError
from kairoscope.data.clips import hash_clip
from kairoscope.json_lines import LineIndex, read_lines
from kairoscope.run_folders import SHARDS, check_folder, check_same, differing, read_config
from kairoscope.runs import Run
from kairoscope.storage import Locked, file_state

KIND = "annotation shard"
HASH = "sha256"
"""Key of a shard's row: of the clip's bytes, which are the same on another machine."""
WRITTEN_AT_ONCE = 64
CLAIM_S = 20.0
"""How long to wait for the other processes that begin at the same moment."""
Clips = Sequence[tuple[str, Path]]
"""(name, path) of each."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares."""

    number: int
    """1 to `of`."""
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/4`. Raises UserError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard {text}: allowed: 1/n to n/n, such as 2/4")
        return cls(int(match[1]), int(match[2]))

    @property
    def folder(self) -> Path:
        """Of its run, below the folder of all."""
        return Path(SHARDS) / f"{self.number}-of-{self.of}"

    def takes(self, names: Sequence[str]) -> list[str]:
        """Its share: every `of`-th, so that shares are of one size and none is all of one kind."""
        return list(names[self.number - 1 :: self.of])

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_config(config: Mapping[str, Any], shard: Shard) -> dict[str, Any]:
    """What makes it the same shard: where the clips lie is another path on another machine."""
    return {**{key: value for key, value in config.items() if key != "source"}, "shard": str(shard)}


def claim(out: Path, config: Mapping[str, Any]) -> None:
    """Make the folder of all that of this question, whichever process comes first."""
    check_folder(out)
    until = time.monotonic() + CLAIM_S
    while not (out / "config.json").exists():
        try:
            Run.open(out, kind="annotation", config=config).close()
        except Locked:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    check_same(out, "annotation", config)


def shard_folders(out: Path) -> list[Path]:
    """The run folders of shards that there are."""
    return sorted(path.parent for path in (out / SHARDS).glob("*/config.json"))


def check_shards(out: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError where a shard holds answers to another question than that of `config`."""
    wanted = {key: value for key, value in config.items() if key != "source"}
    for folder in shard_folders(out):
        kind, found = read_config(folder)
        others = differing({k: v for k, v in found.items() if k != "shard"}, wanted)
        shown = [f"  {key}: {old} there, {new} now" for key, old, new in others]
        if kind != KIND or shown:
            raise UserError(
                "\n".join([f"{folder} holds answers to another question:", *shown[:8]])
                + "\nchoose another --out, or delete the folder"
            )


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
