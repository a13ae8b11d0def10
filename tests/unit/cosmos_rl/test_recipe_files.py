"""The recipes' own training configurations, as they are."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kairoscope.config import GRPOConfig, SFTConfig
from kairoscope.core import FramePolicy
from kairoscope.cosmos_rl.keys import PIN
from kairoscope.cosmos_rl.mapping import Mapped, is_cosmos_rl, read_cosmos_rl
from kairoscope.cosmos_rl.reading import flattened
from kairoscope.settings import changed
from kairoscope.train.schedule import num_steps

EVALUATION = FramePolicy(fps=8.0)
SAMPLES = {"mimicgen_sft": 3644, "videophy2_sft": 3400, "avha_sft": 9273}
"""Rows of the recipes' training sets."""
STEPS = {"mimicgen_sft": 1560, "videophy2_sft": 120, "avha_sft": 1320}
BATCH = {"mimicgen_sft": 256, "videophy2_sft": 256, "avha_sft": 128}


def config_of(found: Mapped) -> SFTConfig:
    return changed(SFTConfig(), found.settings, found.where)


def row_of(found: Mapped, key: str) -> Any:
    [row] = [row for row in found.rows if row.key == key]
    return row


def recipe(shared_data: Path, name: str, **options: Any) -> tuple[Mapping[str, Any], Mapped]:
    tables = tomllib.loads((shared_data / "toml" / f"{name}.toml").read_text())
    return tables, read_cosmos_rl(tables, name, **{"evaluation": EVALUATION} | options)


@pytest.mark.parametrize("name", STEPS)
def test_the_recipes_own_files_unchanged(shared_data: Path, name: str) -> None:
    tables, found = recipe(shared_data, name)
    assert is_cosmos_rl(tables)
    found.check()
    assert (found.kind, found.version) == ("sft", PIN)
    assert set(dict(flattened(tables))) <= {row.key for row in found.rows}
    config = config_of(found)
    assert config.batch_size == BATCH[name]
    assert config.micro_batch_size == 4
    assert num_steps(config, SAMPLES[name] - int(0.1 * SAMPLES[name])) == STEPS[name]
    assert (config.epsilon, config.learning_rate) == (
        (1e-6, 2e-6) if name == "avha_sft" else (1e-8, 1e-6)
    )
    assert (config.schedule, config.warmup_steps, config.dtype) == ("constant", 20, "bfloat16")
    assert found.frames == EVALUATION
    assert config.max_tokens == 4096 + 8192
    assert found.holdout == 0.1
    assert found.model == "nvidia/Cosmos-Reason1-7B"
    assert row_of(found, "custom.vision").outcome == "adapted"
    assert "first rows" in row_of(found, "train.train_policy.dataset.test_size").why


def test_what_the_driving_recipe_adds(shared_data: Path) -> None:
    _, found = recipe(shared_data, "avha_sft")
    config = config_of(found)
    assert (config.eval_every, config.save_every, config.keep_checkpoints) == (30, 25, 2)
    assert found.loggers == ("wandb",)
    assert (found.project, found.experiment) == ("cosmos_reason1_avha", "avha_sft")
    assert found.data == "/path/to/dataset/train"
    dead = row_of(found, "policy.parallelism.cp_rotate_method")
    assert (dead.outcome, dead.why) == (
        "warning",
        "no release of cosmos-rl ever had this key: it does nothing, there or here",
    )


def test_the_reinforcement_learning_file(shared_data: Path) -> None:
    tables, found = recipe(shared_data, "videophy2_rl")
    found.check()
    assert found.kind == "grpo"
    assert set(dict(flattened(tables))) <= {row.key for row in found.rows}
    config = changed(GRPOConfig(), found.settings, "rl")
    assert (config.rollouts_per_step, config.group_size, config.prompts_per_step) == (128, 8, 16)
    assert (config.epsilon_low, config.epsilon_high, config.kl_beta) == (0.2, 0.2, 0.05)
    assert (config.policy_temperature, config.temperature) == (0.9, 1.0)
    assert (config.max_new_tokens, config.max_tokens) == (6144, 10_240 + 8192)
    assert (config.betas, config.inner_updates, config.shared_prefix_tokens) == ((0.9, 0.95), 1, 1)
    assert found.data == "data/videophy2_train_w_thinking_balanced"


def test_the_files_own_frames_by_name(shared_data: Path) -> None:
    _, found = recipe(shared_data, "mimicgen_sft", allow_other_frames=True)
    assert (found.frames.fps, found.frames.max_frame_pixels) == (1.0, 81_920)
    assert config_of(found).max_tokens == 4096
