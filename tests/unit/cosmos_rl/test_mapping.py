"""cosmos-rl's files become our settings; every key has a row that says what became of it."""

import tomllib
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.config import GRPOConfig, SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl.keys import HEAD, KNOWN, PIN, Version
from kairoscope.cosmos_rl.mapping import Mapped, is_cosmos_rl, read_cosmos_rl
from kairoscope.settings import changed
from kairoscope.train.schedule import learning_rate, num_steps

EVALUATION = FramePolicy(fps=8.0)


def mapped(text: str = "", **options: Any) -> Mapped:
    tables = tomllib.loads(text)
    return read_cosmos_rl(tables, "a.toml", **{"evaluation": EVALUATION} | options)


def config_of(found: Mapped) -> SFTConfig:
    return changed(SFTConfig(), found.settings, found.where)


def row_of(found: Mapped, key: str) -> Any:
    [row] = [row for row in found.rows if row.key == key]
    return row


@given(st.integers(1, 64), st.integers(1, 16), st.integers(1, 4), st.integers(1, 3))
def test_the_global_batch_is_what_the_files_ranks_gave(
    each: int, shard: int, replicate: int, replicas: int
) -> None:
    found = mapped(
        f"[train]\ntrain_batch_per_replica = {each}\n[policy.parallelism]\ndp_shard_size = {shard}\n"
        f"dp_replicate_size = {replicate}\nn_init_replicas = {replicas}"
    )
    assert config_of(found).batch_size == each * shard * replicate * replicas


@pytest.mark.parametrize(("tensor", "batch"), [(1, 256), (2, 128), (8, 32)])
def test_ranks_that_are_left_open_are_those_of_eight_gpus(tensor: int, batch: int) -> None:
    found = mapped(
        "[train]\ntrain_batch_per_replica = 32\n[policy.parallelism]\n"
        f"tp_size = {tensor}\ndp_shard_size = -1"
    )
    assert config_of(found).batch_size == batch
    assert "8 GPUs are assumed" in row_of(found, "train.train_batch_per_replica").why


def some_value(key: str, version: Version, kind: str) -> tuple[Any, Mapped]:
    """A value that a key may have, and what became of it."""
    for value in (1, 0.5, "x", True, ["a"], [0.9, 0.95], {"global": 1e-6}):
        if key == "train.optm_betas":
            value = [0.9, 0.95]
        signs = {"type": "grpo", "kl_beta": 0.1} if kind == "grpo" else {}
        tables: dict[str, Any] = {"train": {"train_policy": signs}}
        place = tables
        *path, last = key.split(".")
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
        try:
            return value, read_cosmos_rl(tables, "a.toml", evaluation=EVALUATION, version=version)
        except UserError:
            continue
    raise AssertionError(f"{key} takes nothing")


@pytest.mark.parametrize(("version", "kind"), [(PIN, "sft"), (PIN, "grpo"), (HEAD, "sft")])
@pytest.mark.parametrize("key", sorted(KNOWN))
def test_no_known_key_is_ignored_in_silence(key: str, version: Version, kind: str) -> None:
    value, found = some_value(key, version, kind)
    assert Counter(row.key for row in found.rows).most_common(1)[0][1] == 1
    row = row_of(found, key)
    assert row.given
    assert row.value == value
    assert row.became or row.why
    for other in found.rows:
        assert other.outcome != "refused" or other.key == key or other.key == "custom.vision"
    settings: Any = SFTConfig() if found.kind == "sft" else GRPOConfig()
    if not found.with_outcome("refused") and key not in MEANINGLESS:
        changed(settings, found.settings, "a.toml")


MEANINGLESS = frozenset(("train.train_policy.loss_type", "rollout.n_generation"))
"""Known keys for which the values that are tried out are out of range."""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[train]\noptim_lr = 1e-6", "train.optm_lr"),
        ("[train]\nepochs = 3", "train.epoch"),
        ("[policy]\nmax_length = 8192", "policy.model_max_length"),
        ("[train.ckpt]\nsave_frequency = 5", "train.ckpt.save_freq"),
        ("[train]\nmini_batch = 5", "train.train_policy.mini_batch"),
    ],
)
def test_an_unknown_key_is_warned_of_with_the_nearest_name(text: str, meant: str) -> None:
    found = mapped(text)
    [row] = [row for row in found.with_outcome("warning") if row.given]
    assert row.why == (f"cosmos-rl has no such key and would ignore it; is {meant} meant?")
    found.check()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[train]\nepoch = "ten"', "train.epoch is 'ten'; allowed: a whole number"),
        ("[train]\nepoch = true", "train.epoch is True; allowed: a whole number"),
        ("[logging]\nlogger = 'wandb'", "logging.logger is 'wandb'; allowed: a list"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(UserError, match=f"^a.toml: {said}$"):
        mapped(text)


@pytest.mark.parametrize(
    "text",
    [
        "[train.fp8]\nenable_fp8 = true",
        '[train]\noptm_name = "Adam"',
        '[train]\noptm_name = "AdamW8bit"',
        '[train]\nparam_dtype = "float16"',
        '[train]\nresume = "outputs/step_20"',
        "[train]\noptm_lr = [1e-6]",
        '[train]\noptm_lr = {"visual.blocks" = 1e-6, global = 1e-6}',
        "[custom.vision]\nnframes = 8",
        "[custom.vision]\nvideo_start = 1.0",
        "[custom.vision]\nfps = 2",
        "[policy.lora]\nr = 8\ntarget_modules = ['q_proj']",
        "[policy]\nfreeze_pattern = ['visual.blocks']",
        "[distillation]\nenable = true\n[train]",
        "[train.train_policy]\ndataset.split = ['a', 'b']",
        "[train.train_policy]\nkl_beta = 0.1\nvariant = 'dapo'",
    ],
)
def test_what_would_be_another_run_is_refused_with_a_reason(text: str) -> None:
    found = mapped(text)
    [row] = [row for row in found.with_outcome("refused") if row.key != "custom.vision"] or (
        found.with_outcome("refused")
    )
    assert row.why
    with pytest.raises(UserError, match=r"a\.toml: .*" + row.key):
        found.check()


def test_adam_without_weight_decay_is_adamw() -> None:
    found = mapped('[train]\noptm_name = "Adam"\noptm_weight_decay = 0.0')
    found.check()
    assert config_of(found).weight_decay == 0


def test_the_frames_of_the_evaluation_are_fine() -> None:
    same = (
        "[custom.vision]\nfps = 8\nmax_pixels = 602112\nmin_pixels = 12544\n"
        "total_pixels = 6422528\nmax_frames = 768"
    )
    found = mapped(same)
    found.check()
    assert found.frames == EVALUATION
    assert config_of(found).max_tokens == 4096
    other = mapped(same.replace("fps = 8", "fps = 2"))
    with pytest.raises(UserError, match=r"fps 2 \(evaluation 8\); --allow-other-frames"):
        other.check()
    allowed = mapped(same.replace("fps = 8", "fps = 2"), allow_other_frames=True)
    allowed.check()
    assert allowed.frames == replace(EVALUATION, fps=2.0)


def test_stamps_are_those_of_the_evaluation() -> None:
    evaluation = replace(EVALUATION, stamp_place="band", clock_scale=4.0)
    found = mapped("[custom.vision]\nfps = 4", evaluation=evaluation, allow_other_frames=True)
    assert (found.frames.stamp_place, found.frames.clock_scale) == ("band", 4.0)


def test_a_size_is_an_area() -> None:
    found = mapped("[custom.vision]\nresized_height = 280\nresized_width = 420")
    assert found.with_outcome("adapted")
    size = "[custom.vision]\nresized_height = 280\nresized_width = 420"
    frames = mapped(size, allow_other_frames=True).frames
    assert frames.min_frame_pixels == frames.max_frame_pixels == 280 * 420


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("[train]\nepoch = 3", PIN),
        ("[train]\nenable_validation = true\nvalidation_step = 5", PIN),
        ("[train]\nseed = 3", HEAD),
        ("[validation]\nenable = true\nfreq = 7", HEAD),
    ],
)
def test_the_release_is_found_by_the_keys(text: str, version: Version) -> None:
    assert mapped(text).version == version


def test_the_releases_differ_where_they_differ() -> None:
    text = (
        "[train]\nepoch = 10\ntrain_batch_per_replica = 8\n[policy.parallelism]\ndp_shard_size = 1"
    )
    old, new = (config_of(mapped(text, version=version)) for version in (PIN, HEAD))
    assert (old.epsilon, new.epsilon) == (1e-8, 1e-6)
    assert (num_steps(old, 20), num_steps(new, 20)) == (30, 20)
    kept = config_of(mapped(text + "\n[train.train_policy]\ndataloader_drop_last = false"))
    assert num_steps(kept, 20) == 30
    share = config_of(mapped("[train]\noptm_warmup_steps = 0.25", version=HEAD))
    assert (share.warmup_steps, share.warmup_share) == (None, 0.25)
    assert learning_rate(share, 9, 40) < learning_rate(share, 10, 40) == share.learning_rate


def test_decay_of_the_newer_release() -> None:
    found = mapped(
        '[train]\noptm_lr = 1e-4\noptm_warmup_steps = 0\noptm_decay_type = "linear"\n'
        "optm_decay_ratio = 0.5\noptm_min_lr_factor = 0.2"
    )
    rates = [learning_rate(config_of(found), step, 10) for step in range(10)]
    assert rates[:6] == pytest.approx([1e-4] * 6)
    assert rates[6:] == pytest.approx([1e-4 * (1 - 0.8 * i / 5) for i in range(1, 5)])


def test_rates_by_part() -> None:
    a = config_of(mapped("[train]\noptm_lr = [1e-5, 1e-6]"))
    assert (a.learning_rate, a.vision_learning_rate, a.projector_learning_rate) == (
        1e-5,
        1e-6,
        1e-6,
    )
    b = config_of(mapped('[train]\noptm_lr = {global = 1e-5, "visual.merger" = 3e-5}'))
    assert (b.learning_rate, b.vision_learning_rate, b.projector_learning_rate) == (
        1e-5,
        None,
        3e-5,
    )
    c = config_of(mapped('[train]\noptm_lr = {global = 1e-5, "model.visual" = 2e-6}'))
    assert (c.learning_rate, c.vision_learning_rate, c.projector_learning_rate) == (
        1e-5,
        2e-6,
        2e-6,
    )


def test_adapters_and_frozen_parts() -> None:
    config = config_of(mapped("[policy.lora]\nr = 4\nlora_alpha = 16.0\nlora_dropout = 0.1"))
    assert config.lora is not None
    assert (config.lora.rank, config.lora.alpha, config.lora.dropout) == (4, 16, 0.1)
    frozen = config_of(mapped("[policy]\nfreeze_pattern = ['^visual\\..*']"))
    assert (frozen.freeze_vision, frozen.freeze_language) == (True, False)


def test_the_older_release_goes_by_the_keys_and_not_by_the_type() -> None:
    found = mapped('[train.train_policy]\ntype = "sft"\nkl_beta = 0.1')
    assert found.kind == "grpo"
    assert row_of(found, "train.train_policy.type").outcome == "warning"
    assert mapped('[train.train_policy]\ntype = "sft"\nkl_beta = 0.1', version=HEAD).kind == "sft"


def test_held_out_rows_by_number_and_a_data_set_of_their_own() -> None:
    assert mapped("[train.train_policy]\ndataset.test_size = 40").holdout == 40
    assert mapped("[train.train_policy]\ndataset.test_size = 0.2").holdout == 0.2
    own = mapped('[validation]\nenable = true\nfreq = 7\n[validation.dataset]\nname = "held"')
    assert own.held_out == "held"
    assert config_of(own).eval_every == 7


def test_what_is_held_out_is_said_by_release() -> None:
    key = "train.train_policy.dataset.test_size"
    texts = ("[train]\nepoch = 1", "[train]\nseed = 1", "[validation]\nenable = true\nfreq = 3")
    first, every, validated = (row_of(mapped(text), key).why for text in texts)
    assert first == validated
    assert first.startswith("cosmos-rl takes the first rows, unshuffled; here whole groups")
    assert every.startswith("0.4.4 trains on all rows unless validation.enable is on; here whole")


def test_our_own_files_are_not_taken_for_theirs() -> None:
    assert not is_cosmos_rl(tomllib.loads("[sft]\nepochs = 3\n[frames]\nfps = 4"))
