"""One optimiser step against hand-written references."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint, plain_forward, unfolded

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import Example, plain_example
from kairoscope.train.micro import MicroBatch, micro_batch, micro_batches
from kairoscope.train.optimise import forward_losses, optimise
from kairoscope.train.trainable import prepare

CONFIG = SFTConfig(
    batch_size=4, micro_batch_size=4, learning_rate=1e-3, warmup_steps=0, dense_weight=0.5
)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def family(request: Any) -> Any:
    return request.param


@pytest.fixture(scope="module")
def examples(tokenizer: Any, family: Any, samples: Any) -> list[Example]:
    encoder = make_checkpoint(tokenizer, family).encoder
    store = ClipStore(POLICY, encoder.geometry, dense=False)
    made = [plain_example(encoder, TASK, s, store.get(s), POLICY) for s in samples[:4]]
    return sorted(made, key=lambda example: example.num_tokens)


def together(checkpoint: Any, examples: Sequence[Example]) -> MicroBatch:
    return micro_batch(examples, checkpoint.encoder.geometry)


def gradients(network: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


def assert_all_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], rel: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        scale = max(b[name].abs().max().item(), 1e-5)
        assert (a[name] - b[name]).abs().max().item() <= rel * scale, name


def test_the_target_is_the_rendered_answer_and_its_end(
    tokenizer: Any, examples: Any, samples: Any
) -> None:
    texts = {tokenizer.decode(example.answer_ids) for example in examples}
    expected = set()
    for sample in samples[:4]:
        times_s = tuple(i / 4 for i in range(40) if i / 4 <= sample.duration_s - 1 / 12 + 1e-6)
        gold = TASK.snap(sample.gold, times_s)
        expected.add(TASK.render(sample.query, gold) + "<|im_end|>")
    assert texts == expected


def test_losses_are_those_of_transformers_with_labels_on_the_answer_only(
    tokenizer: Any, family: Any, examples: Sequence[Example]
) -> None:
    """Forward and gradient: so nothing but the answer (and the dense labels) is a target."""
    ours = make_checkpoint(tokenizer, family)
    answer, dense = forward_losses(ours.network, ours.encoder.geometry, together(ours, examples))
    (answer + 0.3 * dense).backward()  # type: ignore[no-untyped-call]

    theirs = make_checkpoint(tokenizer, family, windows=False).network
    total = torch.zeros(())
    for example in examples:
        prompt = example.encoded
        length = len(prompt.token_ids)
        [logits] = plain_forward(theirs, [prompt], example.answer_ids)
        log_p = torch.log_softmax(logits, dim=-1)
        for offset, token in enumerate(example.answer_ids):
            total = total - log_p[length - 1 + offset, token]
        for column, token in example.dense:
            total = total - 0.3 * log_p[column, token]
    total.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(answer + 0.3 * dense, total, rtol=1e-4, atol=1e-4)
    assert_all_close(gradients(ours.network), gradients(theirs), 1e-3)


def test_transformers_own_labels_give_the_same_loss(
    tokenizer: Any, family: Any, examples: Sequence[Example]
) -> None:
    ours = make_checkpoint(tokenizer, family)
    example = examples[-1]
    prompt, answer = example.encoded, example.answer_ids
    ids = torch.tensor([prompt.token_ids + answer])
    labels = ids.clone()
    labels[:, : len(prompt.token_ids)] = -100
    after = prompt.next_position + torch.arange(len(answer)).expand(3, -1)
    out = ours.network(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=(ids == ours.network.config.video_token_id).int() * 2,
        position_ids=torch.cat([prompt.positions_3L, after], dim=1)[:, None],
        pixel_values_videos=unfolded(prompt, family),
        video_grid_thw=torch.tensor([prompt.grid_thw]),
        labels=labels,
    )
    mine, _ = forward_losses(
        ours.network, ours.encoder.geometry, together(ours, [example]), with_dense=False
    )
    torch.testing.assert_close(mine / len(answer), out.loss, rtol=1e-4, atol=1e-5)


def trained(
    tokenizer: Any, family: Any, examples: Sequence[Example], config: SFTConfig, steps: int = 2
) -> tuple[Any, list[dict[str, float]]]:
    checkpoint = make_checkpoint(tokenizer, family)
    made = prepare(checkpoint.network, config)
    geometry = checkpoint.encoder.geometry
    batch = micro_batches(examples, config.micro_batch_size, geometry)
    rows = [optimise(made, geometry, batch, config, 1e-3) for _ in range(steps)]
    return checkpoint.network, rows


def weights(network: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


@pytest.mark.parametrize("micro", [1, 3])
def test_micro_batches_change_nothing(
    tokenizer: Any, family: Any, examples: Any, micro: int
) -> None:
    whole, rows = trained(tokenizer, family, examples, CONFIG)
    parts, others = trained(tokenizer, family, examples, replace(CONFIG, micro_batch_size=micro))
    for a, b in zip(rows, others, strict=True):
        assert a == pytest.approx(b, rel=1e-3)
    # Adam turns tiny gradients into steps of full size: compared with the size of all steps.
    start = weights(make_checkpoint(tokenizer, family).network)
    one, other = weights(whole), weights(parts)
    moved = torch.cat([(one[n] - start[n]).flatten() for n in one])
    apart = torch.cat([(one[n] - other[n]).flatten() for n in one])
    assert moved.norm() > 0.01
    assert apart.norm() < 0.02 * moved.norm()


def test_gradient_checkpointing_changes_nothing(tokenizer: Any, family: Any, examples: Any) -> None:
    results = []
    passes: list[int] = []
    for switch in (False, True):
        checkpoint = make_checkpoint(tokenizer, family)
        prepare(checkpoint.network, replace(CONFIG, gradient_checkpointing=switch))
        for block in (checkpoint.network.model.visual.blocks[1], language_layer(checkpoint)):
            block.mlp.register_forward_pre_hook(lambda *_: passes.append(1))
        answer, dense = forward_losses(
            checkpoint.network, checkpoint.encoder.geometry, together(checkpoint, examples)
        )
        (answer + dense).backward()  # type: ignore[no-untyped-call]
        results.append(gradients(checkpoint.network))
        assert len(passes) == (6 if switch else 2)
    assert_all_close(results[1], results[0], 1e-5)


def language_layer(checkpoint: Any) -> Any:
    return checkpoint.network.model.language_model.layers[1]


def test_bfloat16_is_close_and_keeps_float32_weights(
    tokenizer: Any, family: Any, examples: Any
) -> None:
    _, exact = trained(tokenizer, family, examples, CONFIG, steps=1)
    network, rough = trained(
        tokenizer, family, examples, replace(CONFIG, dtype="bfloat16"), steps=1
    )
    assert rough[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.05)
    assert rough[0]["loss"] != exact[0]["loss"]
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("frozen", ["vision", "language"])
def test_freezing_leaves_exactly_those_weights(
    tokenizer: Any, family: Any, examples: Any, frozen: str
) -> None:
    config = replace(CONFIG, freeze_vision=frozen == "vision", freeze_language=frozen == "language")
    before = weights(make_checkpoint(tokenizer, family).network)
    network, _ = trained(tokenizer, family, examples, config)
    for name, after in weights(network).items():
        is_vision = ".visual." in name
        assert torch.equal(after, before[name]) == (is_vision == (frozen == "vision")), name


def test_freezing_everything_is_refused(tokenizer: Any, family: Any) -> None:
    config = replace(CONFIG, freeze_vision=True, freeze_language=True)
    with pytest.raises(UserError, match="nothing is left to train"):
        prepare(make_checkpoint(tokenizer, family).network, config)


def test_weight_decay_spares_vectors(tokenizer: Any, family: Any) -> None:
    made = prepare(make_checkpoint(tokenizer, family).network, CONFIG)
    decayed, others = made.optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim < 2 for p in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(made.parameters)


def test_divergence_leaves_the_weights_as_they_were(
    tokenizer: Any, family: Any, examples: Any
) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    made = prepare(checkpoint.network, CONFIG)
    with torch.no_grad():
        checkpoint.network.model.language_model.norm.weight[0] = float("inf")
    before = weights(checkpoint.network)
    with pytest.raises(UserError, match="diverged"):
        optimise(made, checkpoint.encoder.geometry, [together(checkpoint, examples)], CONFIG, 1e-3)
    after = weights(checkpoint.network)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_learning_goes_down_to_the_answer(tokenizer: Any, family: Any, examples: Any) -> None:
    _, rows = trained(tokenizer, family, examples, CONFIG, steps=12)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["dense_loss"] < rows[0]["dense_loss"]
