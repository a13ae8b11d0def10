"""A prompt and several answers to it in one sequence: the prompt is computed once.

Every answer continues the prompt as if it stood there alone: it sees the prompt and itself, and has the
positions that it would have by itself. What is learned from is what was drawn, pixel by pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from kairoscope.models.chat import Encoded
from kairoscope.models.forward import Seen, read
from kairoscope.train.losses import MOST_LOGITS
from kairoscope.train.policy_losses import chosen_log_p, padded_choices
from kairoscope.train.rollouts import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """Input of the network, and where the choices of the answers are."""

    ids_1L: torch.Tensor
    positions_31L: torch.Tensor
    mask_1LL: torch.Tensor
    """bool: which token sees which."""
    columns_N: torch.Tensor
    """Place whose output gives each choice; answer by answer."""
    tokens_N: torch.Tensor
    """What was chosen."""
    allowed_NA: torch.Tensor | None
    """See `policy_losses.padded_choices`; None: free answers."""
    answers_N: torch.Tensor
    """Answer that each choice belongs to, from 0."""
    places_N: torch.Tensor
    """Which choice of its answer it is, from 0."""
    num_prompt: int
    """Tokens of the prompt; the others were written."""

    @property
    def shape_BT(self) -> tuple[int, int]:
        """Answers, and choices of the one that has most."""
        return int(self.answers_N.max()) + 1, int(self.places_N.max()) + 1

    def padded(self, values_N: torch.Tensor) -> torch.Tensor:
        """Values of the choices, (B, T), 0 where there is none."""
        padded = values_N.new_zeros(self.shape_BT)
        return padded.index_put(
            (self.answers_N.to(values_N.device), self.places_N.to(values_N.device)), values_N
        )


def branches(encoded: Encoded, rollouts: Sequence[Rollout]) -> Branches:
    """Put a prompt and one or more answers to it together.

    What all answers begin with before their first choice is computed once, too, as if it were prompt.
    """
    shared = _shared(rollouts)
    trunk = [*encoded.token_ids, *rollouts[0].token_ids[:shared]]
    start = len(trunk)
    # Nothing is asked after an answer's last choice, so no more of it is read.
    read_tokens = [rollout.token_ids[shared : rollout.choices[-1]] for rollout in rollouts]
    length = start + sum(map(len, read_tokens))
    ids = torch.zeros((1, length), dtype=torch.long)
    positions = torch.zeros((3, 1, length), dtype=torch.long)
    mask = torch.zeros((1, length, length), dtype=torch.bool)
    ids[0, :start] = torch.tensor(trunk)
    positions[:, 0, : start - shared] = encoded.positions_3L
    positions[:, 0, start - shared : start] = encoded.next_position + torch.arange(shared)
    mask[0, :start, :start] = torch.ones((start, start), dtype=torch.bool).tril()
    mask[0, start:, :start] = True
    choices: list[tuple[int, int, int, int]] = []
    first = start
    for number, (rollout, tokens) in enumerate(zip(rollouts, read_tokens, strict=True)):
        end = first + len(tokens)
        ids[0, first:end] = torch.tensor(tokens, dtype=torch.long)
        positions[:, 0, first:end] = encoded.next_position + shared + torch.arange(len(tokens))
        mask[0, first:end, first:end] = torch.ones((len(tokens),) * 2, dtype=torch.bool).tril()
        for place, at in enumerate(rollout.choices):
            column = (first if at > shared else start) + max(at - shared, 0) - 1
            choices.append((column, rollout.token_ids[at], number, place))
        first = end
    columns, chosen, answers, places = torch.tensor(choices).unbind(1)
    allowed = [tokens for rollout in rollouts for tokens in rollout.allowed]
    return Branches(
        ids_1L=ids,
        positions_31L=positions,
        mask_1LL=mask,
        columns_N=columns,
        tokens_N=chosen,
        allowed_NA=padded_choices(allowed) if allowed else None,
        answers_N=answers,
        places_N=places,
        num_prompt=len(encoded.token_ids),
    )


def _shared(rollouts: Sequence[Rollout]) -> int:
    """Tokens that all answers begin with and that had to come in each of them."""
    forced = [rollout.token_ids[: rollout.choices[0]] for rollout in rollouts]
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*forced, strict=False))
    return sum(1 for _ in alike)


def log_probabilities(
    network: Any, given: Branches, seen: Seen, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of every choice and the entropy of each (without gradient), nats.

    Args:
        network: whose policy it is.
        given: prompt and answers.
        seen: what its vision tower says of the prompt's frames.
        temperature: divides the logits.

    Returns:
        (N,) and (N,), answer by answer, as `Branches` has them.
    """
    hidden = read(
        network,
        given.ids_1L,
        given.positions_31L,
        seen,
        mask_BLL=given.mask_1LL,
        num_prompt=given.num_prompt,
    )
    device = hidden.device
    outputs = hidden[0, given.columns_N.to(device)]
    tokens = given.tokens_N.to(device)
    allowed = None if given.allowed_NA is None else given.allowed_NA.to(device)

    def part(rows: slice, outputs_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        among = None if allowed is None else allowed[rows]
        return chosen_log_p(network.lm_head(outputs_ND), tokens[rows], among, temperature)

    at_once = max(1, MOST_LOGITS // network.config.get_text_config().vocab_size)
    if len(tokens) <= at_once:
        return part(slice(None), outputs)
    found = []
    for first in range(0, len(tokens), at_once):
        rows = slice(first, first + at_once)
        found.append(checkpoint(part, rows, outputs[rows], use_reentrant=False))
    log_p, entropy = zip(*found, strict=True)
    return torch.cat(log_p), torch.cat(entropy)
