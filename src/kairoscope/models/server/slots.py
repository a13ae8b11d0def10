"""The distribution of a slot over all its values, put together from what a server tells of samples.

A server that is held to a slot's values tells the probabilities of the tokens that may come next, along
every sample. A value's probability is their product on its way, as `constrain.slot_log_probabilities`
has it for the engine in this process. Ways that no sample took are looked at by further questions, until
what is unknown is too little to matter.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kairoscope.core import UserError

Children = Mapping[str, float]
"""Text of a token that may come next -> its probability among those that may."""
Look = Callable[[str], Awaitable[Sequence[Sequence[Mapping[str, Any]]]]]
"""A slot's value so far -> samples of how it goes on: tokens with their `top_logprobs`."""
MOST_ROUNDS = 6
UNKNOWN = 0.002
"""Probability that may stay unexplored; it is shared out evenly below the places where it lies."""
IMPOSSIBLE = -100.0
"""Log-probability below which a token was not allowed: servers write -9999 for minus infinity."""


@dataclass(slots=True)
class Tree:
    """What is known of the ways along which a slot's values are written."""

    choices: tuple[str, ...]
    nodes: dict[str, Children] = field(default_factory=dict)
    """Value so far -> what may come next."""

    def learn(self, start: str, sample: Sequence[Mapping[str, Any]]) -> None:
        """Take in one sample that goes on from `start`.

        Raises:
            UserError: it has no probabilities, or leaves the values.
        """
        text = start
        for token in sample:
            if text in self.choices:
                return
            if text not in self.nodes:
                self.nodes[text] = self._children(text, token.get("top_logprobs") or ())
            text += token["token"]

    def _children(self, text: str, rows: Sequence[Mapping[str, Any]]) -> Children:
        found = {
            row["token"]: math.exp(row["logprob"])
            for row in rows
            if row["logprob"] > IMPOSSIBLE and row["token"] and self._leads(text + row["token"])
        }
        total = sum(found.values())
        if not total:
            raise UserError(
                "the server tells no probabilities of the tokens that may come next; use --decoding "
                "constrained"
            )
        return {token: p / total for token, p in found.items()}

    def _leads(self, text: str) -> bool:
        return any(choice.startswith(text) for choice in self.choices)

    def masses(self) -> tuple[dict[str, float], dict[str, float]]:
        """(value -> probability, place that was not looked at -> probability below it)."""
        values: dict[str, float] = dict.fromkeys(self.choices, 0.0)
        unknown: dict[str, float] = {}
        for text, p in self._walk("", 1.0):
            target = values if text in values else unknown
            target[text] = target.get(text, 0.0) + p
        return values, unknown

    def _walk(self, text: str, p: float) -> Iterator[tuple[str, float]]:
        children = self.nodes.get(text)
        if text in self.choices or children is None:
            yield text, p
            return
        for token, share in children.items():
            yield from self._walk(text + token, p * share)


async def distribution(choices: tuple[str, ...], least: int, look: Look) -> tuple[float, ...]:
    """Probability of every value of a slot; those before index `least` have none.

    Args:
        choices: the slot's values.
        least: index of the first that may stand here.
        look: asks the server.

    Raises:
        UserError: the server does not tell what is needed.
    """
    tree = Tree(choices)
    allowed = choices[least:]
    todo = [""]
    for _ in range(MOST_ROUNDS):
        for start, samples in zip(todo, await asyncio.gather(*map(look, todo)), strict=True):
            for sample in samples:
                tree.learn(start, sample)
        values, unknown = tree.masses()
        open_places = {
            text: p for text, p in unknown.items() if any(c.startswith(text) for c in allowed)
        }
        known = sum(values[choice] for choice in allowed)
        left = sum(open_places.values())
        if left <= UNKNOWN * (known + left):
            break
        todo = sorted(open_places, key=lambda text: -open_places[text])[:8]
    for text, p in open_places.items():
        below = [choice for choice in allowed if choice.startswith(text)]
        for choice in below:
            values[choice] += p / len(below)
    total = sum(values[choice] for choice in allowed)
    if not total:
        raise UserError("the server gives none of the values that may stand here any probability")
    return (0.0,) * least + tuple(values[choice] / total for choice in allowed)


def median(probabilities: Sequence[float]) -> int:
    """Index of the value at which half of the probability is reached."""
    reached = 0.0
    for index, p in enumerate(probabilities):
        reached += p
        if reached >= 0.5:
            return index
    return len(probabilities) - 1
