"""Conversations of any content about one video each: a dataset, or a file of JSON. Pure but for datasets.

A file has a conversation a line (`.jsonl`), or a list of them (`.json`): a list of messages, or an
object with one under `conversations` or `messages`, and perhaps `id`, `group` and `scenario` beside it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairoscope.core import Sample, UserError
from kairoscope.data.messages import Messages, parse_messages, prompt_of, turns, user_parts
from kairoscope.data.rows import Problem, kind_of, parse_json_line, read_lines, show

if TYPE_CHECKING:
    from kairoscope.data.conversations import Row

Words = tuple[str, str, str]
"""System text, and the user's words before and after the video."""
ConversationSample = Sample[Words, str]
COLUMNS = ("conversations", "messages")
SCENARIO = "conversations"
"""What samples are called that nobody has sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyConversation:
    """One row."""

    sample: ConversationSample
    """With `video` as it is written in the row."""


def load_any(
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[ConversationSample]:
    """Every row that has one video, a question in words of its own and an answer.

    With a list of `problems`, bad rows are appended to it and left out; without, the first raises.

    Raises:
        UserError: neither a dataset nor such a file, a bad row and no list to put it in, or not one
            usable row.
    """
    return load_rows(path, problems, conversation, column=column, split=split)


def load_rows(
    path: Path,
    problems: list[Problem] | None,
    read: "Callable[[Mapping[str, Any], Messages], Row]",
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[Sample[Any, Any]]:
    """`load_any` for other tasks: `read` makes a row's sample, or raises UserError without file and line."""
    if kind_of(path) == "folder":
        from kairoscope.data.conversations import COLUMN, is_dataset, read_rows

        if not is_dataset(path):
            raise UserError(
                f"{path}: holds no conversations; expected what datasets.save_to_disk wrote, or give "
                "a .jsonl or .json file of them"
            )
        rows = read_rows(path, column or COLUMN, read, split=split, problems=problems)
        return [row.sample for row in rows]
    if split is not None:
        raise UserError(f"{path}: split {split!r}: a file of JSON has none")
    return _checked(path, list(_read_file(path, column, read)), problems)


def conversation(row: Mapping[str, Any], messages: Messages) -> AnyConversation:
    """A row of a dataset and its messages -> its sample. Raises UserError without file and line."""
    _, user, answer = turns(messages)
    [video] = [part["video"] for part in user_parts(user) if part["type"] == "video"]
    if not answer.strip():
        raise UserError("the assistant's text is empty")
    # Columns of another kind mean something else.
    own = {n: v for n in ("id", "group", "scenario") if isinstance(v := row.get(n), str) and v}
    asked = prompt_of(messages)
    return AnyConversation(
        sample=Sample(
            id=own.get("id", video),
            video=Path(video),
            query=(asked.system, asked.before, asked.after),
            gold=answer.strip(),
            group=own.get("group") or _recording(video),
            scenario=own.get("scenario", SCENARIO),
        )
    )


def _recording(video: str) -> str:
    from kairoscope.data.conversations import demonstration_of

    return demonstration_of(video) or video


def _read_file(
    file: Path, column: str | None, read: "Callable[[Mapping[str, Any], Messages], Row]"
) -> "Iterator[tuple[str, Row | UserError]]":
    """(where, row or what is wrong with it)."""
    for where, found in _rows(file):
        try:
            row = found if isinstance(found, list | dict) else parse_json_line(found)
            yield where, read(*_with_messages(row, column))
        except UserError as error:
            yield where, error


def _rows(file: Path) -> Iterable[tuple[str, Any]]:
    if file.suffix.lower() != ".json":
        return [(f"{file}:{number}", line) for number, line in read_lines(file)]
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(found, list):
        raise UserError(f"{file}: is {show(found)}; allowed: a list of conversations")
    return [(f"{file}: row {number}", row) for number, row in enumerate(found, 1)]


def _with_messages(row: Any, column: str | None) -> tuple[Mapping[str, Any], Messages]:
    if isinstance(row, list):
        return {}, parse_messages(row)
    wanted = (column, *COLUMNS) if column else COLUMNS
    names = [name for name in wanted if isinstance(row, Mapping) and name in row]
    if not names:
        raise UserError(f"{show(row)}: allowed: messages, or an object with {' or '.join(COLUMNS)}")
    return row, parse_messages(row[names[0]])


def _checked(
    file: Path,
    rows: "list[tuple[str, Row | UserError]]",
    problems: list[Problem] | None,
) -> list[Sample[Any, Any]]:
    """Samples with clips beside the file; a name that comes twice has the number of its row behind it."""
    found = [
        Problem(where=where, what=str(row)) for where, row in rows if isinstance(row, UserError)
    ]
    samples: dict[str, Sample[Any, Any]] = {}
    for number, (_, row) in enumerate(rows, 1):
        if isinstance(row, UserError):
            continue
        one = row.sample
        name = f"{one.id}#{number}" if one.id in samples else one.id
        samples[name] = replace(one, id=name, video=file.parent / one.video)
    if found and (problems is None or not samples):
        raise UserError(f"{found[0]} ({len(found)} of {len(rows)} rows cannot be used)")
    if not samples:
        raise UserError(f"{file}: has no rows")
    if problems is not None:
        problems.extend(found)
    return list(samples.values())
