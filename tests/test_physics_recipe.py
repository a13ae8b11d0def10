"""The recipe for scores end to end, with a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Program

from kairoscope.simulate.render import encode_mp4


def write_scored(folder: Path, groups: range) -> None:
    """Five clips a group, one of each score: the brighter, the better."""
    (folder / "clips").mkdir(parents=True)
    rng = np.random.default_rng(groups.start)
    rows = []
    for group in groups:
        for score in range(1, 6):
            name = f"clips/{group}_{score}.mp4"
            pictures = rng.integers(0, 40, size=(6, 64, 64, 3), dtype=np.uint8) + 40 * score
            data = encode_mp4(pictures.astype(np.uint8), size_px=64, fps=4.0)
            (folder / name).write_bytes(data)
            rows.append({"video": name, "score": score, "group": f"g{group}", "task": "light"})
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    folder = tmp_path_factory.mktemp("physics")
    write_scored(folder / "data" / "train", range(4))
    write_scored(folder / "data" / "test", range(4, 6))
    (folder / "model").symlink_to(world / "model")
    return folder


def test_the_recipe_runs_from_benchmark_to_document(place: Path, program: Program) -> None:
    settings = ("max_steps=2", "batch_size=5", "micro_batch_size=5", "eval_every=2")
    options = [f"--set={setting}" for setting in settings]
    ended = program.run(
        *("run", "physics-score", "--data", "data", "--model", "model", "--out", "run"),
        *options,
        cwd=place,
    )
    assert ended.code == 0, ended.said
    run = place / "run"
    benchmark = json.loads((run / "benchmark.json").read_text())
    assert benchmark["labels"]["test"] == {str(score): 2 for score in range(1, 6)}
    for name in ("zero_shot", "re_evaluation"):
        metrics = json.loads((run / name / "metrics.json").read_text())
        assert (metrics["n_clips"], metrics["answered"]) == (10, 1.0)
        assert metrics["expected"]["pearson"] is not None
        assert metrics["wrong_video"]["n_clips"] == 10
        results = json.loads((run / name / "evaluation_results.json").read_text())
        assert len(results["results"]) == 10
    held_out = [
        row
        for row in map(json.loads, (run / "sft" / "train.jsonl").read_text().splitlines())
        if row["kind"] == "held_out"
    ]
    assert {"expected_pearson", "pearson", "kappa", "mae", "exact"} <= held_out[-1].keys()
    notes = json.loads((run / "sft" / "best" / "kairoscope.json").read_text())
    assert notes["task"] == "physics-score"
    document = (run / "recipe.md").read_text()
    assert "Clips by their true score" in document
    assert "Quadratic-weighted kappa" in document
    drawn = ("max_steps=1", "rollouts_per_step=8", "group_size=4")
    reinforced = program.run(
        *("run", "physics-score", "--data", "data", "--model", "model", "--out", "run", "--grpo"),
        *options,
        *(f"--set-grpo={setting}" for setting in drawn),
        cwd=place,
    )
    assert reinforced.code == 0, reinforced.said
    document = (run / "recipe.md").read_text()
    assert "| 7 Reinforcement learning | done |" in document
    assert "Against the Fine-tuned Model" in document
    after = json.loads((run / "after_grpo" / "metrics.json").read_text())
    assert after["n_clips"] == 10
    alone = program.run("run", "physics-score", "--stages", "grpo", *("--data", "data"), cwd=place)
    assert alone.code == 2
    assert "--grpo" in alone.said
    compared = program.run(
        "report", "run/zero_shot", "run/re_evaluation", "--out", "both.html", cwd=place
    )
    assert compared.code == 0, compared.said
    assert "most improved" in (place / "both.html").read_text()
    free = program.run(
        *("evaluate", "physics-score", "--data", "data/test", "--model", "run/sft/best"),
        *("--decoding", "free", "--no-control", "--out", "free"),
        cwd=place,
    )
    assert free.code == 0, free.said
    metrics = json.loads((place / "free" / "metrics.json").read_text())
    assert metrics["expected"] is None
    assert metrics["digit"]["exact"] is not None


def test_the_clips_with_labels_of_people_are_asked_about(
    place: Path, program: Program, shared_data: Path
) -> None:
    folder = shared_data / "videophy" / "examples"
    if not folder.is_dir():
        pytest.skip("the VideoPhy clips of ../shared/data are not on this machine")
    made = program.run(
        *("prepare", str(folder / "train_example.csv"), "--videos", str(folder)),
        *("--scale-labels", "--eval-size", "0", "--out", "people"),
        cwd=place,
    )
    assert made.code == 0, made.said
    asked = program.run(
        *("evaluate", "physics-score", "--data", "people/train", "--model", "model"),
        *("--frames", "fps=2", "--no-control", "--out", "asked"),
        cwd=place,
    )
    assert asked.code == 0, asked.said
    metrics = json.loads((place / "asked" / "metrics.json").read_text())
    assert metrics["n_clips"] == 7
    assert metrics["labels"] == {"1": 3, "2": 0, "3": 0, "4": 0, "5": 4}
    assert metrics["n_unreadable_clips"] == 0
