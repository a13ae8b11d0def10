"""Answers along a template from vLLM, every slot at the median of its exact distribution.

A slot's values form a trie of tokens (`constrain.py`). At each of its branchings vLLM is asked for one
token among those that may follow there, and tells their probabilities: as in this process, where one
pass over the trie gives them all. What is written is put behind the prompt, so that it is cut into tokens
as training cut it; vLLM's prefix cache keeps the clip from being computed again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from kairoscope.core import Posterior, Template
from kairoscope.models.constrain import CompiledSlot, Piece, Trie, compile_template

Generate = Callable[[Sequence[Sequence[int]], Sequence[int], Sequence[Sequence[int]]], list[Any]]
"""(tokens written so far, which clip each is about, tokens that may follow) -> vLLM's outputs."""


@dataclass(slots=True)
class Walked:
    """An answer, as far as it is written."""

    pieces: tuple[Piece, ...]
    token_ids: list[int] = field(default_factory=list)
    picks: list[int] = field(default_factory=list)
    posteriors: list[Posterior] = field(default_factory=list)
    cursor: int = 0

    def slot(self) -> CompiledSlot | None:
        """Write the words up to the next slot and return it; None at the end."""
        while self.cursor < len(self.pieces):
            piece = self.pieces[self.cursor]
            if isinstance(piece, CompiledSlot):
                return piece
            assert isinstance(piece, tuple)
            self.token_ids.extend(piece)
            self.cursor += 1
        return None

    def choose(self, slot: CompiledSlot, log_p: torch.Tensor) -> None:
        """Take the median; values before the slot that this one may not precede have none."""
        if slot.slot.not_before is not None:
            log_p[: self.picks[slot.slot.not_before]] = -torch.inf
        p = torch.softmax(log_p, dim=0)
        pick = int((p.cumsum(0) < 0.5).sum().clamp(max=len(p) - 1))
        self.picks.append(pick)
        self.posteriors.append(
            Posterior(
                slot=slot.slot.name, choices=slot.slot.choices, probabilities=tuple(p.tolist())
            )
        )
        self.token_ids.extend(slot.ids[pick])
        self.cursor += 1


def walk(
    templates: Sequence[Template], tokenize: Callable[[str], tuple[int, ...]], generate: Generate
) -> list[Walked]:
    """Answers to several clips, slot by slot, all branchings of all clips asked at once.

    Args:
        templates: one for each clip.
        tokenize: a text of the template -> token ids.
        generate: asks vLLM.

    Raises:
        UserError: a template that cannot be compiled.
    """
    rows = [Walked(compile_template(template, tokenize)) for template in templates]
    first = True
    while True:
        slots = {n: slot for n, row in enumerate(rows) if (slot := row.slot()) is not None}
        if not slots:
            return rows
        places = [(n, node) for n, slot in slots.items() for node in _branchings(slot.trie)]
        known: dict[tuple[int, int], dict[int, float]] = {}
        # The first question about a clip computes its prefix; those that share it come after.
        ahead = [place for place in places if place[1] == 0] if first else []
        for batch in (ahead, [place for place in places if place not in set(ahead)]):
            if not batch:
                continue
            paths = [[*rows[n].token_ids, *_path(slots[n].trie, node)] for n, node in batch]
            follow = [slots[n].trie.children[node] for n, node in batch]
            outputs = generate(paths, [n for n, _ in batch], follow)
            for place, output, allowed in zip(batch, outputs, follow, strict=True):
                known[place] = _log_probabilities(output, allowed)
        first = False
        for n, slot in slots.items():
            rows[n].choose(slot, _of_values(n, slot.trie, known))


def _branchings(trie: Trie) -> Iterator[int]:
    return (node for node, children in enumerate(trie.children) if len(children) > 1)


def _path(trie: Trie, node: int) -> list[int]:
    path: list[int] = []
    while node > 0:
        path.append(trie.tokens[node])
        node = trie.parents[node]
    return path[::-1]


def _log_probabilities(output: Any, allowed: Sequence[int]) -> dict[int, float]:
    """Of the tokens that may follow, as vLLM tells them, renormalised over these."""
    told = output.outputs[0].logprobs[0]
    values = [told[token].logprob if token in told else -torch.inf for token in allowed]
    log_p = torch.log_softmax(torch.tensor(values, dtype=torch.float64), dim=0).tolist()
    return dict(zip(allowed, log_p, strict=True))


def _of_values(n: int, trie: Trie, known: dict[tuple[int, int], dict[int, float]]) -> torch.Tensor:
    """Log-probability of every value: the sum along its way."""
    sums = [sum(known[n, node][token] for node, token in way) for way in trie.branches]
    return torch.tensor(sums, dtype=torch.float64)
