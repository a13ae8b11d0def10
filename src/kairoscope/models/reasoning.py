"""A block of reasoning that a model writes as it likes, before an answer that is held to its template.

As other engines have it by `grammar.REASONING`: anything may stand in the block, `</think>` closes it, and an
answer cannot end inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from kairoscope.core import Decoding, Sampling, UserError
from kairoscope.models.chat import Encoder, text_ids
from kairoscope.models.decode import draw_token
from kairoscope.models.grammar import CLOSING, OPENING
from kairoscope.models.session import Session

AFTER = "\n\n"
"""Between the block and the answer, as models that reason are trained to write."""
REASONED = " reasoned"
"""Of a model's identity: it answers after reasoning."""
LOOKED_BACK = 16
"""Tokens in which the end of a block is looked for; it is eight characters long."""
INSTEAD = (
    "use --decoding constrained (with --trials N --temperature 1, the spread of N answers says how "
    "sure it is), or free"
)


def check_reasoned(name: str, decoding: Decoding) -> None:
    """Raise UserError where distributions are wanted of a model that reasons first.

    They would hold for one of its trains of thought alone.
    """
    if decoding == "posterior":
        raise UserError(
            f"--model {name}: there is no distribution over times behind a block of reasoning; {INSTEAD}"
        )


@dataclass(slots=True)
class Block:
    """The reasoning of one row."""

    token_ids: list[int] = field(default_factory=list)
    """Written, and in the session's cache."""
    closing: tuple[int, ...] | None = None
    """What closes it, and is to be fed before the answer; None: it is still being written."""


def write_blocks(
    session: Session,
    sampling: Sampling,
    *,
    stop_ids: frozenset[int],
    generators: Sequence[torch.Generator],
) -> list[Block]:
    """Let every row reason until it closes its block; one that is longer than `max_new_tokens` is closed.

    Args:
        session: prefilled; one row an answer. What is written stays in it.
        sampling: temperature, top_p and length.
        stop_ids: tokens that end an answer; none of them is written.
        generators: one source of randomness a row.
    """
    encoder = session.encoder
    never = torch.tensor(sorted(unspoken(encoder, stop_ids)), device=session.device)
    blocks = [Block() for _ in range(session.num_rows)]
    logits = session.last_BV
    for _ in range(sampling.max_new_tokens):
        chunks: list[list[int]] = []
        for row, block in enumerate(blocks):
            chunks.append([])
            if block.closing is not None:
                continue
            token = draw_token(
                logits[row].index_fill(0, never, -torch.inf), sampling, generators[row]
            )
            block.closing = closed_by(encoder, block.token_ids, token)
            if block.closing is None:
                block.token_ids.append(token)
                chunks[row].append(token)
        if all(block.closing is not None for block in blocks):
            return blocks
        logits = session.step(chunks).last_BV
    for block in blocks:
        if block.closing is None:
            block.closing = text_ids(encoder, CLOSING + AFTER)
    return blocks


def unspoken(encoder: Encoder, stop_ids: frozenset[int]) -> frozenset[int]:
    """Tokens that do not stand in reasoning: the ends of answers, turns, pictures."""
    special = {*encoder.tokenizer.all_special_ids, *stop_ids}
    marks = {text_ids(encoder, mark) for mark in (OPENING, CLOSING)}
    return frozenset(special - {ids[0] for ids in marks if len(ids) == 1})


def closed_by(encoder: Encoder, token_ids: Sequence[int], token: int) -> tuple[int, ...] | None:
    """What is left to feed where `token` closes the block of `token_ids`, two line breaks included.

    None where it does not. A token may hold the end of the mark and more than that, which is not
    taken: the answer begins there.
    """
    last = list(token_ids[-LOOKED_BACK:])
    before, after = _text(encoder, last), _text(encoder, [*last, token])
    end = after.find(CLOSING)
    if end < 0:
        return None
    # A character that was cut in two reads otherwise once it is whole.
    alike = zip(before, after, strict=False)
    shared = next((i for i, (a, b) in enumerate(alike) if a != b), len(before))
    return text_ids(encoder, after[shared : end + len(CLOSING)] + AFTER)


def _text(encoder: Encoder, token_ids: Sequence[int]) -> str:
    return str(encoder.tokenizer.decode(list(token_ids), skip_special_tokens=False))
