"""Examples put together for one forward pass: plain tensors, ready to be sent to a device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kairoscope.models.chat import Film, films
from kairoscope.models.forward import Seen, joined
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
    """The samples of one forward pass: one a row, padded on the right, or packed into one row."""

    ids_BL: torch.Tensor
    positions_3BL: torch.Tensor
    films: tuple[Film, ...]
    """What the vision tower is shown; empty with `seen`."""
    answer: Targets
    """One for each token of the answers."""
    dense: Targets
    """Of the dense auxiliary loss; may be empty."""
    num_tokens: int
    """Of the sequences without padding."""
    num_samples: int
    """Samples of the forward pass."""
    lengths: tuple[int, ...] = ()
    """Tokens of each sample where they are packed; each sees itself alone. Else empty."""
    seen: Seen | None = None
    """What the vision tower said of the samples when it was last asked; None: ask it."""


def micro_batch(
    examples: Sequence[Example], geometry: PatchGeometry, *, packed: bool = False
) -> MicroBatch:
    """Put examples together: one a row, or one behind the other in a single row.

    A packed sample has the positions that it has by itself.
    """
    lengths = [example.num_tokens for example in examples]
    shape = (1, sum(lengths)) if packed else (len(examples), max(lengths))
    ids = torch.zeros(shape, dtype=torch.long)
    positions = torch.zeros((3, *shape), dtype=torch.long)
    answer: list[tuple[int, int, int]] = []
    dense: list[tuple[int, int, int]] = []
    row, first = 0, 0
    for example in examples:
        prompt, written = example.encoded, example.answer_ids
        start, end = first + len(prompt.token_ids), first + example.num_tokens
        ids[row, first:end] = torch.tensor(prompt.token_ids + written)
        positions[:, row, first:start] = prompt.positions_3L
        positions[:, row, start:end] = prompt.next_position + torch.arange(len(written))
        answer += [(row, start - 1 + place, token) for place, token in enumerate(written)]
        dense += [(row, first + column, token) for column, token in example.dense]
        row, first = (row, end) if packed else (row + 1, 0)
    kept = [example.seen for example in examples if example.seen is not None]
    cached = len(kept) == len(examples)
    return MicroBatch(
        ids_BL=ids,
        positions_3BL=positions,
        films=() if cached else films([example.encoded for example in examples], geometry),
        seen=joined(kept) if cached else None,
        answer=_targets(answer),
        dense=_targets(dense),
        num_tokens=sum(lengths),
        num_samples=len(examples),
        lengths=tuple(lengths) if packed else (),
    )


def micro_batches(
    examples: Sequence[Example],
    size: int,
    geometry: PatchGeometry,
    pack_tokens: int | None = None,
) -> list[MicroBatch]:
    """The examples of an optimiser step in micro-batches.

    Args:
        examples: in the order in which they come; packing keeps it within a pack.
        size: at most so many share a micro-batch, one a row, where they are not packed.
        geometry: of the checkpoint's patches.
        pack_tokens: at most so many tokens share a packed sequence; None: nothing is packed.
    """
    if pack_tokens is None:
        return [
            micro_batch(examples[start : start + size], geometry)
            for start in range(0, len(examples), size)
        ]
    return [
        micro_batch([examples[index] for index in pack], geometry, packed=True)
        for pack in packs([example.num_tokens for example in examples], pack_tokens)
    ]


def packs(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Indices of samples that share a sequence: the longest first, each where it fits best.

    A pure function of its arguments, as exact resume needs. Packs hold at most `most` tokens, or a
    single longer sample; the fullest comes first, indices within a pack ascend.
    """
    found: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        fitting = [place for place, free in enumerate(room) if free >= lengths[index]]
        if fitting:
            place = min(fitting, key=lambda p: (room[p], p))
        else:
            place = len(found)
            found.append([])
            room.append(most)
        found[place].append(index)
        room[place] -= lengths[index]
    order = sorted(range(len(found)), key=lambda place: (room[place], place))
    return [sorted(found[place]) for place in order]


def _targets(places: Sequence[tuple[int, int, int]]) -> Targets:
    rows, columns, tokens = torch.tensor(places, dtype=torch.long).reshape(-1, 3).unbind(1)
    return Targets(rows=rows.contiguous(), columns=columns.contiguous(), tokens=tokens.contiguous())
