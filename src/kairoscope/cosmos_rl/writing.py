"""Our settings as a training configuration for cosmos-rl: the inverse of `mapping`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl.keys import HEAD, PIN, Version
from kairoscope.cosmos_rl.parallel_rules import RECIPE_GPUS
from kairoscope.cosmos_rl.vision import FILE_FIELDS

VISION_KEYS = {
    "fps": "fps",
    "max_frames": "max_frames",
    "total_pixels": "total_pixels",
    "min_frame_pixels": "min_pixels",
    "max_frame_pixels": "max_pixels",
}
"""Field of our frame policy -> key of `[custom.vision]`."""
_NO_ADAPTERS = "adapters and frozen parts need cosmos-rl 0.4.4; this is for 0.2.6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a configuration is for."""

    dataset: str
    """Folder that `datasets.load_from_disk` reads."""
    num_held_out: int
    """Its first rows, which cosmos-rl then holds out; 0 holds one out all the same."""
    model: str
    out: str
    gpus: int = RECIPE_GPUS
    version: Version = HEAD
    project: str = "kairoscope"
    experiment: str = "sft"


def config_text(job: Job, config: SFTConfig, frames: FramePolicy) -> str:
    """The TOML text. Raises UserError for settings that this release of cosmos-rl cannot take."""
    tables = config_tables(job, config, frames)
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def config_tables(job: Job, config: SFTConfig, frames: FramePolicy) -> dict[str, dict[str, Any]]:
    """Table -> key -> value; see `config_text`."""
    ranks = max(n for n in range(1, job.gpus + 1) if config.batch_size % n == 0)
    each = config.batch_size // ranks
    tables: dict[str, dict[str, Any]] = {
        "custom.dataset": {"path": job.dataset},
        "custom.vision": {VISION_KEYS[name]: getattr(frames, name) for name in FILE_FIELDS},
        "train": {
            "epoch": math.ceil(config.epochs),
            "output_dir": job.out,
            "compile": config.compile,
            "train_batch_per_replica": each,
            **_optimiser(job.version, config),
        },
        "train.train_policy": {
            "type": "sft",
            "conversation_column_name": "conversations",
            "mini_batch": math.gcd(each, config.micro_batch_size),
            "dataloader_num_workers": config.feed_workers,
        },
        "train.train_policy.dataset": {"test_size": job.num_held_out},
        "train.ckpt": {
            "enable_checkpoint": True,
            "save_freq": config.save_every,
            "max_keep": config.keep_checkpoints,
        },
        "policy": {
            "model_name_or_path": job.model,
            "model_max_length": config.max_tokens,
            "model_gradient_checkpointing": config.gradient_checkpointing,
        },
        "policy.parallelism": {"tp_size": 1, "cp_size": 1, "dp_shard_size": ranks, "pp_size": 1},
        "logging": {
            "logger": ["console"],
            "project_name": job.project,
            "experiment_name": job.experiment,
        },
    }
    return _for_release(job.version, config, tables)


def _optimiser(version: Version, config: SFTConfig) -> dict[str, Any]:
    rows: dict[str, Any] = {
        "optm_name": "AdamW",
        "optm_lr": _rates(version, config),
        "optm_weight_decay": config.weight_decay,
        "optm_betas": list(config.betas),
        "epsilon": config.epsilon,
        "optm_warmup_steps": 20 if config.warmup_steps is None else config.warmup_steps,
        "optm_grad_norm_clip": config.max_grad_norm,
        "param_dtype": config.dtype,
        "master_dtype": "float32",
    }
    if config.max_steps is not None:
        rows["max_num_steps"] = config.max_steps
    if config.schedule != "constant":
        rows |= {
            "optm_decay_type": config.schedule,
            "optm_decay_ratio": config.decay_share,
            "optm_min_lr_factor": config.min_learning_rate_ratio,
        }
    return rows


def _rates(version: Version, config: SFTConfig) -> Any:
    """One number, two for language model and vision tower, or a table by module."""
    own = (config.vision_learning_rate, config.projector_learning_rate)
    if own == (None, None):
        return config.learning_rate
    vision, projector = (config.learning_rate if rate is None else rate for rate in own)
    if vision == projector:
        return [config.learning_rate, vision]
    if version == PIN:
        raise UserError("projector_learning_rate of its own needs cosmos-rl 0.4.4")
    return {"global": config.learning_rate, "visual": vision, "visual.merger": projector}


def _for_release(
    version: Version, config: SFTConfig, tables: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What only one of the releases knows."""
    if version == PIN:
        if config.lora or config.freeze_vision or config.freeze_language:
            raise UserError(_NO_ADAPTERS)
        if config.schedule != "constant":
            raise UserError(
                f'schedule "{config.schedule}": cosmos-rl 0.2.6 keeps the rate constant; --set '
                "schedule=constant, or write for 0.4.4"
            )
        tables["train"] |= {"enable_validation": True, "validation_step": config.eval_every}
        return tables
    tables["train"]["seed"] = config.seed
    tables["train.train_policy"]["dataloader_drop_last"] = config.epoch_steps == "down"
    tables["validation"] = {"enable": True, "freq": config.eval_every}
    frozen = {"visual": config.freeze_vision, "(model|lm_head)": config.freeze_language}
    patterns = [rf"^{name}\." for name, wanted in frozen.items() if wanted]
    if patterns:
        tables["policy"]["freeze_pattern"] = patterns
    if config.lora:
        tables["policy.lora"] = {
            "r": config.lora.rank,
            "lora_alpha": float(config.lora.alpha),
            "lora_dropout": config.lora.dropout,
            "target_modules": "all-linear",
        }
    return tables


def _toml(value: Any) -> str:
    """A value as TOML has it; JSON's strings, numbers and words are TOML's, too."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
