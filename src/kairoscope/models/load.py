"""Checkpoints by the name that the user gives them, loaded when first needed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal

from kairoscope.core import (
    Answer,
    Decoding,
    FramePolicy,
    Request,
    Sampling,
)
from kairoscope.models.adapters import load_adapted, model_identity, model_policy
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.engines import Loading
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.names import located
from kairoscope.models.reasoning import REASONED


def described(folder: Path, task: str = "") -> tuple[str, FramePolicy | None]:
    """Identity and frame policy of a checkpoint or adapter folder; no weights are loaded.

    `task` as in `checkpoint.read_policy`.
    """
    return model_identity(folder), model_policy(folder, task)


class LazyCheckpoint:
    """The model behind a `--model` without a prefix; its weights are loaded when the first answer is due.

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
        task: str = "",
        reasoning: bool = False,
    ) -> None:
        """Find the checkpoint; a model on the hub is fetched at once.

        Args:
            spec: see `names.resolve`.
            device: `cpu`, `cuda`, …; None takes the best there is.
            batch_size: clips that share a forward pass; None: 1 on a CPU, 8 on a GPU.
            name: what runs and reports call it; None: as the user did.
            on_loading: told when loading begins and ends.
            task: what it is asked about, for its frame policy.
            reasoning: a block that the model writes as it likes comes before a constrained answer.

        Raises:
            UserError: there is no such model.
        """
        weights, self.policy = described(located(spec), task)
        self.identity = weights + REASONED * reasoning
        self.spec = spec
        self.name = name or spec
        self._device = device
        self._batch_size = batch_size
        self._on_loading = on_loading
        self._reasoning = reasoning
        self._model: InProcessModel | None = None

    name: str
    """What the user called it."""
    identity: str
    """Changes when the weights change, and where the model reasons first."""
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
            self._model = load_model(
                self.spec,
                device=self._device,
                batch_size=self._batch_size,
                reasoning=self._reasoning,
            )
            if self._on_loading is not None:
                self._on_loading(1)
        return self._model


def load_weights(spec: str, *, device: str | None = None, training: bool = False) -> Checkpoint:
    """The checkpoint that `spec` names; in float32 for training."""
    dtype: Literal["float32"] | None = "float32" if training else None
    checkpoint = load_adapted(located(spec), device=device, dtype=dtype)
    return replace(checkpoint, name=spec)


def load_model(
    spec: str, *, device: str | None = None, batch_size: int | None = None, reasoning: bool = False
) -> InProcessModel:
    """The engine that answers for `spec`."""
    checkpoint = load_weights(spec, device=device)
    default = 1 if checkpoint.network.device.type == "cpu" else 8
    return InProcessModel(checkpoint, batch_size=batch_size or default, reasoning=reasoning)
