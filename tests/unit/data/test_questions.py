"""Questions in every form they come in; bad rows are named and left out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.data.conversations import write_conversations
from kairoscope.data.questions import Asked, load_questions, turned, write_questions
from kairoscope.data.rows import Problem
from kairoscope.recipes.av_questions import TASK

ROWS: list[dict[str, Any]] = [
    {"id": "q1", "video": "a.mp4", "question": "What does the light show?",
     "choices": ["Red", "Green"], "answer": "B", "kind": "light"},
    {"id": 2, "video": "clips/b.mp4", "question": "How many\nlanes?",
     "choices": {"A": "1", "B": "2", "C": "3"}, "answer": 3, "kind": "lanes"},
    {"video": "c", "question": "Why does it stop?", "answer": 'At a "stop" sign.', "group": "r1"},
    {"video": "c", "question": "Does it turn?", "choices": ["Yes", "No"], "answer": " no ",
     "duration_s": 4.0},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("sub/c.camera_front.mp4", "sub/c.camera_rear.mp4"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_lines_lists_and_tables_say_the_same(folder: Path) -> None:
    lines, listed, table = (folder / f"q.{suffix}" for suffix in ("jsonl", "json", "csv"))
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    listed.write_text(json.dumps(ROWS))
    table.write_text(
        "\ufeffid,video,question,choices,answer,kind,group,duration_s\n"
        "q1,a.mp4,What does the light show?,Red | Green,B,light,,\n"
        '2,clips/b.mp4,"How many\nlanes?",1|2|3,3,lanes,,\n'
        ',c,Why does it stop?,,"At a ""stop"" sign.",,r1,\n'
        ",c,Does it turn?,Yes|No,no,,,4\n",
        encoding="utf-8",
    )
    samples = load_questions(lines)
    assert samples == load_questions(listed) == load_questions(table)
    assert [sample.id for sample in samples] == ["q1", "2", "c#1", "c#2"]
    assert [sample.gold for sample in samples] == ["Green", "3", "At a 'stop' sign.", "No"]
    assert samples[1].query == Asked(question="How many lanes?", choices=("1", "2", "3"))
    assert samples[0].video == folder / "a.mp4"
    assert samples[2].video == folder / "sub" / "c.camera_front.mp4"
    assert [sample.scenario for sample in samples] == ["light", "lanes", "questions", "questions"]
    assert [sample.group for sample in samples] == ["a.mp4", "clips/b.mp4", "r1", "c"]
    assert samples[3].duration_s == 4.0
    listed.rename(folder / "questions.json")
    assert load_questions(folder) == samples
    lines.rename(folder / "questions.jsonl")
    with pytest.raises(UserError, match="allowed: one file of questions"):
        load_questions(folder)


def test_what_is_written_is_read_again(folder: Path) -> None:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    samples = load_questions(folder / "q.jsonl")
    write_questions(samples, folder / "again.jsonl")
    assert load_questions(folder / "again.jsonl") == samples


def test_conversations_ask_the_same(folder: Path) -> None:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    samples = load_questions(folder / "q.jsonl")
    write_conversations(samples, folder / "hf", TASK)
    read = load_questions(folder / "hf")
    assert [replace(s, video=Path()) for s in read] == [replace(s, video=Path()) for s in samples]
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": [
            {"type": "video", "video": "a.mp4"},
            {"type": "text", "text": "Which?\n(A) one thing\n(B) another\nGive the letter."}]},
        {"role": "assistant", "content": "B. another"},
    ]  # fmt: skip
    file = folder / "talks.jsonl"
    file.write_text(json.dumps({"messages": talk}) + "\n")
    [sample] = load_questions(file)
    assert sample.query == Asked(question="Which?", choices=("one thing", "another"))
    assert sample.gold == "another"
    talk[1]["content"] = "C"
    file.write_text(json.dumps(talk) + "\n")
    with pytest.raises(UserError, match="none of the letters A to B"):
        load_questions(file)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": "C"}, "allowed: a letter from A to B, or the text of a choice"),
        ({"answer": "blue"}, "or the text of a choice"),
        ({"answer": None}, "answer is null"),
        ({"answer": True}, "answer is true"),
        ({"choices": ["Red"]}, "a list of 2 to 26"),
        ({"choices": ["Red", "RED"]}, "is there twice"),
        ({"choices": ["B", "Red"]}, "is the letter of another choice"),
        ({"choices": {"A": "x", "C": "y"}}, "without a gap"),
        ({"choices": [" ", "y"]}, "a text of one line"),
        ({"question": " "}, "question is"),
        ({"video": "gone"}, "no clip gone"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"id": True}, "id is true"),
        ({"id": "2"}, "is there twice"),
        ({"duration_s": -1}, "seconds"),
    ],
)
def test_a_bad_row_is_named_and_left_out(folder: Path, change: dict[str, Any], why: str) -> None:
    rows = [ROWS[1], ROWS[0] | change]
    file = folder / "q.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems: list[Problem] = []
    assert [sample.id for sample in load_questions(file, problems)] == ["2"]
    [problem] = problems
    assert problem.where == f"{file}:2"
    assert why in problem.what
    with pytest.raises(UserError, match=r"q\.jsonl:2"):
        load_questions(file)


def test_files_that_hold_no_questions_say_so(folder: Path) -> None:
    for name, text, why in (
        ("q.txt", "x", "allowed: a file that ends in"),
        ("q.json", "{}", "allowed: a list of questions"),
        ("q.jsonl", "", "it is empty"),
        ("q.csv", "video,question,answer\na.mp4,x,y,z\n", "more cells"),
        ("e.csv", b"\xff\xfe".decode("latin-1"), "nothing to use"),
    ):
        (folder / name).write_text(text)
        with pytest.raises(UserError, match=why):
            load_questions(folder / name)
    with pytest.raises(UserError, match="no such file or folder"):
        load_questions(folder / "gone")
    with pytest.raises(UserError, match=r"holds no questions\.jsonl"):
        load_questions(folder)
    with pytest.raises(UserError, match="has none"):
        load_questions(folder / "q.jsonl", split="train")


def test_every_choice_comes_under_every_letter(folder: Path) -> None:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    samples = turned(load_questions(folder / "q.jsonl"))
    assert len({sample.id for sample in samples}) == len(samples) == 2 + 3 + 1 + 2
    lanes = [sample.query for sample in samples if sample.scenario == "lanes"]
    assert [query.turn for query in lanes] == [0, 1, 2]
    for place in range(3):
        assert sorted(query.choices[place] for query in lanes) == ["1", "2", "3"]
