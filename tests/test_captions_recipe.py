"""The recipe for captions end to end on a few of the drives that ship, with a tiny model."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import Program
from html_checks import check_page

EXAMPLE = Path(__file__).parents[1] / "examples" / "driving"
RECIPE = "av-captions:driving_world"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Path:
    folder = tmp_path_factory.mktemp("captions")
    for split, count in (("train", 12), ("test", 4)):
        (folder / "data" / split).mkdir(parents=True)
        for label in sorted((EXAMPLE / split / "clips").glob("*.label.json"))[:count]:
            name = label.name.removesuffix(".label.json")
            for file in (label, label.with_name(f"{name}.camera_front.mp4")):
                shutil.copy(file, folder / "data" / split)
    sizes = ("text_width=48", "text_depth=2", "vision_width=32", "vision_depth=2", "text_heads=2")
    ended = program.run(
        *("new-model", "model", "--data", "data/train", "--recipe", RECIPE),
        *(f"--size={size}" for size in sizes),
        *("--frames=fps=2", "--frames=max_frame_pixels=7056", "--frames=stamp=none"),
        *("--frames=min_frame_pixels=7056",),
        cwd=folder,
    )
    assert ended.code == 0, ended.said
    return folder


def test_the_recipe_runs_from_benchmark_to_document(place: Path, program: Program) -> None:
    settings = ("max_steps=1", "batch_size=4", "micro_batch_size=4", "eval_every=1")
    ended = program.run(
        *("run", RECIPE, "--data", "data", "--model", "model", "--out", "run"),
        *(f"--set={setting}" for setting in settings),
        cwd=place,
    )
    assert ended.code == 0, ended.said
    assert "without looking" in ended.out
    run = place / "run"
    check_page((run / "recipe.html").read_text("utf-8"))
    document = (run / "recipe.md").read_text("utf-8")
    assert "of the fields are right after training" in document
    assert "relative error" not in document
    curated = json.loads((run / "curation.json").read_text())
    assert sum(curated["labels"]["weather"].values()) == 12
    for name in ("zero_shot", "re_evaluation"):
        metrics = json.loads((run / name / "metrics.json").read_text())
        assert (metrics["n_clips"], metrics["answered"]) == (4, 1.0)
    doubts = json.loads((run / "re_evaluation" / "label_doubts.json").read_text())
    assert {slot["slot"] for slot in doubts["slots"]} >= {"weather", "lighting", "lanes"}
    assert not any(slot["knows"] for slot in doubts["slots"])  # of so few clips nothing is known


def test_clips_are_curated_without_a_run(place: Path, program: Program) -> None:
    ended = program.run("curate", RECIPE, "--data", "data/train", "--out", "curated", cwd=place)
    assert ended.code == 0, ended.said
    assert "12 clips of 12 samples can be used" in ended.out
    assert "Clear skies" in (place / "curated" / "curation.md").read_text("utf-8")
