"""Training state on disk: exact resume, and the best checkpoint so far."""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Task, UserError
from kairoscope.models.checkpoint import Checkpoint, save_checkpoint
from kairoscope.models.saving import written_whole
from kairoscope.storage import displaced
from kairoscope.train.trainable import Trained, merged_weights

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True, kw_only=True)
class TrainState:
    """How far a run has come."""

    step: int = 0
    best_step: int | None = None
    best_score: float | None = None

    def takes_best(self, score: float, task: Task[Any, Any]) -> bool:
        """Note a held-out score if it is the best so far; one that is not a number never is."""
        metric = task.metrics[task.headline]
        sign = 1 if metric.best < metric.worst else -1
        if math.isnan(score):
            return False
        if self.best_score is not None and sign * score >= sign * self.best_score:
            return False
        self.best_step, self.best_score = self.step, score
        return True


def save_state(out: Path, trained: Trained, state: TrainState, keep: int) -> None:
    """Write weights, optimiser and randomness; a kill leaves the state before it intact.

    Raises:
        UserError: it could not be written, because the disk is full for example.
    """
    folder = out / "state" / f"step_{state.step:07d}"
    tensors: dict[str, torch.Tensor] = {"rng": torch.get_rng_state()}
    for name, parameter in zip(trained.names, trained.parameters, strict=True):
        tensors[f"weight/{name}"] = parameter.detach().contiguous()
        # A weight that no gradient has reached has no moments.
        for moment, value in trained.optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = value.detach().contiguous()
    if torch.cuda.is_available():
        tensors["cuda_rng"] = torch.cuda.get_rng_state(trained.network.device)
    with written_whole(folder) as temporary:
        save_file(tensors, temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps(asdict(state)) + "\n")
    for old in _states(out)[:-keep]:
        shutil.rmtree(old)


def load_latest(out: Path, trained: Trained) -> TrainState | None:
    """Take up the newest complete state in `out`, or return None where there is none.

    Raises:
        UserError: the state is damaged, or of another set of trained weights.
    """
    states = _states(out)
    if not states:
        return None
    folder = states[-1]
    _recover(out / "best")
    try:
        return _take_up(folder, trained)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise UserError(
            f"{folder}: damaged ({error}); delete it to go on from the state before it"
        ) from error


def _take_up(folder: Path, trained: Trained) -> TrainState:
    with safe_open(folder / "state.safetensors", framework="pt") as file:
        keys = set(file.keys())
        saved = {key.removeprefix("weight/") for key in keys if key.startswith("weight/")}
        shapes = {
            name: list(p.shape) for name, p in zip(trained.names, trained.parameters, strict=True)
        }
        if {name: file.get_slice(f"weight/{name}").get_shape() for name in saved} != shapes:
            raise UserError(
                f"{folder}: holds other trained weights than this configuration trains; "
                "choose another output folder"
            )
        for name, parameter in zip(trained.names, trained.parameters, strict=True):
            with torch.no_grad():
                parameter.copy_(file.get_tensor(f"weight/{name}"))
            moments = {
                moment: file.get_tensor(f"{moment}/{name}").to(
                    "cpu" if moment == "step" else parameter.device
                )
                for moment in MOMENTS
                if f"{moment}/{name}" in keys
            }
            if moments:
                trained.optimizer.state[parameter] = moments
        torch.set_rng_state(file.get_tensor("rng"))
        if trained.network.device.type == "cuda" and "cuda_rng" in keys:
            torch.cuda.set_rng_state(file.get_tensor("cuda_rng"), trained.network.device)
    return TrainState(**json.loads((folder / "state.json").read_text()))


def _states(out: Path) -> list[Path]:
    """Complete states, oldest first."""
    return sorted(p for p in (out / "state").glob("step_*") if not p.suffix)


def _recover(folder: Path) -> None:
    """Put a folder back in its place if a kill came between its going and the new one's coming."""
    old = displaced(folder)
    if old.exists() and not folder.exists():
        old.replace(folder)


def save_best(
    out: Path,
    trained: Trained,
    checkpoint: Checkpoint,
    policy: FramePolicy,
    state: TrainState,
    config: SFTConfig,
) -> None:
    """Write the present weights as a checkpoint that transformers loads, in `out`/best.

    Raises:
        UserError: it could not be written; the best checkpoint before it is kept.
    """
    weights = merged_weights(trained.network, getattr(torch, config.save_dtype))
    notes = {"step": state.step, "held_out": state.best_score, "base": checkpoint.identity}
    with written_whole(out / "best") as temporary:
        save_checkpoint(
            trained.network,
            checkpoint.encoder.tokenizer,
            policy,
            temporary,
            notes=notes,
            weights=weights,
            dtype=config.save_dtype,
        )
