"""What the optimiser is fed: the same micro-batches however and from wherever they are made."""

from contextlib import closing
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import SFTConfig
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.feed import Feed, ahead
from kairoscope.train.micro import MicroBatch

STEPS = 5


def feed(tokenizer: Any, samples: Any, **changes: Any) -> Feed:
    encoder = make_checkpoint(tokenizer, "qwen2_5_vl").encoder
    return Feed(
        encoder=encoder,
        task=TASK,
        samples=samples,
        store=ClipStore(POLICY, encoder.geometry, dense=True),
        policy=POLICY,
        config=SFTConfig(batch_size=3, micro_batch_size=2, augment=True, **changes),
    )


def taken(source: Feed, first: int = 0) -> list[list[MicroBatch]]:
    with closing(ahead(source, first, STEPS)) as coming:
        return list(coming)


def same(one: MicroBatch, other: MicroBatch) -> bool:
    films = zip(one.films, other.films, strict=True)
    return (
        torch.equal(one.ids_BL, other.ids_BL)
        and torch.equal(one.positions_3BL, other.positions_3BL)
        and all(torch.equal(a.pixels_THWC, b.pixels_THWC) for a, b in films)
        and torch.equal(one.answer.tokens, other.answer.tokens)
    )


def assert_same(one: list[list[MicroBatch]], other: list[list[MicroBatch]]) -> None:
    for a, b in zip(one, other, strict=True):
        assert all(same(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_steps_do_not_depend_on_who_makes_them_or_on_where_a_run_began(
    tokenizer: Any, samples: Any, workers: int
) -> None:
    plain = feed(tokenizer, samples)
    by_hand = [plain[step] for step in range(STEPS)]
    assert not same(by_hand[0][0], by_hand[1][0])
    made = feed(tokenizer, samples, feed_workers=workers)
    assert_same(taken(made), by_hand)
    assert_same(taken(made, 3), by_hand[3:])


def test_micro_batches_hold_every_sample_of_the_step(tokenizer: Any, samples: Any) -> None:
    for batch in taken(feed(tokenizer, samples)):
        assert [micro.num_samples for micro in batch] == [2, 1]
