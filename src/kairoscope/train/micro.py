"""Examples put together for one forward pass: plain tensors, ready to be sent to a device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kairoscope.models.chat import Film, films
from kairoscope.train.examples import Example
from kairoscope.video.sampling import PatchGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Tokens to be predicted, and from where."""

    rows: torch.Tensor
    """int64 (N,) place in the batch."""
    columns: torch.Tensor
    """int64 (N,) place in the sequence whose output predicts the token."""
    tokens: torch.Tensor
    """int64 (N,)."""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """The samples of one forward pass. Sequences are padded on the right."""

    ids_BL: torch.Tensor
    positions_3BL: torch.Tensor
    films: tuple[Film, ...]
    answer: Targets
    """One for each token of the answers."""
    dense: Targets
    """Of the dense auxiliary loss; may be empty."""
    num_tokens: int
    """Of the sequences without padding."""

    @property
    def num_samples(self) -> int:
        """Samples of the forward pass."""
        return len(self.ids_BL)


def micro_batch(examples: Sequence[Example], geometry: PatchGeometry) -> MicroBatch:
    """Put examples together."""
    longest = max(example.num_tokens for example in examples)
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    positions = torch.zeros((3, len(examples), longest), dtype=torch.long)
    answer: list[tuple[int, int, int]] = []
    dense: list[tuple[int, int, int]] = []
    for row, example in enumerate(examples):
        prompt, written = example.encoded, example.answer_ids
        start = len(prompt.token_ids)
        ids[row, : example.num_tokens] = torch.tensor(prompt.token_ids + written)
        positions[:, row, :start] = prompt.positions_3L
        after = prompt.next_position + torch.arange(len(written))
        positions[:, row, start : example.num_tokens] = after
        answer += [(row, start - 1 + place, token) for place, token in enumerate(written)]
        dense += [(row, column, token) for column, token in example.dense]
    return MicroBatch(
        ids_BL=ids,
        positions_3BL=positions,
        films=films([example.encoded for example in examples], geometry),
        answer=_targets(answer),
        dense=_targets(dense),
        num_tokens=sum(example.num_tokens for example in examples),
    )


def micro_batches(
    examples: Sequence[Example], size: int, geometry: PatchGeometry
) -> list[MicroBatch]:
    """The examples of an optimiser step in micro-batches of at most `size`, in order."""
    return [
        micro_batch(examples[start : start + size], geometry)
        for start in range(0, len(examples), size)
    ]


def _targets(places: Sequence[tuple[int, int, int]]) -> Targets:
    rows, columns, tokens = torch.tensor(places, dtype=torch.long).reshape(-1, 3).unbind(1)
    return Targets(rows=rows.contiguous(), columns=columns.contiguous(), tokens=tokens.contiguous())
