"""Groups of answers to prompts, drawn from the present weights, with the probability of every choice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from kairoscope.models.chat import Encoded, Encoder
from kairoscope.models.constrain import Piece
from kairoscope.models.forward import Seen
from kairoscope.models.session import Session
from kairoscope.models.walk import Walk
from kairoscope.train.policy_losses import chosen_log_p, padded_choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How answers are drawn."""

    group_size: int
    temperature: float
    """Above 0."""
    top_p: float
    policy_temperature: float
    """At which `Rollout.log_p` is taken, as in the loss."""


@dataclass(slots=True, kw_only=True)
class Rollout:
    """One answer."""

    token_ids: list[int] = field(default_factory=list)
    """With the token that ended it, where it was ended by one."""
    choices: list[int] = field(default_factory=list)
    """Places in `token_ids` at which there was a choice; the other tokens had to come."""
    allowed: list[tuple[int, ...]] = field(default_factory=list)
    """Of a constrained answer: the tokens that could be chosen at each; else empty."""
    log_p: list[float] = field(default_factory=list)
    """Of each choice, among the tokens that could be chosen, at the policy's temperature (nats)."""
    finished: bool = False
    """False: it reached its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A prompt and what may be answered."""

    encoded: Encoded
    limit: int
    """Tokens of an answer, at most."""
    pieces: tuple[Piece, ...] | None = None
    """Template that answers follow; None: they are free."""


class _Row:
    """An answer that is being written."""

    def __init__(self, asked: Asked, generator: torch.Generator) -> None:
        self.rollout = Rollout()
        self.limit = asked.limit
        self.generator = generator
        self.walk = None if asked.pieces is None else Walk(asked.pieces)
        self.pending = self._forced()
        """Tokens that are written and not yet read by the network."""

    def take(self, token: int, log_p: float, stop_ids: frozenset[int]) -> None:
        """Write a chosen token and what must follow it."""
        rollout = self.rollout
        rollout.choices.append(len(rollout.token_ids))
        rollout.log_p.append(log_p)
        rollout.token_ids.append(token)
        if self.walk is not None:
            rollout.allowed.append(self.walk.allowed())
            self.walk.take(token)
            self.pending = [token, *self._forced()]
        else:
            self.pending = [token]
            rollout.finished = token in stop_ids
        if self.done:
            self.pending = []

    @property
    def done(self) -> bool:
        """Whether nothing more is to be written."""
        if self.rollout.finished:
            return True
        return self.walk is None and len(self.rollout.token_ids) >= self.limit

    def _forced(self) -> list[int]:
        if self.walk is None:
            return []
        tokens = self.walk.forced()
        self.rollout.token_ids.extend(tokens)
        self.rollout.finished = self.walk.ended
        return tokens


@torch.inference_mode()
def draw_groups(
    network: Any,
    encoder: Encoder,
    asked: Sequence[Asked],
    seen: Seen | None,
    drawing: Drawing,
    *,
    stop_ids: frozenset[int],
    generators: Sequence[torch.Generator],
) -> list[list[Rollout]]:
    """A group of answers to each prompt, from one prefill of all prompts.

    Args:
        network: with the weights to draw from.
        encoder: what encoded the prompts.
        asked: one or more prompts.
        seen: what the vision tower says of them; None: it is asked.
        drawing: see `Drawing`.
        stop_ids: tokens that end a free answer; the one that did is part of it.
        generators: one source of randomness for each answer, group by group; an answer depends on no
            other one's.
    """
    size = drawing.group_size
    session = Session(network, encoder, [one.encoded for one in asked], seen)
    owners = [one for one in asked for _ in range(size)]
    rows = [_Row(one, generator) for one, generator in zip(owners, generators, strict=True)]
    begun = [row.pending for row in rows[::size]]
    if any(begun):
        # What has to come first is the same in all answers to a prompt, and read once.
        session.step(begun)
    session.repeat(size)
    logits_BV = session.last_BV
    while writing := [place for place, row in enumerate(rows) if not row.done]:
        for row in rows:
            row.pending = []
        chosen = _choose(logits_BV, rows, writing, drawing)
        for place, token, log_p in chosen:
            rows[place].take(token, log_p, stop_ids)
        if all(row.done for row in rows):
            break
        logits_BV = session.step([row.pending for row in rows]).last_BV
    rollouts = [row.rollout for row in rows]
    return [rollouts[first : first + size] for first in range(0, len(rollouts), size)]


def _choose(
    logits_BV: torch.Tensor, rows: Sequence[_Row], writing: Sequence[int], drawing: Drawing
) -> list[tuple[int, int, float]]:
    """(row, token, log-probability) for each row that writes."""
    device = logits_BV.device
    logits_NV = logits_BV[torch.tensor(writing, device=device)]
    walks = [walk.allowed() for place in writing if (walk := rows[place].walk) is not None]
    allowed_NA = padded_choices(walks).to(device) if walks else None
    drawn = [
        torch.rand((), generator=rows[place].generator, dtype=torch.float64) for place in writing
    ]
    uniform_N = torch.stack(drawn).to(device)
    tokens_N = pick_tokens(logits_NV, allowed_NA, uniform_N, drawing.temperature, drawing.top_p)
    log_p_N, _ = chosen_log_p(logits_NV, tokens_N, allowed_NA, drawing.policy_temperature)
    return list(zip(writing, tokens_N.tolist(), log_p_N.tolist(), strict=True))


def pick_tokens(
    logits_NV: torch.Tensor,
    allowed_NA: torch.Tensor | None,
    uniform_N: torch.Tensor,
    temperature: float,
    top_p: float,
) -> torch.Tensor:
    """Draw a token a row: the one in which the row's number from 0 to 1 falls, int64 (N,).

    Args:
        logits_NV: (N, vocabulary).
        allowed_NA: see `policy_losses.padded_choices`; None: all tokens.
        uniform_N: float64, one number from 0 to below 1 a row.
        temperature: above 0.
        top_p: mass of the nucleus that is drawn from; 1: everything.
    """
    scores_NA = logits_NV.float()
    if allowed_NA is not None:
        scores_NA = scores_NA.gather(1, allowed_NA.clamp(min=0))
        scores_NA = scores_NA.masked_fill(allowed_NA < 0, -torch.inf)
    p_NA = torch.softmax(scores_NA.double() / temperature, dim=1)
    if top_p < 1:
        ordered_NA, order_NA = p_NA.sort(dim=1, descending=True)
        outside = ordered_NA.cumsum(1) - ordered_NA >= top_p
        p_NA = torch.zeros_like(p_NA).scatter(1, order_NA, ordered_NA.masked_fill(outside, 0))
    edges_NA = p_NA.cumsum(1)
    mass_N1 = edges_NA[:, -1:].contiguous()
    # Of several equal edges the first is the one whose token has mass.
    places_N1 = torch.searchsorted(edges_NA, uniform_N[:, None] * mass_N1, right=True)
    last_N1 = torch.searchsorted(edges_NA, mass_N1)
    places_N1 = torch.minimum(places_N1, last_N1)
    return (places_N1 if allowed_NA is None else allowed_NA.gather(1, places_N1))[:, 0]
