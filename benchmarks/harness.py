"""Side-by-side measurements: every way of doing a job in fresh processes, in turns, as ratios.

A way is a function that prepares a job (imports, models, files: not counted) and returns it; the job
is what is measured. Ways take turns (A B C A B C ...), so that whatever else the machine does meets
all of them, and ways are compared round by round.
"""

import gc
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
EXTRA_SITE = REPOSITORY / "build" / "benchmarks" / "site"
"""Packages for comparison that must not enter the environment (`pip install --target` puts them)."""
MIB = 2**20
# What is measured is asked, and not read from an earlier run's store.
os.environ["KAIROSCOPE_STORE"] = "off"
Facts = Mapping[str, Any]
Job = Callable[[], Facts]
"""Does the work once and says what came of it."""


class Unavailable(Exception):
    """A way that cannot be measured on this machine: what is missing and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of doing the job."""

    key: str
    title: str
    function: str
    """`module:function`; called with `arguments`, it prepares and returns a `Job`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    warmups: int = 0
    """Uncounted runs of the job before the counted one, in the same process."""
    units: int = 1
    """Pieces of work in one job; times are reported per piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One job in one fresh process."""

    cpu_s: float
    """User and system time of all threads and child processes, per unit."""
    wall_s: float
    """Per unit."""
    peak_mib: float
    """Largest resident set of the process, its imports included."""
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, least and greatest of the rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Sum up one figure over the rounds. Raises ValueError without any."""
    if not values:
        raise ValueError("no round to sum up")
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def pairwise_ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """`above / below`, each round with itself: what slows a whole round down cancels out."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


@dataclass(frozen=True, slots=True)
class Runs:
    """All rounds of all ways that could be measured."""

    ways: tuple[Way, ...]
    measured: Mapping[str, tuple[Measured, ...]]
    unavailable: Mapping[str, str]
    """Key of a way -> why it is missing."""

    def values(self, key: str, figure: str) -> list[float]:
        """A figure (`cpu_s`, `wall_s`, `peak_mib` or the name of a fact) of a way, by round."""
        return [
            float(getattr(run, figure) if hasattr(run, figure) else run.facts[figure])
            for run in self.measured[key]
        ]

    def spread(self, key: str, figure: str) -> Spread:
        """Summed up over the rounds."""
        return spread(self.values(key, figure))

    def ratio(self, above: str, below: str, figure: str = "cpu_s") -> Spread | None:
        """One way over another, pair by pair; None where either could not be measured."""
        if above in self.unavailable or below in self.unavailable:
            return None
        return pairwise_ratios(self.values(above, figure), self.values(below, figure))

    def to_json(self) -> dict[str, Any]:
        """Every single run."""
        rows = {key: [asdict(run) for run in runs] for key, runs in self.measured.items()}
        return {"runs": rows, "unavailable": dict(self.unavailable)}


def interleaved(
    ways: Sequence[Way],
    rounds: int,
    on_run: Callable[[str], None] | None = None,
    *,
    fresh: bool = True,
) -> Runs:
    """Measure all ways in turns, `rounds` times each.

    Args:
        ways: with distinct keys.
        rounds: at least 1.
        on_run: called before each run with what is about to run.
        fresh: each run in a process of its own. Smoke tests do without: importing takes longest.
    """
    if rounds < 1 or len({way.key for way in ways}) < len(ways):
        raise ValueError("at least one round, and ways with distinct keys")
    measured: dict[str, list[Measured]] = {way.key: [] for way in ways}
    unavailable: dict[str, str] = {}
    for number in range(rounds):
        for way in ways:
            if way.key in unavailable:
                continue
            if on_run is not None:
                on_run(f"round {number + 1} of {rounds}: {way.title}")
            try:
                measured[way.key].append(measure(way, fresh=fresh))
            except Unavailable as missing:
                unavailable[way.key] = str(missing)
                del measured[way.key]
    kept = {key: tuple(runs) for key, runs in measured.items()}
    return Runs(tuple(ways), kept, unavailable)


def measure(way: Way, *, fresh: bool = True) -> Measured:
    """Run a way once. Raises Unavailable, and RuntimeError where its process fails."""
    row = _in_process_of_its_own(way) if fresh else _run(way.function, way.arguments, way.warmups)
    if "unavailable" in row:
        raise Unavailable(row["unavailable"])
    return Measured(
        cpu_s=row["cpu_s"] / way.units,
        wall_s=row["wall_s"] / way.units,
        peak_mib=row["peak_mib"],
        facts=row["facts"],
    )


def _in_process_of_its_own(way: Way) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        target = Path(folder) / "measured.json"
        arguments = json.dumps(dict(way.arguments))
        module = [sys.executable, "-m", "benchmarks.harness"]
        command = [*module, way.function, arguments, str(way.warmups), str(target)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode or not target.exists():
            raise RuntimeError(f"{way.title}: its process failed\n{done.stderr[-4000:]}")
        return dict(json.loads(target.read_text()))


def _run(function: str, arguments: Mapping[str, Any], warmups: int) -> dict[str, Any]:
    """Prepare, warm up, run the job once: what it took."""
    module, _, name = function.partition(":")
    try:
        job: Job = getattr(importlib.import_module(module), name)(**arguments)
    except Unavailable as missing:
        return {"unavailable": str(missing)}
    for _ in range(warmups):
        job()
    gc.collect()
    cpu_s, wall_s = cpu_seconds(), time.perf_counter()
    facts = job()
    wall_s, cpu_s = time.perf_counter() - wall_s, cpu_seconds() - cpu_s
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mib": peak_mib(), "facts": dict(facts)}


def cpu_seconds() -> float:
    """User and system time of this process, its threads and its finished children so far."""
    own, children = (
        resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mib() -> float:
    """Largest resident set of this process so far.

    Linux's own mark counts from the start of this program; `ru_maxrss` would begin with the size of
    the process that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return status_mib(status.read_text(), "VmHWM")
    return maxrss_mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def maxrss_mib(ru_maxrss: int) -> float:
    """`ru_maxrss`, which is in bytes on macOS and in KiB elsewhere."""
    return ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def status_mib(text: str, name: str) -> float:
    """A size such as `VmRSS` from the text of `/proc/<pid>/status`; 0 where it is not there."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main(argv: Sequence[str]) -> None:
    """What a process of its own does: function, arguments, warm-ups, file for the outcome."""
    function, arguments, warmups, target = argv
    row = _run(function, json.loads(arguments), int(warmups))
    Path(target).write_text(json.dumps(row))


if __name__ == "__main__":
    # As the module that the ways import, not as `__main__`: their `Unavailable` must be the same.
    importlib.import_module("benchmarks.harness").main(sys.argv[1:])
