"""`torchrun -m kairoscope sft`, as a user runs it: one voice, one folder, one message when something fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import read_json, read_rows, write_world

from kairoscope.cli import processes
from kairoscope.core import UserError
from kairoscope.train.group import Group

SOURCES = Path(__file__).parents[1] / "src"
SFT = ["sft", "subtask-times", "--data=data", "--model=model", "--out=out", "--device=cpu"]
SMALL = ["--set=batch_size=3", "--set=micro_batch_size=2", "--set=learning_rate=1e-3"]


def launched(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*launcher, "-m", "kairoscope", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Five clips, one of them cut off, and a model."""
    (tmp_path / "data").mkdir()
    write_world(tmp_path / "data", 6)
    torn = tmp_path / "data" / "b.mp4"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 3])
    small = ["--size=text_depth=1", "--size=vision_depth=1"]
    command = [sys.executable, "-m", "kairoscope", "new-model", "model", "--data=data", *small]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    return tmp_path


@pytest.mark.slow
def test_two_processes_speak_as_one_and_a_killed_one_is_reported_once(place: Path) -> None:
    running = launched(place, *SFT, *SMALL, "--set=max_steps=500", "--set=epochs=500")
    log = place / "out" / "train.jsonl"
    _wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 3)
    os.kill(_worker(running.pid, rank=1), signal.SIGKILL)
    out, err = running.communicate()
    assert running.returncode != 0
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, err
    assert "process 0 of 2 has lost another" in said[0] or "told to end" in said[0]
    assert "kairoscope-fault" not in err

    ended = launched(place, *SFT[:-2], "--out=short", "--device=cpu", *SMALL, "--set=max_steps=3")
    out, err = ended.communicate()
    assert ended.returncode == 0, err
    assert out.count("best checkpoint") == 1
    assert err.count("left out: b.mp4") == 1
    steps = [row for row in read_rows(place / "short" / "train.jsonl") if row["kind"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3]
    assert all(row["samples_per_s"] > 0 and row["tflops_per_s"] > 0 for row in steps)
    assert len(read_json(place / "short" / "environment.json")["resumed"]) == 0


def _wait_for(happened: object, seconds: float = 120.0) -> None:
    assert callable(happened)
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "nothing has happened"
        time.sleep(0.05)


def _worker(launcher: int, rank: int) -> int:
    """The process of a rank among the children of its launcher."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == launcher and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")


def test_a_command_of_one_process_is_refused_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"evaluate runs in one process.*torchrun\): sft"):
        processes.check_command(["evaluate", "subtask-times"])
    with pytest.raises(UserError, match=r"Without torchrun: --shard I/N .*--ray has a worker"):
        processes.check_command(["annotate", "data"])
    with pytest.raises(UserError, match=r"doctor runs in one process, .*: sft, grpo$"):
        processes.check_command(["doctor"])
    processes.check_command(["sft", "subtask-times"])
    monkeypatch.setenv("WORLD_SIZE", "1")
    processes.check_command(["evaluate", "subtask-times"])


def test_the_first_that_fails_is_the_one_that_speaks() -> None:
    class Notes:
        def __init__(self) -> None:
            self.first = b""

        def compare_set(self, key: str, expected: str, wanted: str) -> bytes:
            self.first = self.first or wanted.encode()
            return self.first

    store = Notes()
    first, second = (Group(rank=rank, size=2, store=store) for rank in (1, 0))
    assert first.is_first_to_end()
    assert not second.is_first_to_end()
    assert first.is_first_to_end()
