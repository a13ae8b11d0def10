"""Questions about clips: `questions.jsonl`, `.json` or `.csv` beside them, or conversations.

    {"id": "a-1", "video": "a.mp4", "question": "What does the light show?",
     "choices": ["Red", "Green"], "answer": "B", "kind": "traffic light"}

`video` is a path relative to the file, or the id of a clip `<id>.<camera>.mp4` in its folder. Without
`choices` the question is open and `answer` is a text. A row that breaks a rule is a `Problem` with its
file and line, never a sample.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from kairoscope.core import Sample, UserError
from kairoscope.data.camera_clips import clip_of, clips_by_id
from kairoscope.data.clips import VIDEO_SUFFIXES
from kairoscope.data.question_rules import checked_answer, checked_choices
from kairoscope.data.rows import (
    Problem,
    check_keys,
    kind_of,
    optional,
    parse_json_line,
    read_lines,
    seconds,
    show,
    text,
)
from kairoscope.storage import write_text_atomic

NAME = "questions"
SUFFIXES = (".jsonl", ".json", ".csv")
ROW_KEYS = ("id", "video", "question", "choices", "answer", "kind", "group", "duration_s")
NEEDED = ("video", "question", "answer")
KIND = "questions"
"""What questions are called that nobody has sorted."""
BETWEEN = "|"
"""Between the choices in a cell of a CSV file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it is put."""

    question: str
    choices: tuple[str, ...] = ()
    """Under A, B, C, …, in this order; none: an open question."""
    turn: int = 0
    """By how many places the choices have been moved on from their order in the data."""


QuestionSample = Sample[Asked, str]
"""Gold: the text of the right choice, or of the answer. `scenario`: the kind of question."""


def load_questions(
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[QuestionSample]:
    """Samples of a folder with a file of questions, of such a file, or of conversations.

    With a list of `problems`, bad rows are appended to it and left out; without, the first bad row
    raises. Clips are not opened.

    Raises:
        UserError: none of these, a bad row and no list to put it in, or not one usable row.
    """
    found = kind_of(path)
    if found == "nothing":
        raise UserError(f"{path}: no such file or folder; expected questions about clips")
    file = _file_in(path) if found == "folder" else path
    if file is None or _holds_conversations(file):
        from kairoscope.data.question_conversations import load_question_conversations

        return load_question_conversations(path, problems, column=column, split=split)
    if split is not None:
        raise UserError(f"{path}: split {split!r}: a file of questions has none")
    return _checked(file, problems)


def _file_in(folder: Path) -> Path | None:
    """The file of questions in a folder, or None for a dataset on disk."""
    from kairoscope.data.conversations import is_dataset

    names = [folder / f"{NAME}{suffix}" for suffix in SUFFIXES]
    there = [name for name in names if kind_of(name) == "file"]
    if len(there) > 1:
        called = " and ".join(name.name for name in there)
        raise UserError(f"{folder}: holds {called}; allowed: one file of questions")
    if not there and not is_dataset(folder):
        raise UserError(
            f"{folder}: holds no {', '.join(name.name for name in names)} and no dataset on disk"
        )
    return there[0] if there else None


def _holds_conversations(file: Path) -> bool:
    """Whether the first row of a file of JSON has messages, and no question."""
    if file.suffix.lower() == ".csv":
        return False
    first: Any = next((row for _, row in _rows(file)), None)
    return isinstance(first, list) or (
        isinstance(first, dict) and bool(first.keys() & {"messages", "conversations"})
    )


# --- rows ----------------------------------------------------------------------------------


def _checked(file: Path, problems: list[Problem] | None) -> list[QuestionSample]:
    clips = cache(lambda: clips_by_id(file.parent))
    samples: dict[str, QuestionSample] = {}
    bad: list[Problem] = []
    asked: dict[str, int] = {}
    for where, row in _rows(file):
        try:
            if isinstance(row, UserError):
                raise row
            sample = parse_question_row(row, file.parent, lambda name: clip_of(name, clips()))
            asked[sample.id] = number = asked.get(sample.id, 0) + 1
            if "id" not in row:
                sample = replace(sample, id=f"{sample.id}#{number}")
            if sample.id in samples:
                raise UserError(f"id {sample.id!r} is there twice; every question needs its own")
            samples[sample.id] = sample
        except UserError as error:
            bad.append(Problem(where=where, what=str(error)))
    if bad and problems is None:
        raise UserError(str(bad[0]) + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""))
    if problems is not None:
        problems.extend(bad)
    if not samples:
        reason = f"none of its {len(bad)} rows is valid; first: {bad[0]}" if bad else "it is empty"
        raise UserError(f"{file}: nothing to use: {reason}")
    return list(samples.values())


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """(where, row as JSON or the UserError of its line)."""
    suffix = file.suffix.lower()
    if suffix == ".csv":
        yield from _csv_rows(file)
    elif suffix == ".json":
        raw = b"".join(line + b"\n" for _, line in read_lines(file))
        try:
            found = parse_json_line(raw)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
        if not isinstance(found, list):
            raise UserError(f"{file}: is {show(found)}; allowed: a list of questions")
        yield from ((f"{file}: row {number}", row) for number, row in enumerate(found, 1))
    elif suffix == ".jsonl":
        for number, line in read_lines(file):
            try:
                yield f"{file}:{number}", parse_json_line(line)
            except UserError as error:
                yield f"{file}:{number}", error
    else:
        raise UserError(f"{file}: allowed: a file that ends in {', '.join(SUFFIXES)}")


def _csv_rows(file: Path) -> Iterator[tuple[str, Any]]:
    """Empty cells are absent; choices stand in one cell, with `|` between them."""
    try:
        table = file.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(table, newline=""), strict=True)
        for row in reader:
            where = f"{file}:{reader.line_num}"
            if None in row:
                yield where, UserError(f"has more cells than the first line: {show(row[None])}")
                continue
            cells: dict[str, Any] = {key: cell for key, cell in row.items() if cell}
            if "choices" in cells:
                cells["choices"] = [part.strip() for part in cells["choices"].split(BETWEEN)]
            if "duration_s" in cells:
                cells["duration_s"] = _number(cells["duration_s"])
            yield where, cells
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: no table in UTF-8: {error}") from error


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def parse_question_row(row: Any, folder: Path, find: Callable[[str], Path]) -> QuestionSample:
    """One row as JSON -> its sample, named by its id or else its clip. Raises UserError without file
    and line. `find`: id of a clip -> its path.
    """
    check_keys(row, ROW_KEYS, NEEDED, "a row")
    video = text(row, "video")
    kind = optional(row, "kind", text) or KIND
    choices = checked_choices(row["choices"]) if row.get("choices") not in (None, []) else ()
    name = row.get("id", video)
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name).strip():
        raise UserError(f"id is {show(name)}; allowed: a text or a whole number")
    return Sample(
        id=str(name).strip(),
        video=folder / video if Path(video).suffix.lower() in VIDEO_SUFFIXES else find(video),
        query=Asked(question=_one_line(row, "question"), choices=choices),
        gold=checked_answer(row["answer"], choices),
        group=optional(row, "group", text) or video,
        scenario=kind,
        duration_s=optional(row, "duration_s", seconds),
    )


def _one_line(row: Mapping[str, Any], key: str) -> str:
    return " ".join(text(row, key).split())


# --- writing and turning -------------------------------------------------------------------


def question_row(sample: QuestionSample, folder: Path) -> dict[str, Any]:
    """One sample as the JSON object of its row in a file that lies in `folder`."""
    inside = sample.video.is_relative_to(folder)
    video = sample.video.relative_to(folder) if inside else sample.video.absolute()
    row: dict[str, Any] = {
        "id": sample.id,
        "video": video.as_posix(),
        "question": sample.query.question,
        "choices": list(sample.query.choices) or None,
        "answer": sample.truth,
        "kind": sample.scenario,
        "group": sample.group,
        "duration_s": sample.duration_s,
    }
    return {key: value for key, value in row.items() if value is not None}


def write_questions(samples: Iterable[QuestionSample], file: Path) -> None:
    """Write a `.jsonl` file of questions, whole or not at all."""
    rows = (question_row(sample, file.parent) for sample in samples)
    write_text_atomic(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def turned(samples: Iterable[QuestionSample]) -> list[QuestionSample]:
    """Every question once for each place its choices can be moved on by: each is shown under each letter.

    Open questions stay as they are. The first turn keeps its id; the others have `@1`, `@2`, … behind it.
    """
    found: list[QuestionSample] = []
    for sample in samples:
        choices = sample.query.choices
        found.append(sample)
        for turn in range(1, len(choices)):
            query = replace(sample.query, choices=choices[-turn:] + choices[:-turn], turn=turn)
            found.append(replace(sample, id=f"{sample.id}@{turn}", query=query))
    return found
