"""Rules for how the weights are moved: steps, rates, precision."""

from collections.abc import Mapping
from typing import Any

from kairoscope.cosmos_rl.reading import Became, Reading, Rule, nothing, off, only, shown, takes

NO_CLIPPING = 1e30
PARTS = ("language", "vision")
"""Order of cosmos-rl's model parts, for which `optm_lr` may be a list."""
RATE_FIELDS = {
    "visual": "vision_learning_rate",
    "visual.merger": "projector_learning_rate",
}
"""Module path, as cosmos-rl has it, without a leading `model.` -> our field."""


def _epochs(reading: Reading, value: int) -> Became:
    drop_last = reading.is_head and reading.get("train.train_policy.dataloader_drop_last", pin=True)
    whole = "down" if drop_last else "up"
    reading.settings["epoch_steps"] = whole
    how = "drops the last, short batch" if drop_last else "ends with a short batch"
    return reading.set(
        "epochs",
        float(value),
        f"an epoch counts as whole batches, rounded {whole}, because cosmos-rl {reading.version} {how}; "
        "here all batches are full",
    )


def _drop_last(_reading: Reading, _value: bool) -> Became:  # noqa: FBT001
    return Became("used", "epoch_steps", "see train.epoch")


def _rate(reading: Reading, value: float | list[float] | dict[str, float]) -> Became:
    if isinstance(value, list):
        return _rate_list(reading, value)
    if isinstance(value, dict):
        return _rate_table(reading, value)
    return reading.set("learning_rate", float(value), "for all parts")


def _rate_list(reading: Reading, value: list[float]) -> Became:
    if len(value) != len(PARTS) or not all(type(rate) in (int, float) for rate in value):
        return Became("refused", "", f"must have two numbers, for {' and '.join(PARTS)}")
    language, vision = map(float, value)
    reading.settings["learning_rate"] = language
    reading.settings["vision_learning_rate"] = reading.settings["projector_learning_rate"] = vision
    return Became(
        "used",
        f"learning_rate = {language:g}, vision_learning_rate = projector_learning_rate = {vision:g}",
        "cosmos-rl's parts are the language model and the vision tower, the projector with it",
    )


def _rate_table(reading: Reading, value: Mapping[str, float]) -> Became:
    """Module path -> rate; `global` is for everything else."""
    rates: dict[str, float] = {}
    for path, rate in value.items():
        plain = path.removeprefix("model.")
        name = "learning_rate" if path == "global" else RATE_FIELDS.get(plain)
        if plain == "language_model":
            continue
        if name is None or type(rate) not in (int, float):
            allowed = "global, visual, visual.merger, language_model, each with a number"
            return Became("refused", "", f"{path} = {rate!r}; allowed: {allowed}")
        rates[name] = float(rate)
    language = value.get("model.language_model", value.get("language_model"))
    if language is not None:
        rates.setdefault("vision_learning_rate", rates.get("learning_rate", language))
        rates["learning_rate"] = float(language)
    if "learning_rate" not in rates:
        return Became("refused", "", "a table of rates must have `global`")
    if "vision_learning_rate" in rates:
        rates.setdefault("projector_learning_rate", rates["vision_learning_rate"])
    reading.settings.update(rates)
    return Became("used", shown(rates), "the projector learns with the vision tower unless named")


def _optimiser(reading: Reading, value: str) -> Became:
    decay = reading.get("train.optm_weight_decay", 0.01)
    if value == "AdamW" or (value == "Adam" and decay == 0):
        return Became("used", "AdamW", "")
    why = "Adam adds weight decay to the gradient, AdamW does not" if value == "Adam" else "8 bits"
    return Became(
        "refused", "", f"AdamW alone is built ({why}); Adam is the same with optm_weight_decay = 0"
    )


def _epsilon(reading: Reading, value: float) -> Became:
    if reading.is_head:
        return reading.set("epsilon", float(value))
    if "train.epsilon" not in reading.given:
        return reading.set("epsilon", 1e-8, "0.2.6 never read this key: it trained with 1e-8")
    why = "as written; 0.2.6 itself never read this key and trained with 1e-8"
    return reading.set("epsilon", float(value), why)


def _warmup(reading: Reading, value: float) -> Became:
    if isinstance(value, float) and reading.is_head and value <= 1:
        reading.settings["warmup_steps"] = None
        return reading.set("warmup_share", value, "a share of all steps; " + RAMP, adapted=True)
    if reading.is_head:
        return reading.set("warmup_steps", int(value), RAMP, adapted=True)
    return reading.set("warmup_steps", int(value), "step i has the share (i + 1) / (warmup + 1)")


RAMP = "step i has the share (i + 1) / (warmup + 1), in 0.4.4 i / (warmup - 1): it wastes its first"


def _decay(reading: Reading, value: str) -> Became:
    if value not in ("sqrt", "cosine", "linear"):
        return reading.set("schedule", "constant", "after the warm-up the rate stays")
    reading.settings["min_learning_rate_ratio"] = float(reading.get("train.optm_min_lr_factor", 0))
    return reading.set("schedule", value, "to optm_min_lr_factor of the rate")


def _clip(reading: Reading, value: float) -> Became:
    if value > 0:
        return reading.set("max_grad_norm", float(value))
    return reading.set("max_grad_norm", NO_CLIPPING, "0 or less: the norm is only reported")


def _precision(reading: Reading, value: str) -> Became:
    if value not in ("float32", "bfloat16"):
        return Became("refused", "", "float32 and bfloat16 alone are built")
    reading.settings["save_dtype"] = value
    return reading.set("dtype", value, "for computing, and for the weights in best/")


def _master(_reading: Reading, value: str) -> Became:
    if value == "float32":
        return Became("used", "float32", "weights and optimiser are always kept so")
    return Became("adapted", "float32", "weights and optimiser are always kept in float32")


def _ema(reading: Reading, value: bool) -> Became:  # noqa: FBT001
    decay = float(reading.get("train.ema_decay", 0.9999))
    if not value:
        return Became("no effect", "", "off")
    reading.settings["ema_every"] = max(1, reading.get("train.ema_update_step_interval", 0))
    return reading.set(
        "ema_decay", decay, "cosmos-rl averages diffusion models alone", adapted=True
    )


def _part_of(key: str) -> Any:
    return lambda _reading, _value: Became("used", "", f"see {key}")


DTYPES = "float32 is what gradients are summed in"
RULES: dict[str, Rule] = {
    "train.epoch": Rule(apply=_epochs, kinds=(int,), pin=1),
    "train.train_policy.dataloader_drop_last": Rule(apply=_drop_last, kinds=(bool,)),
    "train.max_num_steps": Rule(apply=takes("max_steps"), kinds=(int,)),
    "train.optm_lr": Rule(apply=_rate, kinds=(float, list, dict), pin=1e-6),
    "train.optm_name": Rule(apply=_optimiser, kinds=(str,), pin="AdamW"),
    "train.optm_impl": Rule(
        apply=nothing("torch chooses; the sums are the same"), kinds=(str, list)
    ),
    "train.optm_weight_decay": Rule(
        apply=takes("weight_decay", "acts on matrices, not on biases and norms"),
        kinds=(float,),
        pin=0.01,
    ),
    "train.optm_betas": Rule(apply=takes("betas"), kinds=(list,), pin=[0.9, 0.999]),
    "train.epsilon": Rule(apply=_epsilon, kinds=(float,), pin=1e-6),
    "train.optm_warmup_steps": Rule(apply=_warmup, kinds=(int, float), pin=20),
    "train.optm_warmup_start_factor": Rule(
        apply=only((0, 0.0), RAMP, "the warm-up starts from 0"), kinds=(float,)
    ),
    "train.optm_decay_type": Rule(apply=_decay, kinds=(str,), pin="none"),
    "train.optm_decay_ratio": Rule(apply=takes("decay_share"), kinds=(float,)),
    "train.optm_min_lr_factor": Rule(apply=_part_of("train.optm_decay_type"), kinds=(float,)),
    "train.optm_grad_norm_clip": Rule(apply=_clip, kinds=(float,), pin=1.0),
    "train.master_dtype": Rule(apply=_master, kinds=(str,)),
    "train.param_dtype": Rule(apply=_precision, kinds=(str,), pin="bfloat16"),
    "train.fsdp_reduce_dtype": Rule(
        apply=only(("float32",), DTYPES, DTYPES + ", whatever is asked", "adapted"), kinds=(str,)
    ),
    "train.ema_enable": Rule(apply=_ema, kinds=(bool,)),
    "train.ema_decay": Rule(apply=_part_of("train.ema_enable"), kinds=(float,)),
    "train.ema_update_step_interval": Rule(apply=_part_of("train.ema_enable"), kinds=(int,)),
    "train.seed": Rule(apply=takes("seed"), kinds=(int,)),
    "train.compile": Rule(apply=takes("compile", "torch.compile"), kinds=(bool,)),
    "train.deterministic": Rule(
        apply=nothing("runs are exact on a CPU; on a GPU kernels are torch's own"), kinds=(bool,)
    ),
    "train.fp8.enable_fp8": Rule(apply=off("8-bit training is not built"), kinds=(bool,)),
    "train.fp4.enable_fp4": Rule(apply=off("4-bit training is not built"), kinds=(bool,)),
}
