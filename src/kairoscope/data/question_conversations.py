"""Questions as conversations: the user's text asks and lists the choices, the assistant answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.answers.questions import parse_choice, parse_words
from kairoscope.core import Sample, Unparsed, UserError
from kairoscope.data.any_conversations import AnyConversation, load_rows
from kairoscope.data.any_conversations import conversation as any_conversation
from kairoscope.data.messages import Messages
from kairoscope.data.question_rules import checked_answer, checked_choices
from kairoscope.data.questions import KIND, Asked, QuestionSample
from kairoscope.data.rows import Problem, show
from kairoscope.fields.choices import LETTERS

_CHOICE = re.compile(r"^[ \t]*[(\[]?([A-Z])[).:\]][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionConversation:
    """One row."""

    sample: QuestionSample


def load_question_conversations(
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[QuestionSample]:
    """A dataset of conversations, or a file of them -> questions; arguments and errors as in `load_any`.

    Lines `A. text`, `(B) text`, … of the user's text, in order from A on, are the choices; what stands
    before them is the question. Without such lines it is open.
    """
    return load_rows(path, problems, _conversation, column=column, split=split)


def _conversation(row: Mapping[str, Any], messages: Messages) -> QuestionConversation:
    """Raises UserError where the assistant's text answers nothing that was asked."""
    found: AnyConversation = any_conversation(row, messages)
    one = found.sample
    _, before, after = one.query
    asked = asked_in("\n".join(part for part in (before, after) if part))
    assert one.gold is not None
    said = parse_choice(asked.choices, one.gold) if asked.choices else parse_words(one.gold)
    if isinstance(said, Unparsed):
        raise UserError(f"answer {show(one.gold)}: {said.reason}")
    own = row.get("scenario")
    return QuestionConversation(
        sample=Sample(
            id=one.id,
            video=one.video,
            query=asked,
            gold=checked_answer(said, asked.choices),
            group=one.group,
            scenario=own if isinstance(own, str) and own else KIND,
            duration_s=row.get("duration_s"),
        )
    )


def asked_in(text: str) -> Asked:
    """The question and the choices in a user's text. Raises UserError for choices that cannot be."""
    lines: list[re.Match[str]] = []
    for match in _CHOICE.finditer(text):
        if match[1] == LETTERS[len(lines)]:
            lines.append(match)
    if len(lines) < 2:
        lines = []
    question = " ".join((text[: lines[0].start()] if lines else text).split())
    if not question:
        raise UserError(f"the user's text asks nothing: {show(text)}")
    choices = checked_choices([line[2] for line in lines]) if lines else ()
    return Asked(question=question, choices=choices)
