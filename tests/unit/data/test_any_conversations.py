"""Conversations of any content: every row is a sample or a problem, and none is read as another's."""

import json
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.data.any_conversations import load_any
from kairoscope.data.rows import Problem


def row(video: str, question: str, answer: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": question}, {"type": "video", "video": video}]
    messages = [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": content},
        {"role": "assistant", "content": answer},
    ]
    return {"conversations": messages, **more}


GOOD = [
    row("a.mp4", "What happens?", "A car turns left.\nIt rains."),
    row("a.mp4", "Where?", "In a town.", group="drive 1"),
    row("demo_3_left.mp4", "When?", "<answer>3</answer>", id="third", scenario="robots"),
]


def written(folder: Path, name: str, rows: list[Any]) -> Path:
    file = folder / name
    if file.suffix == ".json":
        file.write_text(json.dumps(rows))
    else:
        file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_rows_are_samples_with_their_own_words(tmp_path: Path, name: str) -> None:
    first, second, third = load_any(written(tmp_path, name, GOOD))
    assert first.video == tmp_path / "a.mp4"
    assert first.query == ("Look.", "What happens?", "")
    assert first.gold == "A car turns left.\nIt rains."
    assert (first.id, second.id, third.id) == ("a.mp4", "a.mp4#2", "third")
    assert (second.group, third.group, third.scenario) == ("drive 1", "demo_3", "robots")


def test_a_dataset_and_a_list_under_another_name_are_the_same(tmp_path: Path) -> None:
    import datasets

    texts = [{"talk": json.dumps(one["conversations"])} for one in GOOD]
    datasets.Dataset.from_list(texts).save_to_disk(str(tmp_path / "set"))
    named = [{"messages": one["conversations"]} for one in GOOD]
    from_file = load_any(written(tmp_path, "rows.jsonl", named))
    from_set = load_any(tmp_path / "set", column="talk")
    assert [s.query for s in from_set] == [s.query for s in from_file]
    assert [s.gold for s in from_set] == [s.gold for s in from_file]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row("a.mp4", "?", " "), "the assistant's text is empty"),
        ({"text": "x"}, "allowed: messages, or an object with conversations or messages"),
        ({"messages": [{"role": "user", "content": "hm"}]}, "roles are"),
        (7, "allowed: messages"),
    ],
)
def test_a_bad_row_is_a_problem_with_its_line_and_ends_nothing(
    tmp_path: Path, bad: Any, words: str
) -> None:
    file = written(tmp_path, "rows.jsonl", [GOOD[0], bad, GOOD[1]])
    problems: list[Problem] = []
    assert len(load_any(file, problems)) == 2
    assert [problem.where for problem in problems] == [f"{file}:2"]
    assert words in problems[0].what
    with pytest.raises(UserError, match=r"rows\.jsonl:2"):
        load_any(file)


def test_what_holds_no_conversations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no conversations"):
        load_any(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UserError, match="a list of conversations"):
        load_any(tmp_path / "x.json")
    with pytest.raises(UserError, match="has no rows"):
        load_any(written(tmp_path, "none.jsonl", []))
