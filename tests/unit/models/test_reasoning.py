"""Reasoning before an answer in this process: written freely, closed, and only then the template."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_checkpoint, request_for

from kairoscope.core import Completion, Failed, Sampling, UserError
from kairoscope.models import reasoning
from kairoscope.models.chat import Encoder, encode, text_ids
from kairoscope.models.constrain import compile_template
from kairoscope.models.decode import decode_template, draw_token
from kairoscope.models.engines import EngineOptions, check_engine, open_engine, taken_by
from kairoscope.models.grammar import CLOSING, answer_part, satisfies
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.parity import kept_to
from kairoscope.models.reference import load_encoder
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.session import Session
from kairoscope.recipes.subtask_times import TASK
from kairoscope.video.frames import load_frames

BUILTIN = Path(str(files("kairoscope.weights"))) / "builtin"
SHORT = Sampling(max_new_tokens=9)
DRAWN = Sampling(trials=3, temperature=1.2, seed=5, max_new_tokens=9)
REASONING = ServerOptions(reasoning=True)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(BUILTIN)


def ask(
    checkpoint: Any, samples: Any, sampling: Sampling, batch_size: int = 1
) -> dict[str, tuple[Completion, ...]]:
    model = InProcessModel(checkpoint, batch_size=batch_size, reasoning=True)
    answers = {}
    for name, answer in model.answer(map(request_for, samples), sampling, "constrained"):
        assert not isinstance(answer, Failed)
        answers[name] = answer
    return answers


def thoughts(answer: Completion) -> str:
    return answer.text.partition(CLOSING)[0]


def test_only_what_follows_the_block_keeps_to_the_template(checkpoint: Any, samples: Any) -> None:
    for name, answers in ask(checkpoint, samples, DRAWN).items():
        sample = next(one for one in samples if one.id == name)
        assert len({thoughts(answer) for answer in answers}) > 1
        for answer in answers:
            template = TASK.template(sample.query, answer.frame_times_s)
            assert not satisfies(template, answer.text)
            assert satisfies(template, answer_part(answer.text))
            assert kept_to(template, [answer.text], reasoning=True).good
            assert answer.text.count(f"{CLOSING}\n\n") == 1
            assert TASK.parse(sample.query, answer.text) == TASK.parse(
                sample.query, answer_part(answer.text)
            )
            assert answer.num_new_tokens > SHORT.max_new_tokens


def test_batches_and_trials_change_nothing(checkpoint: Any, samples: Any) -> None:
    alone, together = (ask(checkpoint, samples, DRAWN, batch_size=size) for size in (1, 3))
    later = ask(checkpoint, samples, replace(DRAWN, trials=1, first_trial=2))
    for name, answers in alone.items():
        assert [one.text for one in answers] == [one.text for one in together[name]]
        assert later[name][0].text == answers[2].text


def test_the_distributions_are_those_after_this_very_reasoning(
    checkpoint: Any, samples: Any
) -> None:
    """The block as a part of the prompt, and an answer behind it, is the same answer."""
    request = request_for(samples[0])
    (answer,) = ask(checkpoint, samples[:1], SHORT)[request.id]
    assert request.video is not None
    assert request.template is not None
    own = checkpoint.encoder
    frames = load_frames(request.video, request.policy, own.geometry)
    prompt = encode(own, request.prompt, frames.pixels_THWC, frames.times_s, request.policy)
    session = Session(checkpoint.network, own, [prompt])
    block = reasoning.write_blocks(
        session, SHORT, stop_ids=checkpoint.stop_ids, generators=[torch.Generator()]
    )[0]
    assert block.closing is not None
    fresh = Session(checkpoint.network, own, [prompt])
    pieces = compile_template(
        request.template(frames.times_s), lambda text: text_ids(own, text), lambda: ()
    )
    (row,) = decode_template(
        fresh,
        [pieces],
        SHORT,
        use_median=False,
        generators=[torch.Generator()],
        unfed=[[*block.token_ids, *block.closing]],
    )
    assert own.tokenizer.decode(row.token_ids, skip_special_tokens=False) == answer.text
    for one, other in zip(row.posteriors, answer.posteriors, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_a_block_is_closed_by_the_model_or_when_it_is_too_long(
    checkpoint: Any, samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that writes a short block in the first trial and never ends in the second."""
    own = checkpoint.encoder
    words = [*text_ids(own, f"<think>the cube{CLOSING} and more")]
    draw, drawn = draw_token, {0: 0, 1: 0}

    def scripted(logits: Any, sampling: Any, generator: Any) -> int:
        row = 0 if generator is generators[0] else 1
        drawn[row] += 1
        if row == 0:
            return words[drawn[0] - 1]
        return int(draw(logits, sampling, generator))

    monkeypatch.setattr(reasoning, "draw_token", scripted)
    request = request_for(samples[0])
    assert request.video is not None
    frames = load_frames(request.video, request.policy, own.geometry)
    prompt = encode(own, request.prompt, frames.pixels_THWC, frames.times_s, request.policy)
    session = Session(checkpoint.network, own, [prompt])
    session.repeat(2)
    generators = [torch.Generator(), torch.Generator()]
    limit = replace(SHORT, max_new_tokens=len(words) + 20)
    short, long = reasoning.write_blocks(
        session, limit, stop_ids=checkpoint.stop_ids, generators=generators
    )
    texts = [
        own.tokenizer.decode([*one.token_ids, *(one.closing or ())], skip_special_tokens=False)
        for one in (short, long)
    ]
    assert texts[0] == f"<think>the cube{CLOSING}\n\n"
    assert drawn[0] < len(words)
    assert texts[1].endswith(f"{CLOSING}\n\n")
    assert len(long.token_ids) == limit.max_new_tokens or CLOSING in texts[1]
    assert not set(long.token_ids) & checkpoint.stop_ids


@pytest.mark.parametrize("thought", ["so it is", "a < b", "it is </thi", "", "ü€😀", "</answer>"])
def test_the_end_of_a_block_is_found_however_it_is_cut_into_tokens(
    encoder: Encoder, thought: str
) -> None:
    for text in (f"{thought}{CLOSING}\n\n", f"{thought}{CLOSING}<answer>"):
        written: list[int] = []
        for token in text_ids(encoder, text):
            closing = reasoning.closed_by(encoder, written, token)
            if closing is not None:
                whole = encoder.tokenizer.decode([*written, *closing], skip_special_tokens=False)
                assert whole == f"{thought}{CLOSING}\n\n"
                break
            written.append(token)
        else:
            pytest.fail(f"{text!r} was not closed")


def test_ends_of_answers_are_no_words_of_a_thought(encoder: Encoder) -> None:
    (end,) = text_ids(encoder, "<|im_end|>")
    unspoken = reasoning.unspoken(encoder, frozenset({end}))
    assert end in unspoken
    assert not unspoken & set(text_ids(encoder, "<think>the cube</think>"))


def test_there_is_no_distribution_behind_reasoning(checkpoint: Any, samples: Any) -> None:
    model = InProcessModel(checkpoint, reasoning=True)
    with pytest.raises(UserError, match="behind a block of reasoning; use --decoding constrained"):
        next(model.answer([request_for(samples[0])], SHORT, "posterior"))


def test_the_option_reaches_the_engine_and_makes_it_another_one() -> None:
    plain = open_engine("builtin", EngineOptions())
    thinking = open_engine("builtin", EngineOptions(server=REASONING))
    assert thinking.identity == f"{plain.identity} reasoned"
    check_engine("builtin", REASONING)
    with pytest.raises(UserError, match="--base-url"):
        check_engine("builtin", ServerOptions(allow_unconstrained=True))
    assert taken_by("vllm:builtin", ServerOptions(reasoning=True, concurrency=3)) == REASONING
    served = ServerOptions(reasoning=True, base_url="http://localhost:8000/v1")
    assert taken_by("openai:model", served) == served
