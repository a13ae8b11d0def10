"""Work in several shares, each done by a process of its own, on any machine.

    OUT/shards/2-of-4/   run folder of the process with every fourth piece of work from the second on

Processes share nothing but the folder, or not even that: shards may be copied into one.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.json_lines import read_lines
from kairoscope.run_folders import SHARDS, check_folder, check_same, differing, read_config
from kairoscope.runs import Run
from kairoscope.storage import Locked

WRITTEN_AT_ONCE = 64
CLAIM_S = 20.0
"""How long to wait for the other processes that begin at the same moment."""


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


def claim(out: Path, config: Mapping[str, Any], *, kind: str) -> None:
    """Make the folder of all a run of this kind and question, whichever process comes first."""
    check_folder(out)
    until = time.monotonic() + CLAIM_S
    while not (out / "config.json").exists():
        try:
            Run.open(out, kind=kind, config=config).close()
        except Locked:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    check_same(out, kind, config)


def shard_folders(out: Path) -> list[Path]:
    """The run folders of shards that there are."""
    return sorted(path.parent for path in (out / SHARDS).glob("*/config.json"))


def check_shards(out: Path, config: Mapping[str, Any], *, kind: str) -> None:
    """Raise UserError where a shard is of another kind, or of another question than that of `config`."""
    wanted = {key: value for key, value in config.items() if key != "source"}
    for folder in shard_folders(out):
        found_kind, found = read_config(folder)
        others = differing({k: v for k, v in found.items() if k != "shard"}, wanted)
        shown = [f"  {key}: {old} there, {new} now" for key, old, new in others]
        if found_kind != kind or shown:
            raise UserError(
                "\n".join([f"{folder} holds answers to another question:", *shown[:8]])
                + "\nchoose another --out, or delete the folder"
            )


def trials_done(
    out: Path, names: Sequence[str], besides: Path | None = None
) -> dict[str, set[int]]:
    """Sample -> trials that have a record in the folder of all, or in a shard other than `besides`.

    Others may be writing there: a line that they are in the middle of does not count.
    """
    done: dict[str, set[int]] = {}
    for folder in (out, *(folder for folder in shard_folders(out) if folder != besides)):
        for name in names:
            for row in read_lines(folder / f"{name}.jsonl"):
                done.setdefault(row["sample_id"], set()).add(row["trial"])
    return done


def take_in_records(run: Run, name: str, videos: Mapping[str, Path]) -> int:
    """Bring records of shards into a run that lacks them; returns how many.

    Those of samples that are not in `videos` stay where they are, as do failures: they speak of a path on
    another machine, perhaps, and cost little to find again.
    """
    done = run.done_keys(name)
    waiting: list[dict[str, Any]] = []
    count = 0
    for folder in shard_folders(run.path):
        for row in read_lines(folder / f"{name}.jsonl"):
            key = (row["sample_id"], row["trial"])
            if key in done or row["failed"] or row["sample_id"] not in videos:
                continue
            done.add(key)
            video = run.path_to(videos[row["sample_id"]]) if row["video"] else ""
            waiting.append({**row, "video": video})
            if len(waiting) == WRITTEN_AT_ONCE:
                count += _write(run, name, waiting)
    return count + _write(run, name, waiting)


def _write(run: Run, name: str, waiting: list[dict[str, Any]]) -> int:
    """Append rows and forget them; returns how many there were."""
    count = len(waiting)
    if waiting:
        run.append_all(name, waiting)
        waiting.clear()
    return count
