"""An answer along its template, slot by slot, each at its median: `posterior` from a server.

The texts between slots are not written by the model but put behind the prompt, as in this process, so
that they are cut into tokens as training cut them.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kairoscope.core import Posterior, Sampling, Slot, Template, Text, UserError
from kairoscope.models.grammar import choices_regex, words_regex
from kairoscope.models.server.constraint import Form, constrained
from kairoscope.models.server.http import Connection, Refused
from kairoscope.models.server.slots import distribution, median
from kairoscope.models.server.wire import NotAnAnswer, Reply, read_reply, seed_of

SAMPLES, MORE_SAMPLES = 32, 8
"""Of a slot's first look, and of a later one, which goes on from a place that no sample came to."""
SPREAD = 1.5
"""Temperature of the samples, so that they take many ways. What is told of them is before it."""
TOP = 20
"""Probabilities a token; what vLLM gives unless it is started with other settings. Digits are ten."""
Ask = Callable[[bytes, int], Awaitable[tuple[Reply, Any]]]
"""(request, answers that it must give) -> the answer, read and as it came."""


@dataclass(slots=True)
class Walked:
    """An answer with the distributions of its slots."""

    text: str = ""
    posteriors: list[Posterior] = field(default_factory=list)
    first: Reply | None = None
    """Of the first question: what the model was fed."""
    begun: str = ""
    """What of the answer stood behind the prompt of the first question."""
    num_new_tokens: int = 0

    def take(self, reply: Reply, begun: str) -> None:
        """Count a reply to a question behind whose prompt so much of the answer stood."""
        if self.first is None:
            self.first, self.begun = reply, begun
        self.num_new_tokens += reply.num_new_tokens


async def walk(template: Template, fields: Mapping[str, Any], form: Form, ask: Ask) -> Walked:
    """Go through a template.

    Args:
        template: the grammar of the answer.
        fields: the request, as for an answer in one piece.
        form: how the server is held to values.
        ask: see `Ask`.

    Raises:
        UserError: the server does not tell probabilities.
    """
    walked = Walked()
    picked: list[int] = []
    for part in template:
        if isinstance(part, str):
            walked.text += part
        elif isinstance(part, Text):
            walked.text += await _words(walked, part, fields, form, ask)
        else:
            least = 0 if part.not_before is None else picked[part.not_before]
            look = partial(_look, walked, part, fields, form, ask)
            p = await distribution(part.choices, least, look)
            picked.append(median(p))
            walked.text += part.choices[picked[-1]]
            walked.posteriors.append(
                Posterior(slot=part.name, choices=part.choices, probabilities=p)
            )
    return walked


async def _look(
    walked: Walked, slot: Slot, fields: Mapping[str, Any], form: Form, ask: Ask, at: str
) -> Sequence[Sequence[Mapping[str, Any]]]:
    endings = tuple(choice[len(at) :] for choice in slot.choices if choice.startswith(at))
    body = continued(fields, walked.text + at) | {
        "n": MORE_SAMPLES if at else SAMPLES,
        "temperature": SPREAD,
        "top_p": 1.0,
        "seed": seed_of(Sampling(), f"{slot.name}/{at}"),
        "max_tokens": max(map(len, endings)) + 2,
        "logprobs": True,
        "top_logprobs": TOP,
        **constrained(form, choices_regex(endings)),
    }
    reply, found = await ask(json.dumps(body).encode(), body["n"])
    walked.take(reply, walked.text + at)
    try:
        return [row["logprobs"]["content"] for row in found["choices"]]
    except (KeyError, TypeError) as error:
        raise UserError(
            "the server tells no probabilities (logprobs); use --decoding constrained"
        ) from error


async def _words(
    walked: Walked, part: Text, fields: Mapping[str, Any], form: Form, ask: Ask
) -> str:
    body = continued(fields, walked.text) | {
        "n": 1,
        "temperature": 0.0,
        "max_tokens": part.max_tokens,
        **constrained(form, words_regex(part)),
    }
    reply, _ = await ask(json.dumps(body).encode(), 1)
    walked.take(reply, walked.text)
    return reply.choices[0].text


def continued(fields: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A request whose answer has begun with a text."""
    begun = {"role": "assistant", "content": text}
    return {
        **fields,
        "messages": [*fields["messages"], begun],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


async def continues(connection: Connection, model: str) -> bool:
    """Whether a server goes on with an answer that has begun: its prompt then ends inside it."""
    fields = {"model": model, "messages": [{"role": "user", "content": "Say a word."}]}
    begun = continued(fields, "A word")
    ended = {**begun, "add_generation_prompt": True, "continue_final_message": False}
    lengths = []
    for body in (begun, ended):
        content = json.dumps({**body, "max_tokens": 1, "temperature": 0}).encode()
        try:
            reply = read_reply(await connection.ask("POST", "chat/completions", content), 1)
        except (Refused, NotAnAnswer):
            return False
        lengths.append(reply.num_prompt_tokens)
    return 0 < lengths[0] < lengths[1]
