"""Positions of text and video tokens (M-RoPE): one rule for training and inference.

The reference rule is that of the Qwen2.5-VL release: every text token advances all three axes by
one; a video token has (temporal, row, column); after the video, text continues at the largest
position used + 1. `transformers` 5.23 continues at + max(rows, columns) instead, which falls
inside the range of a long video; see docs/decisions/positions.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class TextSpan:
    """`num_tokens` tokens of text."""

    num_tokens: int


@dataclass(frozen=True, slots=True)
class VideoSpan:
    """`len(temporal_ids) * rows * columns` vision tokens, frame pair by frame pair."""

    temporal_ids: tuple[int, ...]
    """Temporal position of each temporal patch, relative to the first; never falling."""
    rows: int
    columns: int

    @property
    def num_tokens(self) -> int:
        """Vision tokens after merging."""
        return len(self.temporal_ids) * self.rows * self.columns


Span = TextSpan | VideoSpan


def temporal_ids(
    num_patches: int,
    *,
    seconds_per_patch: float,
    tokens_per_second: float,
    clock_scale: float = 1.0,
) -> tuple[int, ...]:
    """Temporal position of every temporal patch, as whole numbers.

    Patch k stands at floor(k * seconds_per_patch * tokens_per_second * clock_scale). With the
    usual 2 tokens a second, patches of less than 0.5 s share ids unless the clock is scaled.
    """
    step = seconds_per_patch * tokens_per_second * clock_scale
    return tuple(int(k * step + 1e-6) for k in range(num_patches))


def mrope_positions(spans: Sequence[Span]) -> tuple[torch.Tensor, int]:
    """Positions of a sequence of spans.

    Returns:
        int64 tensor (3, num_tokens) of temporal, row and column positions, and the position of
        the next text token.
    """
    parts: list[torch.Tensor] = []
    start = 0
    for span in spans:
        if isinstance(span, TextSpan):
            parts.append(torch.arange(start, start + span.num_tokens).expand(3, -1))
            start += span.num_tokens
            continue
        grid = torch.meshgrid(
            torch.tensor(span.temporal_ids),
            torch.arange(span.rows),
            torch.arange(span.columns),
            indexing="ij",
        )
        block = torch.stack(grid).reshape(3, -1) + start
        parts.append(block)
        start = int(block.max()) + 1
    return torch.cat(parts, dim=1), start
