"""Curation and training: the stages that end in a checkpoint."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairoscope.config import GRPOConfig, Recipe, SFTConfig
from kairoscope.core import Sample, Task, UserError
from kairoscope.cosmos_rl.reading import Row
from kairoscope.curate import check_apart
from kairoscope.data.tracks import hand_tracks_of
from kairoscope.models.checkpoint import Checkpoint, read_settings
from kairoscope.models.load import described, load_weights
from kairoscope.models.names import located, whole_folder_of
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.stages import Frames, Progress, asked_with, policy_for
from kairoscope.runs import Run
from kairoscope.settings import changed
from kairoscope.storage import canonical_json, plain
from kairoscope.train.group import ALONE, Group
from kairoscope.train.grpo import grpo
from kairoscope.train.grpo_check import training_part
from kairoscope.train.judging import TrainResult
from kairoscope.train.loggers import BY_DEFAULT, Loggers, Logging
from kairoscope.train.mixing import Mix, balance_advice, epoch_size, label_counts, strata_of
from kairoscope.train.rewards import REWARDS, check_rewards
from kairoscope.train.schedule import num_steps, warmup_advice
from kairoscope.train.sft import sft
from kairoscope.train.survey import Rejected

if TYPE_CHECKING:
    from kairoscope.train.served import RolloutServer

AnySample = Sample[Any, Any]
_REWARDS = ", ".join(REWARDS)


def sft_config_for(recipe: Recipe, model: str, changes: Sequence[tuple[str, Any]]) -> SFTConfig:
    """The recipe's settings, changed by what the checkpoint recommends and then by the user.

    Args:
        recipe: gives the defaults.
        model: its `kairoscope.json` may hold an `sft` table.
        changes: (where it comes from, table) in the order in which they apply.
    """
    return sft_config_in(located(model, small=True), recipe, model, changes)


def sft_config_in(
    folder: Path, recipe: Recipe, model: str, changes: Sequence[tuple[str, Any]]
) -> SFTConfig:
    """`sft_config_for` a model whose small files are in `folder`."""
    recommended = read_settings(whole_folder_of(folder, small=True), "sft", recipe.task.name)
    config = changed(recipe.sft, recommended, f"{model} kairoscope.json [sft]")
    for where, table in changes:
        config = changed(config, table, where)
    return config


def grpo_config_for(recipe: Recipe, model: str, changes: Sequence[tuple[str, Any]]) -> GRPOConfig:
    """The same for reinforcement learning: the recipe's settings, the checkpoint's, the user's."""
    folder = located(model, small=True)
    recommended = read_settings(whole_folder_of(folder, small=True), "grpo", recipe.task.name)
    config = changed(recipe.grpo, recommended, f"{model} kairoscope.json [grpo]")
    for where, table in changes:
        config = changed(config, table, where)
    return config


def with_rewards(config: GRPOConfig, recipe: Recipe) -> GRPOConfig:
    """The settings with the recipe's rewards where they name none. Raises UserError for wrong ones."""
    weights = config.rewards if config.rewards is not None else recipe.grpo.rewards
    if weights is None:
        raise UserError(f"{recipe.name} has no rewards of its own; give rewards, of: {_REWARDS}")
    check_rewards(weights)
    return replace(config, rewards=weights)


def train_stage(
    recipe: Recipe,
    *,
    model: str,
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
    checksums: Mapping[str, str],
    out: Path,
    config: SFTConfig | GRPOConfig,
    frames: Frames,
    device: str | None,
    on_progress: Progress,
    prompt: Path | None = None,
    curation: Mapping[str, Any] | None = None,
    on_advice: Callable[[str], None] | None = None,
    on_plan: Callable[[str], None] | None = None,
    mix: Mix | None = None,
    logging: Logging = BY_DEFAULT,
    mapping: Sequence[Row] = (),
    server: "RolloutServer | None" = None,
    group: Group = ALONE,
) -> TrainResult:
    """Train `model` in the run folder `out`; goes on where it stopped, or is done already.

    Args:
        recipe: task and frames.
        model: where to start from.
        train: samples to learn from.
        held_out: samples of other groups, to choose the best checkpoint on.
        checksums: sample id -> checksum of its clip, where it is known.
        out: run folder.
        config: `SFTConfig` for supervised fine-tuning, `GRPOConfig` for reinforcement learning.
        frames: changes to the frame policy.
        device: None takes the best there is.
        on_progress: bars.
        prompt: a file with other words than the recipe's.
        curation: kept in the run as `curation.json`.
        on_advice: told what is allowed and yet hardly meant, before the first step.
        on_plan: told what keeping clips on disk will take, before it is spent.
        mix: where samples come from, and how much of each source an epoch takes.
        logging: where numbers go beside `train.jsonl`.
        mapping: what became of the keys of a cosmos-rl file; kept in the run as `cosmos_rl.json`.
        server: draws the answers of reinforcement learning; None: this process does.
        group: processes that train together; the first writes the run.

    Raises:
        UserError: nothing to train on, groups on both sides, another run's folder.
    """
    check_apart(train, held_out, "held-out and training data")
    if not train:
        raise UserError("no sample is left to train on; see what was left out, and why")
    kind = "sft"
    if isinstance(config, GRPOConfig):
        kind, config = "grpo", with_rewards(config, recipe)
    identity, own = described(located(model), recipe.task.name)
    task, words = asked_with(recipe, prompt)
    policy = policy_for(recipe, own, frames)
    run_config = {
        "recipe": recipe.name,
        "model": model,
        "model_identity": identity,
        "data": _digests(task, train, held_out, checksums, mix),
        "frames": plain(policy),
        **_kept_settings(kind, config, is_served=server is not None),
    }
    with ExitStack() as files:
        run = None
        if group.is_first:
            run = files.enter_context(Run.open(out, kind=kind, config=run_config | words))
            _keep(run, curation, mapping, train, held_out)
        finished = group.from_first(lambda: None if run is None else run.read_json("result.json"))
        if finished is not None:
            return _result(out, finished)
        for advice in _advice(train, config, mix):
            (on_advice or (lambda _: None))(advice)
        board = files.enter_context(logging.open(out, run_config) if run else Loggers((), out))
        start = _load(model, group.device(device), on_progress)
        options: dict[str, Any] = {
            "policy": policy,
            "out": out,
            "log": partial(_log, run, board, on_progress),
            "on_check": lambda done, total: on_progress("decoding clips", done, total),
            "on_warning": on_advice,
            "on_plan": (on_plan or on_advice) if group.is_first else None,
            "mix": mix,
            "group": group,
        }
        if server is not None:
            options["server"] = server
        result = _train(start, task, train, held_out, config, options)
        if run:
            run.write_json("result.json", _result_row(result))
            write_page(out)
        return result


def _kept_settings(kind: str, config: SFTConfig | GRPOConfig, *, is_served: bool) -> dict[str, Any]:
    """Settings that must be the same when a run goes on."""
    # However many processes share the work, and how, it is the same run.
    kept = {name: value for name, value in plain(config).items() if name != "parallel"}
    # Where the server is and what it is called may change from one session to the next.
    return {kind: kept} | ({"rollouts": "server"} if is_served else {})


def _log(run: Run | None, board: Loggers, on_progress: Progress, row: dict[str, Any]) -> None:
    """Write a row of a training and show it; without a run, another process does."""
    if run is None:
        return
    run.append("train", row)
    board.write(row)
    if row["kind"] == "step":
        watched = "reward" if "reward" in row else "loss"
        on_progress(f"training, {watched} {row[watched]:.3f}", row["step"], row["of"])


def _digests(
    task: Task[Any, Any],
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
    checksums: Mapping[str, str],
    mix: Mix | None,
) -> dict[str, Any]:
    """What a run is about, by content."""
    return {
        "train": samples_digest(task, train, checksums),
        "held_out": samples_digest(task, held_out, checksums),
        **({"weights": dict(mix.weights)} if mix and mix.weights else {}),
    }


def _train(
    start: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
    config: SFTConfig | GRPOConfig,
    options: dict[str, Any],
) -> TrainResult:
    """By the method that the settings are of; `options` are what both have."""
    if isinstance(config, GRPOConfig):
        weights = config.rewards or ()
        return grpo(start, task, train, held_out, config=config, weights=weights, **options)
    tracks = hand_tracks_of(train) if config.dense_weight else None
    return sft(start, task, train, held_out, config=config, tracks=tracks, **options)


def _keep(
    run: Run,
    curation: Mapping[str, Any] | None,
    mapping: Sequence[Row],
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
) -> None:
    """What was trained on and what a file became are part of the run."""
    if curation is not None:
        labels = {"train": label_counts(train), "held_out": label_counts(held_out)}
        run.write_json("curation.json", {**curation, "labels": labels})
    if mapping:
        run.write_json("cosmos_rl.json", [plain(row) for row in mapping])


def _advice(
    train: Sequence[AnySample], config: SFTConfig | GRPOConfig, mix: Mix | None
) -> list[str]:
    """What is allowed and yet hardly meant."""
    common = training_part(config) if isinstance(config, GRPOConfig) else config
    steps = num_steps(common, epoch_size(strata_of(train, config.balance, mix)))
    found = (
        warmup_advice(common, steps),
        balance_advice(label_counts(train), config.balance),
    )
    return [advice for advice in found if advice]


def _load(model: str, device: str | None, on_progress: Progress) -> Checkpoint:
    on_progress(f"loading {model}", 0, 0)
    checkpoint = load_weights(model, device=device, training=True)
    on_progress(f"loading {model}", 1, 1)
    return checkpoint


def _result_row(result: TrainResult) -> dict[str, Any]:
    """JSON has no NaN, which stands for `not measured`; the run may be moved with its folder."""
    score = result.best_score if math.isfinite(result.best_score) else None
    return {**asdict(result), "best_score": score, "checkpoint": "best"}


def _result(out: Path, row: Mapping[str, Any]) -> TrainResult:
    """The inverse of `_result_row`."""
    score = row["best_score"]
    return TrainResult(
        best_step=row["best_step"],
        best_score=float("nan") if score is None else score,
        num_steps=row["num_steps"],
        last_step=row["last_step"],
        rejected=tuple(Rejected(**rejected) for rejected in row["rejected"]),
        checkpoint=out / row["checkpoint"],
    )


def samples_digest(
    task: Task[Any, Any], samples: Sequence[AnySample], checksums: Mapping[str, str]
) -> dict[str, Any]:
    """Number and hash of samples: their clips, questions and answers, wherever the clips lie."""
    rows = sorted(
        canonical_json(
            [s.id, checksums.get(s.id), s.query, None if s.gold is None else task.to_json(s.gold)]
        )
        for s in samples
    )
    digest = hashlib.sha256("\n".join(rows).encode("utf-8")).hexdigest()
    return {"count": len(samples), "sha256": digest}
