"""A folder belongs to one run, and one process writes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from command_line import Program
from resumable import COMMANDS, is_clean, world_in


def test_a_folder_of_another_run_is_left_alone(
    program: Program, world: Path, tmp_path: Path
) -> None:
    place = world_in(tmp_path, world)
    assert program.run(*COMMANDS["annotate"], cwd=place).code == 0
    before = {file.name: file.read_bytes() for file in (place / "out").iterdir()}
    other = [*COMMANDS["annotate"], "--frames=fps=2"]
    for args, why in (
        (COMMANDS["evaluate"], "a run of kind 'annotation', not 'evaluation'"),
        (COMMANDS["sft"], "a run of kind 'annotation', not 'sft'"),
        (other, "frames.fps: 4.0 there, 2.0 now"),
        ([*COMMANDS["annotate"][:-1], "--out=data"], "is not empty and holds no run"),
        ([*COMMANDS["annotate"][:-1], "--out=data/a.mp4"], "is a file"),
    ):
        ended = program.run(*args, cwd=place)
        assert ended.code == 2, ended.said
        assert why in ended.err
        assert is_clean(ended)
    assert {file.name: file.read_bytes() for file in (place / "out").iterdir()} == before


def test_two_processes_cannot_write_one_run(program: Program, world: Path, tmp_path: Path) -> None:
    place = world_in(tmp_path, world)
    pid = program.start(*COMMANDS["sft"], cwd=place, send=signal.SIGSTOP, after=3)
    while process_state(pid) != "T":
        time.sleep(0.02)
    second = subprocess.run(
        [sys.executable, "-c", "from kairoscope.cli import main; main()", *COMMANDS["sft"]],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    os.kill(pid, signal.SIGCONT)
    first = program.finish(pid)
    assert first.code == 0, first.said
    assert second.returncode == 2
    assert f"is being written by another process (pid {pid})" in second.stderr


def process_state(pid: int) -> str:
    """`T` for a stopped process, as Linux tells it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
