"""The document of a recipe speaks of the kind of its answers: captions, and kinds it has no words for."""

import json
from pathlib import Path
from typing import Any

import pytest
from caption_runs import RECIPE, make_run, make_samples
from html_checks import check_page

from kairoscope.recipes.benchmark import Splits, describe
from kairoscope.recipes.label_check import write_doubts
from kairoscope.report.analysis import write_analysis
from kairoscope.report.labels.counts import counts_by_slot
from kairoscope.report.recipe.document import write_recipe_document
from kairoscope.report.recipe.training import log_blocks
from kairoscope.report.training import read_training
from kairoscope.runs import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe of captions without a training."""
    folder = tmp_path / "recipe"
    samples = make_samples(tmp_path / "clips", 40)
    config = {
        "recipe": RECIPE.name,
        "title": RECIPE.title,
        "model": "describer",
        "success": RECIPE.success,
        "targets": {},
    }
    splits = Splits(train=samples, test=samples, train_problems=(), test_problems=(), how="by hand")
    with Run.open(folder, kind="recipe", config=config) as run:
        run.write_json("benchmark.json", describe(splits))
        counts = {"n_in": 40, "n_train": 30, "n_held_out": 10, "n_dropped": 0, "dropped": {}}
        lists: dict[str, Any] = {"drops": [], "clips": []}
        labels = {"labels": counts_by_slot(RECIPE.task, samples)}
        run.write_json("curation.json", {**counts, **lists, **labels})
    make_run(folder / "zero_shot", samples, 0.3)
    write_analysis(Run.read(folder / "zero_shot"), folder / "analysis.json", {})
    make_run(folder / "re_evaluation", samples, 0.9)
    write_doubts(RECIPE.task, folder / "re_evaluation", folder / "re_evaluation")
    return folder


def test_captions_are_compared_field_by_field(folder: Path) -> None:
    page = check_page(write_recipe_document(folder).read_text("utf-8"))
    markdown = (folder / "recipe.md").read_text("utf-8")
    for name in ("zero_shot", "re_evaluation"):
        metrics = json.loads((folder / name / "metrics.json").read_text())
        assert 100 * metrics["fields_right"] in page.numbers
        assert 100 * metrics["fields"]["weather"]["score"] in page.numbers
    for words in (
        "of the fields are right after training",
        "Asked about every clip: weather, lighting",
        "Training made more fields right",
        "The clip that gained most",
        "Better / same / worse",
        "| weather | ",
    ):
        assert words in markdown
    # The model of this test gives no distributions.
    for wrong in ("relative error", "Demonstrations", "correlation", "Contradicts"):
        assert wrong not in markdown
    assert "| 5 Post-training | not run |" in markdown


def test_labels_of_the_training_clips_are_counted(folder: Path) -> None:
    write_recipe_document(folder)
    markdown = (folder / "recipe.md").read_text("utf-8")
    assert "Clear skies: " in markdown
    assert "pedestrian: " in markdown


def test_another_kind_has_its_figures_and_no_words_of_others(folder: Path) -> None:
    for name in ("zero_shot", "re_evaluation"):
        file = folder / name / "metrics.json"
        found = {"kind": "novel", "n_clips": 4, "n_groups": 4, "answered": 1.0, "depth": 0.5}
        file.write_text(json.dumps(found | {"depth_ci95": [0.4, 0.6]}))
    (folder / "re_evaluation" / "label_doubts.json").unlink()
    page = check_page(write_recipe_document(folder).read_text("utf-8"))
    assert 0.5 in page.numbers
    assert "Depth" in " ".join(page.text)


def test_a_training_on_captions_shows_what_it_was_judged_by(tmp_path: Path) -> None:
    config = {"model": "m", "recipe": RECIPE.name, "frames": {}, "sft": {}}
    with Run.open(tmp_path / "sft", kind="sft", config=config) as run:
        for step, right in ((1, 0.25), (2, 0.75)):
            row = {"loss": 1.0, "learning_rate": 1e-4, "tokens": 9, "seconds": 0.5}
            run.append("train", {"kind": "step", "step": step, "of": 2, **row})
            run.append("train", {"kind": "held_out", "step": step, "fields_right": right})
    run = Run.read(tmp_path / "sft")
    said = str(log_blocks(run, read_training(run), {}))
    assert "best held-out share of fields right 0.75, at step 2" in said
    assert "Fields right" in said
    assert "Relative error" not in said
