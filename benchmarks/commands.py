"""Whole commands, measured from start to end, their memory watched while they run."""

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import REPOSITORY, maxrss_mib, status_mib

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """A command that was run to its end, with its start-up."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    """Largest resident set of the command or of a process that it started and waited for."""
    rss: tuple[tuple[float, float], ...]
    """(what `watch` returned, resident MiB) as time went by."""
    output: str


def run_command(
    command: Sequence[str], watch: Callable[[], float] | None = None, every_s: float = 0.02
) -> CommandRun:
    """Run a command of its own from start to end. Raises RuntimeError where it fails.

    Time and peak memory are the command's own, however large this process is or was: a small
    launcher starts it (see there) and reads what the system says of it at its end.

    Args:
        command: program and arguments.
        watch: called now and then while it runs, beside reading its resident memory.
        every_s: how often, when `watch` is given.
    """
    samples: list[tuple[float, float]] = []
    reading, writing = os.pipe()
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(writing), *command]
    with tempfile.TemporaryFile("w+") as output, os.fdopen(reading) as report:
        with subprocess.Popen(
            launch, cwd=REPOSITORY, stdout=output, stderr=output, pass_fds=(writing,)
        ):
            os.close(writing)
            first = report.readline()
            if watch is not None and first:
                while not select.select([report], [], [], every_s)[0]:
                    if resident := _resident_mib(int(first)):
                        samples.append((watch(), resident))
            last = report.readline().split()
        output.seek(0)
        text = output.read()
    if not last or int(last[0]):
        raise RuntimeError(f"{' '.join(command)}: failed\n{text[-4000:]}")
    return CommandRun(
        cpu_s=float(last[1]),
        wall_s=float(last[2]),
        peak_mib=maxrss_mib(int(last[3])),
        rss=tuple(samples),
        output=text,
    )


def _resident_mib(pid: int) -> float:
    """What a process has in memory now; 0 when it has ended, or where the system does not say."""
    try:
        return status_mib(Path(f"/proc/{pid}/status").read_text(), "VmRSS")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def kairoscope_command() -> list[str]:
    """The installed command, or the same without it."""
    script = Path(sys.executable).with_name("kairoscope")
    start = [sys.executable, "-c", "from kairoscope.cli import main; main()"]
    return [str(script)] if script.exists() else start
