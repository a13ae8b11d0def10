"""Rules for model, data, checkpoints and logs."""

import re
from typing import Any

from kairoscope.cosmos_rl.reading import Became, Reading, Rule, keeps, nothing, off, only, takes

HELD_OUT_SHARE = 0.1
"""What cosmos-rl holds out by default: the first tenth of the rows."""
ALL_KEPT = 1_000_000
LORA_LAYERS = frozenset(
    ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
)
"""Linear layers of the language model that adapters are put on here."""
SPLIT_WHY = (
    "cosmos-rl takes the first rows, unshuffled; here whole groups (demonstrations) are held out, "
    "chosen by the seed and stratified by task, so that no recording is on both sides"
)

ALL_ROWS = "0.4.4 trains on all rows unless validation.enable is on; "


def _data(reading: Reading, value: str) -> Became:
    reading.other["data"] = value
    return Became("used", f"--data {value}", "")


def _data_name(reading: Reading, value: str) -> Became:
    own = reading.given.get("custom.dataset.path")
    if own not in (None, "", value):
        why = f"the entry script's own custom.dataset.path = {own} is what is read"
        return Became("warning", "", why)
    return _data(reading, value) if value else Became("no effect", "", "empty")


def _test_size(reading: Reading, value: float | None) -> Became:
    share = HELD_OUT_SHARE if value is None else value
    reading.other["holdout"] = share
    count = isinstance(share, int)
    if share < 0 or (not count and share >= 1):
        return Became("refused", "", "allowed: a share from 0 to below 1, or a number of rows")
    why = SPLIT_WHY
    if reading.kind == "grpo":
        why = "whole groups, by which the best checkpoint is chosen"
    elif reading.is_head and not reading.get("validation.enable", pin=False):
        why = ALL_ROWS + SPLIT_WHY.partition("; ")[2]
    what = f"{share} samples or so" if count else f"{share:.0%}"
    return Became("adapted", f"{what} of the groups held out", why)


def _split(reading: Reading, value: Any) -> Became:
    names = [value] if isinstance(value, str) else value
    if len(names) > 1:
        return Became("refused", "", "several splits: give each as --data of its own")
    if not names or not names[0]:
        return Became("no effect", "", "empty")
    reading.other["split"] = names[0]
    return Became("used", f"split {names[0]}", "")


def _resume(_reading: Reading, value: bool | str) -> Became:  # noqa: FBT001
    if isinstance(value, str):
        return Became("refused", "", "cosmos-rl's checkpoints are not read; --model takes weights")
    if value:
        return Became("used", "", "a run goes on from its newest whole state, never from the base")
    return Became(
        "adapted", "", "the same command goes on in its folder; a new run needs a new --out"
    )


def _checkpoint(_reading: Reading, value: bool) -> Became:  # noqa: FBT001
    if value:
        return Became("used", "state/, best/", "")
    return Became("adapted", "state/, best/", "states are always kept, so that a kill loses little")


def _keep(reading: Reading, value: int) -> Became:
    if value < 0:
        return reading.set("keep_checkpoints", ALL_KEPT, "-1: all")
    return reading.set("keep_checkpoints", max(1, value), "the best is kept beside them")


def _loggers(reading: Reading, value: list[str]) -> Became:
    known = [name for name in value if name == "wandb"]
    other = [name for name in value if name not in ("wandb", "console")]
    reading.other["loggers"] = tuple(known)
    if other:
        return Became("warning", "", f"{', '.join(other)}: not built; allowed: console, wandb")
    became = "console, TensorBoard, train.jsonl" + (", wandb" if known else "")
    return Became("used", became, "")


def _validate(reading: Reading, value: bool) -> Became:  # noqa: FBT001
    if not value:
        why = "the task's own metric on held-out clips chooses the best checkpoint all the same"
        return Became("adapted", "", why)
    freq = reading.get("validation.freq" if reading.is_head else "train.validation_step", 20)
    return reading.set(
        "eval_every",
        freq,
        "cosmos-rl reports the loss, here it is the task's own metric",
        adapted=True,
    )


def _validation_enabled_by(key: str) -> Any:
    def apply(reading: Reading, _value: int) -> Became:
        if reading.get(key, pin=False):
            return Became("used", "eval_every", f"see {key}")
        return Became("no effect", "", f"{key} is off")

    return apply


def _lora(reading: Reading, value: int) -> Became:
    alpha = reading.get("policy.lora.lora_alpha", 8.0)
    if alpha != int(alpha):
        return Became("refused", "", "policy.lora.lora_alpha must be a whole number here")
    table = {
        "rank": value,
        "alpha": int(alpha),
        "dropout": float(reading.get("policy.lora.lora_dropout", 0.0)),
    }
    return reading.set("lora", table)


def _lora_layers(_reading: Reading, value: Any) -> Became:
    if value != "all-linear" and set(value) != LORA_LAYERS:
        layers = ", ".join(sorted(LORA_LAYERS))
        return Became("refused", "", f"adapters go on all of {layers} of the language model")
    return Became("adapted", "", "on all linear layers of the language model's blocks")


FROZEN = {
    "freeze_vision": (
        "visual.patch_embed.proj.weight",
        "visual.blocks.0.attn.qkv.weight",
        "visual.merger.mlp.0.weight",
    ),
    "freeze_language": (
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.mlp.up_proj.weight",
        "lm_head.weight",
    ),
}
"""Our field -> names, as cosmos-rl has them, that stand for all of the part."""


def _frozen(reading: Reading, value: list[str]) -> Became:
    try:
        hit = {n for p in value for names in FROZEN.values() for n in names if re.search(p, n)}
    except re.error as error:
        return Became("refused", "", f"not a pattern: {error}")
    fields = [field for field, names in FROZEN.items() if set(names) <= hit]
    if not fields or {name for field in fields for name in FROZEN[field]} != hit:
        why = "the vision tower with its merger, or the language model, can be frozen, each as a whole"
        return Became("refused", "", why)
    for field in fields:
        reading.settings[field] = True
    return Became("used", " and ".join(f"{field} = true" for field in fields), "")


ONE_PROCESS = "there is no controller process here"
UPLOAD = off("nothing is uploaded; best/ is a folder that transformers loads", "warning")
RULES: dict[str, Rule] = {
    "redis": Rule(apply=nothing(ONE_PROCESS), kinds=(str, int)),
    "eth_ips": Rule(apply=nothing(ONE_PROCESS), kinds=(str,)),
    "mode": Rule(apply=nothing(ONE_PROCESS), kinds=(str,)),
    "custom.dataset.path": Rule(apply=_data, kinds=(str,)),
    "train.train_policy.dataset.name": Rule(apply=_data_name, kinds=(str,)),
    "train.train_policy.dataset.split": Rule(apply=_split, kinds=(str, list)),
    "train.train_policy.dataset.subset": Rule(
        apply=off("datasets are read from disk; save the subset and give its folder"), kinds=(str,)
    ),
    "train.train_policy.dataset.revision": Rule(
        apply=off("datasets are read from disk; save the revision and give its folder"),
        kinds=(str,),
    ),
    "train.train_policy.dataset.test_size": Rule(apply=_test_size, kinds=(int, float)),
    "train.train_policy.conversation_column_name": Rule(
        apply=keeps("column", "column"), kinds=(str,), pin="conversations", only="sft"
    ),
    "train.train_policy.system_prompt": Rule(
        apply=off("the conversations bring their own; --prompt asks with other words", "warning"),
        kinds=(str,),
    ),
    "train.train_policy.enable_dataset_cache": Rule(
        apply=nothing("decoded clips stay in memory as far as clips_gib reaches"), kinds=(bool,)
    ),
    "train.train_policy.dataloader_num_workers": Rule(
        apply=takes(
            "feed_workers", "processes that make batches; the same batches, whoever makes them"
        ),
        kinds=(int,),
        pin=0,
    ),
    "train.train_policy.dataloader_prefetch_factor": Rule(
        apply=nothing("two batches are always made ahead"), kinds=(int,)
    ),
    "train.train_policy.dataloader_batch_size": Rule(apply=nothing(ONE_PROCESS), kinds=(int,)),
    "train.train_policy.dataloader_seed": Rule(apply=takes("seed"), kinds=(int,)),
    "train.train_policy.dataloader_shuffle": Rule(
        apply=only((True,), "always", "every epoch has its own order", "adapted"), kinds=(bool,)
    ),
    "train.resume": Rule(apply=_resume, kinds=(bool, str)),
    "train.output_dir": Rule(
        apply=keeps(
            "out", "--out", "no time stamp is added: the same command goes on in its folder"
        ),
        kinds=(str,),
        pin="./outputs",
    ),
    "train.timestamp": Rule(apply=nothing("run folders have no time stamps"), kinds=(str,)),
    "train.ckpt.enable_checkpoint": Rule(apply=_checkpoint, kinds=(bool,)),
    "train.ckpt.save_freq": Rule(apply=takes("save_every"), kinds=(int,), pin=20),
    "train.ckpt.max_keep": Rule(apply=_keep, kinds=(int,), pin=5),
    "train.ckpt.save_mode": Rule(
        apply=nothing("a state is written as a whole before the next step"), kinds=(str,)
    ),
    "train.ckpt.save_freq_in_epoch": Rule(
        apply=off("states are counted in steps, train.ckpt.save_freq", "warning"), kinds=(int,)
    ),
    "train.ckpt.export_safetensors": Rule(
        apply=nothing("best/ is always in safetensors, for transformers"), kinds=(bool,)
    ),
    "train.ckpt.upload_hf": Rule(apply=UPLOAD, kinds=(bool,)),
    "train.ckpt.upload_s3": Rule(apply=UPLOAD, kinds=(bool, str)),
    "train.enable_validation": Rule(apply=_validate, kinds=(bool,)),
    "train.validation_step": Rule(
        apply=_validation_enabled_by("train.enable_validation"), kinds=(int,)
    ),
    "train.validation_batch_per_replica": Rule(
        apply=nothing("how many clips share a forward pass changes no answer"), kinds=(int,)
    ),
    "validation.enable": Rule(apply=_validate, kinds=(bool,)),
    "validation.freq": Rule(apply=_validation_enabled_by("validation.enable"), kinds=(int,)),
    "validation.batch_size": Rule(
        apply=nothing("how many clips share a forward pass changes no answer"), kinds=(int,)
    ),
    "validation.val_before_train": Rule(
        apply=off("kairoscope evaluate asks the model as it came", "warning"), kinds=(bool,)
    ),
    "validation.dataset.name": Rule(apply=keeps("held_out", "--held-out"), kinds=(str,)),
    "policy.model_name_or_path": Rule(
        apply=keeps("model", "--model"), kinds=(str,), pin="Qwen/Qwen2.5-VL-7B-Instruct"
    ),
    "policy.model_revision": Rule(
        apply=off("fetch the revision and give its folder as --model"), kinds=(str,)
    ),
    "policy.model_gradient_checkpointing": Rule(
        apply=takes("gradient_checkpointing"), kinds=(bool,), pin=True
    ),
    "policy.lora.r": Rule(apply=_lora, kinds=(int,)),
    "policy.lora.lora_alpha": Rule(apply=nothing("see policy.lora.r"), kinds=(float,)),
    "policy.lora.lora_dropout": Rule(apply=nothing("see policy.lora.r"), kinds=(float,)),
    "policy.lora.target_modules": Rule(apply=_lora_layers, kinds=(str, list)),
    "policy.freeze_pattern": Rule(apply=_frozen, kinds=(list,)),
    "logging.logger": Rule(apply=_loggers, kinds=(list,)),
    "logging.project_name": Rule(apply=keeps("project", "W&B project"), kinds=(str,)),
    "logging.experiment_name": Rule(apply=keeps("experiment", "W&B run"), kinds=(str,)),
    "logging.group_name": Rule(apply=off("W&B groups are not set", "warning"), kinds=(str,)),
    "logging.report_mfu": Rule(
        apply=nothing("what is measured does not depend on it"), kinds=(bool,)
    ),
    "logging.log_interval": Rule(apply=nothing("every step is logged"), kinds=(int,)),
}
