"""Answers from a server: of the present weights, or none at all."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rollout_twin import NAME, Twin, running
from safetensors.torch import load_file
from served_process import ALL, CONFIG, WEIGHTS
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import GRPOConfig, LoraConfig
from kairoscope.core import UserError
from kairoscope.models.server import http
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train import rewards
from kairoscope.train.grpo import grpo
from kairoscope.train.policy_losses import ROUNDING, truncated_weights
from kairoscope.train.served import RolloutServer, check_served, rollout_server
from kairoscope.train.served_wire import Unfit, rollouts_in
from kairoscope.train.synced import TOLERANCES, Probed, why_unsynced


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(rewards, "REWARDS", ALL)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def twin(tokenizer: Any, samples: Any) -> Iterator[Twin]:
    with running(Twin(checkpoint=make_checkpoint(tokenizer), samples=samples[:3])) as found:
        yield found


def train(
    twin: Twin | None, tokenizer: Any, samples: Any, out: Path, config: GRPOConfig = CONFIG
) -> list[dict[str, Any]]:
    """Steps of a run on three clips."""
    out.mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    server = None
    if twin is not None:
        options = ServerOptions(base_url=twin.url, attempts=2, send="file")
        server = RolloutServer(model=NAME, options=options)
    grpo(
        make_checkpoint(tokenizer),
        TASK,
        samples[:3],
        [],
        policy=POLICY,
        config=config,
        weights=WEIGHTS,
        out=out,
        log=rows.append,
        server=server,
    )
    steps = [row for row in rows if row["kind"] == "step"]
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in steps]


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2, alpha=4)])
def test_every_step_is_answered_with_the_weights_of_the_step(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path, lora: LoraConfig | None
) -> None:
    rows = train(twin, tokenizer, samples, tmp_path / "run", replace(CONFIG, lora=lora))
    assert len(rows) == len(twin.loaded) == len(set(twin.loaded)) == 4
    for row in rows:
        assert row["server_gap"] < 1e-4
        assert row["sampler_gap"] < 1e-4
        assert row["truncated_share"] == 0
        assert row["grad_norm"] > 0
    assert not (tmp_path / "run" / "served").exists()
    held = twin.checkpoint.network.state_dict()
    first = make_checkpoint(tokenizer).network.state_dict()
    apart = max(float((held[name] - value).abs().max()) for name, value in first.items())
    assert 0 < apart < 0.1


def test_a_server_that_keeps_its_weights_is_refused(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    twin.loads = False
    gentle = replace(CONFIG, learning_rate=1e-6)
    with pytest.raises(UserError, match=r"before step 2 the server does not .*: it is stale"):
        train(twin, tokenizer, samples, tmp_path / "run", gentle)
    with pytest.raises(UserError, match=r"differ by .* allowed are 0.01 in float32"):
        train(twin, tokenizer, samples, tmp_path / "other", CONFIG)


def test_the_server_dies_and_the_run_goes_on_exactly(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    """In the third step, one after the state that was saved."""
    straight = train(twin, tokenizer, samples, tmp_path / "straight")
    twin.dies_at = len(twin.bodies) + 8
    with pytest.raises(UserError, match=r"does not answer any more in step 3 .*same command again"):
        train(twin, tokenizer, samples, tmp_path / "cut")
    twin.dies_at = None
    rows = train(twin, tokenizer, samples, tmp_path / "cut")
    assert rows == straight[2:]
    for step in (2, 4):
        file = f"state/step_{step:07d}/state.safetensors"
        one, other = (load_file(tmp_path / run / file) for run in ("straight", "cut"))
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_two_processes_ask_for_their_prompts(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    """One hands the weights over; the run is that of one process, to rounding."""
    alone = train(twin, tokenizer, samples, tmp_path / "alone")
    handed = len(twin.loaded)
    here = Path(__file__).parent
    places = [str(here.parents[2] / "src"), str(here), str(here.parent)]
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words += [str(here / "served_process.py"), str(samples[0].video.parent)]
    ended = subprocess.run(
        [sys.executable, *words, str(tmp_path / "two"), twin.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(twin.loaded) == 2 * handed
    rows = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "step"]
    for ours, theirs in zip(steps, alone, strict=True):
        for name in ("reward", "loss", "grad_norm", "answer_tokens", "learned_tokens"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-6), name


def test_a_server_that_came_back_in_the_middle_of_a_step_is_noticed(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    twin.restarts_at = 5  # a probe and two prompts a step: the first prompt of the second step
    with pytest.raises(UserError, match=r"in step 2 the server has other weights .*'default'"):
        train(twin, tokenizer, samples, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"takes_weights": False}, r"404.*start vLLM with VLLM_SERVER_DEV_MODE=1"),
        ({"sees_the_disk": False}, r"fails in step 1 \(500: no such folder.*or --shared-folder"),
        ({"other_prompt": True}, r"another prompt \(\d+ tokens.*number 4\)"),
    ],
)
def test_servers_that_cannot_do_it(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    for name, value in change.items():
        setattr(twin, name, value)
    with pytest.raises(UserError, match=why):
        train(twin, tokenizer, samples, tmp_path / "run")


def test_a_sampler_that_differs_is_corrected_for(
    twin: Twin, tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    """It says that all it drew was e^-1 as likely: every token weighs e, and at most the cap."""
    one = replace(CONFIG, max_steps=1, inner_updates=1, max_grad_norm=1e9)
    exact = train(twin, tokenizer, samples, tmp_path / "exact", one)[0]
    twin.bias = -1.0
    capped = train(twin, tokenizer, samples, tmp_path / "capped", one)[0]
    free = replace(one, importance_cap=5.0)
    whole = train(twin, tokenizer, samples, tmp_path / "whole", free)[0]
    assert exact["sampler_gap"] < 1e-4
    assert capped["sampler_gap"] == whole["sampler_gap"] == pytest.approx(1, abs=1e-3)
    assert (capped["truncated_share"], whole["truncated_share"]) == (1, 0)
    assert capped["grad_norm"] == pytest.approx(2 * exact["grad_norm"], rel=1e-3)
    assert whole["grad_norm"] == pytest.approx(math.e * exact["grad_norm"], rel=1e-3)


def test_weights_of_tokens_from_another_sampler() -> None:
    old = torch.tensor([[-1.0, -1.0, -1.0, -1.0]])
    drawn = old + torch.tensor([[0.0, 0.5 * ROUNDING, -3.0, 0.5]])
    found = truncated_weights(old, drawn, 2.0)
    assert found[0].tolist() == pytest.approx([1.0, 1.0, 2.0, math.exp(-0.5)])
    assert found[0, :2].tolist() == [1.0, 1.0]


def test_when_weights_count_as_the_trainers() -> None:
    before = Probed(server=(-1.0, -2.0), trainer=(-1.0, -2.00001))
    same = Probed(server=(-1.1, -2.1), trainer=(-1.1, -2.10001))
    stale = Probed(server=(-1.0, -2.0), trainer=(-1.001, -2.001))
    allowed = TOLERANCES["float32"]
    far = Probed(server=(-1.0, -2.0), trainer=(-1.0, -2.0 - 3 * allowed))
    nothing = Probed(server=(math.nan, -2.0), trainer=(-1.0, -2.0))
    assert why_unsynced(same, None, None, "float32") is None
    assert why_unsynced(same, before, before.gap, "float32") is None
    assert why_unsynced(before, before, before.gap, "float32") is None  # nothing was learned
    assert "stale" in str(why_unsynced(stale, before, before.gap, "float32"))
    assert why_unsynced(stale, before, 0.002, "float32") is None  # rounding hides what moved
    assert "differ by 0.015" in str(why_unsynced(far, None, None, "float32"))
    assert why_unsynced(far, None, None, "bfloat16") is None
    assert why_unsynced(nothing, None, None, "bfloat16") is not None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({}, "does not tell what it drew"),
        ({"choices": []}, "gave 0 answers, 1 were asked for"),
        ({"choices": [{"index": 0, "token_ids": [5], "logprobs": None}]}, "does not tell"),
        (
            {"choices": [{"index": 0, "token_ids": [5], "logprobs": {"content": []}}]},
            "1 tokens of an answer with 0 probabilities",
        ),
    ],
)
def test_replies_that_nothing_can_be_learned_from(reply: dict[str, Any], why: str) -> None:
    with pytest.raises(Unfit, match=why):
        rollouts_in(reply, 1, frozenset((2,)))


def test_what_no_server_can_be_asked_for() -> None:
    options = ServerOptions(base_url="http://localhost:8000/v1")
    assert rollout_server("openai:name", options).model == "name"
    for spec in ("vllm:name", "openai:"):
        with pytest.raises(UserError, match=f"--rollouts {spec}: allowed: openai:NAME"):
            rollout_server(spec, options)
    with pytest.raises(UserError, match="--rollouts openai:name: needs --base-url"):
        rollout_server("openai:name", ServerOptions())
    for change in ({"decoding": "constrained"}, {"temperature": 0.7}, {"policy_temperature": 0.9}):
        [(name, value)] = change.items()
        with pytest.raises(UserError, match=f"{name} is {value}; allowed with --rollouts: "):
            check_served(replace(CONFIG, **change))


def test_the_trainer_sees_the_frames_that_an_evaluation_sees(tokenizer: Any, samples: Any) -> None:
    """At a rate that is no multiple of the policy's, too: 12 frames a second, 5 of them wanted."""
    from kairoscope.models.chat import encode
    from kairoscope.train.clips import ClipStore
    from kairoscope.train.mixing import everything
    from kairoscope.train.prompts import PromptFeed
    from kairoscope.video.frames import load_frames

    encoder = make_checkpoint(tokenizer).encoder
    for fps in (4.0, 5.0, 7.0, 9.0):
        policy = replace(POLICY, fps=fps)
        feed = PromptFeed(
            encoder=encoder,
            task=TASK,
            samples=samples,
            store=ClipStore(policy, encoder.geometry, dense=False),
            policy=policy,
            config=replace(CONFIG, rollouts_per_step=16),
            strata=everything(len(samples)),
        )
        for prompted in feed[0]:
            frames = load_frames(prompted.sample.video, policy, encoder.geometry)
            wanted = encode(
                encoder,
                TASK.prompt(prompted.sample.query),
                frames.pixels_THWC,
                frames.times_s,
                policy,
            )
            found = prompted.asked.encoded
            assert torch.equal(found.pixels_THWC, wanted.pixels_THWC)
            assert torch.equal(found.positions_3L, wanted.positions_3L)
