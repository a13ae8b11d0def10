"""Prefill, steps and tries of a session against transformers' own forward passes."""

from itertools import product
from typing import Any

import pytest
import torch
from tiny_models import encode_noise, make_checkpoint, plain_forward

from kairoscope.core import Prompt, UserError
from kairoscope.models.chat import encode
from kairoscope.models.constrain import build_trie
from kairoscope.models.session import Session

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: Any, tokenizer: Any) -> tuple[Any, Any]:
    """The same weights with the package's and with transformers' own vision attention."""
    ours = make_checkpoint(tokenizer, request.param)
    return ours, make_checkpoint(tokenizer, request.param, windows=False)


@torch.inference_mode()
def test_prefill_of_a_ragged_batch_is_a_plain_forward_of_each_prompt(pair: Any) -> None:
    ours, reference = pair
    prompts = [
        encode_noise(ours, 1, seed=1),
        encode_noise(ours, 7, units=(2, 5), seed=2),
        encode_noise(ours, 12, seed=3),
    ]
    session = Session(ours.network, ours.encoder, prompts)
    for row, logits in enumerate(plain_forward(reference.network, prompts)):
        torch.testing.assert_close(session.last_BV[row], logits[-1], **CLOSE)


@torch.inference_mode()
def test_chunks_of_any_length_continue_as_in_a_plain_forward(pair: Any) -> None:
    ours, reference = pair
    prompts = [encode_noise(ours, 3, seed=1), encode_noise(ours, 8, seed=2)]
    session = Session(ours.network, ours.encoder, prompts)
    before = session.last_BV.clone()
    chunks = [[[40, 41, 42], []], [[50], [60, 61]], [[], [62]], [[51, 52], [63]]]
    written: list[list[int]] = [[], []]
    for step in chunks:
        last = session.step(step).last_BV
        for row, chunk in enumerate(step):
            written[row] += chunk
            expected = before[row]
            if written[row]:
                [logits] = plain_forward(reference.network, [prompts[row]], written[row])
                expected = logits[-1]
            torch.testing.assert_close(last[row], expected, **CLOSE)


@torch.inference_mode()
def test_a_trie_gives_the_logits_after_each_of_its_prefixes_and_leaves_no_trace(pair: Any) -> None:
    ours, reference = pair
    prompts = [encode_noise(ours, 4, seed=1), encode_noise(ours, 6, seed=2)]
    trie = build_trie(tuple(product((30, 31), (32,), (33, 34), (35,))))
    alone = build_trie(((70,), (71,)))
    session = Session(ours.network, ours.encoder, prompts)
    step = session.step([[40, 41], []], [trie, alone])
    first = step.trie[0]
    assert first is not None
    assert len(trie.tokens) == 1 + 2 + 2
    for node in range(len(trie.tokens)):
        path: list[int] = []
        at = node
        while at > 0:
            path.insert(0, trie.tokens[at])
            at = trie.parents[at]
        [logits] = plain_forward(reference.network, prompts[:1], [40, 41, *path])
        torch.testing.assert_close(first[node], logits[-1], **CLOSE)
    # An empty chunk: the root is the end of the prompt.
    [logits] = plain_forward(reference.network, prompts[1:])
    assert step.trie[1] is not None
    torch.testing.assert_close(step.trie[1][0], logits[-1], **CLOSE)
    after = session.step([[44], [45]]).last_BV
    for row, tail in enumerate(([40, 41, 44], [45])):
        [logits] = plain_forward(reference.network, [prompts[row]], tail)
        torch.testing.assert_close(after[row], logits[-1], **CLOSE)


def test_copies_of_a_row_go_their_own_ways(pair: Any) -> None:
    ours, _ = pair
    prompts = [encode_noise(ours, 3, seed=1), encode_noise(ours, 5, seed=2)]
    single = [Session(ours.network, ours.encoder, [p]) for p in prompts]
    session = Session(ours.network, ours.encoder, prompts)
    session.repeat(2)
    assert session.num_rows == 4
    last = session.step([[40], [41, 42], [43], []]).last_BV
    for row, (of, chunk) in enumerate(((0, [40]), (0, [41, 42]), (1, [43]), (1, []))):
        alone = Session(ours.network, ours.encoder, [prompts[of]]) if chunk else single[of]
        expected = alone.step([chunk]).last_BV if chunk else alone.last_BV
        torch.testing.assert_close(last[row], expected[0], **CLOSE)


def test_a_trie_node_costs_no_extra_pass(pair: Any) -> None:
    ours, _ = pair
    session = Session(ours.network, ours.encoder, [encode_noise(ours, 3)])
    passes = []
    handle = ours.network.model.register_forward_hook(lambda *_: passes.append(1))
    session.step([[40]], [build_trie(tuple(product(range(30, 40), range(30, 40))))])
    handle.remove()
    assert len(passes) == 1


def test_damaged_weights_are_named(tokenizer: Any) -> None:
    broken = make_checkpoint(tokenizer)
    with torch.no_grad():
        broken.network.model.language_model.norm.weight[0] = float("nan")
    with pytest.raises(UserError, match="not a number"):
        Session(broken.network, broken.encoder, [encode_noise(broken, 2)])


def test_a_prompt_may_not_hold_the_token_of_the_video(pair: Any) -> None:
    ours, _ = pair
    side = ours.encoder.geometry.unit_px
    pixels = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    from kairoscope.core import FramePolicy

    prompt = Prompt(system="", before="a <|video_pad|> b")
    with pytest.raises(UserError, match="video_pad"):
        encode(ours.encoder, prompt, pixels, (0.0, 0.1), FramePolicy())
