"""`kill -9` at random moments of `annotate DATASET`: nothing finished is lost, and the end is the same."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_rows
from hdf5_files import edited, write_mimicgen
from lerobot_files import labels_of, make_v3, states, tree
from signal_readers import mimicgen_reads

from kairoscope.robot.legality import SPECS

NUM_KILLS = 3
KINDS = ("hdf5", "lerobot v3.0")
ROWS = ("signals.jsonl", "answers.jsonl")


def make(kind: str, place: Path) -> tuple[str, ...]:
    """A dataset, and the command that annotates it; the model is asked about every episode."""
    (place / "two.toml").write_text('name = "two"\nevents = ["raising it", "lowering it"]\n')
    (place / "stack.toml").write_text('name = "stack"\nevents = ["zigging to the cube"]\n')
    if kind == "hdf5":
        source = write_mimicgen(place / "demos.hdf5", lengths=(60, 70, 80, 60, 50), pictures=True)
        with edited(source) as file:  # labelled ones are examples
            for demo, first in (("demo_1", 30), ("demo_3", 26)):
                length = len(file[f"data/{demo}/actions"])
                path = f"data/{demo}/datagen_info/subtask_term_signals/grasp"
                file[path] = [int(i >= first) for i in range(length)]
        return ("annotate", "demos.hdf5", "--task=stack.toml", "--model=model", "--out=out")
    make_v3(place / "data", (20, 31, 12, 25, 18), video=True)
    return ("annotate", "data", "--task=two.toml", "--model=model", "--out=out")


def results_of(place: Path) -> dict[str, Any]:
    """What a run leaves, but for times that it took and the bytes of HDF5 around its values."""
    found: dict[str, Any] = dict(tree(place / "out"))
    page = found.pop("annotations.html").decode()
    found["page"] = page.replace(str(place), "here")  # where clips were when it was written
    for name in (".lock", "environment.json", "answers.jsonl", "demos.hdf5"):
        found.pop(name, None)
    answers = read_rows(place / "out" / "answers.jsonl")
    for row in answers:
        row.pop("seconds", None)
        row.pop("seal")
        row.pop("file")  # times of change
    found["answers"] = sorted(answers, key=lambda row: str(row["clip"]))
    found["signals.jsonl"] = [
        {k: v for k, v in row.items() if k not in ("state", "seal")}
        for row in read_rows(place / "out" / "signals.jsonl")
    ]
    if (place / "out" / "demos.hdf5").exists():
        found["read"] = mimicgen_reads(place / "out" / "demos.hdf5", SPECS["stack"])
    else:
        found["labels"] = labels_of(place / "out" / "dataset")
    return found


def finished(place: Path) -> set[tuple[str, str]]:
    """Rows that are on disk as a whole."""
    rows = set()
    for name in ROWS:
        file = place / "out" / name
        for line in file.read_text().splitlines(keepends=True) if file.exists() else ():
            if line.endswith("\n"):
                row = json.loads(line)
                rows.add((name, row["clip"]))
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(kind: str, program: Program, world: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for place in (whole, killed):
        place.mkdir()
        shutil.copytree(world / "model", place / "model")
    command = make(kind, whole)
    began = time.monotonic()
    ended = program.run(*command, cwd=whole)
    took_s = time.monotonic() - began
    assert ended.code == 0, ended.said
    for name in ("demos.hdf5", "data", "two.toml", "stack.toml"):
        if (whole / name).is_dir():
            shutil.copytree(whole / name, killed / name)
        elif (whole / name).exists():
            shutil.copy2(whole / name, killed / name)
    draw = random.Random(kind)
    num_killed = 0
    for _ in range(NUM_KILLS):
        before = finished(killed)
        process = program.start(*command, cwd=killed)
        time.sleep(draw.uniform(0.02, took_s))
        os.kill(process, signal.SIGKILL)  # not waited for yet, so the number is still its own
        stopped = program.finish(process)
        num_killed += stopped.code == -signal.SIGKILL
        assert stopped.code in (0, -signal.SIGKILL), stopped.said
        assert before <= finished(killed)
    assert num_killed
    ended = program.run(*command, cwd=killed)
    assert ended.code == 0, ended.said
    assert results_of(killed) == results_of(whole)
    first, times = tree(killed / "out"), states(killed / "out" / "dataset")
    assert program.run(*command, cwd=killed).code == 0
    assert tree(killed / "out") == first
    assert states(killed / "out" / "dataset") == times
    leftovers = [p.name for p in (killed / "out").rglob(".*") if p.name != ".lock"]
    assert not leftovers
