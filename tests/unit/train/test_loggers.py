"""Loggers beside train.jsonl: every step once, whatever was killed in between."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.train.loggers import Loggers, Logging, check_loggers


def step(number: int, loss: float) -> dict[str, Any]:
    return {"kind": "step", "step": number, "of": 9, "loss": loss, "seconds": 0.5}


ROWS: list[dict[str, Any]] = [
    {"kind": "check", "kept": 3, "rejected": []},
    step(1, 4.0),
    step(2, 3.0),
    {"kind": "held_out", "step": 2, "mre_percent": 30.0},
]


def lines(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_plain_lines_of_numbers(tmp_path: Path) -> None:
    with Loggers(("jsonl",), tmp_path) as loggers:
        for row in ROWS:
            loggers.write(row)
    assert lines(tmp_path) == [
        {"step": 1, "train/loss": 4.0, "train/seconds": 0.5},
        {"step": 2, "train/loss": 3.0, "train/seconds": 0.5},
        {"step": 2, "held_out/mre_percent": 30.0},
    ]


def test_a_run_that_goes_on_takes_back_what_it_does_again(tmp_path: Path) -> None:
    with Loggers(("jsonl",), tmp_path) as first:
        for row in [*ROWS, step(3, 2.0), step(4, 1.0)]:
            first.write(row)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "trai')  # the line that a kill cut off
    with Loggers(("jsonl",), tmp_path) as again:
        for number in (3, 4, 5):
            again.write(step(number, 5.0 - number))
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 2, 3, 4, 5]
    assert lines(tmp_path)[-1]["train/loss"] == 0.0


def test_several_at_once(tmp_path: Path) -> None:
    with Logging(names=("jsonl", "tensorboard", "jsonl")).open(tmp_path, {}) as loggers:
        for row in ROWS:
            loggers.write(row)
    assert len(lines(tmp_path)) == 3
    assert list((tmp_path / "tensorboard").iterdir())


def test_nothing_is_written_before_the_first_step(tmp_path: Path) -> None:
    with Loggers(("jsonl", "tensorboard"), tmp_path) as loggers:
        loggers.write(ROWS[0])
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_none() -> None:
    with pytest.raises(UserError, match="--logger w&b: allowed: tensorboard, jsonl, wandb"):
        check_loggers(["w&b"])


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_without_the_package_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"wandb is not installed; install it \(pip install wandb\)"
    ):
        Loggers(("tensorboard", "wandb"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wandb_itself_keeps_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for _ in range(2):
        with Logging(names=("wandb",), project="p", experiment="e").open(
            tmp_path, {"sft": {"epochs": 3.0}}
        ) as loggers:
            for row in ROWS:
                loggers.write(row)
    known = (tmp_path / "wandb_id.txt").read_text().strip()
    runs = [folder.name for folder in (tmp_path / "wandb").glob("offline-run-*")]
    assert runs
    assert {name.rpartition("-")[2] for name in runs} == {known}
