"""Training state on disk: exact resume, and the best checkpoint so far."""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Task, UserError
from kairoscope.models.checkpoint import Checkpoint, save_checkpoint
from kairoscope.train.trainable import Trained, merged_weights

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True, kw_only=True)
class TrainState:
    """How far a run has come."""

    step: int = 0
    best_step: int | None = None
    best_score: float | None = None

    def improves(self, score: float, task: Task[Any, Any]) -> bool:
        """Whether a held-out score is the best so far; one that is not a number never is."""
        if math.isnan(score):
            return False
        metric = task.metrics[task.headline]
        if self.best_score is None:
            return True
        return score < self.best_score if metric.best < metric.worst else score > self.best_score


def save_state(out: Path, trained: Trained, state: TrainState, keep: int) -> None:
    """Write weights, optimiser and randomness; a kill leaves the state before it intact."""
    folder = out / "state" / f"step_{state.step:07d}"
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    tensors: dict[str, torch.Tensor] = {"rng": torch.get_rng_state()}
    for name, parameter in zip(trained.names, trained.parameters, strict=True):
        tensors[f"weight/{name}"] = parameter.detach().contiguous()
        for moment in MOMENTS:
            value = trained.optimizer.state[parameter][moment]
            tensors[f"{moment}/{name}"] = value.detach().contiguous()
    if torch.cuda.is_available():
        tensors["cuda_rng"] = torch.cuda.get_rng_state()
    save_file(tensors, temporary / "state.safetensors")
    (temporary / "state.json").write_text(json.dumps(asdict(state)) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    for old in _states(out)[:-keep]:
        shutil.rmtree(old)


def load_latest(out: Path, trained: Trained) -> TrainState | None:
    """Take up the newest complete state in `out`, or return None where there is none.

    Raises:
        UserError: the state is of another set of trained weights.
    """
    states = _states(out)
    if not states:
        return None
    folder = states[-1]
    with safe_open(folder / "state.safetensors", framework="pt") as file:
        saved = {key.removeprefix("weight/") for key in file.keys() if key.startswith("weight/")}  # noqa: SIM118
        if saved != set(trained.names):
            raise UserError(
                f"{folder}: holds other trained weights than this configuration trains; "
                "choose another output folder"
            )
        for name, parameter in zip(trained.names, trained.parameters, strict=True):
            with torch.no_grad():
                parameter.copy_(file.get_tensor(f"weight/{name}"))
            trained.optimizer.state[parameter] = {
                moment: file.get_tensor(f"{moment}/{name}").to(
                    "cpu" if moment == "step" else parameter.device
                )
                for moment in MOMENTS
            }
        torch.set_rng_state(file.get_tensor("rng"))
        if torch.cuda.is_available() and "cuda_rng" in file.keys():  # noqa: SIM118
            torch.cuda.set_rng_state(file.get_tensor("cuda_rng"))
    return TrainState(**json.loads((folder / "state.json").read_text()))


def _states(out: Path) -> list[Path]:
    return sorted(p for p in (out / "state").glob("step_*") if p.suffix != ".part")


def save_best(
    out: Path,
    trained: Trained,
    checkpoint: Checkpoint,
    policy: FramePolicy,
    state: TrainState,
    config: SFTConfig,
) -> None:
    """Write the present weights as a checkpoint that transformers loads, in `out`/best."""
    temporary = out / "best.part"
    shutil.rmtree(temporary, ignore_errors=True)
    weights = merged_weights(trained.network, getattr(torch, config.save_dtype))
    notes = {"step": state.step, "held_out": state.best_score, "base": checkpoint.identity}
    save_checkpoint(
        trained.network,
        checkpoint.encoder.tokenizer,
        policy,
        temporary,
        notes=notes,
        weights=weights,
        dtype=config.save_dtype,
    )
    old = out / "best.old"
    shutil.rmtree(old, ignore_errors=True)
    if (out / "best").exists():
        (out / "best").replace(old)
    temporary.replace(out / "best")
    shutil.rmtree(old, ignore_errors=True)
