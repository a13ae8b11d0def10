"""Options, our files and cosmos-rl's make one training; options win."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_models import POLICY, SIZE, make_samples

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.models.scratch import make_checkpoint
from kairoscope.recipes.asked import Asked, Options, asked_for
from kairoscope.recipes.sources import Source
from kairoscope.recipes.subtask_times import RECIPE, TASK

COSMOS_RL = """
[custom.dataset]
path = "their/dataset"
[train]
epoch = 4
output_dir = "their/out"
train_batch_per_replica = 2
[train.train_policy]
conversation_column_name = "talk"
[policy]
model_name_or_path = "MODEL"
[policy.parallelism]
dp_shard_size = 2
[logging]
logger = ["console", "wandb"]
project_name = "theirs"
"""
VISION = "\n[custom.vision]\nfps = 2\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    samples = make_samples(folder / "clips", 1)
    make_checkpoint(folder / "model", TASK, samples, POLICY, SIZE, 0)
    return str(folder / "model")


def asked(
    tmp_path: Path, text: str | None, named: str, *, dry: bool = False, **options: Any
) -> Asked:
    file = None
    if text is not None:
        file = tmp_path / "c.toml"
        file.write_text(text.replace("MODEL", named))
    return asked_for(RECIPE, Options(config=file, **options), dry=dry)


def test_a_file_of_cosmos_rl_says_everything(tmp_path: Path, model: str) -> None:
    found = asked(tmp_path, COSMOS_RL, model)
    assert found.model == model
    assert found.sources == (Source(path=Path("their/dataset"), column="talk"),)
    assert found.out == Path("their/out")
    assert isinstance(found.config, SFTConfig)
    assert (found.config.epochs, found.config.batch_size) == (4.0, 4)
    there = ("wandb",) if find_spec("wandb") else ()
    assert found.logging.names == ("tensorboard", *there)
    assert ["wandb, which is not installed" in words for words in found.advice] == [True][
        len(there) :
    ]
    assert found.logging.project == "theirs"
    # Nothing of the recipe's or the checkpoint's own recommendations.
    assert not found.config.augment
    assert found.config.learning_rate == 1e-6
    assert found.frames["fps"] == POLICY.fps
    assert found.holdout_share(100) == 0.1


def test_options_win_over_the_file(tmp_path: Path, model: str) -> None:
    found = asked(
        tmp_path,
        COSMOS_RL,
        "elsewhere/model",
        model=model,
        data=["mine", "more=0.5"],
        out=Path("my/out"),
        held_out=Path("judged"),
        settings=["epochs=1", "max_tokens=900", "ema_decay=0.9"],
        frames=["fps=3"],
        loggers=["jsonl"],
    )
    assert found.model == model
    assert [(str(s.path), s.weight) for s in found.sources] == [("mine", 1.0), ("more", 0.5)]
    assert found.out == Path("my/out")
    assert found.held_out is not None
    assert found.held_out.path == Path("judged")
    assert (found.config.epochs, found.config.max_tokens) == (1.0, 900)
    assert found.config.ema_decay == 0.9
    assert found.frames["fps"] == 3
    assert found.logging.names == ("jsonl",)


def test_other_frames_are_refused_unless_asked_for_by_name(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match=r"fps 2 \(evaluation 4\).*--allow-other-frames"):
        asked(tmp_path, COSMOS_RL + VISION, model)
    dry = asked(tmp_path, COSMOS_RL + VISION, model, dry=True)
    assert dry.mapped is not None
    assert [row.key for row in dry.mapped.with_outcome("refused")] == ["custom.vision"]
    allowed = asked(tmp_path, COSMOS_RL + VISION, model, allow_other_frames=True)
    assert allowed.frames["fps"] == 2


def test_a_file_for_grpo_is_not_trained_with_sft(tmp_path: Path, model: str) -> None:
    text = COSMOS_RL.replace('column_name = "talk"', 'column_name = "talk"\nkl_beta = 0.1')
    with pytest.raises(UserError, match="is for GRPO, which kairoscope grpo trains"):
        asked(tmp_path, text, model)


def test_our_own_files(tmp_path: Path, model: str) -> None:
    text = '[sft]\nepochs = 7.0\n[frames]\nfps = 6.0\n[data]\n"a" = 1.0\n"b" = 0.3\n'
    found = asked(tmp_path, text, model, model=model, out=Path("o"), settings=["batch_size=3"])
    assert isinstance(found.config, SFTConfig)
    assert (found.config.epochs, found.config.batch_size) == (7.0, 3)
    assert [(str(s.path), s.weight) for s in found.sources] == [("a", 1.0), ("b", 0.3)]
    assert found.frames == {"fps": 6.0}
    assert found.holdout_share(10) == 0.15
    assert found.mapped is None
    plain = asked(tmp_path, None, model, model=model, out=Path("o"), data=["d"])
    assert plain.config == SFTConfig()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": ["d"]}, "--out is needed"),
        ({"out": Path("o")}, "--data is needed"),
        ({"out": Path("o"), "data": ["d"], "loggers": ["tensorbord"]}, "allowed: tensorboard"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, model: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        asked(tmp_path, None, model, model=model, **options)


def test_unknown_tables_of_our_own_are_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match=r"unknown 'stf'; allowed: \[sft\]"):
        asked(tmp_path, "[stf]\nepochs = 3\n", model, out=Path("o"), data=["d"])


def test_a_number_of_held_out_samples(tmp_path: Path, model: str) -> None:
    text = COSMOS_RL.replace('column_name = "talk"', 'column_name = "talk"\ndataset.test_size = 25')
    found = asked(tmp_path, text, model)
    assert found.holdout_share(100) == 0.25
    assert found.holdout_share(20) == 0.9
