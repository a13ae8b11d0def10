"""LoRA adapters as files of their own, in the layout of peft: many of them beside one base model."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kairoscope.core import FramePolicy, UserError
from kairoscope.models.checkpoint import (
    POLICY_FILE,
    Checkpoint,
    load_checkpoint,
    read_policy,
    save_checkpoint,
    weights_identity,
)
from kairoscope.models.names import ADAPTER_FILE, base_of, is_adapter, located
from kairoscope.models.saving import written_whole
from kairoscope.storage import read_json, write_json_atomic

if TYPE_CHECKING:
    from peft import LoraConfig as PeftLoraConfig  # takes seconds

FOLDER = "adapter"
"""Name of an adapter's folder in that of a checkpoint which it is merged into."""
WEIGHTS, CONFIG = "adapter_model.safetensors", ADAPTER_FILE
PREFIX = "base_model.model."
"""What peft puts before the names of a network's modules."""
A, B = ".lora_A", ".lora_B"
PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "use_dora": (False, None),
    "bias": ("none", None),
    "fan_in_fan_out": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "trainable_token_indices": (None, [], {}),
}
"""Settings of peft with which an adapter is something else than `B A` times one factor, and their values
without that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Low-rank changes to the weights of one base model."""

    folder: Path
    base: str
    """Identity of the base model's weights; empty where the adapter does not say."""
    scaling: float
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    """Name of a module -> its A (rank, in) and B (out, rank)."""

    def change(self, module: str) -> torch.Tensor:
        """What is added to a module's weight: (out, in), float32."""
        down, up = self.pairs[module]
        return (up.float() @ down.float()) * self.scaling


def save_adapter(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    settings: "PeftLoraConfig",
    notes: Mapping[str, Any],
) -> None:
    """Write an adapter that peft loads.

    Args:
        folder: made if need be.
        weights: by the names they have in a network that the adapter is injected into.
        settings: rank, alpha and the modules it belongs to.
        notes: rows of `kairoscope.json`; `base` is the identity of the base model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        PREFIX + name.replace(".default.", "."): value.detach().to("cpu", copy=True).contiguous()
        for name, value in weights.items()
    }
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors lets only the owner read
    settings.save_pretrained(str(folder))
    write_json_atomic(folder / POLICY_FILE, dict(notes))


def read_adapter(folder: Path) -> Adapter:
    """Read what `save_adapter` or peft wrote.

    Raises:
        UserError: it is no such folder, or is damaged.
    """
    if (folder / FOLDER / CONFIG).is_file():
        folder = folder / FOLDER
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no adapter: it has no {CONFIG}")
    settings = read_json(folder / CONFIG)
    try:
        tensors = load_file(folder / WEIGHTS)
        rank = settings["r"]
        scaling = settings["lora_alpha"] / (math.sqrt(rank) if settings.get("use_rslora") else rank)
        other = [key for key, plain in PLAIN.items() if settings.get(key, plain[0]) not in plain]
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: the adapter cannot be read: {error}") from error
    if other:
        raise UserError(
            f"{folder / CONFIG}: {other[0]} is {settings[other[0]]!r}; only plain LoRA can be added to "
            "weights: merge it with peft, and give the whole checkpoint"
        )
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for key, down in tensors.items():
        module, found, _ = key.partition(f"{A}.weight")
        if found and f"{module}{B}.weight" in tensors:
            pairs[module.removeprefix(PREFIX)] = (down, tensors[f"{module}{B}.weight"])
        elif B not in key:
            raise UserError(f"{folder / WEIGHTS}: {key} is not half of a low-rank pair")
    if not pairs:
        raise UserError(f"{folder / WEIGHTS}: holds no low-rank pairs")
    notes = read_json(folder / POLICY_FILE) if (folder / POLICY_FILE).is_file() else {}
    return Adapter(folder=folder, base=notes.get("base", ""), scaling=scaling, pairs=pairs)


def model_identity(folder: Path) -> str:
    """Changes when the weights change that a folder of a checkpoint, or of adapters, stands for."""
    own = weights_identity(folder) or ""
    if not is_adapter(folder):
        return own
    base = model_identity(located(base_of(folder)))
    settings = read_json(folder / CONFIG)
    factor = [settings.get(name) for name in ("lora_alpha", "r", "use_rslora")]
    return "sha256:" + hashlib.sha256(f"{base} + {factor} {own}".encode()).hexdigest()[:16]


def model_policy(folder: Path, task: str = "") -> FramePolicy | None:
    """Frames that a checkpoint or adapter was trained on; of an adapter that does not say, its base's.

    `task` as in `read_policy`.
    """
    own = read_policy(folder, task)
    if own is None and is_adapter(folder):
        return model_policy(located(base_of(folder), small=True), task)
    return own


def load_adapted(
    folder: Path,
    *,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
) -> Checkpoint:
    """A checkpoint, or the base model of an adapter folder with the adapter added to its weights.

    A base model may itself be an adapter folder. Arguments as in `load_checkpoint`.

    Raises:
        UserError: what `load_checkpoint` and `read_adapter` raise, or a base model that is not the one
            the adapter was trained on.
    """
    if not is_adapter(folder):
        return load_checkpoint(folder, device=device, dtype=dtype)
    adapter, base = read_adapter(folder), located(base_of(folder))
    _check_base(adapter, model_identity(base), base_of(folder))
    checkpoint = load_adapted(base, device=device, dtype=dtype)
    _add(checkpoint.network, adapter, 1.0)
    return replace(
        checkpoint,
        name=str(folder),
        policy=model_policy(folder),
        identity=model_identity(folder),
    )


def _check_base(adapter: Adapter, identity: str, name: str) -> None:
    if adapter.base and adapter.base != identity:
        raise UserError(f"{adapter.folder}: was trained on {adapter.base}, {name} is {identity}")


def merge(
    checkpoint: Checkpoint, adapters: Sequence[tuple[Adapter, float]], out: Path, dtype: str
) -> None:
    """Add adapters, each times a factor, to the weights they were trained on, and save the result.

    The sum is made in float32; `dtype` is what is written. The checkpoint's network is changed.

    Raises:
        UserError: an adapter of another base model, or a full disk.
    """
    network = checkpoint.network
    for adapter, factor in adapters:
        _check_base(adapter, checkpoint.identity, checkpoint.name)
        _add(network, adapter, factor)
    target = getattr(torch, dtype)
    weights = {name: w.detach().to(target) for name, w in network.state_dict().items()}
    merged = [{"adapter": str(adapter.folder), "factor": f} for adapter, f in adapters]
    with written_whole(out) as temporary:
        save_checkpoint(
            network,
            checkpoint.encoder.tokenizer,
            checkpoint.policy or FramePolicy(),
            temporary,
            notes={"base": checkpoint.identity, "merged": merged},
            weights=weights,
            dtype=dtype,
        )


@torch.no_grad()
def _add(network: Any, adapter: Adapter, factor: float) -> None:
    modules = dict(network.named_modules())
    for name in adapter.pairs:
        weight = getattr(modules.get(name), "weight", None)
        change = adapter.change(name)
        if weight is None or weight.shape != change.shape:
            there = "is not there" if weight is None else f"has the shape {tuple(weight.shape)}"
            raise UserError(f"{adapter.folder}: {name} {there} in this model")
        # In float32, whatever the weights are held in: rounded once, as merged weights are.
        weight.copy_(weight.float() + change.to(weight.device) * factor)
