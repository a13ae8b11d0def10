"""Clips and labels as real folders hold them: listed and counted, never a traceback or a wrong number."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import EVENTS, Program, read_json, read_rows, write_odd_clips, write_rows
from resumable import COMMANDS, RESULTS, is_clean, world_in

# --- clips ---------------------------------------------------------------------------------


def test_bad_clips_are_listed_and_good_ones_are_right(
    program: Program, world: Path, tmp_path: Path
) -> None:
    place = world_in(tmp_path, world)
    good, bad = write_odd_clips(place / "clips", world / "data" / "a.mp4")
    args = ("--task=data/square.toml", "--model=model")
    alone = program.run("annotate", "data/a.mp4", *args, "--out=alone", cwd=place)
    assert alone.code == 0, alone.said
    [*expected] = read_rows(place / "alone" / "boundaries.jsonl")

    ended = program.run("annotate", "clips", *args, "--out=out", cwd=place)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    assert f"{len(good) + len(bad)} clips" in ended.out
    assert f"{len(bad)} clips without boundaries" in ended.out
    problems = {row["clip"]: row["reason"] for row in read_json(place / "out" / "problems.json")}
    assert sorted(problems) == sorted(bad)
    for name in bad:
        assert name in ended.err
    found: dict[str, list[Any]] = {name: [] for name in good}
    for row in read_rows(place / "out" / "boundaries.jsonl"):
        found[row["clip"]].append(row)
    for name in good:
        if name == "large.mp4":
            assert [row["event"] for row in found[name]] == list(EVENTS)
        else:
            assert found[name] == [{**row, "clip": name} for row in expected]


def test_stamping_goes_past_bad_clips(program: Program, world: Path, tmp_path: Path) -> None:
    good, bad = write_odd_clips(tmp_path / "clips", world / "data" / "a.mp4")
    ended = program.run("stamp", "clips", "out", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    assert f"{len(good)} stamped, 0 were there already, {len(bad)} could not be read" in ended.out
    assert ended.err.count("not stamped: ") == len(bad)
    assert len(list((tmp_path / "out").iterdir())) == len(good)


def test_only_bad_clips_are_an_error(program: Program, world: Path, tmp_path: Path) -> None:
    place = world_in(tmp_path, world)
    (place / "clips").mkdir()
    (place / "clips" / "[red]no.mp4").touch()
    write_rows(place / "clips", [{**row_of(world), "video": "[red]no.mp4"}])
    for args in (
        ["annotate", "clips", "--task=data/square.toml", "--model=model", "--out=a"],
        ["evaluate", "subtask-times", "--data=clips", "--model=model", "--out=e"],
        ["sft", "subtask-times", "--data=clips", "--model=model", "--out=s"],
        ["stamp", "clips", "out"],
        ["frames", "clips/[red]no.mp4"],
    ):
        ended = program.run(*args, cwd=place)
        assert ended.code == 2, ended.said
        assert is_clean(ended)
        assert ended.out == ""
        assert "error: " in ended.err
    assert "clips/[red]no.mp4: the file is empty" in ended.err


def row_of(world: Path) -> dict[str, Any]:
    return read_rows(world / "data" / "labels.jsonl")[0]


def test_a_clip_that_was_repaired_is_asked_about_again(
    program: Program, world: Path, tmp_path: Path, uninterrupted: Callable[[str], dict[str, bytes]]
) -> None:
    (tmp_path / "model").symlink_to(world / "model")
    for name in ("annotate", "evaluate"):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.copytree(world / "data", tmp_path / "data")
        (tmp_path / "data" / "c.mp4").write_bytes(b"")
        command = [*COMMANDS[name][:-1], f"--out={name}"]
        assert program.run(*command, cwd=tmp_path).code == 0
        shutil.copy(world / "data" / "c.mp4", tmp_path / "data" / "c.mp4")
        ended = program.run(*command, cwd=tmp_path)
        assert ended.code == 0, ended.said
        found = {file: (tmp_path / name / file).read_bytes() for file in RESULTS[name]}
        assert found == uninterrupted(name)


def test_another_clip_under_an_old_name_is_not_given_the_old_answer(
    program: Program, world: Path, tmp_path: Path
) -> None:
    place = world_in(tmp_path, world)
    (place / "clips").mkdir()
    clip = place / "clips" / "take.mp4"
    args = ("annotate", "clips", "--task=data/square.toml", "--model=model", "--out=out")
    texts = []
    for letter in ("a", "b", "b"):
        clip.unlink(missing_ok=True)
        shutil.copy2(world / "data" / f"{letter}.mp4", clip)
        ended = program.run(*args, cwd=place)
        assert ended.code == 0, ended.said
        texts.append((place / "out" / "boundaries.csv").read_text())
    assert texts[0] != texts[1] == texts[2]
    assert "loading" not in ended.err


# --- labels --------------------------------------------------------------------------------


def bad_labels(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is wrong -> the row of a label file (an object, or text as it stands)."""

    def times(*events: tuple[str, float, float]) -> list[dict[str, Any]]:
        return [{"name": n, "start_s": start_s, "end_s": end_s} for n, start_s, end_s in events]

    first, *others = rows
    return {
        "unknown clip": {**first, "video": "nowhere.mp4", "group": "nowhere"},
        "negative": {**others[0], "events": times(("x", -1, 2))},
        "reversed": {**others[1], "events": times(("x", 2, 1))},
        "twice": {**others[2], "events": times(("x", 0, 1), ("X", 1, 2))},
        "NaN": str(first).replace("'", '"').replace("0.0", "NaN", 1).replace("a.mp4", "n.mp4"),
        "past the stated end": {**others[3], "events": times(("x", 0, 99))},
        "the same clip": first,
        "torn": '{"video": "torn.mp4", "eve',
    }


@pytest.fixture
def labelled(world: Path, tmp_path: Path) -> Path:
    """A folder whose labels are bad in every known way, but for four good ones."""
    place = world_in(tmp_path, world)
    shutil.copytree(world / "data", place / "bad")
    rows = read_rows(world / "data" / "labels.jsonl")
    past = {**rows[7], "events": [{"name": EVENTS[0], "end_s": 99.0}]}
    del past["duration_s"]  # only the clip itself tells
    shutil.copy(world / "data" / "g.mp4", place / "bad" / "i.mp4")
    other = {**rows[6], "video": "i.mp4", "group": "i", "duration_s": 500.0}
    write_rows(place / "bad", [*rows[:3], past, other, *bad_labels([rows[0], *rows[3:7]]).values()])
    return place


def test_bad_labels_are_listed_by_evaluate(program: Program, labelled: Path) -> None:
    args = ("evaluate", "subtask-times", "--data=bad", "--model=model", "--out=out")
    ended = program.run(*args, cwd=labelled)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    problems = read_json(labelled / "out" / "problems.json")
    kinds = sorted(problem["kind"] for problem in problems)
    assert kinds == [
        "label past the end",
        *["label row"] * 7,
        "unreadable clip",
        "wrong duration",
    ]
    assert "10 problems" in ended.err
    metrics = read_json(labelled / "out" / "metrics.json")
    assert metrics["n_clips"] == 4  # three good ones, and the one that is not there
    assert metrics["answered"] == 0.75
    unscored = read_rows(labelled / "out" / "unscored.jsonl")
    assert [row["sample_id"] for row in unscored] == ["h.mp4", "i.mp4"]


def test_good_labels_are_scored_as_if_alone(program: Program, labelled: Path) -> None:
    """The bad rows beside them change nothing in what was answered without failure."""
    rows = read_rows(labelled / "data" / "labels.jsonl")[:3]
    shutil.copytree(labelled / "data", labelled / "good")
    write_rows(labelled / "good", rows)
    answered = []
    for data in ("bad", "good"):
        args = ("evaluate", "subtask-times", f"--data={data}", "--model=model", f"--out=o{data}")
        ended = program.run(*args, "--no-control", cwd=labelled)
        assert ended.code == 0, ended.said
        ends = read_json(labelled / f"o{data}" / "metrics.json")["ends"]
        answered.append(
            [ends["answered_only"][key] for key in ("mae_s", "mre_percent", "mre_ci95")]
        )
    for bad, good in zip(*answered, strict=True):
        assert bad == pytest.approx(good)


def test_bad_labels_are_listed_by_sft(program: Program, labelled: Path) -> None:
    args = ("sft", "subtask-times", "--data=bad", "--model=model", "--out=out")
    ended = program.run(*args, "--set=max_steps=1", "--set=batch_size=2", cwd=labelled)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    manifest = read_json(labelled / "out" / "curation.json")
    assert manifest["n_in"] == 13
    once = ("outside the clip", "unreadable clip", "wrong duration")
    assert manifest["dropped"] == {"bad label": 7, **dict.fromkeys(once, 1)}
    assert ended.err.count("left out: ") == 10
