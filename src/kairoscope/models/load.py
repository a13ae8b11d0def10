"""From what the user writes after `--model` to an engine."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from pathlib import Path

from kairoscope.core import (
    Answer,
    Decoding,
    FramePolicy,
    Request,
    Sampling,
    UserError,
)
from kairoscope.models.checkpoint import (
    CLASSES,
    Checkpoint,
    load_checkpoint,
    read_policy,
    weights_identity,
)
from kairoscope.models.in_process import InProcessModel

BUILTIN = "builtin"
PLANNED = {"vllm": "vLLM", "openai": "OpenAI-compatible servers"}
"""Engines by the prefix of their `--model`, for which there is no code yet."""
Loading = Callable[[int], None]
"""Told 0 when the weights begin to be loaded, and 1 when they are there."""


def builtin_folder() -> Path:
    """Folder of the checkpoint that ships with the package."""
    return Path(str(files("kairoscope") / "weights" / "builtin"))


def resolve(spec: str) -> str | Path:
    """`builtin`, a checkpoint folder, or the name of a model on the hub -> where it is loaded from.

    Raises:
        UserError: a folder that does not exist or holds no supported checkpoint, something that is
            neither a folder nor a name, or an engine that is not built yet.
    """
    engine, colon, _ = spec.partition(":")
    if colon and engine in PLANNED:
        raise UserError(
            f"--model {spec}: the engine for {PLANNED[engine]} is not built yet; allowed: builtin, "
            "a checkpoint folder, or the name of a model on the hub"
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
    if kind not in CLASSES:
        raise UserError(
            f"--model {spec}: its architecture is {kind!r}; allowed: {', '.join(CLASSES)}"
        )
    if weights_identity(folder) is None:
        raise UserError(f"--model {spec}: no weights (*.safetensors) in this folder")


def described(folder: Path) -> tuple[str, FramePolicy | None]:
    """Identity and frame policy of the checkpoint in a folder; no weights are loaded."""
    return weights_identity(folder) or "", read_policy(folder)


class Engine:
    """The model behind a `--model`; a folder's weights are loaded when the first answer is due.

    So a run that is finished, or that belongs to other settings, costs no loading.
    """

    def __init__(
        self,
        spec: str,
        *,
        device: str | None = None,
        batch_size: int | None = None,
        name: str | None = None,
        on_loading: Loading | None = None,
    ) -> None:
        """Find the checkpoint; a model on the hub is fetched and loaded at once.

        Args:
            spec: see `resolve`.
            device: `cpu`, `cuda`, …; None takes the best there is.
            batch_size: clips that share a forward pass; None: 1 on a CPU, 8 on a GPU.
            name: what runs and reports call it; None: as the user did.
            on_loading: told when loading begins and ends.

        Raises:
            UserError: there is no such model.
        """
        source = resolve(spec)
        self.spec = spec
        self.name = name or spec
        self._device = device
        self._batch_size = batch_size
        self._on_loading = on_loading
        self._model: InProcessModel | None = None
        if isinstance(source, Path):
            self.identity, self.policy = described(source)
        else:
            checkpoint = self._loaded().checkpoint
            self.identity, self.policy = checkpoint.identity, checkpoint.policy

    name: str
    """What the user called it."""
    identity: str
    """Changes when the weights change."""
    policy: FramePolicy | None
    """Frames that the checkpoint was trained on, where it says so."""

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. Without a request, nothing is loaded."""
        source = iter(requests)
        for first in source:
            yield from self._loaded().answer(chain([first], source), sampling, decoding)

    def _loaded(self) -> InProcessModel:
        if self._model is None:
            if self._on_loading is not None:
                self._on_loading(0)
            self._model = load_model(self.spec, device=self._device, batch_size=self._batch_size)
            if self._on_loading is not None:
                self._on_loading(1)
        return self._model


def load_weights(spec: str, *, device: str | None = None, training: bool = False) -> Checkpoint:
    """The checkpoint that `spec` names; in float32 for training."""
    source = resolve(spec)
    if isinstance(source, str):  # every failed attempt would be a line of its own
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    checkpoint = load_checkpoint(source, device=device, dtype="float32" if training else None)
    return replace(checkpoint, name=spec)


def load_model(
    spec: str, *, device: str | None = None, batch_size: int | None = None
) -> InProcessModel:
    """The engine that answers for `spec`."""
    checkpoint = load_weights(spec, device=device)
    default = 1 if checkpoint.network.device.type == "cpu" else 8
    return InProcessModel(checkpoint, batch_size=batch_size or default)
