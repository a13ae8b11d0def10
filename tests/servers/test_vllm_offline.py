"""vLLM in this process, for real: what it feeds the model, what it answers, and why that may differ.

Runs in the servers' environment (`make test-servers`); skipped where vLLM is not installed.
"""

import importlib.util
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed here; see make test-servers", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import numpy as np
import regex  # type: ignore[import-untyped]
import torch
from tiny_models import POLICY, make_network, make_samples, make_tokenizer, request_for
from transformers import Qwen3VLForConditionalGeneration

from kairoscope.core import Completion, Decoding, Failed, Request, Sampling, Slot, UserError
from kairoscope.data.sources import load_samples
from kairoscope.models.checkpoint import Checkpoint, make_encoder, save_checkpoint
from kairoscope.models.grammar import satisfies, template_regex
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.load import load_model
from kairoscope.models.parity import Mismatch
from kairoscope.models.reference import expected_input
from kairoscope.models.server.order import mended, picks
from kairoscope.models.session import Session
from kairoscope.models.vllm_engine import VllmModel
from kairoscope.recipes.subtask_times import TASK
from kairoscope.video.frames import load_frames

# vLLM's own imports warn.
pytestmark = pytest.mark.filterwarnings("ignore")
CLIPS = Path(__file__).parents[2] / "examples" / "press" / "test"
SMALL: dict[str, Any] = {"max_model_len": 4096, "max_num_seqs": 16}
DRAWN = Sampling(trials=3, temperature=1.0, seed=5)


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    policy = VllmModel("builtin").policy
    assert policy is not None
    return [
        Request(
            id=sample.id,
            video=sample.video,
            prompt=TASK.prompt(sample.query),
            policy=policy,
            template=partial(TASK.template, sample.query),
        )
        for sample in list(load_samples(CLIPS, []))[:4]
    ]


@pytest.fixture(scope="module")
def model() -> VllmModel:
    return VllmModel("builtin", **SMALL)


@pytest.fixture(scope="module")
def in_process() -> InProcessModel:
    return load_model("builtin", device="cpu")


def answers(
    model: Any, requests: list[Request], sampling: Sampling, decoding: Decoding
) -> dict[str, tuple[Completion, ...]]:
    found = dict(model.answer(requests, sampling, decoding))
    assert list(found) == [request.id for request in requests]
    return found


def test_free_answers_are_those_in_process(
    model: VllmModel, in_process: InProcessModel, requests: list[Request]
) -> None:
    """Pixels, positions, prompt and weights are the same: so is every token, at temperature 0."""
    sampling = Sampling(max_new_tokens=100)
    there = answers(model, requests, sampling, "free")
    here = answers(in_process, requests, sampling, "free")
    for name, (completion,) in there.items():
        assert replace(completion, seconds=0.0) == replace(here[name][0], seconds=0.0)


@pytest.mark.parametrize("decoding", ["free", "posterior"])
def test_words_alone_are_answered_as_in_this_process(
    model: VllmModel, in_process: InProcessModel, requests: list[Request], decoding: Decoding
) -> None:
    """No clip is shown; a batch may mix both."""
    slot = Slot(name="score", choices=('1"', '2"', '3"'))
    blind = [replace(r, id=f"{r.id} blind", video=None, template=None) for r in requests[:2]]
    asked = [replace(r, template=lambda _: ('{"score": "', slot, "}")) for r in blind]
    sampling = Sampling(max_new_tokens=40)
    there = answers(model, [*asked, requests[0]], sampling, decoding)
    here = answers(in_process, [*asked, requests[0]], sampling, decoding)
    for name, (completion,) in there.items():
        (wanted,) = here[name]
        assert completion.text == wanted.text
        assert completion.num_prompt_tokens == wanted.num_prompt_tokens
        for found, expected in zip(completion.posteriors, wanted.posteriors, strict=True):
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    assert {there[r.id][0].num_vision_tokens for r in asked} == {0}


def test_posteriors_are_those_in_process(
    model: VllmModel, in_process: InProcessModel, requests: list[Request]
) -> None:
    """The same text, every token of it and the distribution of every slot."""
    there = answers(model, requests, Sampling(), "posterior")
    here = answers(in_process, requests, Sampling(), "posterior")
    for name, (completion,) in there.items():
        (wanted,) = here[name]
        assert (completion.text, completion.num_new_tokens) == (wanted.text, wanted.num_new_tokens)
        for found, expected in zip(completion.posteriors, wanted.posteriors, strict=True):
            assert (found.slot, found.choices) == (expected.slot, expected.choices)
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)


def token_by_token(in_process: InProcessModel, request: Request) -> str:
    """The likeliest token that the expression allows, one after the other, with our own network."""
    checkpoint = in_process.checkpoint
    tokenizer = checkpoint.encoder.tokenizer
    assert request.video is not None
    frames = load_frames(request.video, request.policy)
    encoded = expected_input(checkpoint.encoder, request.prompt, frames, request.policy)
    assert request.template is not None
    whole = request.template(frames.times_s)
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    pieces = [
        "" if i in special else tokenizer.decode([i], skip_special_tokens=False)
        for i in range(len(tokenizer))
    ]

    def written(expression: Any) -> str:
        session = Session(checkpoint.network, checkpoint.encoder, [encoded])
        text, logits = "", session.last_BV[0]
        while not expression.fullmatch(text):
            likeliest = logits.argsort(descending=True).tolist()
            token = next(
                i
                for i in likeliest
                if pieces[i] and expression.fullmatch(text + pieces[i], partial=True)
            )
            text += pieces[token]
            logits = session.step([[token]]).last_BV[0]
        return text

    rest: Any = whole
    while True:
        text = written(regex.compile(template_regex(rest)))
        values = picks(whole, text)
        assert values is not None
        rest = mended(whole, values)
        if rest is None:
            return text


def test_constrained_answers_are_greedy_token_by_token(
    model: VllmModel, in_process: InProcessModel, requests: list[Request]
) -> None:
    """All that differs from this process is how the likeliest answer is looked for."""
    there = answers(model, requests, Sampling(), "constrained")
    for request in requests:
        assert there[request.id][0].text == token_by_token(in_process, request)


def test_drawn_answers_keep_to_the_template_and_its_order(
    model: VllmModel, requests: list[Request]
) -> None:
    found = answers(model, requests, DRAWN, "constrained")
    texts = set()
    for request in requests:
        assert [c.trial for c in found[request.id]] == [0, 1, 2]
        for completion in found[request.id]:
            assert request.template is not None
            assert satisfies(request.template(completion.frame_times_s), completion.text)
            texts.add(completion.text)
    assert len(texts) > len(requests)


def test_a_trial_is_the_same_whichever_trials_are_asked_with_it(
    model: VllmModel, requests: list[Request]
) -> None:
    whole = answers(model, requests[:2], DRAWN, "constrained")
    later = replace(DRAWN, trials=1, first_trial=2)
    for name, (completion,) in answers(model, requests[:2], later, "constrained").items():
        assert replace(completion, seconds=0.0) == replace(whole[name][2], seconds=0.0)


def test_a_clip_that_cannot_be_read_is_one_failure(
    model: VllmModel, requests: list[Request], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    both = [replace(requests[0], id="bad", video=broken), requests[0]]
    found = answers(model, both, Sampling(max_new_tokens=4), "free")
    assert isinstance(found["bad"], Failed)
    assert isinstance(found[requests[0].id], tuple)


def test_positions_are_told_and_a_scaled_clock_arrives(
    model: VllmModel, requests: list[Request]
) -> None:
    """What vLLM says that it computed is what we would have, at odd rates and on a faster clock, too."""
    told: dict[tuple[float, float], str] = {}
    for fps, clock_scale in ((8.0, 1.0), (8.0, 4.0), (9.533, 1.7), (2.0, 1.0)):
        policy = replace(requests[0].policy, fps=fps, clock_scale=clock_scale)
        request = replace(requests[0], id=f"{fps} x{clock_scale}", policy=policy)
        answers(model, [request], Sampling(max_new_tokens=1), "free")
        checks = {check.what: check for check in model.checks}
        assert {what: check.good for what, check in checks.items()} == {
            "vision tokens": True,
            "words of the prompt": True,
            "temporal positions": True,
        }
        told[fps, clock_scale] = checks["temporal positions"].found
    first = {key: told_ids.split(", ")[:6] for key, told_ids in told.items()}
    assert len(set(first[8.0, 1.0])) < 6  # patches share positions
    assert len(set(first[8.0, 4.0])) == 6  # each has its own
    assert len(set(told.values())) == len(told)


def test_other_input_is_a_mismatch(
    model: VllmModel, requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong elsewhere: half of the frames, the rate lost, other words."""
    from kairoscope.models import vllm_engine, vllm_input

    right = vllm_input.vllm_prompt

    def half(*given: Any) -> Any:
        prompt = right(*given)
        ((pixels, metadata),) = prompt["multi_modal_data"]["video"]
        few = {**metadata, "frames_indices": [*range(len(pixels[::2]))]}
        few["total_num_frames"] = len(pixels[::2])
        return {**prompt, "multi_modal_data": {"video": [(np.ascontiguousarray(pixels[::2]), few)]}}

    def rate_lost(*given: Any) -> Any:
        prompt = right(*given)
        ((pixels, metadata),) = prompt["multi_modal_data"]["video"]
        return {**prompt, "multi_modal_data": {"video": [(pixels, {**metadata, "fps": 24.0})]}}

    def other_words(*given: Any) -> Any:
        prompt = right(*given)
        return {**prompt, "prompt_token_ids": [*prompt["prompt_token_ids"], 23]}

    for wrong, words in ((half, "vision"), (rate_lost, "positions"), (other_words, "words")):
        monkeypatch.setattr(vllm_engine, "vllm_prompt", wrong)
        with pytest.raises(Mismatch, match=words):
            answers(model, requests[:1], Sampling(max_new_tokens=1), "free")


def test_what_it_cannot_do_is_refused_by_name(model: VllmModel, requests: list[Request]) -> None:
    with pytest.raises(UserError, match="--device cpu"):
        VllmModel("builtin", device="cpu")
    wordy = replace(requests[0].prompt, before="grasping the red cube " * 2000)
    long = replace(requests[0], id="long", prompt=wordy)
    (failed,) = answers(model, [long], Sampling(), "free").values()
    assert isinstance(failed, Failed)
    assert "4095" in failed.reason


def wide_qwen3(tokenizer: Any) -> Checkpoint:
    """The tiny random Qwen3-VL with heads of 32, the smallest that vLLM's CPU build computes."""
    config = make_network(tokenizer, "qwen3_vl").config
    config.text_config.head_dim = 32
    config.text_config.rope_parameters["mrope_section"] = [6, 5, 5]
    torch.manual_seed(0)
    network = Qwen3VLForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(5)
    network.train(mode=False)
    return Checkpoint(
        name="tiny qwen3_vl",
        network=network,
        encoder=make_encoder(network, tokenizer),
        policy=POLICY,
        identity="seed 0",
    )


def test_qwen3_is_fed_its_times_in_words(tmp_path: Path) -> None:
    """A random Qwen3-VL: prompt tokens with times, positions and answers as in this process."""
    checkpoint = wide_qwen3(make_tokenizer())
    policy = replace(POLICY, max_frame_pixels=32 * 32 * 9)
    save_checkpoint(
        checkpoint.network, checkpoint.encoder.tokenizer, policy, tmp_path / "model", notes={}
    )
    requests = [request_for(sample, policy) for sample in make_samples(tmp_path / "clips", 3)]
    model = VllmModel(str(tmp_path / "model"), **SMALL)
    here = answers(InProcessModel(checkpoint), requests, Sampling(), "posterior")
    there = answers(model, requests, Sampling(), "posterior")
    for name, (completion,) in there.items():
        (wanted,) = here[name]
        assert completion.text == wanted.text
        for found, expected in zip(completion.posteriors, wanted.posteriors, strict=True):
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    sampling = Sampling(max_new_tokens=12)
    here = answers(InProcessModel(checkpoint), requests, sampling, "free")
    there = answers(model, requests, sampling, "free")
    for name in here:
        # Of characters that are cut off, vLLM writes nothing at all.
        assert there[name][0].text.rstrip("\ufffd") == here[name][0].text.rstrip("\ufffd")
