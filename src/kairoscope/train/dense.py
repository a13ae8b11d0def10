"""What the vision tokens themselves should say: the targets of the dense auxiliary loss.

Rotary positions are relative, so a token cannot say where in the picture the hand is; it can say
whether the hand is in its own cell, and what it does there.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from kairoscope.data.tracks import HandTrack
from kairoscope.events import Event
from kairoscope.models.chat import Encoded, Encoder, text_ids

NO_HAND, CLOSED, OPEN, HOLDING = range(4)
OPEN_FROM = 0.35
"""Share of the widest opening from which an empty hand counts as open."""
WITHOUT_BAND = 6
"""Vision tokens of a patch that are asked where the stamp has no band of its own."""


class Pictures(Protocol):
    """The part of a clip that labels are made of."""

    @property
    def pictures_THWC(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def times_s(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def hand(self) -> HandTrack | None: ...  # noqa: D102


def dense_labels(
    encoder: Encoder, encoded: Encoded, gold: Any, clip: Pictures
) -> tuple[tuple[int, int], ...]:
    """(index of a vision token, token it should say) for every temporal patch.

    The first three tokens of the stamp's band say the seconds digit of the first frame's time and
    the number of the event that is going on in its first and in its second frame (0: none). With a
    hand track, each token of the picture says what the hand does in its cell in the first frame (0
    not there, 1 closed, 2 open, 3 holding; where it has left the cell, the second frame's state).

    Without a band of three tokens, the last six tokens of the patch say the four digits of its
    time (`0250` for 2.50 s) and the same two numbers. Empty where a patch has fewer tokens, and for
    answers that are not a list of events.
    """
    events = [e for e in gold if isinstance(e, Event)] if isinstance(gold, tuple) else []
    if encoded.tokens_per_patch < WITHOUT_BAND or not events:
        return ()
    digits = [text_ids(encoder, str(d))[0] for d in range(10)]
    unit, temporal = encoder.geometry.unit_px, encoder.geometry.temporal
    rows, columns = (side // unit for side in clip.pictures_THWC.shape[1:3])
    labels: list[tuple[int, int]] = []
    for patch, start in enumerate(encoded.vision_starts):
        first = patch * temporal
        second = min(first + temporal - 1, len(clip.times_s) - 1)
        time_s = clip.times_s[first]
        going_on = [_running(events, clip.times_s[frame]) for frame in (first, second)]
        cells = rows * columns
        if encoded.tokens_per_patch >= cells + 3:
            hand = clip.hand and hand_pair(clip.hand, first, second, rows, columns)
            said = [*(hand or []), int(time_s) % 10, *going_on]
            place = start if hand else start + cells
        else:
            said = [int(c) for c in f"{round(time_s * 100) % 10000:04d}"] + going_on
            place = start + encoded.tokens_per_patch - WITHOUT_BAND
        labels += [(place + i, digits[value]) for i, value in enumerate(said)]
    return tuple(labels)


def hand_cells(track: HandTrack, frame: int, rows: int, columns: int) -> list[int]:
    """State of the hand in each cell of a grid over the picture, row by row: one of the four."""
    cells = [NO_HAND] * (rows * columns)
    row = min(rows - 1, int(track.row[frame] * rows))
    column = min(columns - 1, int(track.column[frame] * columns))
    if track.holding[frame] > 0.5:
        state = HOLDING
    else:
        state = OPEN if track.opening[frame] > OPEN_FROM else CLOSED
    cells[row * columns + column] = state
    return cells


def hand_pair(track: HandTrack, first: int, second: int, rows: int, columns: int) -> list[int]:
    """`hand_cells` of two frames in one: the first frame's state where the hand is in it."""
    early, late = (hand_cells(track, frame, rows, columns) for frame in (first, second))
    return [a or b for a, b in zip(early, late, strict=True)]


def _running(events: Sequence[Event], time_s: float) -> int:
    """Number of the event (from 1) that is going on at a time, 0 for none; at most 9."""
    for number, event in enumerate(events, 1):
        start_s = event.start_s or 0.0
        if start_s - 1e-6 <= time_s < event.end_s - 1e-6:
            return min(number, 9)
    return 0
