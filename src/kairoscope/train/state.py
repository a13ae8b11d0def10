"""Training state on disk: exact resume, and the best checkpoint so far."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Task, UserError
from kairoscope.data.learned_clips import LEARNED
from kairoscope.models.adapters import FOLDER, save_adapter
from kairoscope.models.checkpoint import Checkpoint, save_checkpoint
from kairoscope.models.saving import written_whole
from kairoscope.storage import displaced
from kairoscope.train.group import ALONE, Group
from kairoscope.train.snapshot import gathered, take_up
from kairoscope.train.trainable import Trained, adapter_settings, adapter_weights, merged_weights

TENSORS = "state.safetensors"
PROGRESS = "state.json"


@dataclass(slots=True, kw_only=True)
class TrainState:
    """How far a run has come."""

    step: int = 0
    best_step: int | None = None
    best_score: float | None = None

    def takes_best(self, score: float, task: Task[Any, Any], min_improvement: float = 0.0) -> bool:
        """Note a held-out score if it is the best so far; one that is not a number never is.

        `min_improvement`, in the metric's unit: by how much it must be better.
        """
        metric = task.all_metrics[task.headline]
        sign = 1 if metric.best < metric.worst else -1
        if math.isnan(score):
            return False
        if self.best_score is not None:
            gain = sign * (self.best_score - score)
            if not gain > 0 or gain < min_improvement:  # NaN where both are infinite
                return False
        self.best_step, self.best_score = self.step, score
        return True

    def out_of_patience(self, config: SFTConfig) -> bool:
        """Whether the last `config.patience` evaluations were all worse than the best before them."""
        if config.patience is None:
            return False
        since = self.step // config.eval_every - (self.best_step or 0) // config.eval_every
        return since >= config.patience


def save_state(
    out: Path, trained: Trained, state: TrainState, keep: int, group: Group = ALONE
) -> None:
    """Write weights, optimiser and randomness; a kill leaves the state before it intact.

    The file is the same however many processes share the weights. A collective call; the first
    process writes.

    Raises:
        UserError: it could not be written, because the disk is full for example.
    """
    tensors = gathered(trained, group)
    if not group.is_first:
        return
    with written_whole(_folder(out, state.step)) as temporary:
        save_file(tensors, temporary / TENSORS)
        progress = {**asdict(state), "files": {TENSORS: _checksum(temporary / TENSORS)}}
        (temporary / PROGRESS).write_text(json.dumps(progress) + "\n")
    for old in _states(out)[:-keep]:
        shutil.rmtree(old)


def load_latest(
    out: Path,
    trained: Trained,
    group: Group = ALONE,
    on_warning: Callable[[str], None] | None = None,
) -> TrainState | None:
    """Take up the newest whole state in `out`, or return None where none was ever saved.

    A collective call; the first process reads. `on_warning` is told of damaged states, which are
    left aside.

    Raises:
        UserError: every state is damaged, or the newest is of another set of trained weights.
    """
    found = group.from_first(partial(_newest_whole, out, on_warning))
    if found is None:
        return None
    step, progress = found
    if group.is_first:
        _recover(out / "best")
    take_up(_folder(out, step) / TENSORS, trained, group, step)
    return TrainState(**progress)


def _newest_whole(
    out: Path, on_warning: Callable[[str], None] | None
) -> tuple[int, dict[str, Any]] | None:
    """Step and `TrainState` of the newest state that is as it was written."""
    damaged: list[str] = []
    for folder in reversed(_states(out)):
        try:
            progress = _verified(folder)
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            damaged.append(f"{folder} is damaged ({error})")
            continue
        if damaged and on_warning:
            on_warning(f"{'; '.join(damaged)}; going on from {folder.name} instead")
        return progress["step"], progress
    if damaged:
        raise UserError(
            f"{'; '.join(damaged)}; no other state is there to go on from: delete {out} to train "
            "anew from the model, or choose another --out"
        )
    return None


def _verified(folder: Path) -> dict[str, Any]:
    """The `TrainState` of a state as JSON, its files checked against their checksums."""
    progress: dict[str, Any] = json.loads((folder / PROGRESS).read_bytes())
    for name, checksum in progress.pop("files", {}).items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"{name} is not what was written: its checksum is another")
    with safe_open(folder / TENSORS, framework="pt"):
        asdict(TrainState(**progress))
    return progress


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _folder(out: Path, step: int) -> Path:
    return out / "state" / f"step_{step:07d}"


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
    group: Group = ALONE,
    task: str = "",
    learned: Sequence[str] = (),
) -> None:
    """Write the present weights as a checkpoint that transformers loads, in `out`/best.

    `task` is the name of the task that it was trained for: its frames are for that one. `learned`, from
    `data.learned_clips`, is for those who would judge the model by clips that it was trained on.

    A collective call; the first process writes.

    Raises:
        UserError: it could not be written; the best checkpoint before it is kept.
    """
    notes: dict[str, Any] = {
        "step": state.step,
        "held_out": state.best_score,
        "base": checkpoint.identity,
        **({"task": task} if task else {}),
        **({LEARNED: list(learned)} if learned else {}),
    }
    with trained.whole() as network:
        if not group.is_first:
            return
        weights = merged_weights(network, getattr(torch, config.save_dtype))
        with written_whole(out / "best") as temporary:
            save_checkpoint(
                network,
                checkpoint.encoder.tokenizer,
                policy,
                temporary,
                notes=notes,
                weights=weights,
                dtype=config.save_dtype,
            )
            if config.lora:
                # By itself as well: many of them fit beside one base model.
                settings = adapter_settings(config.lora)
                settings.base_model_name_or_path = _from_anywhere(checkpoint.name)
                notes["frames"] = asdict(policy)
                save_adapter(temporary / FOLDER, adapter_weights(network), settings, notes)


def _from_anywhere(model: str) -> str:
    """What a model is called from any working folder."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model
