"""From what the user writes after `--model` to an engine."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from kairoscope.core import UserError
from kairoscope.models.checkpoint import Checkpoint, load_checkpoint
from kairoscope.models.in_process import InProcessModel

BUILTIN = "builtin"


def builtin_folder() -> Path:
    """Folder of the checkpoint that ships with the package."""
    return Path(str(files("kairoscope") / "weights" / "builtin"))


def resolve(spec: str) -> str | Path:
    """`builtin`, a checkpoint folder, or the name of a model on the hub -> where it is loaded from.

    Raises:
        UserError: a path that does not exist.
    """
    if spec == BUILTIN:
        return builtin_folder()
    looks_like_path = spec.startswith((".", "/", "~")) or spec.count("/") > 1
    path = Path(spec).expanduser()
    if looks_like_path and not path.is_dir():
        raise UserError(f"--model {spec}: there is no such folder")
    return path if path.is_dir() else spec


def load_weights(spec: str, *, device: str | None = None, training: bool = False) -> Checkpoint:
    """The checkpoint that `spec` names; in float32 for training."""
    checkpoint = load_checkpoint(
        resolve(spec), device=device, dtype="float32" if training else None
    )
    return replace(checkpoint, name=spec)


def load_model(
    spec: str, *, device: str | None = None, batch_size: int | None = None
) -> InProcessModel:
    """The engine that answers for `spec`."""
    checkpoint = load_weights(spec, device=device)
    default = 1 if checkpoint.network.device.type == "cpu" else 8
    return InProcessModel(checkpoint, batch_size=batch_size or default)
