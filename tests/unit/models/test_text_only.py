"""Questions without a clip: the same engines, and nothing of a video in what they are fed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_server import NAME, Reply, Small, serving
from tiny_models import POLICY, make_checkpoint, request_for

from kairoscope.core import (
    Completion,
    Decoding,
    FramePolicy,
    Prompt,
    Request,
    Sampling,
    Slot,
    Template,
)
from kairoscope.models.chat import around_the_video, encode
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.parity import Fed, compare
from kairoscope.models.server import http
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.vllm_clips import Asked, decoded
from kairoscope.models.vllm_input import vllm_prompt
from kairoscope.store import AnswerStore, Stored
from kairoscope.video.frames import NO_FRAMES

DECODINGS: tuple[Decoding, ...] = ("free", "constrained", "posterior")
PROMPT = Prompt(system="be brief", before="grasping the red cube", after=" or letting go?")
SLOT = Slot(name="answer", choices=("letting", "grasping"))


def template(times_s: Sequence[float]) -> Template:
    assert not times_s
    return ("the ", SLOT, ".")


def question(name: str = "asked", **changes: Any) -> Request:
    request = Request(id=name, video=None, prompt=PROMPT, policy=POLICY, template=template)
    return replace(request, **changes)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def test_the_prompt_is_the_conversation_alone_at_plain_positions(checkpoint: Any) -> None:
    encoder = checkpoint.encoder
    encoded = encode(encoder, PROMPT, NO_FRAMES.pixels_THWC, (), POLICY)
    text = "".join(around_the_video(PROMPT))
    assert encoder.tokenizer.decode(encoded.token_ids) == text
    assert "vision" not in text
    assert encoded.num_vision_tokens == 0
    assert encoded.positions_3L.tolist() == [list(range(len(encoded.token_ids)))] * 3
    assert encoded.next_position == len(encoded.token_ids)


@torch.inference_mode()
def test_a_greedy_answer_is_that_of_the_network_on_the_words(checkpoint: Any) -> None:
    sampling = Sampling(max_new_tokens=8)
    ((_, answer),) = InProcessModel(checkpoint).answer([question()], sampling, "free")
    assert isinstance(answer, tuple)
    tokenizer = checkpoint.encoder.tokenizer
    ids = tokenizer.encode("".join(around_the_video(PROMPT)), add_special_tokens=False)
    start = len(ids)
    for _ in range(answer[0].num_new_tokens):
        # No positions are given: transformers' own for text.
        out = checkpoint.network(input_ids=torch.tensor([ids]))
        ids.append(int(out.logits[0, -1].argmax()))
    assert answer[0].text == tokenizer.decode(ids[start:], skip_special_tokens=False)
    assert (answer[0].num_vision_tokens, answer[0].frame_times_s) == (0, ())


@pytest.mark.parametrize("decoding", DECODINGS)
def test_beside_clips_in_a_batch_the_answer_is_the_same(
    checkpoint: Any, samples: Any, decoding: Decoding
) -> None:
    sampling = Sampling(trials=3, temperature=1.2, max_new_tokens=8)
    other = question("other", prompt=Prompt(system="be brief", after="when?"))
    mixed = [question(), request_for(samples[0]), other, request_for(samples[1])]

    def texts(requests: Sequence[Request], batch_size: int) -> dict[str, Any]:
        model = InProcessModel(checkpoint, batch_size=batch_size)
        return {
            name: [(c.text, c.num_prompt_tokens) for c in answer]
            for name, answer in model.answer(requests, sampling, decoding)
            if isinstance(answer, tuple)
        }

    together = texts(mixed, 4)
    assert len(together) == 4
    assert together == texts(mixed, 1)
    assert texts([question(), other], 2) == {n: together[n] for n in ("asked", "other")}


def test_a_posterior_needs_no_frames(checkpoint: Any) -> None:
    ((_, answer),) = InProcessModel(checkpoint).answer([question()], Sampling(), "posterior")
    assert isinstance(answer, tuple)
    (posterior,) = answer[0].posteriors
    assert sum(posterior.probabilities) == pytest.approx(1)
    assert answer[0].text in ("the letting.", "the grasping.")


def test_vllm_is_given_tokens_and_no_video(checkpoint: Any) -> None:
    encoder = checkpoint.encoder
    ((request, frames),) = next(decoded(iter([question()]), encoder, 4))
    assert frames is NO_FRAMES
    encoded = encode(encoder, PROMPT, frames.pixels_THWC, frames.times_s, POLICY)
    asked = Asked(request=request, frames=frames, encoded=encoded, template=template(()))
    assert vllm_prompt(encoder, asked, [7]) == {"prompt_token_ids": [*encoded.token_ids, 7]}
    fed = Fed(num_prompt_tokens=len(encoded.token_ids), token_ids=encoded.token_ids)
    assert [check.good for check in compare(encoder, encoded, fed)] == [True, True, None]
    blind = Fed(num_prompt_tokens=len(encoded.token_ids) + 3)
    assert compare(encoder, encoded, blind)[0].kind == "prompt"


# --- from a server ----------------------------------------------------------------------------


def ask_server(decoding: Decoding, text: str, sampling: Sampling) -> tuple[Small, Any]:
    small = Small(reply=lambda body, number: Reply(status=500), text_only=lambda _: Reply(text))
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url))
        answers = dict(model.answer([question("a"), question("b")], sampling, decoding))
    assert answers.keys() == {"a", "b"}
    return small, answers["a"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.parametrize("decoding", ["free", "constrained"])
def test_a_server_gets_words_alone(decoding: Decoding) -> None:
    sampling = Sampling(trials=2, temperature=0.7, max_new_tokens=9)
    small, answer = ask_server(decoding, "the letting.", sampling)
    assert not small.asked  # nothing with a clip
    body = next(b for b in small.others if b["messages"][0]["role"] == "system")
    assert body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "grasping the red cube or letting go?"},
    ]
    known = {"model", "messages", "n", "temperature", "top_p", "max_tokens", "seed"}
    assert body.keys() - known == ({"structured_outputs"} if decoding == "constrained" else set())
    assert [(c.text, c.trial) for c in answer] == [("the letting.", 0), ("the letting.", 1)]
    assert {(c.num_vision_tokens, c.frame_times_s) for c in answer} == {(0, ())}


def test_a_server_tells_a_posterior_without_frames() -> None:
    def sample(body: Any, index: int) -> tuple[str, list[dict[str, Any]]]:
        top = [{"token": word, "logprob": p} for word, p in (("grasping", -0.1), ("letting", -2.4))]
        return "grasping", [{"token": "grasping", "logprob": -0.1, "top_logprobs": top}]

    def text_only(body: Any) -> Reply:
        return Reply(sample=sample) if "logprobs" in body else Reply("word")

    small = Small(reply=lambda body, number: Reply(status=500), text_only=text_only)
    small._begun = lambda body: None if "logprobs" in body else Small._begun(small, body)  # type: ignore[method-assign]
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url))
        ((_, answer),) = model.answer([question()], Sampling(), "posterior")
    assert isinstance(answer, tuple)
    assert answer[0].text == "the grasping."
    assert answer[0].posteriors[0].probabilities[1] == pytest.approx(0.909, abs=0.002)


def test_a_refusal_names_the_question() -> None:
    refused = Reply(status=400, words="no")
    small = Small(reply=lambda body, number: refused, text_only=lambda _: refused)
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url))
        ((_, answer),) = model.answer([question("weather/1")], Sampling(), "free")
    assert getattr(answer, "reason", "").startswith("weather/1: ")


def test_a_host_that_wants_the_limit_by_another_name_gets_it() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def strict(body: Any) -> Reply:
        return Reply(status=400, words=said) if "max_tokens" in body else Reply("yes")

    small = Small(reply=lambda body, number: Reply(status=500), text_only=strict)
    with serving(small):
        options = ServerOptions(base_url=small.url)
        asked = [question(name) for name in ("a", "b", "c")]
        answers = dict(ServedModel(NAME, options).answer(asked, Sampling(max_new_tokens=9), "free"))
    assert {a[0].text for a in answers.values() if isinstance(a, tuple)} == {"yes"}
    assert len(answers) == 3
    limits = [body.get("max_completion_tokens") for body in small.others]
    assert limits.count(9) == 3
    assert limits.count(None) <= 3  # those that were under way when it was found out


# --- the store --------------------------------------------------------------------------------


def stored_texts(store: AnswerStore, *requests: Request) -> list[tuple[str, bool]]:
    """(text, whether it came from the store), of a model that answers with a number of its own."""
    numbers = iter(range(100))

    def answer(requests: Any, sampling: Sampling, decoding: Decoding) -> Any:
        for request in requests:
            yield (
                request.id,
                (
                    Completion(
                        text=f"{next(numbers)}",
                        trial=0,
                        frame_times_s=(),
                        num_prompt_tokens=1,
                        num_vision_tokens=0,
                        num_new_tokens=1,
                        seconds=0.0,
                        finish="stop",
                    ),
                ),
            )

    model: Any = SimpleNamespace(name="m", identity="sha256:1", answer=answer)
    found = dict(Stored(model, store).answer(requests, Sampling(), "constrained"))
    return [(found[r.id][0].text, found[r.id][0].stored) for r in requests]  # type: ignore[index]


def test_the_store_knows_a_question_by_its_words(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    with AnswerStore.open(tmp_path / "store.sqlite") as store:
        assert stored_texts(store, question()) == [("0", False)]
        # How frames would be taken says nothing where none are.
        assert stored_texts(store, question("other id", policy=FramePolicy(fps=1.0))) == [
            ("0", True)
        ]
        asked_else = question(prompt=replace(PROMPT, after="?"))
        assert stored_texts(store, asked_else) == [("0", False)]
        shorter = question(template=lambda _: ("a ", SLOT))
        assert stored_texts(store, shorter) == [("0", False)]
        # An empty file is a clip all the same.
        shown = question(video=clip, template=lambda _: ("the ", SLOT, "."))
        assert stored_texts(store, shown) == [("0", False)]
