"""Answers are drawn from the policy that learns from them: same pixels, same positions, same choices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
from tiny_models import QUERY, encode_noise, make_checkpoint, plain_forward

from kairoscope.models.chat import Encoded, films, text_ids
from kairoscope.models.constrain import compile_template
from kairoscope.models.forward import joined, look
from kairoscope.models.session import Session
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.branches import branches, log_probabilities
from kairoscope.train.rollouts import Asked, Drawing, Rollout, draw_groups, pick_tokens

TIMES_S = tuple(i / 8 for i in range(6))
DRAWING = Drawing(group_size=3, temperature=1.0, top_p=1.0, policy_temperature=1.0)


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def either(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def asked_of(checkpoint: Any, *, constrained: bool) -> list[Asked]:
    """Two prompts of different lengths."""
    encoder = checkpoint.encoder
    prompts = [encode_noise(checkpoint, 6), encode_noise(checkpoint, 4, units=(2, 2), seed=1)]
    pieces = None
    if constrained:
        template = TASK.template(QUERY, TIMES_S)
        pieces = compile_template(template, lambda text: text_ids(encoder, text))
    return [Asked(encoded=one, limit=6, pieces=pieces) for one in prompts]


def seen_of(checkpoint: Any, prompts: Sequence[Encoded]) -> list[Any]:
    geometry = checkpoint.encoder.geometry
    with torch.no_grad():
        return [look(checkpoint.network, films([one], geometry), geometry) for one in prompts]


def drawn(
    checkpoint: Any, asked: Sequence[Asked], drawing: Drawing = DRAWING, *, seen: Any = None
) -> list[list[Rollout]]:
    count = len(asked) * drawing.group_size
    return draw_groups(
        checkpoint.network,
        checkpoint.encoder,
        asked,
        seen,
        drawing,
        stop_ids=checkpoint.stop_ids,
        generators=[torch.Generator().manual_seed(100 + i) for i in range(count)],
    )


def recomputed(
    checkpoint: Any, encoded: Encoded, rollouts: Sequence[Rollout], temperature: float = 1.0
) -> torch.Tensor:
    [seen] = seen_of(checkpoint, [encoded])
    with torch.no_grad():
        given = branches(encoded, rollouts)
        return log_probabilities(checkpoint.network, given, seen, temperature)[0]


def said(rollouts: Sequence[Rollout]) -> torch.Tensor:
    return torch.tensor([p for rollout in rollouts for p in rollout.log_p])


@pytest.mark.parametrize(("constrained", "temperature"), [(False, 0.6), (True, 1.0)])
def test_the_trainer_finds_the_samplers_probabilities(
    either: Any, *, constrained: bool, temperature: float
) -> None:
    asked = asked_of(either, constrained=constrained)
    drawing = replace(DRAWING, policy_temperature=temperature)
    groups = drawn(either, asked, drawing)
    for one, rollouts in zip(asked, groups, strict=True):
        assert len({tuple(rollout.token_ids) for rollout in rollouts}) > 1
        log_p = recomputed(either, one.encoded, rollouts, temperature)
        torch.testing.assert_close(log_p, said(rollouts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("constrained", [False, True])
def test_without_the_pixels_or_with_shifted_positions_it_does_not(
    either: Any, *, constrained: bool
) -> None:
    [one, _] = asked_of(either, constrained=constrained)
    [rollouts] = drawn(either, [one])
    right = said(rollouts)
    blind = replace(one.encoded, pixels_THWC=torch.zeros_like(one.encoded.pixels_THWC))
    later = replace(one.encoded, next_position=one.encoded.next_position + 3)
    flat = torch.arange(one.encoded.positions_3L.shape[1]).expand(3, -1)
    text_only = replace(one.encoded, positions_3L=flat, next_position=flat.shape[1])
    for wrong in (blind, later, text_only):
        assert (recomputed(either, wrong, rollouts) - right).abs().max() > 0.01


def test_free_probabilities_are_those_of_transformers(checkpoint: Any) -> None:
    [one, _] = asked_of(checkpoint, constrained=False)
    [rollouts] = drawn(checkpoint, [one])
    with torch.no_grad():
        for rollout in rollouts:
            [logits] = plain_forward(checkpoint.network, [one.encoded], rollout.token_ids)
            start = len(one.encoded.token_ids) - 1
            log_p = torch.log_softmax(logits, dim=-1)
            theirs = [log_p[start + i, t] for i, t in enumerate(rollout.token_ids)]
            torch.testing.assert_close(
                torch.stack(theirs), torch.tensor(rollout.log_p), rtol=1e-3, atol=1e-3
            )


def test_features_that_are_known_change_nothing(checkpoint: Any) -> None:
    asked = asked_of(checkpoint, constrained=False)
    known = joined(seen_of(checkpoint, [one.encoded for one in asked]))
    plain, again = drawn(checkpoint, asked), drawn(checkpoint, asked, seen=known)
    for one, other in zip(chain(*plain), chain(*again), strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_p == pytest.approx(other.log_p, abs=1e-4)


def test_an_answer_does_not_depend_on_the_prompts_beside_it(checkpoint: Any) -> None:
    asked = asked_of(checkpoint, constrained=False)
    together = drawn(checkpoint, asked)
    [alone] = drawn(checkpoint, asked[:1])
    assert [r.token_ids for r in alone] == [r.token_ids for r in together[0]]


def test_a_constrained_answer_follows_its_template(checkpoint: Any) -> None:
    asked = asked_of(checkpoint, constrained=True)
    tokenizer = checkpoint.encoder.tokenizer
    for rollouts in drawn(checkpoint, asked):
        for rollout in rollouts:
            text = tokenizer.decode(rollout.token_ids)
            events: Any = TASK.parse(QUERY, text)
            assert TASK.render(QUERY, events) == text
            assert rollout.finished
            assert all(e.start_s <= e.end_s for e in events)
            assert len(rollout.choices) == len(rollout.allowed) == len(rollout.log_p)
            for place, tokens in zip(rollout.choices, rollout.allowed, strict=True):
                assert rollout.token_ids[place] in tokens
                assert len(tokens) > 1


def test_probabilities_of_all_constrained_answers_sum_to_one(checkpoint: Any) -> None:
    """Every answer of a small template, its probability computed by the trainer."""
    encoder = checkpoint.encoder
    encoded = encode_noise(checkpoint, 4)
    template = TASK.template(QUERY[:1], (0.0, 0.5, 1.0))
    pieces = compile_template(template, lambda text: text_ids(encoder, text))
    asked = Asked(encoded=encoded, limit=1, pieces=pieces)
    many = replace(DRAWING, group_size=64, temperature=5.0)
    [rollouts] = drawn(checkpoint, [asked], many)
    different = list({tuple(r.token_ids): r for r in rollouts}.values())
    assert len(different) == 6  # start <= end on three times
    log_p = recomputed(checkpoint, encoded, different)
    places = torch.tensor([i for i, r in enumerate(different) for _ in r.choices])
    each = torch.zeros(6).index_add(0, places, log_p)
    assert float(each.exp().sum()) == pytest.approx(1, abs=1e-4)


def test_limits_and_ends(checkpoint: Any) -> None:
    [one, _] = asked_of(checkpoint, constrained=False)
    [rollouts] = drawn(checkpoint, [replace(one, limit=5)])
    for rollout in rollouts:
        stopped = rollout.token_ids[-1] in checkpoint.stop_ids
        assert rollout.finished == stopped
        assert stopped or len(rollout.token_ids) == 5
        assert rollout.choices == list(range(len(rollout.token_ids)))


def test_tokens_are_drawn_with_their_probabilities() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    uniform = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    rows = logits.expand(4000, -1)
    counts = Counter(pick_tokens(rows, None, uniform, 0.5, 1.0).tolist())
    p = torch.softmax(logits / 0.5, 0)
    assert all(counts[t] == pytest.approx(4000 * float(p[t]), abs=1) for t in range(4))
    nucleus = set(pick_tokens(rows, None, uniform, 1.0, 0.7).tolist())
    assert nucleus == {0, 2}
    allowed = torch.tensor([[1, 3, -1]]).expand(4000, -1)
    among = Counter(pick_tokens(rows, allowed, uniform, 1.0, 1.0).tolist())
    assert among[1] == pytest.approx(4000 * 0.7310586, abs=1)
    assert set(among) == {1, 3}


def test_a_video_token_that_was_drawn_is_a_token_like_any_other(checkpoint: Any) -> None:
    """Nothing forbids it, however unlikely: it takes no picture's place."""
    [asked, _] = asked_of(checkpoint, constrained=False)
    [rollouts, _] = drawn(checkpoint, asked_of(checkpoint, constrained=False))
    token = checkpoint.network.config.video_token_id
    written = Rollout(token_ids=[5, token, 7, 9], choices=[0, 1, 2, 3], log_p=[0.0] * 4)
    both = recomputed(checkpoint, asked.encoded, [rollouts[0], written])
    alone = recomputed(checkpoint, asked.encoded, [rollouts[0]])
    torch.testing.assert_close(both[: len(alone)], alone, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(both).all()
    session = Session(checkpoint.network, checkpoint.encoder, [asked.encoded])
    logits = [session.last_BV, *(session.step([[t]]).last_BV for t in written.token_ids[:-1])]
    wanted = [
        torch.log_softmax(row[0], 0)[t] for row, t in zip(logits, written.token_ids, strict=True)
    ]
    torch.testing.assert_close(both[len(alone) :], torch.stack(wanted), rtol=1e-4, atol=1e-4)
