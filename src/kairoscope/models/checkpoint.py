"""Loading and saving checkpoints in the layout of transformers."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from kairoscope.core import FramePolicy, UserError
from kairoscope.models import packed_attention, window_attention
from kairoscope.models.chat import VIDEO_PAD, Encoder
from kairoscope.models.preprocessing import write_preprocessing
from kairoscope.settings import changed
from kairoscope.storage import read_json
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY

POLICY_FILE = "kairoscope.json"
CLASSES: dict[str, Any] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}
FULL_HASH_BYTES = 256 * 2**20
MOST_CPU_KERNELS = 64
"""Kernels that each of torch's two CPU kernel caches keeps: enough for one network at one batch size."""


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


def check_device(name: str) -> str:
    """`name` where this machine has such a device. Raises UserError otherwise."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    allowed = ["cpu", *(["cuda"] if gpus else []), *gpus, *mps]
    if name not in allowed:
        raise UserError(f"device {name!r}; this machine has: {', '.join(allowed)}")
    return name


def load_checkpoint(
    source: Path,
    *,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
) -> Checkpoint:
    """Load a Qwen2.5-VL or Qwen3-VL checkpoint.

    Args:
        source: a folder in the layout of transformers; see `names.located` for what is on the hub.
        device: `cpu`, `cuda`, `cuda:1`, …; None takes the best there is.
        dtype: None takes float32 on a CPU and bfloat16 on a GPU, whatever the file holds.

    Raises:
        UserError: no such folder or device, weights or tokenizer absent, cut off or not of this
            architecture, or an architecture that is not supported.
    """
    _bound_kernel_caches()
    device = check_device(device or best_device())
    dtype = dtype or ("float32" if device == "cpu" else "bfloat16")
    with _quiet():
        config = _load_config(source)
        network = _load_network(source, config.model_type, getattr(torch, dtype))
        tokenizer = _load_tokenizer(source, config)
    use_fast_attention(network)
    network.to(device).eval()
    return Checkpoint(
        name=str(source),
        network=network,
        encoder=make_encoder(network, tokenizer),
        policy=read_policy(source),
        identity=weights_identity(source) or "",
    )


def _bound_kernel_caches() -> None:
    """Keep few CPU kernels, before the first is made; a user's own setting stands.

    A kernel is made for every new size. Training in bfloat16 on batches of ever-changing sizes piles up
    thousands of them (of a network of 4 million weights 10 GiB in 300 steps) and uses none again.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(MOST_CPU_KERNELS))


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and notes of transformers."""
    bars, verbosity = (
        transformers_logging.is_progress_bar_enabled(),
        transformers_logging.get_verbosity(),
    )
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _load_config(source: Path) -> Any:
    if not (source / "config.json").is_file():
        raise UserError(f"{source}: no config.json in it; give a checkpoint folder")
    try:
        config = AutoConfig.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: not a checkpoint folder: {error}") from error
    if config.model_type not in CLASSES:
        raise UserError(
            f"{source}: architecture {config.model_type!r} is not supported; "
            f"supported: {', '.join(CLASSES)}"
        )
    return config


def _load_network(source: Path, family: str, dtype: torch.dtype) -> Any:
    """The network with every one of its weights from the file: transformers would invent some."""
    try:
        network, found = CLASSES[family].from_pretrained(
            str(source),
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{source}: weights cannot be loaded: {error}") from error
    absent = sorted(found["missing_keys"])
    if absent:
        raise UserError(f"{source}: {len(absent)} weights are missing, such as {absent[0]}")
    for name, there, wanted in sorted(found["mismatched_keys"]):
        raise UserError(
            f"{source}: {name} has shape {tuple(there)}, config.json says {tuple(wanted)}"
        )
    return network


def _load_tokenizer(source: Path, config: Any) -> Any:
    """The tokenizer, if it is the one that the network was made with."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: tokenizer cannot be loaded: {error}") from error
    found = tokenizer.convert_tokens_to_ids(VIDEO_PAD)
    if found != config.video_token_id:
        raise UserError(
            f"{source}: its tokenizer gives {VIDEO_PAD} the id {found}, config.json says "
            f"{config.video_token_id}; are tokenizer.json and tokenizer_config.json there?"
        )
    return tokenizer


def load_tokenizer_and_config(source: Path) -> tuple[Any, Any]:
    """Configuration and tokenizer of a checkpoint folder; its weights need not be there.

    Raises:
        UserError: as `load_checkpoint` for these files.
    """
    with _quiet():
        config = _load_config(source)
        return config, _load_tokenizer(source, config)


def use_fast_attention(network: Any) -> None:
    """Let the vision tower take all windows at once, and the language model packed samples."""
    network.model.visual.config._attn_implementation = window_attention.NAME
    network.model.language_model.config._attn_implementation = packed_attention.NAME


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


def read_policy(folder: Path, task: str = "") -> FramePolicy | None:
    """Frame policy that was saved beside the weights, or None. Raises UserError for a wrong one.

    `task` is a task's name: frames of a checkpoint that was trained for another one do not count,
    unless it recommends some for this one. Without it, whatever the checkpoint was trained on.
    """
    frames = _notes_for(folder, task).get("frames")
    if frames is None:
        return None
    return changed(FramePolicy(), frames, f"{folder / POLICY_FILE}: frames")


def read_settings(folder: Path, table: str, task: str = "") -> dict[str, Any]:
    """A table of the settings that a checkpoint recommends for itself, empty where it has none.

    `task` as in `read_policy`.
    """
    settings = _notes_for(folder, task).get(table, {})
    if not isinstance(settings, dict):
        raise UserError(f"{folder / POLICY_FILE}: {table} must be a table, is {settings!r}")
    return settings


def _notes(folder: Path) -> dict[str, Any]:
    """What `kairoscope.json` beside the weights holds; empty where there is none."""
    path = folder / POLICY_FILE
    notes = read_json(path) if path.is_file() else {}
    if not isinstance(notes, dict):
        raise UserError(f"{path}: must be a JSON object, is {str(notes)[:60]}")
    return notes


def _notes_for(folder: Path, task: str) -> dict[str, Any]:
    """The notes as far as they speak of a task: those under `tasks`, or all of a checkpoint's own one."""
    notes = _notes(folder)
    others = notes.get("tasks", {})
    if not isinstance(others, dict) or not all(isinstance(v, dict) for v in others.values()):
        raise UserError(f"{folder / POLICY_FILE}: tasks must be a table of tables, is {others!r}")
    if task in others:
        return dict(others[task])
    return {} if task and notes.get("task", task) != task else notes


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
    """Write safetensors, tokenizer, preprocessing and frame policy so that transformers and vLLM load them.

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
    with _quiet():
        network.save_pretrained(folder, state_dict=weights)
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text())
    for part in (config, config.get("text_config", {}), config.get("vision_config", {})):
        part["dtype"] = dtype
    config_file.write_text(json.dumps(config, indent=2) + "\n")
    for file in folder.glob("*.safetensors"):
        shutil.copymode(config_file, file)  # safetensors lets only the owner read
    tokenizer.save_pretrained(folder)
    family = config["model_type"]
    write_preprocessing(folder, family, QWEN3_GEOMETRY if family == "qwen3_vl" else QWEN25_GEOMETRY)
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
