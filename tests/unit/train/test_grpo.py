"""A step of reinforcement learning against the textbook, and whole runs against each other."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from grpo_process import CONFIG, WEIGHTS, train
from safetensors.torch import load_file
from tiny_models import POLICY, make_checkpoint, plain_forward

from kairoscope.config import GRPOConfig, LoraConfig
from kairoscope.core import UserError
from kairoscope.recipes.physics_score import RECIPE as PHYSICS
from kairoscope.recipes.subtask_times import TASK
from kairoscope.settings import changed, read_toml
from kairoscope.train import answering as answering_module
from kairoscope.train.answering import AnsweredGroup, Answering
from kairoscope.train.check import check_config
from kairoscope.train.clips import ClipStore
from kairoscope.train.grpo_check import check_grpo, training_part
from kairoscope.train.learning import Learner
from kairoscope.train.mixing import everything
from kairoscope.train.prompts import PromptFeed
from kairoscope.train.reference import reference_for
from kairoscope.train.trainable import prepare

SOURCES = Path(__file__).parents[3] / "src"
STEP = GRPOConfig(
    rollouts_per_step=8,
    group_size=4,
    micro_batch_size=4,
    prompts_at_once=2,
    max_new_tokens=6,
    learning_rate=1e-2,
    warmup_steps=0,
    weight_decay=0.0,
    policy_temperature=0.8,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def step_of(
    tokenizer: Any, samples: Any, config: GRPOConfig, rewards: list[list[float]] | None = None
) -> tuple[Any, Learner, list[AnsweredGroup]]:
    """A network, what learns, and the answers of the first step; with other rewards than its own."""
    checkpoint = make_checkpoint(tokenizer)
    reference = reference_for(checkpoint.network, config)
    trained = prepare(checkpoint.network, training_part(config))
    geometry = checkpoint.encoder.geometry
    feed = PromptFeed(
        encoder=checkpoint.encoder,
        task=TASK,
        samples=samples[:2],
        store=ClipStore(POLICY, geometry, dense=False),
        policy=POLICY,
        config=config,
        strata=everything(2),
    )
    frozen = not any(p.requires_grad for p in checkpoint.network.model.visual.parameters())
    answering = Answering(
        checkpoint=checkpoint, task=TASK, config=config, weights=WEIGHTS, sees_once=frozen
    )
    groups = answering(feed[0], 0)
    if rewards is not None:
        for group, given in zip(groups, rewards, strict=True):
            group.rewards = given
            mean = sum(given) / len(given)
            spread = (sum((r - mean) ** 2 for r in given) / len(given)) ** 0.5
            group.advantages = tuple((r - mean) / (spread + 1e-6) for r in given)
    learner = Learner(trained=trained, geometry=geometry, config=config, reference=reference)
    return checkpoint.network, learner, groups


REWARDS = [[1.0, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.25]]


def gradients_of(learner: Learner, groups: list[AnsweredGroup]) -> dict[str, torch.Tensor]:
    """What the optimiser would be given in the first update."""
    found: dict[str, torch.Tensor] = {}
    trained = learner.trained

    def keep() -> None:
        for name, parameter in zip(trained.names, trained.parameters, strict=True):
            assert parameter.grad is not None
            found.setdefault(name, parameter.grad.clone())

    trained.optimizer.register_step_pre_hook(lambda *_: keep())
    learner(groups, 0.0)
    return found


def textbook(network: Any, groups: list[AnsweredGroup], config: GRPOConfig) -> torch.Tensor:
    """-A log p at the policy's temperature, by transformers' own forward pass, a mean over tokens."""
    total, count = torch.zeros(()), 0
    for group in groups:
        encoded = group.prompted.asked.encoded
        assert group.advantages is not None
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True):
            [logits] = plain_forward(network, [encoded], rollout.token_ids)
            log_p = torch.log_softmax(logits / config.policy_temperature, dim=-1)
            for place, token in enumerate(rollout.token_ids):
                total = total - advantage * log_p[len(encoded.token_ids) - 1 + place, token]
                count += 1
    return total / count


@pytest.mark.parametrize(("micro", "freeze_vision"), [(4, False), (3, False), (3, True)])
def test_the_gradient_is_the_textbooks(
    tokenizer: Any, samples: Any, micro: int, *, freeze_vision: bool
) -> None:
    """Through a vision tower that looks once, whatever the micro-batches."""
    config = replace(STEP, micro_batch_size=micro, freeze_vision=freeze_vision, max_grad_norm=1e9)
    _, learner, groups = step_of(tokenizer, samples, config, REWARDS)
    ours = gradients_of(learner, groups)
    theirs = make_checkpoint(tokenizer, windows=False).network
    textbook(theirs, groups, config).backward()  # type: ignore[no-untyped-call]
    wanted = dict(theirs.named_parameters())
    assert any("visual" in name for name in ours) != freeze_vision
    for name, gradient in ours.items():
        expected = wanted[name].grad
        scale = max(float(expected.abs().max()), 1e-4)
        assert float((gradient - expected).abs().max()) < 2e-3 * scale, name


def test_a_better_answer_becomes_likelier(tokenizer: Any, samples: Any) -> None:
    _, learner, groups = step_of(tokenizer, samples, replace(STEP, inner_updates=3), REWARDS)
    row = learner(groups, 1e-2)
    assert row["kl"] == 0
    assert 0 < row["clip_share"] < 1
    assert row["sampler_gap"] < 1e-4
    assert row["entropy"] > 0
    before = [sum(r.log_p) for r in groups[0].rollouts]
    groups[0].old_log_p.clear()
    learner(groups, 0.0)
    sizes = [len(rollout.log_p) for rollout in groups[0].rollouts]
    after = torch.split(torch.cat(groups[0].old_log_p), sizes)
    assert float(after[0].sum()) > before[0]
    assert float(after[1].sum()) < before[1]


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2, alpha=4)])
def test_the_reference_is_what_the_network_was(tokenizer: Any, samples: Any, lora: Any) -> None:
    """k3 against it is 0 at first; after steps it is what an untouched network says."""
    config = replace(STEP, kl_beta=0.5, lora=lora)
    network, learner, groups = step_of(tokenizer, samples, config, REWARDS)
    assert learner.reference is not None
    assert learner.reference.is_copy == (lora is None)
    assert (learner.reference.network is network) == (lora is not None)
    first = learner(groups, 1e-2)
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    kept = [torch.cat(group.reference_log_p) for group in groups]
    for group in groups:
        group.old_log_p.clear()
        group.reference_log_p.clear()
    second = learner(groups, 1e-2)
    assert second["kl"] > 1e-4
    for group, before in zip(groups, kept, strict=True):
        torch.testing.assert_close(torch.cat(group.reference_log_p), before, rtol=1e-4, atol=1e-5)
    drawn = [p for group in groups for rollout in group.rollouts for p in rollout.log_p]
    torch.testing.assert_close(torch.cat(kept), torch.tensor(drawn), rtol=1e-4, atol=1e-4)


def test_equal_rewards_teach_nothing_and_are_counted(tokenizer: Any, samples: Any) -> None:
    """Random weights write no event: every reward is 0."""
    network, learner, groups = step_of(tokenizer, samples, STEP)
    assert all(group.advantages is None for group in groups)
    assert [group.summary()["dropped"] for group in groups] == [1.0, 1.0]
    assert [group.summary()["unparsed"] for group in groups] == [1.0, 1.0]
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    row = learner(groups, 1e-2)
    assert row["learned_tokens"] == row["loss"] == row["grad_norm"] == 0
    assert all(torch.equal(before[name], p) for name, p in network.named_parameters())


def test_shared_prefixes_are_not_learned_from(tokenizer: Any, samples: Any) -> None:
    _, learner, groups = step_of(tokenizer, samples, STEP, REWARDS)
    whole = learner(groups, 0.0)["learned_tokens"]
    for group in groups:
        group.ignored = (2, 0, 1, 0)
        group.old_log_p.clear()
    assert learner(groups, 0.0)["learned_tokens"] == whole - 6


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"group_size": 1, "rollouts_per_step": 4}, "group_size is 1; allowed: 2 or more"),
        ({"rollouts_per_step": 10}, "rollouts_per_step is 10; allowed: a multiple of group_size"),
        ({"temperature": 0.0}, "temperature is 0.0; allowed: above 0"),
        ({"lora": LoraConfig(dropout=0.1)}, r"lora.dropout is 0.1; allowed: 0"),
        ({"rewards": (("likes", 1.0),)}, "no reward 'likes'; allowed: score, tiou"),
        ({"dual_clip": 0.5}, "dual_clip is 0.5; allowed: 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; allowed: above 0"),
    ],
)
def test_settings_that_no_run_can_follow(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        check_grpo(replace(STEP, **change))


def test_the_settings_that_ship_can_be_followed() -> None:
    file = Path(__file__).parents[3] / "examples" / "physics" / "settings.toml"
    tables = read_toml(file)
    check_config(changed(PHYSICS.sft, tables["sft"], "sft"))
    config = changed(PHYSICS.grpo, tables["grpo"], "grpo")
    check_grpo(config)
    assert config.rewards
    assert config.cache
    assert config.freeze_vision  # else pictures are kept, and the tower looks every time


def rows(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What was logged, without wall times. Steps that were done again must say the same again."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in (out / "log.jsonl").read_text().splitlines():
        row = {k: v for k, v in json.loads(line).items() if not k.endswith("seconds")}
        assert found.setdefault((row["kind"], row.get("step", 0)), row) == row
    return found


def process(*arguments: Any, launcher: tuple[str, ...] = ()) -> Any:
    places = [str(SOURCES), str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    program = Path(__file__).with_name("grpo_process.py")
    command = [sys.executable, *launcher, str(program), *map(str, arguments)]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run; its clips and base model lie beside it."""
    folder = tmp_path_factory.mktemp("grpo")
    train(folder / "clips", folder / "straight")
    return folder / "straight"


def test_what_a_run_says(straight: Path) -> None:
    found = rows(straight)
    steps = [found["step", step] for step in range(1, 6)]
    assert [step for kind, step in found if kind == "held_out"] == [0, 2, 4, 5]
    for row in steps:
        parts = row["reward_tiou"] + 0.5 * row["reward_boundary"] + 0.1 * row["reward_format"]
        assert row["reward"] == pytest.approx(parts)
        assert row["reward_format"] == 1  # constrained
        assert 0 <= row["clip_share"] <= 1
        assert row["entropy"] > 0
        assert row["unfinished"] == row["unparsed"] == 0
    assert steps[0]["kl"] < steps[-1]["kl"]
    assert max(row["sampler_gap"] for row in steps) < 1e-4
    [shown] = found["answers", 1]["groups"]
    assert shown["answers"][0]["reward"] >= shown["answers"][-1]["reward"]
    notes = json.loads((straight / "best" / "kairoscope.json").read_text())
    held_out = {s: r["mre_percent"] for (k, s), r in found.items() if k == "held_out"}
    assert notes["held_out"] == held_out[notes["step"]] == min(held_out.values())


def test_killed_and_run_again(straight: Path, tmp_path: Path) -> None:
    """In the middle of a second update on the same answers, and then of another one."""
    out = tmp_path / "killed"
    for update in (6, 3):
        ended = process(straight.parent / "clips", out, update)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    train(straight.parent / "clips", out)
    assert rows(straight) == rows(out)
    for file in ("state/step_0000004", "state/step_0000005"):
        one, other = (load_file(x / file / "state.safetensors") for x in (straight, out))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    for file in ("best/model.safetensors", "best/kairoscope.json"):
        assert (straight / file).read_bytes() == (out / file).read_bytes()


def test_what_the_tower_says_may_be_kept(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights do not change under adapters: the run is the same to the bit, and it looks once a clip."""
    looks = []
    real = vars(answering_module)["look"]

    def counted(*arguments: Any) -> Any:
        looks.append(1)
        return real(*arguments)

    monkeypatch.setattr(answering_module, "look", counted)
    train(straight.parent / "clips", tmp_path / "kept", replace(CONFIG, cache=True))
    assert rows(tmp_path / "kept") == rows(straight)
    assert not looks
    assert len(list((tmp_path / "kept" / "cache").rglob("*.safetensors"))) == 4
    train(straight.parent / "clips", tmp_path / "not kept", replace(CONFIG, max_steps=1))
    assert len(looks) == 3


@pytest.mark.slow
def test_two_processes_are_one(straight: Path, tmp_path: Path) -> None:
    """Three prompts a step: one process has two of them, and the other may have nothing to learn."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ended = process(straight.parent / "clips", tmp_path / "two", launcher=launcher)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = rows(tmp_path / "two"), rows(straight)
    assert ours.keys() == theirs.keys()
    for key, row in theirs.items():
        for name, value in row.items():
            if isinstance(value, float) and name != "sampler_gap":
                assert ours[key][name] == pytest.approx(value, rel=1e-3, abs=1e-6), (key, name)
    state = "state/step_0000005/state.safetensors"
    one, other = load_file(straight / state), load_file(tmp_path / "two" / state)
    weights = [key for key in one if key.startswith("weight/")]
    apart = torch.cat([(one[key] - other[key]).flatten() for key in weights])
    assert float(apart.norm()) < 1e-4 * float(torch.cat([one[k].flatten() for k in weights]).norm())
