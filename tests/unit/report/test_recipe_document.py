"""The recipe's document says what was measured, in Markdown and HTML alike, and what was not run."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from html_checks import check_page

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.report.analysis import write_analysis
from kairoscope.report.blocks import Block, Cell, Code, Heading, Number, Paragraph, Table
from kairoscope.report.document import write_document
from kairoscope.report.evaluation.page import write_evaluation_page
from kairoscope.report.figures import dig, shown
from kairoscope.report.html import to_html
from kairoscope.report.lessons import lessons
from kairoscope.report.markdown import plain_markdown, to_markdown
from kairoscope.report.recipe.document import write_recipe_document
from kairoscope.report.recipe.run import read_recipe_run
from kairoscope.report.recipe.training import as_toml, log_blocks
from kairoscope.report.training import read_training
from kairoscope.runs import Run
from kairoscope.settings import changed, read_toml
from kairoscope.storage import plain

TARGETS = {"mre_percent": 30.0}
CONFIG = {
    "recipe": "subtask-times",
    "title": "Times of <b>subtasks</b>",
    "success": "Below 30 %.",
    "targets": TARGETS,
    "model": "builtin",
}


def a_clip(i: int) -> dict[str, Any]:
    return {
        "id": f"c{i}",
        "split": "train" if i < 8 else "held_out",
        "group": f"g{i}",
        "scenario": "stack",
        "duration_s": 4.0,
        "num_frames": 120,
        "width": 512,
        "height": 384,
        "codec": "h264",
    }


CURATION = {
    "n_in": 13,
    "n_train": 8,
    "n_held_out": 2,
    "n_dropped": 3,
    "dropped": {"duplicate": 2, "unreadable clip": 1},
    "drops": [{"sample_id": "x|<b>", "reason": "duplicate", "detail": "same as `c1`"}],
    "clips": [a_clip(i) for i in range(10)],
}
BENCHMARK = {
    "n_train": 13,
    "n_test": 24,
    "split": "train and test are folders of their own",
    "scenarios": [
        {
            "scenario": "stack",
            "n_clips": 24,
            "n_groups": 12,
            "example_events": ["grasping", "releasing"],
            "shortest_s": 3.0,
            "longest_s": 8.0,
        }
    ],
}


def write_training(folder: Path, held_out: list[float]) -> None:
    config = {"model": "builtin", "frames": {"fps": 8.0}, "sft": plain(SFTConfig())}
    with Run.open(folder, kind="sft", config=config) as run:
        rejected = [{"sample_id": "c4", "reason": "20000 tokens"}]
        run.append("train", {"kind": "check", "kept": 7, "rejected": rejected})
        of = 10 * len(held_out)
        for step in range(1, of + 1):
            row = {"loss": 2.0 / step, "learning_rate": 1e-4, "tokens": 1000, "seconds": 0.5}
            run.append("train", {"kind": "step", "step": step, "of": of, **row})
            if step % 10 == 0:
                mre = held_out[step // 10 - 1]
                score = {"mre_percent": mre, "mae_s": mre / 100, "tiou": 0.5}
                run.append("train", {"kind": "held_out", "step": step, **score})


@pytest.fixture
def recipe(evaluations: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    with Run.open(folder, kind="recipe", config=CONFIG) as run:
        shutil.copytree(evaluations / "clips", tmp_path / "clips")
        shutil.copytree(evaluations / "before", folder / "zero_shot")
        shutil.copytree(evaluations / "after", folder / "re_evaluation")
        write_evaluation_page(folder / "zero_shot")
        run.write_json("benchmark.json", BENCHMARK)
        write_analysis(Run.read(folder / "zero_shot"), folder / "analysis.json", TARGETS)
        run.write_json("curation.json", CURATION)
        write_training(folder / "sft", [50.0, 20.0, 35.0, 40.0])
    return folder


def without_escapes(markdown: str) -> str:
    return re.sub(r"\\(.)", r"\1", markdown)


def test_numbers_come_from_the_runs(recipe: Path) -> None:
    html = write_recipe_document(recipe)
    page = check_page(html.read_text("utf-8"))
    markdown = without_escapes((recipe / "recipe.md").read_text("utf-8"))
    for name in ("zero_shot", "re_evaluation"):
        metrics = json.loads((recipe / name / "metrics.json").read_text())
        for path, unit in (
            ("ends/all/mre_percent", "%"),
            ("ends/all/mae_s", " s"),
            ("prior/mre_percent", "%"),
            ("skill", ""),
            ("wrong_video/ends/all/mre_percent", "%"),
            ("events_found", ""),
        ):
            assert dig(metrics, path) in page.numbers, (name, path)
            assert shown(dig(metrics, path), unit) in markdown
    for step in read_recipe_run(recipe).differences:
        assert step.difference in page.numbers
    words = " ".join(page.text)
    assert "Of 13 samples, 8 are to train on, 2 to choose" in words
    assert "No recording is on both sides" in words
    assert "40 of 40 optimiser steps" in words
    assert "2000 tokens a second" in words
    assert "20.0%, at step 20" in words


def test_markdown_and_html_say_the_same(recipe: Path) -> None:
    html = write_recipe_document(recipe)
    page = check_page(html.read_text("utf-8"))
    markdown = (recipe / "recipe.md").read_text("utf-8")
    headings = [line.lstrip("# ") for line in markdown.splitlines() if line.startswith("#")]
    for name in ("Step 1: Benchmark Selection", "Step 6: Re-evaluation", "Conclusion"):
        assert name in headings
    squeezed = " ".join(" ".join(page.text).split())
    for heading in headings:
        assert heading.replace("&lt;", "<").replace("&gt;", ">") in squeezed
    for name in re.findall(r"\]\(([^)]+)\)", markdown):
        assert (recipe / name).is_file(), name
    assert "<b>" not in markdown.replace("```", "")
    assert "<b>subtasks" not in html.read_text("utf-8")


def test_steps_that_were_not_run_say_so(recipe: Path) -> None:
    for name in ("re_evaluation", "sft", "curation.json", "analysis.json", "benchmark.json"):
        path = recipe / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        check_page(write_recipe_document(recipe).read_text("utf-8"))
    markdown = (recipe / "recipe.md").read_text("utf-8")
    assert markdown.count("This step was not run in this folder.") == 4
    assert "| 2 Zero-shot evaluation | done |" in markdown
    assert "| 6 Re-evaluation | not run |" in markdown
    shutil.rmtree(recipe / "zero_shot")
    check_page(write_recipe_document(recipe).read_text("utf-8"))
    assert "Nothing has been evaluated" in (recipe / "recipe.md").read_text("utf-8")


def test_an_evaluation_that_is_not_finished_has_no_figures(recipe: Path) -> None:
    (recipe / "re_evaluation" / "metrics.json").unlink()
    write_recipe_document(recipe)
    assert "| 6 Re-evaluation | not run |" in (recipe / "recipe.md").read_text("utf-8")


def test_the_same_folder_gives_the_same_document(recipe: Path) -> None:
    first = write_recipe_document(recipe).read_bytes()
    assert write_recipe_document(recipe).read_bytes() == first


def titles(folder: Path) -> list[str]:
    return [lesson.title for lesson in lessons(read_recipe_run(folder))]


def test_lessons_of_a_training_that_helped(recipe: Path) -> None:
    found = titles(recipe)
    assert "Training lowered the error" in found
    assert "Training went on after its best step, and the held-out error rose" in found
    assert "Curation left out 3 of 13 samples" in found
    assert "Curated samples that could not be trained on: 1" in found


def test_lessons_of_a_training_that_did_nothing(recipe: Path) -> None:
    shutil.rmtree(recipe / "re_evaluation")
    shutil.copytree(recipe / "zero_shot", recipe / "re_evaluation")
    assert "Training shows no effect on the error" in titles(recipe)


def test_lessons_of_a_training_that_did_harm(recipe: Path) -> None:
    (recipe / "zero_shot").rename(recipe / "kept")
    (recipe / "re_evaluation").rename(recipe / "zero_shot")
    (recipe / "kept").rename(recipe / "re_evaluation")
    found = titles(recipe)
    assert "Training raised the error" in found
    assert "Fewer answers can be read after training" in found


def test_training_that_was_still_getting_better(recipe: Path) -> None:
    shutil.rmtree(recipe / "sft")
    write_training(recipe / "sft", [50.0, 30.0, 20.0])
    assert "The held-out error was still falling when training ended" in titles(recipe)


def test_a_folder_that_is_no_recipe_is_a_user_error(evaluations: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not of a recipe"):
        write_recipe_document(evaluations / "before")
    with pytest.raises(UserError, match="no such folder"):
        write_recipe_document(tmp_path / "absent")


def test_a_training_can_be_shown_alone(recipe: Path) -> None:
    run = Run.read(recipe / "sft")
    blocks = [Heading(1, "Training"), *log_blocks(run, read_training(run), TARGETS)]
    _, html = write_document(blocks, recipe / "sft", "training")
    page = check_page(html.read_text("utf-8"))
    assert {50.0, 20.0, 35.0, 40.0, 0.2} <= set(page.numbers)
    for name in ("training_loss", "held_out_mre_percent", "learning_rate"):
        assert (recipe / "sft" / "plots" / f"{name}.svg").is_file()


def test_training_rows_of_a_resumed_run_count_once(recipe: Path) -> None:
    with Run.open(recipe / "sft", kind="sft", config=Run.read(recipe / "sft").config) as run:
        run.append("train", {"kind": "step", "step": 3, "of": 40, "loss": 99.0})
    log = read_training(Run.read(recipe / "sft"))
    assert [row["step"] for row in log.steps] == list(range(1, 41))
    assert max(row["loss"] for row in log.steps) == 2.0
    with pytest.raises(UserError, match="not a training run"):
        read_training(Run.read(recipe / "zero_shot"))


def test_the_settings_shown_give_the_same_training(tmp_path: Path) -> None:
    config = replace(SFTConfig(), learning_rate=3e-4, lora=LoraConfig(rank=8), max_steps=7)
    file = tmp_path / "sft.toml"
    file.write_text(as_toml("sft", plain(config)))
    assert changed(SFTConfig(), read_toml(file)["sft"], "sft.toml") == config


@pytest.mark.parametrize(
    "text",
    [
        "a | b * c _d_ `e` [f](g) <h> & \\i",
        "# no heading",
        "1. no list",
        "- no list",
        "two\nlines",
        "![x](y)",
        "file_name_with_marks",
    ],
)
def test_text_is_never_markup_in_markdown(text: str) -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt().parse(plain_markdown(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == " ".join(text.split())


def test_code_that_holds_a_fence_stays_code() -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt().parse(to_markdown([Code("```\n# x\n````\n<b>")]))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "```\n# x\n````\n<b>\n"


def test_numbers_keep_sign_unit_and_interval() -> None:
    rows: list[list[Cell]] = [
        ["a", Number(-1.25, " points", (-2.0, 0.5), signed=True), Number(None), Number(2.0)]
    ]
    blocks: list[Block] = [Heading(1, "T"), Table(("x", "y", "z", "w"), rows), Paragraph("p")]
    assert "| a | −1.2 points (−2.0 to 0.5) | – | 2.00 |" in to_markdown(blocks)
    assert check_page(to_html(blocks)).numbers == [-1.25, 2.0]
