"""A whole recipe through the command line, on a small world with a small network."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, Program, read_json, read_rows, write_world

STAGES = ("benchmark", "zero-shot", "analysis", "curation", "sft", "re-evaluation", "report")
TRAINING = ("max_steps=4", "batch_size=4", "micro_batch_size=2", "eval_every=2", "save_every=2")
SETTINGS = [f"--set={setting}" for setting in (*TRAINING, "warmup_steps=1", "learning_rate=1e-3")]


def run_recipe(program: Program, folder: Path, out: Path, *more: str, **hook: Any) -> Ended:
    """`kairoscope run` on the world."""
    data = ("--data", "data", "--model", "model", "--out", out)
    return program.run("run", "subtask-times", *data, *SETTINGS, *more, cwd=folder, **hook)


@pytest.fixture(scope="module")
def place(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten clips and the checkpoint."""
    folder = tmp_path_factory.mktemp("pipeline")
    write_world(folder / "data", 10)
    shutil.copytree(world / "model", folder / "model")
    return folder


@pytest.fixture(scope="module")
def done(program: Program, place: Path) -> Path:
    """The folder of a finished run."""
    ended = run_recipe(program, place, Path("run"))
    assert ended.code == 0, ended.said
    assert "Before and after" in ended.out
    assert ended.out.rstrip().endswith("report: run/recipe.html")
    return place / "run"


def measured(run: Path) -> dict[str, bytes]:
    """What a recipe measured and made, in bytes."""
    files = [
        *("benchmark.json", "zero_shot/metrics.json", "analysis.json", "curation.json"),
        *("sft/best/model.safetensors", "sft/result.json", "re_evaluation/metrics.json"),
    ]
    return {name: (run / name).read_bytes() for name in files}


def test_every_stage_leaves_its_file(done: Path) -> None:
    assert set(measured(done))
    zero_shot, after = (
        read_json(done / name / "metrics.json") for name in ("zero_shot", "re_evaluation")
    )
    assert zero_shot["n_clips"] == after["n_clips"] == 3
    assert zero_shot["answered"] == after["answered"] == 1.0
    manifest = read_json(done / "curation.json")
    assert manifest["n_in"] == 7 == manifest["n_train"] + manifest["n_held_out"]
    document = (done / "recipe.md").read_text("utf-8")
    for heading in ("Zero-shot Evaluation", "Data Curation", "Post-Training", "Re-evaluation"):
        assert heading in document
    assert "not run" not in document


def test_no_clip_is_trained_and_tested_on(done: Path) -> None:
    trained = {row["group"] for row in read_json(done / "curation.json")["clips"]}
    tested = {row["group"] for row in read_rows(done / "re_evaluation" / "records.jsonl")}
    assert trained
    assert tested
    assert not trained & tested


def test_the_stages_one_by_one_give_the_same(program: Program, place: Path, done: Path) -> None:
    for stage in STAGES:
        ended = run_recipe(program, place, Path("apart"), f"--stages={stage}")
        assert ended.code == 0, ended.said
    assert measured(place / "apart") == measured(done)


def test_a_finished_run_is_not_done_again(program: Program, place: Path, done: Path) -> None:
    before = measured(done)
    rows = (done / "sft" / "train.jsonl").read_bytes()
    ended = run_recipe(program, place, done.absolute())
    assert ended.code == 0, ended.said
    assert "loading" not in ended.err
    assert "loss" not in ended.err
    assert measured(done) == before
    assert (done / "sft" / "train.jsonl").read_bytes() == rows


def test_a_stage_says_what_it_needs_first(program: Program, place: Path) -> None:
    for stage, needed in (("analysis", "zero-shot"), ("sft", "curation"), ("re-evaluation", "sft")):
        ended = run_recipe(program, place, Path("alone"), f"--stages={stage}")
        assert ended.code == 2, ended.said
        assert f"run the stage {needed} first" in ended.err


def test_a_dry_run_writes_nothing(program: Program, place: Path) -> None:
    before = sorted(place.rglob("*"))
    ended = run_recipe(program, place, Path("dry"), "--dry-run")
    assert ended.code == 0, ended.said
    assert "7 clips to train on, 3 to test on" in ended.out
    assert "dry/sft/result.json" in ended.out
    assert sorted(place.rglob("*")) == before


def test_the_best_checkpoint_annotates(program: Program, place: Path, done: Path) -> None:
    args = ("annotate", "data", "--task", "data/square.toml", "--model", done / "sft" / "best")
    ended = program.run(*args, "--out", "annotations", cwd=place)
    assert ended.code == 0, ended.said
    rows = read_rows(place / "annotations" / "boundaries.jsonl")
    assert len(rows) == 20
    assert all(0 <= row["start_s"] <= row["end_s"] and 0 < row["confidence"] <= 1 for row in rows)
    assert (place / "annotations" / "annotations.html").stat().st_size > 1000


@pytest.mark.parametrize("form", ["text", "events"])
def test_score_agrees_with_the_evaluation(
    form: str, program: Program, place: Path, done: Path
) -> None:
    """Anybody's file with the evaluation's own answers gets the evaluation's own figures."""
    run = done / "zero_shot"
    lines = []
    for record in read_rows(run / "records.jsonl"):
        answer = record["text"] if form == "text" else record["value"]
        lines.append({"video": record["sample_id"], "trial": record["trial"], form: answer})
    tested = {line["video"] for line in lines}
    gold = [row for row in read_rows(place / "data" / "labels.jsonl") if row["video"] in tested]
    for name, rows in (("predictions", lines), ("gold", gold)):
        write_lines(place / f"{form}_{name}.jsonl", rows)
    args = ("score", f"{form}_predictions.jsonl", "--gold", f"{form}_gold.jsonl", "--json")
    ended = program.run(*args, cwd=place)
    assert ended.code == 0, ended.said
    assert ended.err == ""
    scored, measured_there = json.loads(ended.out), read_json(run / "metrics.json")
    for key in ("n_clips", "n_trials", "answered", "ends", "starts", "tiou_mean", "recall"):
        assert scored[key] == measured_there[key], key
    for key in ("events_found", "prior", "skill", "degenerate"):
        assert scored[key] == measured_there[key], key


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    """A JSON lines file."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_runs_are_reported_on_again_and_compared(program: Program, place: Path, done: Path) -> None:
    runs = ("zero_shot", "re_evaluation", "sft", ".")
    pages = (
        "zero_shot/report.html",
        "re_evaluation/report.html",
        "sft/training.html",
        "recipe.html",
    )
    for run, page in zip(runs, pages, strict=True):
        (done / page).unlink()
        ended = program.run("report", done / run, cwd=place)
        assert ended.code == 0, ended.said
        assert (done / page).stat().st_size > 1000
    ended = program.run("report", "run/zero_shot", "run/re_evaluation", cwd=place)
    assert ended.code == 0, ended.said
    assert ended.out == "report: run/re_evaluation/comparison.html\n"
