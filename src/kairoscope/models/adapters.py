"""LoRA adapters as files of their own, in the layout of peft: many of them beside one base model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kairoscope.core import FramePolicy, UserError
from kairoscope.models.checkpoint import POLICY_FILE, Checkpoint, save_checkpoint
from kairoscope.models.saving import written_whole
from kairoscope.storage import read_json, write_json_atomic

FOLDER = "adapter"
"""Name of an adapter's folder in that of a checkpoint which it is merged into."""
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
"""What peft puts before the names of a network's modules."""
A, B = ".lora_A", ".lora_B"


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
    settings: PeftLoraConfig,
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
        scaling = settings["lora_alpha"] / settings["r"]
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: the adapter cannot be read: {error}") from error
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for key, down in tensors.items():
        module, found, _ = key.partition(f"{A}.weight")
        if found:
            pairs[module.removeprefix(PREFIX)] = (down, tensors[f"{module}{B}.weight"])
    if not pairs:
        raise UserError(f"{folder / WEIGHTS}: holds no low-rank pairs")
    notes = read_json(folder / POLICY_FILE) if (folder / POLICY_FILE).is_file() else {}
    return Adapter(folder=folder, base=notes.get("base", ""), scaling=scaling, pairs=pairs)


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
        if adapter.base and adapter.base != checkpoint.identity:
            raise UserError(
                f"{adapter.folder}: was trained on {adapter.base}, {checkpoint.name} is "
                f"{checkpoint.identity}"
            )
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
        weight.add_(change.to(weight.dtype) * factor)
