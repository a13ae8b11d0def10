"""The seven generated clips that people have labelled, through every path from their table to the page."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SETTINGS = ("max_steps=2", "batch_size=4", "micro_batch_size=2", "eval_every=2")
REWARDED = ("max_steps=2", "rollouts_per_step=16", "group_size=8", "freeze_vision=true")


@pytest.fixture
def examples(shared_data: Path) -> Path:
    folder = shared_data / "videophy" / "examples"
    if not folder.is_dir():
        pytest.skip("the VideoPhy clips of ../shared/data are not on this machine")
    return folder


def kairoscope(*words: object) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "kairoscope", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def rows_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_seven_clips_from_a_table_to_a_page(examples: Path, tmp_path: Path) -> None:
    """Too few to learn from: what is held here is that none is lost on the way, and each run whole."""
    data, run = tmp_path / "set", tmp_path / "run"
    table = examples / "train_example.csv"
    said = kairoscope(
        *("prepare", table, "--videos", examples, "--scale-labels", "--eval-size", 0.4),
        *("--out", data),
    )
    assert "0 problems" in said
    kairoscope(
        *("run", "physics-score", "--data", data, "--out", run, "--no-store", "--grpo"),
        *(word for setting in SETTINGS for word in ("--set", setting)),
        *(word for setting in REWARDED for word in ("--set-grpo", setting)),
        *("--frames", "max_frames=16"),
    )
    test = {row["video"].rsplit("/", 1)[-1] for row in rows_in(data / "test" / "labels.jsonl")}
    train = {row["video"].rsplit("/", 1)[-1] for row in rows_in(data / "train" / "labels.jsonl")}
    assert len(train) + len(test) == 7
    assert train | test == {clip.name for clip in examples.glob("*.mp4")}
    for stage in ("zero_shot", "re_evaluation", "after_grpo"):
        found = json.loads((run / stage / "evaluation_results.json").read_text())
        metrics = json.loads((run / stage / "metrics.json").read_text())
        assert metrics["answered"] == 1
        assert {Path(answer["video"]).name for answer in found["results"]} == test
        assert (run / stage / "report.html").is_file()
    for stage in ("sft", "grpo"):
        rows = rows_in(run / stage / "train.jsonl")
        assert [row["step"] for row in rows if row["kind"] == "step"] == [1, 2]
        assert (run / stage / "best" / "model.safetensors").is_file()
    [check] = [row for row in rows_in(run / "grpo" / "train.jsonl") if row["kind"] == "check"]
    assert check["kept"] + len(check["rejected"]) <= len(train)
    drawn = [row for row in rows_in(run / "grpo" / "train.jsonl") if row["kind"] == "step"]
    assert all(row["unparsed"] == 0 and row["sampler_gap"] < 1e-4 for row in drawn)
    page = (run / "recipe.html").read_text()
    for step in ("Benchmark Selection", "Zero-shot Evaluation", "Reinforcement Learning"):
        assert step in page
    assert page.count("<td>done</td>") == 7
