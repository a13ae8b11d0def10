"""The client against a real vLLM that serves the built-in checkpoint. See `make test-servers`."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vllm_server import ARGUMENTS, NAME, Server, free_port, proxy

from kairoscope.core import Completion, Failed, FramePolicy, Request, Sampling, UserError
from kairoscope.data.sources import load_samples
from kairoscope.models.grammar import violation
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.load import load_model
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.subtask_times import TASK

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples/press/test"
SAMPLES = list(load_samples(DATA, []))
HOT = Sampling(trials=4, temperature=1.0, max_new_tokens=200, seed=5)
GREEDY = Sampling(max_new_tokens=200)
Answers = dict[str, tuple[Completion, ...]]


@pytest.fixture(scope="session")
def in_process() -> InProcessModel:
    return load_model("builtin")


def requests(policy: FramePolicy, samples: Sequence[Any] = SAMPLES) -> Iterator[Request]:
    for sample in samples:
        yield Request(
            id=sample.id,
            video=sample.video,
            prompt=TASK.prompt(sample.query),
            policy=policy,
            template=partial(TASK.template, sample.query),
        )


def model_at(url: str, **options: Any) -> ServedModel:
    return ServedModel(NAME, ServerOptions(base_url=url, **options))


def ask(
    model: Any,
    samples: Sequence[Any] = SAMPLES,
    sampling: Sampling = GREEDY,
    decoding: Any = "free",
) -> Answers:
    policy = model.checkpoint.policy if isinstance(model, InProcessModel) else model.policy
    assert policy is not None
    found = dict(model.answer(requests(policy, samples), sampling, decoding))
    assert set(found) == {sample.id for sample in samples}
    assert not any(isinstance(answer, Failed) for answer in found.values()), found
    return found


def texts(answers: Answers) -> dict[str, list[str]]:
    return {name: [completion.text for completion in answer] for name, answer in answers.items()}


@pytest.mark.parametrize("send", ["file", "base64", "frames"])
def test_free_answers_are_those_of_the_same_weights_in_this_process(
    server: Server, in_process: InProcessModel, send: str
) -> None:
    samples = SAMPLES if send == "file" else SAMPLES[:4]
    ours, theirs = ask(in_process, samples), ask(model_at(server.url, send=send), samples)
    assert texts(theirs) == texts(ours)
    for name, (answer,) in theirs.items():
        assert answer.num_prompt_tokens == ours[name][0].num_prompt_tokens
        assert answer.num_vision_tokens == ours[name][0].num_vision_tokens
        assert answer.frame_times_s == ours[name][0].frame_times_s


def test_auto_finds_the_shared_disk(server: Server) -> None:
    model = model_at(server.url)
    ask(model, SAMPLES[:2])
    assert model.usage.requests == 2 + 1  # and the list of models
    assert model.policy is not None
    assert model.policy.fps == 4.0


def test_posteriors_are_those_of_the_same_weights_in_this_process(
    server: Server, in_process: InProcessModel
) -> None:
    samples = SAMPLES[:6]
    ours = ask(in_process, samples, decoding="posterior")
    theirs = ask(model_at(server.url), samples, decoding="posterior")
    gaps = []
    for name, (answer,) in theirs.items():
        for found, wanted in zip(answer.posteriors, ours[name][0].posteriors, strict=True):
            assert found.choices == wanted.choices
            p, q = np.array(found.probabilities), np.array(wanted.probabilities)
            gaps.append(0.5 * float(np.abs(p - q).sum()))
            if ours[name][0].text == answer.text:
                assert gaps[-1] < 0.02, (name, found.slot)
    assert np.median(gaps) < 0.005
    same = sum(texts(ours)[name] == texts(theirs)[name] for name in ours)
    assert same >= len(samples) - 1  # a median may lie between two times


def test_constrained_samples_keep_to_the_grammar_and_to_the_order(server: Server) -> None:
    model = model_at(server.url)
    answers = ask(model, SAMPLES[:4], HOT, "constrained")
    for request in requests(model.policy or FramePolicy(), SAMPLES[:4]):
        answer = answers[request.id]
        assert [completion.trial for completion in answer] == [0, 1, 2, 3]
        assert len({completion.text for completion in answer}) > 1
        assert request.template is not None
        template = request.template(answer[0].frame_times_s)
        assert [violation(template, completion.text) for completion in answer] == [None] * 4


def test_later_trials_are_the_same_whatever_is_asked_with_them(server: Server) -> None:
    model = model_at(server.url, concurrency=1)
    whole = texts(ask(model, SAMPLES[:2], HOT))
    later = texts(ask(model, SAMPLES[:2], replace(HOT, first_trial=2, trials=2)))
    assert later == {name: trials[2:] for name, trials in whole.items()}


def test_the_old_form_of_a_constraint_is_noticed_as_ignored(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kairoscope.models.server import constraint

    monkeypatch.setattr(constraint, "FORMS", ("guided_regex",))
    with pytest.raises(UserError, match="guided_regex: taken and ignored"):
        ask(model_at(server.url), SAMPLES[:1], decoding="constrained")


def test_fps_that_the_server_does_not_take_is_noticed(tmp_path: Path, server: Server) -> None:
    """A server that trusts no settings in a request samples by itself: it must not pass unnoticed."""
    plain = tuple(word for word in ARGUMENTS if word != "--trust-request-mm-kwargs")
    other = Server(log=tmp_path / "server.log", port=free_port(), arguments=plain)
    try:
        other.start()
        with pytest.raises(UserError, match="start vLLM with --trust-request-mm-kwargs"):
            ask(model_at(other.url), SAMPLES[:1])
    finally:
        other.kill()


# --- faults ---------------------------------------------------------------------------------


def spoiled(
    server: Server, spoil: Any, samples: Sequence[Any] = SAMPLES[:6]
) -> tuple[Answers, int]:
    with proxy(server, spoil) as url:
        model = model_at(url, send="base64", timeout_s=20)
        return ask(model, samples), model.usage.retries


def busy(handler: BaseHTTPRequestHandler, number: int, content: bytes) -> bool:
    if number % 3:
        return False
    handler.send_response(429)
    handler.send_header("retry-after", "0.2")
    handler.send_header("content-length", "0")
    handler.end_headers()
    return True


def cut(handler: BaseHTTPRequestHandler, number: int, content: bytes) -> bool:
    if number % 3:
        return False
    handler.send_response(200)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True
    return True


def slow(handler: BaseHTTPRequestHandler, number: int, content: bytes) -> bool:
    if number == 0:
        time.sleep(25)
    return False


@pytest.mark.parametrize("spoil", [busy, cut, slow])
def test_answers_are_the_same_through_a_bad_connection(server: Server, spoil: Any) -> None:
    found, retries = spoiled(server, spoil)
    assert retries > 0
    assert texts(found) == texts(ask(model_at(server.url), SAMPLES[:6]))


def command(url: str, out: Path, *more: str) -> list[str]:
    words = ["evaluate", "subtask-times", "--data", str(DATA), "--out", str(out)]
    words += ["--model", f"openai:{NAME}", "--base-url", url, "--decoding", "free"]
    return [sys.executable, "-m", "kairoscope", *words, "--concurrency", "1", "--no-control", *more]


def test_killed_in_the_middle_and_started_again_only_the_rest_is_asked(
    server: Server, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    records = out / "records.jsonl"
    whole = tmp_path / "whole"
    subprocess.run(command(server.url, whole), check=True, capture_output=True)

    def kill_when_some_are_there() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if records.exists() and records.read_bytes().count(b"\n") >= 4:
                break
            time.sleep(0.02)
        server.kill()

    killer = threading.Thread(target=kill_when_some_are_there)
    killer.start()
    ended = subprocess.run(command(server.url, out), capture_output=True, text=True, check=False)
    killer.join()
    assert ended.returncode == 2
    assert "only the rest is asked" in ended.stderr
    finished = records.read_bytes().count(b"\n")
    assert 4 <= finished < len(SAMPLES)
    server.start()
    subprocess.run(command(server.url, out), check=True, capture_output=True)
    rows = [json.loads(line) for line in records.read_text().splitlines()]
    assert len(rows) == len(SAMPLES)
    usage = [json.loads(line) for line in (out / "usage.jsonl").read_text().splitlines()]
    assert usage[-1]["requests"] == len(SAMPLES) - finished
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (out, whole)]
    assert metrics[0] == metrics[1]
