"""A template compiled to tokens: literals are forced, slots become small tries of token ids.

Every slot's distribution over its values follows exactly from the probabilities along the trie,
which one forward pass over all its nodes gives (see decode.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch

from kairoscope.core import Slot, Template, Text, UserError
from kairoscope.models.grammar import check_slot

Tokenize = Callable[[str], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Trie:
    """Token trie of a slot's values. Node 0 is the root, parents come before children.

    Only nodes whose output matters are kept: those with a branching at or below them.
    """

    tokens: tuple[int, ...]
    """Token of each node; the root's is unused (-1)."""
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    branches: tuple[tuple[tuple[int, int], ...], ...]
    """For each value: the (node, next token) pairs at which it is chosen among siblings."""
    children: tuple[tuple[int, ...], ...]
    """For each node: the allowed next tokens, sorted."""


@dataclass(frozen=True, slots=True)
class CompiledSlot:
    """A slot with the token ids of each of its values."""

    slot: Slot
    ids: tuple[tuple[int, ...], ...]
    trie: Trie


@dataclass(frozen=True, slots=True)
class CompiledText:
    """Free words: any of `allowed`, until `end_id` is written, which is the last of the piece."""

    allowed: tuple[int, ...]
    """Ascending, `end_id` among them."""
    end_id: int
    max_tokens: int


Piece = tuple[int, ...] | CompiledSlot | CompiledText


@lru_cache(maxsize=512)
def build_trie(ids: tuple[tuple[int, ...], ...]) -> Trie:
    """Trie of distinct token sequences.

    Raises:
        UserError: two are equal, one is empty or the beginning of another.
    """
    if len(set(ids)) < len(ids):
        raise UserError("two values of a slot are written alike")
    allowed: dict[tuple[int, ...], set[int]] = {}
    for sequence in ids:
        for depth in range(len(sequence)):
            allowed.setdefault(sequence[:depth], set()).add(sequence[depth])
    for sequence in ids:
        if sequence in allowed or not sequence:
            raise UserError("a slot's value is the beginning of another one: no unique ending")
    needed = {
        prefix[:depth]
        for prefix, nexts in allowed.items()
        if len(nexts) > 1
        for depth in range(len(prefix) + 1)
    } | {()}
    nodes = sorted(needed, key=lambda prefix: (len(prefix), prefix))
    index = {prefix: i for i, prefix in enumerate(nodes)}
    return Trie(
        tokens=tuple(prefix[-1] if prefix else -1 for prefix in nodes),
        parents=tuple(index[prefix[:-1]] if prefix else -1 for prefix in nodes),
        depths=tuple(len(prefix) for prefix in nodes),
        branches=tuple(
            tuple(
                (index[sequence[:depth]], sequence[depth])
                for depth in range(len(sequence))
                if len(allowed[sequence[:depth]]) > 1
            )
            for sequence in ids
        ),
        children=tuple(tuple(sorted(allowed[prefix])) for prefix in nodes),
    )


def compile_template(
    template: Template, tokenize: Tokenize, plain_ids: Callable[[], tuple[int, ...]] | None = None
) -> tuple[Piece, ...]:
    """Token pieces of a template, in order. `plain_ids` gives the tokens that free words may have.

    Neighbouring literals become one text before they are cut into tokens, so that the tokens are
    those of the whole answer, which training has seen.

    Raises:
        UserError: a slot without values, values that cannot be told apart, or a slot that refers
            to one which does not come before it or has other values.
    """
    pieces: list[Piece] = []
    slots: list[Slot] = []
    for is_text, parts in groupby(template, key=lambda part: isinstance(part, str)):
        if is_text:
            literal = "".join(part for part in parts if isinstance(part, str))
            if literal:
                pieces.append(tokenize(literal))
            continue
        for part in parts:
            if isinstance(part, Text):
                pieces.append(_open_text(part, plain_ids))
                continue
            assert isinstance(part, Slot)
            check_slot(part, slots)
            slots.append(part)
            ids = tuple(tokenize(choice) for choice in part.choices)
            pieces.append(CompiledSlot(part, ids, build_trie(ids)))
    return _with_ends(pieces)


def _open_text(text: Text, plain_ids: Callable[[], tuple[int, ...]] | None) -> CompiledText:
    if plain_ids is None:
        raise UserError(f"{text.name!r} takes free words, which cannot be asked for here")
    return CompiledText(plain_ids(), -1, text.max_tokens)


def _with_ends(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Free words with the token that ends them, which the literal after them then lacks."""
    done: list[Piece] = []
    for piece in pieces:
        before = done[-1] if done else None
        if isinstance(before, CompiledText) and before.end_id < 0:
            if not isinstance(piece, tuple):
                raise UserError("free words must be followed by a literal that ends them")
            allowed = tuple(sorted({*before.allowed, piece[0]}))
            done[-1] = CompiledText(allowed, piece[0], before.max_tokens)
            piece = piece[1:]
        if piece:
            done.append(piece)
    return tuple(done)


def slot_log_probabilities(logits_NV: torch.Tensor, trie: Trie) -> torch.Tensor:
    """Log-probability of every value of a slot, given the logits at all nodes of its trie.

    Args:
        logits_NV: float (num_nodes, vocabulary), row i the output at node i.
        trie: the slot's trie.

    Returns:
        float64 (num_values,): sums over the path of log p(token | the tokens allowed there), so
        that the probabilities of all values sum to one.
    """
    logits = logits_NV.double()
    log_p: list[dict[int, float]] = []
    for node, nexts in enumerate(trie.children):
        if len(nexts) == 1:
            log_p.append({})
            continue
        values = torch.log_softmax(logits[node, list(nexts)], dim=0).tolist()
        log_p.append(dict(zip(nexts, values, strict=True)))
    return torch.tensor(
        [sum(log_p[node][token] for node, token in path) for path in trie.branches],
        dtype=torch.float64,
    )
