"""Whole commands, measured from start to end, their memory watched while they run."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import REPOSITORY, peak_mib, rusage_mib, status_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """A command that was run to its end, with its start-up."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    rss: tuple[tuple[float, float], ...]
    """(what `watch` returned, resident MiB) as time went by."""
    output: str


def run_command(
    command: Sequence[str], watch: Callable[[], float] | None = None, every_s: float = 0.02
) -> CommandRun:
    """Run a command of its own from start to end. Raises RuntimeError where it fails.

    Args:
        command: program and arguments.
        watch: called now and then while it runs, beside reading its resident memory.
        every_s: how often.
    """
    samples: list[tuple[float, float]] = []
    marks_mib = [0.0]
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)
        status = Path(f"/proc/{process.pid}/status")
        while _is_running(process.pid):
            text = status.read_text() if status.exists() else ""
            resident = status_mib(text, "VmRSS")
            marks_mib.append(status_mib(text, "VmHWM"))
            if watch is not None and resident:  # none is left of a process that has just ended
                samples.append((watch(), resident))
            time.sleep(every_s)
        _, code, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(code)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: failed\n{text[-4000:]}")
    return CommandRun(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=wall_s,
        peak_mib=_peak_of_child(rusage_mib(usage), max(marks_mib)),
        rss=tuple(samples),
        output=text,
    )


def _is_running(pid: int) -> bool:
    """Whether a child still runs; one that has ended is left to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _peak_of_child(at_end_mib: float, sampled_mib: float) -> float:
    """The system's figure at the end begins with the size of this process, which started the child:
    below that it says nothing, and the child's own mark, read while it ran, counts.
    """
    return at_end_mib if at_end_mib > peak_mib() or not sampled_mib else sampled_mib


def kairoscope_command() -> list[str]:
    """The installed command, or the same without it."""
    script = Path(sys.executable).with_name("kairoscope")
    start = [sys.executable, "-c", "from kairoscope.cli import main; main()"]
    return [str(script)] if script.exists() else start
