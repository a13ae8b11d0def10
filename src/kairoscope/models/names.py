"""From what the user writes after `--model` to a folder. Without torch, so that a mistake is said at once."""

import json
from importlib.resources import files
from pathlib import Path

from kairoscope.core import UserError

ADAPTER_FILE = "adapter_config.json"
"""What makes a folder one of adapters, in the layout of peft."""
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
    """`builtin`, a checkpoint or adapter folder, or a name on the hub -> where it is loaded from.

    Raises:
        UserError: a folder that does not exist or holds no supported checkpoint, something that is
            neither a folder nor a name, or a model behind an engine that has the weights to itself.
    """
    prefix, _ = split_spec(spec)
    if prefix:
        raise UserError(
            f"--model {spec}: {PREFIXES[prefix]} can be asked (evaluate, annotate), its weights "
            "are not at hand; allowed here: builtin, the folder of a checkpoint or adapter, or the "
            "name of a model on the hub"
        )
    path = builtin_folder() if spec == BUILTIN else Path(spec).expanduser()
    if path.is_dir():
        if is_adapter(path):
            _check_adapter(spec, path)
        else:
            _check_folder(spec, path)
        return path
    if spec == BUILTIN:
        raise UserError("--model builtin: this installation came without the built-in weights")
    organisation, slash, name = spec.partition("/")
    if not (organisation and slash and name) or "/" in name or spec.startswith((".", "~")):
        raise UserError(
            f"--model {spec}: there is no such folder; allowed: builtin, the folder of a checkpoint "
            "or adapter, or the name of a model on the hub (organisation/name)"
        )
    return spec


def _check_folder(spec: str, folder: Path) -> None:
    """What can be seen without loading: small files alone are read."""
    config_file, inside = folder / "config.json", folder / "best"
    if (inside / "config.json").is_file():
        raise UserError(f"--model {spec}: a run's folder; its checkpoint is {inside}")
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


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds adapters alone, to be added to a base model that is elsewhere."""
    return (folder / ADAPTER_FILE).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path) -> str:
    """What an adapter folder says its base model is, as after `--model`. Raises UserError."""
    file = folder / ADAPTER_FILE
    try:
        base = json.loads(file.read_bytes())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: does not say what the base model is ({error!r})") from error
    if not isinstance(base, str) or not base:
        raise UserError(f"{file}: base_model_name_or_path is {base!r}; allowed: a folder or a name")
    return base


def _check_adapter(spec: str, folder: Path, above: tuple[Path, ...] = ()) -> None:
    """The adapter's own files, and that its base model is there, which may be an adapter, too.

    `above`: adapters that stand on this one.
    """
    if folder.resolve() in above:
        raise UserError(f"--model {spec}: {folder} is in the end an adapter of itself")
    if not (folder / "adapter_model.safetensors").is_file():
        raise UserError(f"--model {spec}: no adapter_model.safetensors in {folder}")
    base = base_of(folder)
    if is_adapter(Path(base).expanduser()):
        _check_adapter(spec, Path(base).expanduser(), (*above, folder.resolve()))
        return
    try:
        resolve(base)
    except UserError as error:
        raise UserError(
            f"--model {spec}: is an adapter of {base!r}, which is not to be had ({error}); put the "
            f"right place of the base model into {folder / ADAPTER_FILE}"
        ) from error


def whole_folder_of(folder: Path, *, small: bool = False) -> Path:
    """The folder of the whole model that a folder of adapters changes in the end; else itself."""
    while is_adapter(folder):
        folder = located(base_of(folder), small=small)
    return folder


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
