"""What a model answers does not depend on batches, order, or how many trials are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import (
    POLICY,
    make_checkpoint,
    plain_forward,
    request_for,
    write_clip,
)

from kairoscope.core import Completion, Decoding, Failed, Sampling, UserError
from kairoscope.models.chat import encode
from kairoscope.models.in_process import InProcessModel
from kairoscope.recipes.subtask_times import TASK, prompt
from kairoscope.video.frames import load_frames

DECODINGS: tuple[Decoding, ...] = ("free", "constrained", "posterior")
GREEDY = Sampling(max_new_tokens=12)
DRAWN = Sampling(trials=4, temperature=1.5, seed=3, max_new_tokens=12)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def ask(
    checkpoint: Any,
    samples: Sequence[Any],
    sampling: Sampling,
    decoding: Decoding,
    batch_size: int = 1,
) -> dict[str, tuple[Completion, ...]]:
    model = InProcessModel(checkpoint, batch_size=batch_size)
    answers = {}
    for name, answer in model.answer(map(request_for, samples), sampling, decoding):
        assert not isinstance(answer, Failed)
        assert name not in answers
        answers[name] = answer
    return answers


def texts(answers: dict[str, tuple[Completion, ...]]) -> dict[str, list[str]]:
    return {name: [c.text for c in completions] for name, completions in answers.items()}


def without_clock(completion: Completion) -> Completion:
    return replace(completion, seconds=0.0)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_batching_and_order_change_nothing(
    checkpoint: Any, samples: Any, decoding: Decoding
) -> None:
    alone = ask(checkpoint, samples, GREEDY, decoding)
    together = ask(checkpoint, samples, GREEDY, decoding, batch_size=4)
    backwards = ask(checkpoint, samples[::-1], GREEDY, decoding, batch_size=3)
    assert list(alone) == [sample.id for sample in samples]
    assert list(backwards) == [sample.id for sample in samples[::-1]]
    assert texts(alone) == texts(together) == texts(backwards)
    assert len({completions[0].text for completions in alone.values()}) > 1
    for name, (one,) in alone.items():
        (many,) = together[name]
        assert (one.frame_times_s, one.num_prompt_tokens) == (
            many.frame_times_s,
            many.num_prompt_tokens,
        )
        assert (one.num_vision_tokens, one.num_new_tokens) == (
            many.num_vision_tokens,
            many.num_new_tokens,
        )
        assert [p.slot for p in one.posteriors] == [p.slot for p in many.posteriors]
        for a, b in zip(one.posteriors, many.posteriors, strict=True):
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-4)


@pytest.mark.parametrize("decoding", ["free", "constrained"])
def test_trials_share_one_prefill_and_do_not_depend_on_their_number(
    checkpoint: Any, samples: Any, decoding: Decoding
) -> None:
    calls: list[int] = []
    handle = checkpoint.network.model.visual.register_forward_hook(lambda *_: calls.append(1))
    four = ask(checkpoint, samples[:2], DRAWN, decoding)
    handle.remove()
    assert len(calls) == 2
    two = ask(checkpoint, samples[:2], replace(DRAWN, trials=2), decoding, batch_size=2)
    for name, completions in four.items():
        assert [c.trial for c in completions] == [0, 1, 2, 3]
        assert [c.text for c in two[name]] == [c.text for c in completions[:2]]
        assert len({c.text for c in completions}) > 1


@pytest.mark.parametrize("decoding", ["free", "constrained"])
def test_trials_asked_in_two_goes_are_those_asked_in_one(
    checkpoint: Any, samples: Any, decoding: Decoding
) -> None:
    ten = replace(DRAWN, trials=10)
    whole = ask(checkpoint, samples[:2], ten, decoding)
    first = ask(checkpoint, samples[:2], replace(ten, trials=5), decoding)
    rest = ask(checkpoint, samples[:2], replace(ten, trials=5, first_trial=5), decoding)
    for name, completions in whole.items():
        parts = first[name] + rest[name]
        assert [c.trial for c in parts] == [c.trial for c in completions] == list(range(10))
        for part, completion in zip(parts, completions, strict=True):
            same = replace(without_clock(part), posteriors=())
            assert same == replace(without_clock(completion), posteriors=())
            # Batches of five and of ten rows are not rounded alike.
            for own, other in zip(part.posteriors, completion.posteriors, strict=True):
                assert own.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert len({c.text for c in completions}) > 2


@pytest.mark.parametrize("decoding", DECODINGS)
def test_trials_at_temperature_zero_are_equal(
    checkpoint: Any, samples: Any, decoding: Decoding
) -> None:
    greedy = ask(checkpoint, samples[:1], GREEDY, decoding)
    many = ask(checkpoint, samples[:1], replace(GREEDY, trials=3, seed=9), decoding)
    assert texts(many) == {name: [c.text for c in cs] * 3 for name, cs in greedy.items()}


def test_drawn_answers_depend_on_the_seed_and_the_question(checkpoint: Any, samples: Any) -> None:
    first = ask(checkpoint, samples[:2], DRAWN, "constrained")
    again = ask(checkpoint, samples[:2], DRAWN, "constrained")
    other = ask(checkpoint, samples[:2], replace(DRAWN, seed=4), "constrained")
    assert texts(first) == texts(again)
    assert all(texts(first)[name] != texts(other)[name] for name in first)


@torch.inference_mode()
def test_free_decoding_is_the_greedy_loop_without_a_cache(checkpoint: Any, samples: Any) -> None:
    reference = make_checkpoint(
        checkpoint.encoder.tokenizer, checkpoint.encoder.family, windows=False
    ).network
    free = ask(checkpoint, samples[:3], GREEDY, "free", batch_size=3)
    for sample in samples[:3]:
        frames = load_frames(sample.video, POLICY, checkpoint.encoder.geometry)
        encoded = encode(
            checkpoint.encoder, prompt(sample.query), frames.pixels_THWC, frames.times_s, POLICY
        )
        written: list[int] = []
        finish = "length"
        for _ in range(GREEDY.max_new_tokens):
            [logits] = plain_forward(reference, [encoded], written)
            token = int(logits[-1].argmax())
            if token in checkpoint.stop_ids:
                finish = "stop"
                break
            written.append(token)
        (completion,) = free[sample.id]
        assert completion.text == checkpoint.encoder.tokenizer.decode(written)
        assert (completion.num_new_tokens, completion.finish) == (len(written), finish)


def test_a_stop_token_ends_a_row_while_others_go_on(checkpoint: Any, samples: Any) -> None:
    """With a network that likes to stop, rows end at different lengths; batching changes none."""
    eager = make_checkpoint(checkpoint.encoder.tokenizer, checkpoint.encoder.family, seed=1)
    sampling = Sampling(trials=6, temperature=1.0, max_new_tokens=30)
    model = InProcessModel(eager, batch_size=2)
    weight = eager.network.lm_head.weight
    with torch.no_grad():
        mean = weight.mean(0)
        weight.mul_(0.05)
        for token in eager.stop_ids:
            weight[token] = mean
    answers = dict(model.answer(map(request_for, samples[:2]), sampling, "free"))
    flat = [c for a in answers.values() if not isinstance(a, Failed) for c in a]
    assert {c.finish for c in flat} <= {"stop", "length"}
    assert len({c.num_new_tokens for c in flat}) > 2
    alone = ask(eager, samples[:2], sampling, "free")
    assert texts(alone) == {
        n: [c.text for c in a] for n, a in answers.items() if not isinstance(a, Failed)
    }


def test_a_broken_clip_fails_alone(checkpoint: Any, samples: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(samples[0].video.read_bytes()[:700])
    mixed = [samples[0], replace(samples[1], id="bad", video=broken), samples[2]]
    model = InProcessModel(checkpoint, batch_size=3)
    answers = dict(model.answer(map(request_for, mixed), GREEDY, "constrained"))
    assert list(answers) == ["clip-0", "bad", "clip-2"]
    failed = answers.pop("bad")
    assert isinstance(failed, Failed)
    assert "broken.mp4" in failed.reason
    expected = ask(checkpoint, [samples[0], samples[2]], GREEDY, "constrained")
    assert texts(answers) == texts(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_of_hardly_any_frames_are_answered(
    checkpoint: Any, samples: Any, tmp_path: Path, frames: int
) -> None:
    clip = write_clip(tmp_path / "short.mp4", seconds=frames / 12, seed=1)
    sample = replace(samples[2], id="short", video=clip)
    (completion,) = ask(checkpoint, [sample], GREEDY, "posterior")["short"]
    parsed = TASK.parse(sample.query, completion.text)
    assert isinstance(parsed, tuple)
    assert len(parsed) == len(sample.query)


def test_impossible_sampling_is_refused(checkpoint: Any, samples: Any) -> None:
    for wrong in (
        {"trials": 0},
        {"first_trial": -1},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"max_new_tokens": 0},
    ):
        [name] = wrong
        with pytest.raises(UserError, match=name):
            ask(checkpoint, samples[:1], replace(GREEDY, **wrong), "free")


def test_constrained_decoding_needs_a_template(checkpoint: Any, samples: Any) -> None:
    request = replace(request_for(samples[0]), template=None)
    with pytest.raises(UserError, match="template"):
        list(InProcessModel(checkpoint).answer([request], GREEDY, "posterior"))


def test_leaving_early_ends_the_decoders(checkpoint: Any, samples: Any) -> None:
    asked: list[str] = []

    def requests() -> Any:
        for number in range(1000):
            asked.append(str(number))
            yield replace(request_for(samples[0]), id=str(number))

    answers = InProcessModel(checkpoint).answer(requests(), GREEDY, "posterior")
    next(iter(answers))
    answers.close()  # type: ignore[attr-defined]
    assert len(asked) < 12
