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


def test_the_recipes_own_file_trains_on_its_own_label_folders(
    place: Path, program: Program, shared_data: Path
) -> None:
    theirs = (shared_data / "toml" / "avha_sft.toml").read_text("utf-8")
    ours = theirs.replace("/path/to/dataset/train", "data/train")
    (place / "avha_sft.toml").write_text(ours.replace("nvidia/Cosmos-Reason1-7B", "model"))
    ended = program.run(
        *("sft", RECIPE, "--config", "avha_sft.toml", "--held-out", "data/test"),
        # What is left of the file's 20 epochs on 8 GPUs: one step, in this process.
        *("--set=max_steps=1", "--set=feed_workers=0", "--set=batch_size=4"),
        cwd=place,
    )
    assert ended.code == 0, ended.said
    assert "12 clips, 4 held out, 0 left out" in ended.out
    run = place / "outputs" / "avha_sft"
    rows = {row["key"]: row for row in json.loads((run / "cosmos_rl.json").read_text())}
    assert rows["train.optm_lr"]["became"] == "learning_rate = 2e-06"
    assert (run / "best" / "model.safetensors").is_file()
    asked = (
        "evaluate",
        RECIPE,
        "--data",
        "data/test",
        "--model",
        str(run / "best"),
        "--out",
        "after",
    )
    ended = program.run(*asked, "--no-control", cwd=place)
    assert ended.code == 0, ended.said
    metrics = json.loads((place / "after" / "metrics.json").read_text())
    assert (metrics["n_clips"], metrics["answered"], len(metrics["fields"])) == (4, 1.0, 11)


def test_questions_about_drives_are_asked_with_and_without_them(
    place: Path, program: Program
) -> None:
    lines = (EXAMPLE / "test" / "questions.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines[:22]) if "in words" not in row["kind"]]
    text = "".join(json.dumps(row).replace('"clips/', '"') + "\n" for row in rows)
    (place / "data" / "test" / "questions.jsonl").write_text(text)
    ended = program.run(
        *("evaluate", "av-questions", "--data", "data/test", "--model", "model", "--out", "asked"),
        "--rotate-choices",
        cwd=place,
    )
    assert ended.code == 0, ended.said
    assert "over the same model without the clip" in " ".join(ended.out.split())
    metrics = json.loads((place / "asked" / "metrics.json").read_text())
    assert (metrics["n_videos"], metrics["n_questions"], metrics["answered"]) == (2, 18, 1.0)
    assert metrics["rotation"]["n_questions"] == metrics["blind"]["n_questions"] == 18
    check_page((place / "asked" / "report.html").read_text("utf-8"))
    (place / "data" / "test" / "questions.jsonl").unlink()
    refused = program.run(
        "evaluate", RECIPE, "--data", "data/test", "--rotate-choices", "--out", "x", cwd=place
    )
    assert refused.code == 2
    assert "av-questions has" in refused.err
