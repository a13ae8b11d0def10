"""One real clip of a highway through every path of the driving recipe, by the built-in model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from html_checks import check_page, clips_of

from kairoscope.config import Recipe
from kairoscope.data.captions import load_captions
from kairoscope.data.rows import Problem
from kairoscope.fields import load_schema
from kairoscope.models.engines import EngineOptions, open_engine
from kairoscope.recipes import RECIPES
from kairoscope.recipes.av_captions import caption_task
from kairoscope.recipes.stages import evaluate_stage, load_data

LABEL: dict[str, Any] = {
    "weather": "Clear skies",
    "lighting": "Daytime (direct sunlight)",
    "road_conditions": "Dry asphalt",
    "traffic_light": "N/A",
    "traffic_sign": "Yellow warning signs.",
    "additional_traffic_rules": None,
    "road_type": "Highway",
    "junction_type": "No junction",
    "lane_type": "Four lanes",
    "additional_map_rules": "none",
    "interactive_expanded_metaaction": [],
    "safety_analysis": "The ego vehicle keeps the rightmost lane; nobody cuts in.",
    "driving_difficulty": "1",
    "rule_violation": "False",
    "interesting_scenario": False,
}
QUESTIONS = [
    {"video": "highway-1", "question": "Which road is it?", "choices": ["City street", "Highway"],
     "answer": "B", "kind": "road"},
    {"video": "highway-1", "question": "What separates the lanes?", "answer": "Broken white lines."},
]  # fmt: skip
FEW_PIXELS = {"fps": 1.0, "max_frame_pixels": 24 * 28 * 28}


@pytest.fixture
def highway(shared_data: Path, tmp_path: Path) -> Path:
    """The clip as the recipe has it: any camera, its label and questions beside it."""
    clip = shared_data / "driving" / "udacity_solidWhiteRight.mp4"
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "highway-1.camera_front_wide_120fov.mp4").symlink_to(clip)
    (folder / "highway-1.label.json").write_text(json.dumps(LABEL))
    (folder / "questions.json").write_text(json.dumps(QUESTIONS))
    return folder


def evaluated(recipe: Recipe, folder: Path, out: Path) -> dict[str, Any]:
    samples, problems = load_data(folder, recipe.task.load)
    assert problems == []
    engine = open_engine("builtin", EngineOptions(device="cpu"))
    return evaluate_stage(
        recipe, engine, samples, out=out, config=recipe.evaluation, frames=FEW_PIXELS,
        on_progress=lambda *_: None,
    )  # fmt: skip


def test_the_recipes_own_label_has_all_fifteen_fields(shared_data: Path, highway: Path) -> None:
    theirs = (shared_data / "av_example.label.json").read_text("utf-8")
    (highway / "highway-1.label.json").write_text(theirs)
    problems: list[Problem] = []
    [sample] = load_captions(load_schema("driving"), highway, problems)
    assert (len(sample.query), problems) == (15, [])
    assert sample.video.name == "highway-1.camera_front_wide_120fov.mp4"


def test_every_field_of_a_real_clip_is_captioned_scored_and_shown(
    highway: Path, tmp_path: Path
) -> None:
    schema = load_schema("driving")
    # Few words: what the built-in model, which has seen no road, writes is not worth waiting for.
    short = replace(schema, fields=tuple(replace(f, max_words=2) for f in schema.fields))
    recipe = replace(RECIPES["av-captions"], task=caption_task(short))
    found = evaluated(recipe, highway, tmp_path / "run")
    assert (found["n_clips"], found["answered"], len(found["fields"])) == (1, 1.0, 15)
    page = check_page((tmp_path / "run" / "report.html").read_text("utf-8"))
    [clip] = clips_of(page)["clips"]
    assert len(clip["events"]) == 15
    assert (tmp_path / "run" / clip["video"]).resolve().is_file()


def test_questions_about_a_real_clip_are_answered_scored_and_shown(
    highway: Path, tmp_path: Path
) -> None:
    found = evaluated(RECIPES["av-questions"], highway, tmp_path / "run")
    assert (found["n_questions"], found["answered"]) == (2, 1.0)
    assert found["choice"]["chance"] == 0.5
    assert found["blind"]["n_questions"] == 2
    assert found["open"]["baseline"]["f1"] is None  # there is no other question of its kind
    page = check_page((tmp_path / "run" / "report.html").read_text("utf-8"))
    [clip] = clips_of(page)["clips"]
    assert len(clip["events"]) == 2
