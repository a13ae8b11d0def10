"""A cosmos-rl TOML file -> our settings, with a row for every key; nothing is ignored in silence."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl import data_rules, grpo_rules, optimiser_rules, parallel_rules, vision
from kairoscope.cosmos_rl.keys import KNOWN, NEVER, PIN, Version, nearest, release_of
from kairoscope.cosmos_rl.reading import Became, Reading, Row, Rule, checked, flattened

Kind = Literal["sft", "grpo"]
TABLES = frozenset(
    ("train", "policy", "rollout", "custom", "logging", "validation", "profiler", "redis")
)
"""Top-level names by which a file is known as cosmos-rl's."""
_TYPE = "train.train_policy.type"
_GRPO_SIGNS = ("temperature", "epsilon_low", "epsilon_high", "kl_beta")
_RULES: tuple[Mapping[str, Rule], ...] = (
    data_rules.RULES,
    optimiser_rules.RULES,
    parallel_rules.RULES,
    vision.RULES,
    grpo_rules.RULES,
)
_REFUSED_WHEN_ON = {
    "distillation.enable": "distillation is not built",
    "policy.is_diffusers": "diffusion models are not trained here",
    "policy.trainable_map": "use policy.freeze_pattern, or freeze_vision and freeze_language",
    "policy.trainable_pattern": "use policy.freeze_pattern, or freeze_vision and freeze_language",
    "policy.lora.lora_path": "adapters begin at zero; merge them and give the checkpoint as --model",
    "policy.lora.use_rslora": "not built",
    "policy.lora.modules_to_save": "not built",
    "policy.aux_loss_coeff": "not built",
    "policy.model_safetensor_path": "--model takes one folder with weights and settings",
}
_HARMLESS = {
    "train.train_policy.balance_dp_token": "the loss is the mean over all answer tokens of a batch",
    "train.train_policy.type": "",
    "policy.enable_liger_kernel": "a kernel; results do not depend on it",
    "policy.enable_liger_cross_entropy": "a kernel; results do not depend on it",
    "policy.enable_liger_fused_cross_entropy": "a kernel; results do not depend on it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a file says, in our words."""

    where: str
    kind: Kind
    version: Version
    rows: tuple[Row, ...]
    """A row for every key of the file, and for those that cosmos-rl would have filled in."""
    settings: Mapping[str, Any]
    """Fields of `SFTConfig` or `GRPOConfig`, for `kairoscope.settings.changed`."""
    frames: FramePolicy
    model: str
    out: str
    data: str | None
    split: str | None
    column: str
    held_out: str | None
    holdout: float | int
    """A share of the samples, or as a whole number, so many of them."""
    loggers: tuple[str, ...]
    project: str | None
    experiment: str | None

    def with_outcome(self, outcome: str) -> tuple[Row, ...]:
        """The rows that came to this."""
        return tuple(row for row in self.rows if row.outcome == outcome)

    def check(self) -> None:
        """Raise UserError where the file asks for what is not done here."""
        refused = [f"{row.key} = {row.value!r}: {row.why}" for row in self.with_outcome("refused")]
        if refused:
            raise UserError(f"{self.where}: " + "; ".join(refused))


def is_cosmos_rl(tables: Mapping[str, Any]) -> bool:
    """Whether a TOML file is one of cosmos-rl's."""
    return bool(TABLES & set(tables))


def read_cosmos_rl(
    tables: Mapping[str, Any],
    where: str,
    *,
    evaluation: FramePolicy,
    allow_other_frames: bool = False,
    version: Version | None = None,
) -> Mapped:
    """Read a file of either release.

    Args:
        tables: the parsed TOML.
        where: the file, for messages.
        evaluation: the frames that the model will be judged on.
        allow_other_frames: train with the file's frames even where they are others.
        version: the release that it is for; None finds out by its keys.

    Raises:
        UserError: a value of a type that the key never had.
    """
    given = dict(flattened(tables))
    version = version or release_of(frozenset(given))
    kind, kind_row = _kind(given, version)
    reading = Reading(where=where, kind=kind, version=version, given=given)
    rows = [kind_row, *_rows(reading)]
    meant = replace(evaluation, **vision.file_policy(reading))
    row = vision.frames_row(reading, meant, evaluation, allowed=allow_other_frames)
    own = allow_other_frames or row.outcome != "adapted"
    rows.append(row)
    if not own:
        rows = [_roomier(reading, evaluation, r) for r in rows]
    if "holdout" not in reading.other:
        rows.append(_default_row(reading, "train.train_policy.dataset.test_size"))
    other = reading.other
    return Mapped(
        where=where,
        kind=kind,
        version=version,
        rows=tuple(rows),
        settings=reading.settings,
        frames=meant if own else evaluation,
        model=other["model"],
        out=other["out"],
        data=other.get("data"),
        split=other.get("split"),
        column=other.get("column", "conversations"),
        held_out=other.get("held_out"),
        holdout=other["holdout"],
        loggers=other.get("loggers", ()),
        project=other.get("project"),
        experiment=other.get("experiment"),
    )


def _kind(given: Mapping[str, Any], version: Version) -> tuple[Kind, Row]:
    """SFT or GRPO; 0.2.6 goes by the keys that are there and overwrites what is written."""
    written = given.get(_TYPE)
    signs = [name for name in _GRPO_SIGNS if f"train.train_policy.{name}" in given]
    by_keys: Kind = "grpo" if signs else "sft"
    kind: Kind = by_keys if version == PIN or written not in ("sft", "grpo") else written
    why = ""
    if written is not None and written != kind:
        found = f"it has {', '.join(signs)}" if signs else "no key of GRPO is there"
        why = f"0.2.6 goes by the keys ({found}), whatever is written"
    row = Row(
        key=_TYPE,
        value=written,
        given=written is not None,
        outcome="warning" if why else "used",
        became=f"kairoscope {kind}",
        why=why,
    )
    return kind, row


def _rule(reading: Reading, key: str) -> Rule | None:
    """The rule for a key in this kind of training; None: there is none at all, or for the other one."""
    found = [table[key] for table in _RULES if key in table]
    fitting = [rule for rule in found if rule.only in (None, reading.kind)]
    return fitting[0] if fitting else None


def _rows(reading: Reading) -> list[Row]:
    """A row for every key of the file, then for those that cosmos-rl fills in."""
    rows = [_row(reading, key, value) for key, value in reading.given.items() if key != _TYPE]
    for table in _RULES:
        for key, rule in table.items():
            default = rule.default(reading.version)
            fits = rule.only in (None, reading.kind)
            if key not in reading.given and default is not None and fits:
                rows.append(_default_row(reading, key))
    return rows


def _default_row(reading: Reading, key: str) -> Row:
    rule = _rule(reading, key)
    assert rule is not None, key
    value = rule.default(reading.version)
    return _as_row(key, value, rule.apply(reading, value), given=False)


def _row(reading: Reading, key: str, value: Any) -> Row:
    rule = _rule(reading, key)
    if rule is not None:
        return _as_row(key, value, rule.apply(reading, checked(reading, rule, key, value)))
    if any(key in table for table in _RULES) or (
        reading.kind == "sft" and key.startswith("rollout.") and key in KNOWN
    ):
        other = "GRPO" if reading.kind == "sft" else "SFT"
        return _as_row(key, value, Became("no effect", "", f"belongs to {other}"))
    return _as_row(key, value, _without_rule(key, value))


def _without_rule(key: str, value: Any) -> Became:
    if key in NEVER:
        return Became("warning", "", f"{NEVER[key]}: it does nothing, there or here")
    if key not in KNOWN:
        close = nearest(key)
        meant = f"; is {close} meant?" if close else ""
        return Became("warning", "", f"cosmos-rl has no such key and would ignore it{meant}")
    if key in _HARMLESS:
        return Became("no effect", "", _HARMLESS[key])
    if value in (False, None, 0, "", [], {}):
        return Became("no effect", "", "off")
    if key in _REFUSED_WHEN_ON:
        return Became("refused", "", _REFUSED_WHEN_ON[key])
    return Became("warning", "", "cosmos-rl's own machinery; there is nothing like it here")


def _as_row(key: str, value: Any, made: Became, *, given: bool = True) -> Row:
    return Row(
        key=key,
        value=value,
        given=given,
        outcome=made.outcome,
        became=made.became,
        why=made.why,
    )


def _roomier(reading: Reading, evaluation: FramePolicy, row: Row) -> Row:
    """The limit on tokens was meant for the file's few frames: leave room for the evaluation's."""
    if row.key != "policy.model_max_length":
        return row
    vision_tokens = vision.most_vision_tokens(evaluation)
    most = reading.other["model_max_length"] + vision_tokens
    reading.settings["max_tokens"] = most
    why = (
        f"raised by {vision_tokens}, the vision tokens that the evaluation's frames may take; "
        "a longer sample is listed and left out, never cut"
    )
    return replace(row, outcome="adapted", became=f"max_tokens = {most}", why=why)
