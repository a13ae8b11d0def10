"""`--refine`, and `--trials` of annotate, as a user meets them."""

import re
from pathlib import Path

import pytest
from command_line import Program, read_json, read_rows

ANNOTATE = ("annotate", "data", "--task=data/square.toml", "--model=model")
EVALUATE = ("evaluate", "subtask-times", "--data=data", "--model=model", "--no-control")


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    return tmp_path


def identity(folder: Path) -> str:
    return str(read_json(folder / "config.json")["config"]["model_identity"])


def test_refined_boundaries_are_another_run_and_are_kept_in_the_store(
    program: Program, place: Path
) -> None:
    store = "--store=answers.sqlite"
    plain = program.run(*EVALUATE, store, "--out=plain", cwd=place)
    assert "store: 8 answers kept" in plain.err, plain.said
    refined = program.run(*EVALUATE, store, "--refine", "--out=refined", cwd=place)
    # Boundaries of which the (untrained) model knows little are not asked about again.
    found = re.search(r"store: 8 of (\d+) answers came from", refined.err)
    assert found is not None, refined.said
    assert 8 <= int(found[1]) <= 24
    assert identity(place / "refined") != identity(place / "plain")
    refused = program.run(*EVALUATE, store, "--refine", "--out=plain", cwd=place)
    assert refused.code == 2
    assert "model_identity" in refused.err
    rows = read_rows(place / "refined" / "records.jsonl")
    assert all(row["unparsed"] is None for row in rows)
    annotated = program.run(*ANNOTATE, store, "--refine", "--out=found", cwd=place)
    assert f"store: {found[1]} of {found[1]} answers came from" in annotated.err, annotated.said
    assert len(read_rows(place / "found" / "boundaries.jsonl")) == 16


def test_several_trials_give_one_boundary_with_a_confidence(program: Program, place: Path) -> None:
    store = "--store=answers.sqlite"
    three = program.run(*ANNOTATE, store, "--trials=3", "--out=three", cwd=place)
    assert "store: 24 answers kept" in three.err, three.said
    boundaries = read_rows(place / "three" / "boundaries.jsonl")
    assert len(boundaries) == 16
    assert all(row["confidence"] is not None for row in boundaries)
    assert "median of 3" in identity(place / "three")
    five = program.run(*ANNOTATE, store, "--trials=5", "--out=five", cwd=place)
    assert "store: 24 of 40 answers came from" in five.err, five.said
    free = program.run(*ANNOTATE, "--decoding=free", "--trials=2", "--out=free", cwd=place)
    assert free.code in (0, 2), free.said  # an untrained model may name no event at all


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*ANNOTATE, "--refine", "--trials=3"), "contradict each other"),
        ((*ANNOTATE, "--temperature=0.7"), "are for several --trials"),
        ((*ANNOTATE, "--trials=3", "--temperature=0"), "3 times the same answer"),
        ((*ANNOTATE, "--trials=3", "--decoding=posterior"), "--trials needs --decoding"),
        ((*ANNOTATE, "--trials=0"), "trials is 0"),
        ((*EVALUATE, "--refine", "--decoding=constrained"), "--refine needs --decoding posterior"),
    ],
)
def test_a_mistake_is_one_message(
    program: Program, place: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = program.run(*arguments, "--out=o", cwd=place)
    assert ended.code == 2, ended.said
    assert words in ended.err
    assert not (place / "o").exists()
