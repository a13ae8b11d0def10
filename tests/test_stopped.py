"""A full disk, Ctrl-C, kill -9: said in a line, nothing finished lost, and the same results in the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Program
from resumable import COMMANDS, STOPPED, is_clean, results_of, world_in


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_said_and_nothing_finished_is_lost(
    name: str,
    program: Program,
    world: Path,
    tmp_path: Path,
    uninterrupted: Callable[[str], dict[str, bytes]],
) -> None:
    place = world_in(tmp_path, world)
    small = {"annotate": 3000, "evaluate": 6000, "stamp": 4000, "convert": 2000}
    limit = small.get(name, 60_000)
    full = program.run(*COMMANDS[name], cwd=place, file_limit=limit)
    assert full.code == 2, full.said
    assert is_clean(full)
    assert "error: " in full.err
    assert "space" in full.err or "full" in full.err
    ended = program.run(*COMMANDS[name], cwd=place)
    assert ended.code == 0, ended.said
    assert results_of(name, place) == uninterrupted(name)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("name", COMMANDS)
def test_stopped_anywhere_and_run_again_gives_the_same(
    name: str,
    sent: signal.Signals,
    program: Program,
    world: Path,
    tmp_path: Path,
    uninterrupted: Callable[[str], dict[str, bytes]],
) -> None:
    place = world_in(tmp_path, world)
    moments = {"annotate": [1, 5], "evaluate": [3, 12], "sft": [4], "run": [2, 12], "stamp": [40]}
    moments |= {"warm-up-vision": [3, 2], "new-model": [1, 3], "convert": [1, 2]}
    for after in moments[name]:
        of = {"stamp": "frames", "new-model": "files", "convert": "files"}.get(name, "rows")
        stopped = program.run(*COMMANDS[name], cwd=place, send=sent, after=after, of=of)
        if sent == signal.SIGINT:
            assert stopped.code == 130, stopped.said
            assert stopped.err.endswith(STOPPED)
        else:
            assert stopped.code == -signal.SIGKILL, stopped.said
        assert is_clean(stopped)
    ended = program.run(*COMMANDS[name], cwd=place)
    assert ended.code == 0, ended.said
    assert results_of(name, place) == uninterrupted(name)
    assert {file.name for file in place.iterdir()} == {"data", "model", "out"}


@pytest.mark.parametrize("delay_s", [0.2, 1.5])
def test_ctrl_c_while_everything_is_being_imported(
    delay_s: float, world: Path, tmp_path: Path
) -> None:
    place = world_in(tmp_path, world)
    command = [sys.executable, "-c", "from kairoscope.cli import main; main()"]
    process = subprocess.Popen(
        [*command, *COMMANDS["annotate"]],
        cwd=place,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, err = process.communicate(timeout=60)
    if process.returncode != 0:  # a fast machine may have finished within the delay
        assert process.returncode in (130, -signal.SIGINT), err
        assert "Traceback" not in err or "kairoscope" not in err  # not before our first line
        assert time.monotonic() - asked < 10


def test_ctrl_c_within_native_code_that_does_not_return(
    program: Program, world: Path, tmp_path: Path
) -> None:
    """A pool of threads that is waited for, as by a decoder on a slow disk."""
    script = (
        "import os, signal, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from kairoscope.cli import ending, main\n"
        "def stuck():\n"
        "    with ThreadPoolExecutor(1) as pool:\n"
        "        pool.submit(time.sleep, 60)\n"
        "ending.app = stuck\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "main()\n"
    )
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 130
    assert ended.stderr.endswith(STOPPED)
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - started < 30
