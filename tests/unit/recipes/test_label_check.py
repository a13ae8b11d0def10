"""`kairoscope curate`: what a training would leave out, and planted wrong labels that are found."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_sweep_tasks import Judge

from kairoscope.core import UserError
from kairoscope.recipes import get_recipe
from kairoscope.recipes.label_check import check_labels_stage
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.stages import load_data

EXAMPLE = Path(__file__).parents[3] / "examples" / "physics" / "test"
PHYSICS = get_recipe("physics-score")
CONFIG = replace(PHYSICS.evaluation, wrong_video_control=False, bootstrap_draws=50)


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """Thirty clips with three wrong labels, a copy that agrees, and one that does not."""
    data = tmp_path / "data"
    (data / "clips").mkdir(parents=True)
    rows = [json.loads(line) for line in (EXAMPLE / "labels.jsonl").read_text().splitlines()[:30]]
    true = {row["video"]: row["score"] for row in rows}
    for row in rows:
        shutil.copy(EXAMPLE / row["video"], data / row["video"])
    for row in (rows[2], rows[11], rows[20]):
        row["score"] = 1 if row["score"] > 3 else 5
    for number, (row, score) in enumerate(((rows[0], true[rows[0]["video"]]), (rows[5], None))):
        copy = f"clips/copy_{number}.mp4"
        shutil.copy(EXAMPLE / row["video"], data / copy)
        true[copy] = true[row["video"]]
        rows.append(row | {"video": copy, "score": score or 6 - row["score"]})
    (data / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data, true


def test_copies_are_left_out_and_planted_labels_are_named(
    planted: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    data, true = planted
    samples, problems = load_data(data, PHYSICS.task.load)
    knows = [replace(sample, gold=true[sample.id]) for sample in samples]
    options: dict[str, Any] = {
        "out": tmp_path / "out",
        "model": Judge(PHYSICS, knows),
        "config": CONFIG,
        "frames": {"fps": 8.0},
        "on_progress": lambda *_: None,
    }
    found = check_labels_stage(PHYSICS, samples, problems, **options)
    wrong = {sample.id for sample in samples if sample.gold != true[sample.id]}
    assert found["dropped"] in ({"duplicate": 1, "conflict": 2}, {"conflict": 2, "duplicate": 1})
    assert sum(found["labels"]["score"].values()) == found["n_train"] == len(samples) - 3
    doubts = found["doubts"]
    kept = {clip["id"] for clip in found["clips"]}
    assert {row["sample_id"] for row in doubts["labels"][:3]} == wrong & kept
    assert doubts["num_contradicted"] == len(wrong & kept) == 3
    page = (tmp_path / "out" / "curation.html").read_text()
    assert all(name in page for name in wrong & kept)
    # Again, without asking anything; and the page alone.
    asked = Judge(PHYSICS, [])
    assert check_labels_stage(PHYSICS, samples, problems, **options | {"model": asked}) == found
    assert write_page(tmp_path / "out").read_text() == page


def test_without_a_model_labels_are_counted_and_none_is_doubted(
    planted: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    samples, problems = load_data(planted[0], PHYSICS.task.load)
    found = check_labels_stage(
        PHYSICS,
        samples,
        problems,
        out=tmp_path / "out",
        model=None,
        config=CONFIG,
        frames={},
        on_progress=lambda *_: None,
    )
    assert "doubts" not in found
    assert "--model" in (tmp_path / "out" / "curation.md").read_text()


def test_nothing_that_can_be_used_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "labels.jsonl").write_text('{"video": "broken.mp4", "score": 3}\n')
    samples, problems = load_data(tmp_path, PHYSICS.task.load)
    with pytest.raises(UserError, match=r"not one sample can be used; .*broken\.mp4"):
        check_labels_stage(
            PHYSICS,
            samples,
            problems,
            out=tmp_path / "out",
            model=None,
            config=CONFIG,
            frames={},
            on_progress=lambda *_: None,
        )
