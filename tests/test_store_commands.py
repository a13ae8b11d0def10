"""The store of answers as a user meets it: `--store`, `--no-store` and `kairoscope cache`."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_json, read_rows

EVALUATE = ("evaluate", "subtask-times", "--data=data", "--model=model", "--no-control")
DRAWN = ("--decoding=constrained", "--temperature=0.9")


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    return tmp_path


def answers(folder: Path) -> list[Any]:
    """Records without what tells whether they were stored."""
    rows = [row | {"seconds": 0, "extra": {}} for row in read_rows(folder / "records.jsonl")]
    return sorted(rows, key=lambda row: (row["sample_id"], row["trial"]))


def test_a_question_is_asked_once_whatever_the_run_and_the_command(
    program: Program, place: Path
) -> None:
    store = "--store=answers.sqlite"
    first = program.run(*EVALUATE, store, "--out=first", cwd=place)
    assert first.code == 0, first.said
    assert "store: 8 answers kept in answers.sqlite" in first.err
    assert not (place / "first" / "store.json").exists()
    again = program.run(*EVALUATE, store, "--out=again", cwd=place)
    assert "store: 8 of 8 answers came from answers.sqlite" in again.err
    assert "loading" not in again.err
    assert read_json(place / "again" / "store.json") == {"answers": 8, "from_store": 8}
    assert all(row["extra"]["stored"] for row in read_rows(place / "again" / "records.jsonl"))
    off = program.run(*EVALUATE, "--no-store", "--out=off", cwd=place)
    assert "store" not in off.err
    for name in ("again", "off"):
        assert answers(place / name) == answers(place / "first")
        assert read_json(place / name / "metrics.json") == read_json(place / "first/metrics.json")
    task = ("annotate", "data", "--task=data/square.toml", "--model=model")
    annotated = program.run(*task, store, "--out=annotated", cwd=place)
    assert "store: 8 of 8 answers came from answers.sqlite" in annotated.err, annotated.said
    assert read_json(place / "annotated" / "store.json") == {"answers": 8, "from_store": 8}
    alone = program.run(*task, "--out=alone", cwd=place)
    assert alone.code == 0
    boundaries = [(place / name / "boundaries.csv").read_bytes() for name in ("annotated", "alone")]
    assert boundaries[0] == boundaries[1]


def test_more_trials_ask_for_those_that_are_missing(program: Program, place: Path) -> None:
    store = "--store=answers.sqlite"
    two = program.run(*EVALUATE, *DRAWN, store, "--trials=2", "--out=two", cwd=place)
    assert "store: 16 answers kept" in two.err, two.said
    three = program.run(*EVALUATE, *DRAWN, store, "--trials=3", "--out=three", cwd=place)
    assert "store: 16 of 24 answers came from" in three.err, three.said
    off = program.run(*EVALUATE, *DRAWN, "--no-store", "--trials=3", "--out=off", cwd=place)
    assert off.code == 0
    assert answers(place / "three") == answers(place / "off")
    other = program.run(*EVALUATE, store, "--frames=fps=2", "--out=other", cwd=place)
    assert "store: 8 answers kept" in other.err


def test_the_store_is_shown_and_cleared(program: Program, place: Path) -> None:
    place = place.resolve()
    store = "--store=a store.sqlite"
    assert "no answers yet" in program.run("cache", store, cwd=place).out
    program.run(*EVALUATE, store, "--out=out", cwd=place)
    shown = program.run("cache", store, cwd=place)
    assert shown.code == 0, shown.said
    assert "subtask-times" in shown.out
    assert "a store.sqlite: 8 answers, " in shown.out
    [row] = json.loads(program.run("cache", store, "--json", cwd=place).out)["rows"]
    assert (row["model"], row["answers"], row["questions"], row["is_paid"]) == ("model", 8, 8, 0)
    assert "0 answers cleared" in program.run("cache", store, "--clear", "--model=x", cwd=place).out
    old = program.run("cache", store, "--clear", "--older-than=1h", cwd=place)
    assert "0 answers cleared" in old.out
    gone = program.run("cache", store, "--clear", "--model=model", cwd=place)
    assert "8 answers cleared" in gone.out
    assert "a store.sqlite: 0 answers" in gone.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cache", "--model=x"), "go with --clear"),
        (("cache", "--store=s", "--clear", "--older-than=3 days"), "such as 30d"),
        (("cache",), "there is no store: KAIROSCOPE_STORE is 'off'"),
        ((*EVALUATE, "--out=o", "--store=s", "--no-store"), "contradict each other"),
        ((*EVALUATE, "--out=o", "--store=data/labels.jsonl"), "is no store of answers"),
        ((*EVALUATE, "--out=o", "--store=data"), "is no store of answers"),
    ],
)
def test_a_mistake_is_one_message(
    program: Program, place: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = program.run(*arguments, cwd=place)
    assert ended.code == 2
    assert words in ended.err
    assert not (place / "o").exists()


def test_a_damaged_store_is_named_and_nothing_is_lost(program: Program, place: Path) -> None:
    program.run(*EVALUATE, "--store=answers.sqlite", "--out=first", cwd=place)
    with sqlite3.connect(place / "answers.sqlite") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray((place / "answers.sqlite").read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (place / "answers.sqlite").write_bytes(content)
    again = program.run(*EVALUATE, "--store=answers.sqlite", "--out=again", cwd=place)
    assert again.code == 0, again.said
    assert "is damaged" in again.err
    assert "store: 8 answers kept in answers.sqlite" in again.err
    assert answers(place / "again") == answers(place / "first")
    assert len(list(place.glob("answers.sqlite.damaged-*"))) == 1


def test_a_killed_run_leaves_its_answers_to_the_next(program: Program, place: Path) -> None:
    """In another folder: what was answered before the kill is not asked again."""
    killed = program.run(*EVALUATE, "--store=a.sqlite", "--out=killed", cwd=place, send=9, after=3)
    assert killed.code == -9, killed.said
    kept = json.loads(program.run("cache", "--store=a.sqlite", "--json", cwd=place).out)["rows"]
    assert kept[0]["answers"] >= 3
    shutil.rmtree(place / "killed")
    after = program.run(*EVALUATE, "--store=a.sqlite", "--out=after", cwd=place)
    assert f"store: {kept[0]['answers']} of 8 answers came from" in after.err
    whole = program.run(*EVALUATE, "--no-store", "--out=whole", cwd=place)
    assert whole.code == 0
    assert answers(place / "after") == answers(place / "whole")
