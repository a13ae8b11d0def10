"""An evaluation in shares: whatever their number and order, the figures are those of one process."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import SeeingModel, config_of, make_samples
from question_runs import Player, evaluated, make_questions

from kairoscope.config import EvalConfig
from kairoscope.core import UserError
from kairoscope.evaluate import evaluate, evaluate_share, evaluation_config
from kairoscope.recipes import av_questions, subtask_times
from kairoscope.runs import Run, read_records
from kairoscope.shards import Shard, check_shards, claim, shard_config

CONFIG = config_of(trials=2)
KIND = "evaluation shard"


def settings_of(recipe: Any, model: Any, samples: Sequence[Any], config: EvalConfig) -> Any:
    return evaluation_config(
        model, recipe.TASK, samples, policy=recipe.RECIPE.frames, config=config
    )


def share(
    out: Path,
    shard: str,
    model: Any,
    samples: Sequence[Any],
    recipe: Any = subtask_times,
    config: EvalConfig = CONFIG,
) -> bool:
    """One process's share, as the command does it."""
    settings, own = settings_of(recipe, model, samples, config), Shard.parse(shard)
    claim(out, settings, kind="evaluation")
    check_shards(out, settings, kind=KIND)
    with Run.open(out / own.folder, kind=KIND, config=shard_config(settings, own)) as run:
        return evaluate_share(
            model,
            recipe.TASK,
            samples,
            shard=own,
            policy=recipe.RECIPE.frames,
            config=config,
            run=run,
            out=out,
        )


def joined(out: Path, model: Any, samples: Sequence[Any]) -> bytes:
    settings = settings_of(subtask_times, model, samples, CONFIG)
    with Run.open(out, kind="evaluation", config=settings) as run:
        policy = subtask_times.RECIPE.frames
        evaluate(model, subtask_times.TASK, samples, policy=policy, config=CONFIG, run=run)
    return (out / "metrics.json").read_bytes()


@pytest.fixture
def samples(tmp_path: Path) -> list[Any]:
    """Eleven clips; one cannot be read."""
    made = make_samples(tmp_path / "clips", 11)
    made[4].video.unlink()
    return made


@pytest.fixture
def alone(samples: list[Any], tmp_path: Path) -> bytes:
    model = SeeingModel(samples, noise_s=0.3)
    policy = subtask_times.RECIPE.frames
    settings = settings_of(subtask_times, model, samples, CONFIG)
    with Run.open(tmp_path / "alone", kind="evaluation", config=settings) as run:
        evaluate(model, subtask_times.TASK, samples, policy=policy, config=CONFIG, run=run)
    return (tmp_path / "alone" / "metrics.json").read_bytes()


@pytest.mark.parametrize("shards", [["1/1"], ["2/3", "3/3", "1/3"], ["1/4", "2/2", "1/2"]])
def test_shares_in_any_order_make_the_figures_of_one_process(
    shards: list[str], samples: list[Any], alone: bytes, tmp_path: Path
) -> None:
    asked: list[str] = []
    for number, shard in enumerate(shards, 1):
        model = SeeingModel(samples, noise_s=0.3)
        assert share(tmp_path / "out", shard, model, samples) == (number == len(shards))
        asked += model.asked
    assert sorted(asked) == [sample.id for sample in samples]  # nobody asks what another has
    last = SeeingModel(samples, noise_s=0.3)
    assert joined(tmp_path / "out", last, samples) == alone
    assert len(last.asked) == 11  # the clip that cannot be read, and the control of the others
    found, wanted = (tmp_path / name / "problems.json" for name in ("out", "alone"))
    assert found.read_bytes() == wanted.read_bytes()
    run = Run.read(tmp_path / "out")
    for record in read_records(run):
        assert record.failed or (run.path / record.video).is_file()


def test_the_folder_of_another_machine_is_taken_in(
    samples: list[Any], alone: bytes, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    model = SeeingModel(samples, noise_s=0.3)
    share(there, "1/2", model, samples)
    here = tmp_path / "deeper" / "here"
    share(here, "2/2", SeeingModel(samples, noise_s=0.3), samples)
    shutil.copytree(there / "shards" / "1-of-2", here / "shards" / "1-of-2")
    assert joined(here, SeeingModel(samples, noise_s=0.3), samples) == alone


def test_another_question_in_a_shard_is_refused(samples: list[Any], tmp_path: Path) -> None:
    model = SeeingModel(samples)
    share(tmp_path / "out", "1/2", model, samples)
    other = replace(CONFIG, bootstrap_draws=CONFIG.bootstrap_draws + 1)
    with pytest.raises(UserError, match="bootstrap_draws"):
        share(tmp_path / "out", "2/2", model, samples, config=other)
    with pytest.raises(UserError, match="used twice"):
        share(tmp_path / "twice", "2/2", model, [*samples, samples[0]])


def test_questions_without_a_clip_are_shared_out_too(tmp_path: Path) -> None:
    samples = make_questions(tmp_path)
    config = EvalConfig(blind_control=True, bootstrap_draws=50)
    whole = evaluated(Player(samples), samples, tmp_path / "alone", config)
    for shard, is_last in (("1/2", False), ("2/2", True)):
        player = Player(samples)
        found = share(tmp_path / "out", shard, player, samples, av_questions, config)
        assert found == is_last
    counts = [
        len((tmp_path / "out" / "shards" / f"{i}-of-2" / "blind.jsonl").read_text().splitlines())
        for i in (1, 2)
    ]
    assert counts == [len(samples) // 2] * 2
    assert evaluated(Player(samples), samples, tmp_path / "out", config) == whole
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == whole
