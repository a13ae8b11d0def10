"""Conversations as lists of messages: what they ask, what they answer, which video. Pure."""

import json
import re
from collections.abc import Sequence
from typing import Any

from kairoscope.answers import parse_events
from kairoscope.core import Prompt, Unparsed, UserError
from kairoscope.data.labels import LabelRow, check_event_names, parse_row
from kairoscope.data.rows import show
from kairoscope.events import Event, aligned, normalised

_ASKED = re.compile(r"^[ \t]*Event[ \t]+\d+[ \t]*:[ \t]*([^<\s].*?)[ \t]*$", re.MULTILINE)
"""A name never begins with `<`: that is the example of an answer's form."""

Messages = list[dict[str, Any]]


def parse_messages(value: Any) -> Messages:
    """The list in a cell: JSON text, or the list itself; `{"messages": [...]}` is one, too.

    Raises:
        UserError: it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the conversation is not JSON: {error}") from error
    if isinstance(value, dict):
        value = value.get("messages", value)
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise UserError(f"the conversation is {show(value)}; allowed: a list of messages")
    return value


def turns(messages: Messages) -> tuple[str, Any, str]:
    """(system text or "", the user's content, the assistant's text).

    Raises:
        UserError: other roles, or one of the two texts is none.
    """
    roles = [message.get("role") for message in messages]
    if roles not in (["system", "user", "assistant"], ["user", "assistant"]):
        raise UserError(f"roles are {show(roles)}; allowed: system (or none), user, assistant")
    *system, user, assistant = [message.get("content") for message in messages]
    return (
        _only_text("system", system[0]) if system else "",
        user,
        _only_text("assistant", assistant),
    )


def _only_text(role: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    lines = [text for text in texts if isinstance(text, str)]
    if not lines or len(lines) != len(parts):
        raise UserError(f"the {role} content is {show(content)}; allowed: text")
    return "\n".join(lines)


def user_parts(content: Any) -> list[dict[str, Any]]:
    """The user's content: texts and exactly one video.

    Raises:
        UserError: there is anything else, no video, or more than one.
    """
    if not isinstance(content, list):
        raise UserError(f"the user's content is {show(content)}; allowed: a list with a video")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("video", "text") or not isinstance(part.get(kind), str):
            raise UserError(f"the user's content holds {show(part)}; allowed: one video, and texts")
    count = sum(part["type"] == "video" for part in content)
    if count != 1:
        raise UserError(f"the user's content holds {count} videos; allowed: one")
    return content


def prompt_of(messages: Messages) -> Prompt:
    """The words around the video: system text, and the user's texts before and after it."""
    system, user, _ = turns(messages)
    parts = user_parts(user)
    place = next(i for i, part in enumerate(parts) if part["type"] == "video")
    before, after = (
        "\n".join(part["text"] for part in side if part["type"] == "text")
        for side in (parts[:place], parts[place:])
    )
    return Prompt(system=system, before=before, after=after)


def event_names(text: str) -> list[str]:
    """The names in lines such as `Event 1: grasping the pod`, in their order."""
    return _ASKED.findall(text)


def labelled(video: str, names: Sequence[str], answer: str, **more: Any) -> LabelRow:
    """A label row made of the names that are asked for and a text with their times.

    Raises:
        UserError: a name twice, no times, an event without times or with another name, or times
            that a label file may not hold either.
    """
    query = check_event_names(names)
    events = parse_events(answer, query)
    if isinstance(events, Unparsed):
        raise UserError(f"answer {show(answer)}: {events.reason}")
    rows = [
        _event_row(number, name, event)
        for number, (name, event) in enumerate(zip(query, aligned(events, query), strict=True), 1)
    ]
    return parse_row({"video": video, "events": rows} | more, 0)


def _event_row(number: int, name: str, event: Event | None) -> dict[str, Any]:
    if event is None:
        raise UserError(f"event {number}: {name!r} has no times in the answer")
    if normalised(event.name) != normalised(name):
        raise UserError(f"event {number}: asked for {name!r}, the answer is about {event.name!r}")
    return {"name": name, "start_s": event.start_s, "end_s": event.end_s}
