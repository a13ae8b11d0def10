"""Dense labels: what the vision tokens are to say, on hand-made cases."""

from typing import Any

import pytest
import torch
from tiny_models import encode_noise, make_checkpoint

from kairoscope.data.tracks import HandTrack
from kairoscope.events import Event
from kairoscope.models.chat import text_ids
from kairoscope.train.dense import dense_labels, hand_cells, hand_pair
from kairoscope.train.examples import Clip

both_families = pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])

GOLD = (Event("a", 0.5, 1.0), Event("b", 1.0, 20.0))
TIMES = (0.0, 0.5, 1.0, 12.34)
TRACK = HandTrack(
    times_s=TIMES,
    column=(0.0, 0.49, 0.5, 1.0),
    row=(0.0, 0.0, 0.99, 1.0),
    opening=(0.0, 0.9, 0.9, 0.2),
    holding=(0.0, 0.0, 0.0, 1.0),
)


def clip_of(rows: int, columns: int, unit: int, hand: HandTrack | None = None) -> Clip:
    pictures = torch.zeros((4, rows * unit, columns * unit, 3), dtype=torch.uint8)
    return Clip(pictures_THWC=pictures, times_s=TIMES, hand=hand)


def said(encoder: Any, labels: Any) -> str:
    digit = {text_ids(encoder, str(d))[0]: str(d) for d in range(10)}
    return "".join(digit[token] for _, token in labels)


@both_families
def test_without_a_hand_the_last_six_tokens_say_the_time_and_the_event(
    tokenizer: Any, family: Any
) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    encoder, unit = checkpoint.encoder, checkpoint.encoder.geometry.unit_px
    encoded = encode_noise(checkpoint, 4, units=(3, 2))
    labels = dense_labels(encoder, encoded, GOLD, clip_of(3, 2, unit))
    assert said(encoder, labels) == "000001" + "010022"
    first, second = encoded.vision_starts
    assert [place for place, _ in labels] == [first + i for i in range(6)] + [
        second + i for i in range(6)
    ]
    small = encode_noise(checkpoint, 4, units=(5, 1))
    assert dense_labels(encoder, small, GOLD, clip_of(5, 1, unit)) == ()
    assert dense_labels(encoder, encoded, 3, clip_of(3, 2, unit)) == ()


@both_families
def test_with_a_hand_every_token_of_the_picture_says_what_is_in_its_cell(
    tokenizer: Any, family: Any
) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    encoder, unit = checkpoint.encoder, checkpoint.encoder.geometry.unit_px
    encoded = encode_noise(checkpoint, 4, units=(3, 3))  # a picture of 2 x 3 and a band
    labels = dense_labels(encoder, encoded, GOLD, clip_of(2, 3, unit, TRACK))
    # Frames 0 and 1: closed on the upper left, then open in the upper middle; second 0; events 0, 1.
    # Frames 2 and 3: open in the lower middle, then holding on the lower right; second 1; 2, 2.
    assert said(encoder, labels) == "120000" + "001" + "000023" + "122"
    assert [place for place, _ in labels[:9]] == [encoded.vision_starts[0] + i for i in range(9)]


@both_families
def test_a_picture_without_a_band_of_three_falls_back_to_the_clock(
    tokenizer: Any, family: Any
) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    unit = checkpoint.encoder.geometry.unit_px
    encoded = encode_noise(checkpoint, 4, units=(3, 2))
    with_hand = dense_labels(checkpoint.encoder, encoded, GOLD, clip_of(3, 2, unit, TRACK))
    without = dense_labels(checkpoint.encoder, encoded, GOLD, clip_of(3, 2, unit))
    assert with_hand == without


@pytest.mark.parametrize(("frame", "cell", "state"), [(0, 0, 1), (1, 0, 2), (2, 3, 2), (3, 3, 3)])
def test_the_hand_is_in_one_cell(frame: int, cell: int, state: int) -> None:
    cells = hand_cells(TRACK, frame, 2, 2)
    assert cells[cell] == state
    assert sum(value > 0 for value in cells) == 1


def test_of_two_frames_in_one_cell_the_first_counts() -> None:
    assert hand_pair(TRACK, 0, 1, 1, 1) == [1]
    assert hand_pair(TRACK, 2, 3, 1, 1) == [2]
