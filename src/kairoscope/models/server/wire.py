"""What is written to a server and what is read from its answer. Pure: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from kairoscope.core import Prompt, Sampling, UserError


class NotAnAnswer(Exception):
    """JSON, but not what a chat completion looks like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """The frames of a clip as parts of a message (none without a clip), and what the server must be told about them."""

    parts: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]
    """Fields of the request beside the messages, for servers that know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers to a request."""

    text: str
    finish: Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All answers to a request, and what they took."""

    choices: tuple[Choice, ...]
    num_prompt_tokens: int
    num_new_tokens: int
    """Of all answers together."""
    prompt_ids: tuple[int, ...] | None
    """What the model was really fed, where the server tells."""


def messages(prompt: Prompt, medium: Medium) -> list[dict[str, Any]]:
    """System and user turn; the frames, if there are any, stand between `before` and `after`, as in training.

    An empty system turn is sent, too, as training writes it: without one, some chat templates put words of
    their own there.
    """
    found: list[dict[str, Any]] = [{"role": "system", "content": prompt.system}]
    if not medium.parts:
        # One text: servers put something of their own between parts.
        return [*found, {"role": "user", "content": prompt.before + prompt.after}]
    content: list[Mapping[str, Any]] = []
    if prompt.before:
        content.append({"type": "text", "text": prompt.before})
    content += medium.parts
    if prompt.after:
        content.append({"type": "text", "text": prompt.after})
    return [*found, {"role": "user", "content": content}]


def request_fields(
    model: str, prompt: Prompt, medium: Medium, sampling: Sampling, *, request_id: str
) -> dict[str, Any]:
    """A request for all trials of a question at once.

    Args:
        model: as the server calls it.
        prompt: what is asked.
        medium: the clip's frames.
        sampling: `trials` become the samples of one request. At temperature 0 they are all alike, so
            that one is asked for.
        request_id: with the seed and the trial, what randomness depends on.
    """
    return {
        "model": model,
        "messages": messages(prompt, medium),
        "n": num_samples(sampling),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": seed_of(sampling, request_id),
        **medium.settings,
    }


def num_samples(sampling: Sampling) -> int:
    """Answers to ask for: servers refuse several at temperature 0, where they would be equal."""
    return sampling.trials if sampling.temperature > 0 else 1


def seed_of(sampling: Sampling, request_id: str) -> int:
    """Seed of the first sample; vLLM gives sample i this plus i.

    So a trial has the same seed whichever trials are asked for with it.
    """
    name = f"{sampling.seed}/{request_id}".encode("utf-8", "surrogatepass")
    first = int.from_bytes(sha256(name).digest()[:4], "big") >> 1
    return first + sampling.first_trial


def read_reply(found: Any, expected: int) -> Reply:
    """An answer's JSON -> what is in it.

    Raises:
        NotAnAnswer: something is missing.
    """
    try:
        rows = sorted(found["choices"], key=lambda row: row.get("index", 0))
        usage = found.get("usage") or {}
        ids = found.get("prompt_token_ids")
        reply = Reply(
            choices=tuple(_choice(row) for row in rows),
            num_prompt_tokens=int(usage.get("prompt_tokens", 0)),
            num_new_tokens=int(usage.get("completion_tokens", 0)),
            prompt_ids=tuple(ids) if isinstance(ids, Sequence) else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotAnAnswer(f"its answer is no chat completion ({error!r})") from error
    if len(reply.choices) != expected:
        raise NotAnAnswer(f"it gave {len(reply.choices)} answers, {expected} were asked for")
    return reply


def _choice(row: Mapping[str, Any]) -> Choice:
    message = row["message"]
    text = message.get("content") or ""
    thought = message.get("reasoning") or message.get("reasoning_content")
    if thought:
        # As a server without a parser for reasoning gives it, so that records hold all of it.
        text = f"<think>{thought}</think>\n\n{text}"
    return Choice(text=text, finish="length" if row.get("finish_reason") == "length" else "stop")


def served_model(found: Any, name: str, url: str) -> Mapping[str, Any]:
    """The row of a model in what `/models` gives.

    Raises:
        UserError: it is not there.
    """
    rows = found.get("data") if isinstance(found, dict) else None
    rows = [row for row in rows or [] if isinstance(row, dict) and "id" in row]
    for row in rows:
        if row["id"] == name:
            return dict(row)
    names = ", ".join(str(row["id"]) for row in rows[:10]) or "none"
    raise UserError(f"--model openai:{name}: {url} serves no such model; it has: {names}")
