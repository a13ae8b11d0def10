"""Loading and saving checkpoints in the layout of transformers."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)

from kairoscope.core import FramePolicy, UserError
from kairoscope.models import window_attention
from kairoscope.models.chat import Encoder
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY

POLICY_FILE = "kairoscope.json"
CLASSES: dict[str, Any] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}
FULL_HASH_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A network with everything that belongs to it."""

    name: str
    network: Any
    encoder: Encoder
    policy: FramePolicy | None
    """Frames that this checkpoint was trained on, where it says so."""
    identity: str

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        tokenizer = self.encoder.tokenizer
        names = ("<|im_end|>", "<|endoftext|>")
        return frozenset(tokenizer.convert_tokens_to_ids(list(names)))


def best_device() -> str:
    """`cuda` where a GPU is there, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_checkpoint(
    source: str | Path,
    *,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
) -> Checkpoint:
    """Load a Qwen2.5-VL or Qwen3-VL checkpoint.

    Args:
        source: a folder in the layout of transformers, or a name on the model hub.
        device: `cpu`, `cuda`, `cuda:1`, …; None takes the best there is.
        dtype: None takes float32 on a CPU and bfloat16 on a GPU.

    Raises:
        UserError: no such folder, no weights in it, or an architecture that is not supported.
    """
    device = device or best_device()
    dtype = dtype or ("float32" if device == "cpu" else "bfloat16")
    config = _load_config(source)
    if config.model_type not in CLASSES:
        raise UserError(
            f"{source}: architecture {config.model_type!r} is not supported; "
            f"supported: {', '.join(CLASSES)}"
        )
    try:
        network = CLASSES[config.model_type].from_pretrained(
            str(source), dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: cannot be loaded: {error}") from error
    use_window_attention(network)
    network.to(device).eval()
    return Checkpoint(
        name=str(source),
        network=network,
        encoder=make_encoder(network, tokenizer),
        policy=read_policy(Path(source)),
        identity=weights_identity(Path(source)) or f"hub:{source}",
    )


def _load_config(source: str | Path) -> Any:
    if Path(source).exists() and not (Path(source) / "config.json").is_file():
        raise UserError(f"{source}: no config.json in it; give a checkpoint folder")
    try:
        return AutoConfig.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{source}: neither a checkpoint folder nor a model that can be fetched: {error}"
        ) from error


def use_window_attention(network: Any) -> None:
    """Let the vision tower run its windows in batches."""
    network.model.visual.config._attn_implementation = window_attention.NAME


def make_encoder(network: Any, tokenizer: Any) -> Encoder:
    """What is needed to write this network's input."""
    family = network.config.model_type
    vision = network.config.vision_config
    geometry = QWEN25_GEOMETRY if family == "qwen2_5_vl" else QWEN3_GEOMETRY
    if (vision.patch_size, vision.spatial_merge_size) != (geometry.patch_px, geometry.merge):
        raise UserError(
            f"patch size {vision.patch_size} x merge {vision.spatial_merge_size} is not "
            f"{geometry.patch_px} x {geometry.merge}, which {family} checkpoints have"
        )
    return Encoder(
        tokenizer=tokenizer,
        family=family,
        geometry=geometry,
        tokens_per_second=float(getattr(vision, "tokens_per_second", 0) or 2),
    )


def read_policy(folder: Path) -> FramePolicy | None:
    """Frame policy that was saved beside the weights."""
    path = folder / POLICY_FILE
    if not path.is_file():
        return None
    row = json.loads(path.read_text())
    try:
        return FramePolicy(**row["frames"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not a frame policy: {error}") from error


def read_settings(folder: Path, table: str) -> dict[str, Any]:
    """A table of the settings that a checkpoint recommends for itself, empty where it has none."""
    path = folder / POLICY_FILE
    if not path.is_file():
        return {}
    return dict(json.loads(path.read_text()).get(table, {}))


def save_checkpoint(
    network: Any,
    tokenizer: Any,
    policy: FramePolicy,
    folder: Path,
    *,
    notes: dict[str, Any],
    weights: dict[str, torch.Tensor] | None = None,
    dtype: str = "float32",
) -> None:
    """Write safetensors, tokenizer and frame policy so that transformers loads them.

    Args:
        network: gives the configuration, and the weights where none are given.
        tokenizer: saved beside them.
        policy: frames that the checkpoint was trained on.
        folder: made if need be.
        notes: more rows of `kairoscope.json`, such as where the weights come from.
        weights: by the names of transformers.
        dtype: of `weights`, for `config.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder, state_dict=weights)
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text())
    for part in (config, config.get("text_config", {}), config.get("vision_config", {})):
        part["dtype"] = dtype
    config_file.write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save_pretrained(folder)
    text = json.dumps({"frames": asdict(policy), **notes}, indent=2) + "\n"
    (folder / POLICY_FILE).write_text(text)


def weights_identity(folder: Path) -> str | None:
    """Short hash of the weights: of all bytes up to 256 MiB, of both ends of larger files."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}:{size};".encode())
        with file.open("rb") as stream:
            if size <= FULL_HASH_BYTES:
                for block in iter(lambda: stream.read(2**20), b""):
                    digest.update(block)
            else:
                digest.update(stream.read(2**22))
                stream.seek(-(2**22), 2)
                digest.update(stream.read())
    return "sha256:" + digest.hexdigest()[:16]
