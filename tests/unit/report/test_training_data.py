"""The page of a training says what it was given, what became of a foreign file, and why it ended."""

from pathlib import Path
from typing import Any

from kairoscope.recipes.pages import write_training_page
from kairoscope.runs import Run

STEP = {"kind": "step", "of": 9, "loss": 2.0, "learning_rate": 1e-3, "seconds": 1.0}
CHECK: dict[str, Any] = {
    "kind": "check",
    "kept": 5,
    "rejected": [{"sample_id": "long.mp4", "reason": "99 tokens, more than max_tokens = 50"}],
    "labels": {"1": 4, "5": 1},
    "epoch": [
        {"name": "1", "samples": 4, "per_epoch": 4},
        {"name": "5", "samples": 1, "per_epoch": 4},
    ],
}
CURATION = {
    "n_in": 9,
    "n_train": 6,
    "n_held_out": 2,
    "n_dropped": 1,
    "drops": [{"sample_id": "b.mp4", "reason": "unreadable clip", "detail": "cut off <here>"}],
    "held_out_problems": ["held.jsonl:3: score is 7"],
}
KEYS = [
    {"key": "train.epoch", "value": 3, "given": True, "outcome": "used", "became": "epochs = 3"},
    {"key": "train.resume", "value": False, "given": False, "outcome": "adapted", "became": ""},
    {"key": "train.fp8", "value": True, "given": True, "outcome": "warning", "became": ""},
]


def page(folder: Path, files: dict[str, Any], sft: dict[str, Any] | None = None) -> str:
    with Run.open(folder, kind="sft", config={"sft": sft or {}, "model": "m"}) as run:
        for number in range(1, 5):
            run.append("train", STEP | {"step": number})
        if "check" in files:
            run.append("train", files.pop("check"))
        for name, value in files.items():
            run.write_json(f"{name}.json", value)
    write_training_page(folder)
    return (folder / "training.md").read_text()


def test_labels_before_and_after_balancing_and_everything_left_out(tmp_path: Path) -> None:
    text = page(tmp_path, {"check": CHECK, "curation": CURATION}, {"balance": "up"})
    assert (
        "Of 9 samples, 6 were to be trained on, 2 to choose the best checkpoint on, and 1" in text
    )
    assert "| 1 | 4 | 4 |" in text
    assert "| 5 | 1 | 4 |" in text
    assert "as often as the commonest of its data set" in text
    for words in ("unreadable clip", "99 tokens, more than", "held.jsonl:3: score is 7"):
        assert words in text
    html = (tmp_path / "training.html").read_text()
    assert "cut off &lt;here&gt;" in html


def test_without_balancing_labels_are_counted_and_nothing_else_is_said(tmp_path: Path) -> None:
    even = CHECK | {"rejected": [], "epoch": [{"name": "", "samples": 5, "per_epoch": 5}]}
    text = page(tmp_path, {"check": even})
    assert "| 5 | 1 |" in text
    assert "An Epoch" not in text
    assert "Nothing was left out." in text
    assert "Early Stopping" not in text


def test_a_run_out_of_patience_is_finished_and_says_where_and_why(tmp_path: Path) -> None:
    result = {"last_step": 4, "num_steps": 9, "best_step": 2, "best_score": 1.0}
    text = page(tmp_path / "a", {"result": result}, {"patience": 2, "min_improvement": 0.5})
    assert "ended at step 4 of 9: none of the 2 evaluations after step 2 was better by 0.5" in text
    assert "not finished" not in text
    assert "not finished" in page(tmp_path / "b", {})


def test_every_key_of_a_foreign_file_is_told_by_what_became_of_it(tmp_path: Path) -> None:
    rows = [row | {"why": f"because of {row['key']}"} for row in KEYS]
    text = page(tmp_path, {"cosmos_rl": rows})
    assert "### Honoured (1)" in text
    assert "### Changed (1)" in text
    assert "### Not done, and the run goes on without (1)" in text
    assert "train.resume (not in the file)" in text
    assert all(f"because of {row['key']}" in text for row in KEYS)
    assert "Refused" not in text
