"""From what the user writes after `--model` to a folder. Without torch, so that a mistake is said at once."""

import json
from importlib.resources import files
from pathlib import Path

from kairoscope.core import UserError

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
"""Architectures, by the name that `config.json` has for them."""
BUILTIN = "builtin"
PREFIXES = {"vllm": "vLLM in this process", "openai": "an OpenAI-compatible server"}
"""Engines other than weights in this process, by the prefix of their `--model`."""


def builtin_folder() -> Path:
    """Folder of the checkpoint that ships with the package."""
    return Path(str(files("kairoscope") / "weights" / "builtin"))


def split_spec(spec: str) -> tuple[str, str]:
    """`openai:NAME` -> (`openai`, `NAME`); without the prefix of an engine: (``, spec)."""
    prefix, colon, rest = spec.partition(":")
    return (prefix, rest) if colon and prefix in PREFIXES else ("", spec)


def resolve(spec: str) -> str | Path:
    """`builtin`, a checkpoint folder, or the name of a model on the hub -> where it is loaded from.

    Raises:
        UserError: a folder that does not exist or holds no supported checkpoint, something that is
            neither a folder nor a name, or a model behind an engine that has the weights to itself.
    """
    prefix, _ = split_spec(spec)
    if prefix:
        raise UserError(
            f"--model {spec}: {PREFIXES[prefix]} can be asked (evaluate, annotate), its weights "
            "are not at hand; allowed here: builtin, a checkpoint folder, or the name of a model "
            "on the hub"
        )
    path = builtin_folder() if spec == BUILTIN else Path(spec).expanduser()
    if path.is_dir():
        _check_folder(spec, path)
        return path
    if spec == BUILTIN:
        raise UserError("--model builtin: this installation came without the built-in weights")
    organisation, slash, name = spec.partition("/")
    if not (organisation and slash and name) or "/" in name or spec.startswith((".", "~")):
        raise UserError(
            f"--model {spec}: there is no such folder; allowed: builtin, a checkpoint folder, or "
            "the name of a model on the hub (organisation/name)"
        )
    return spec


def _check_folder(spec: str, folder: Path) -> None:
    """What can be seen without loading: small files alone are read."""
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise UserError(f"--model {spec}: no config.json in this folder; give a checkpoint folder")
    try:
        config = json.loads(config_file.read_bytes())
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{config_file}: not the configuration of a model ({error})") from error
    if kind not in FAMILIES:
        raise UserError(
            f"--model {spec}: its architecture is {kind!r}; allowed: {', '.join(FAMILIES)}"
        )
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"--model {spec}: no weights (*.safetensors) in this folder")


def located(spec: str, *, small: bool = False) -> Path:
    """The folder that `spec` is loaded from; a model on the hub is fetched.

    Args:
        spec: see `resolve`.
        small: of a model on the hub its settings are enough, not its weights.

    Raises:
        UserError: there is no such model, or it cannot be fetched.
    """
    source = resolve(spec)
    if isinstance(source, Path):
        return source
    from kairoscope.models.hub import fetch

    folder = fetch(source, small=small)
    if not small:
        _check_folder(spec, folder)
    return folder
