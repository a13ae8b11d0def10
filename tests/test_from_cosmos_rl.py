"""Whole commands: a file of cosmos-rl trains as it is, and what is written for cosmos-rl is read."""

import json
from pathlib import Path

import pytest
from command_line import Program

FILE = """
[custom.dataset]
path = "dataset"

[train]
epoch = 1
output_dir = "outputs/theirs"
compile = false
train_batch_per_replica = 1
optm_warmup_steps = 0

[policy]
model_name_or_path = "model"
model_max_length = 4096

[train.train_policy]
type = "sft"
conversation_column_name = "conversations"
mini_batch = 1

[policy.parallelism]
tp_size = 1
dp_shard_size = 4
cp_rotate_method = "allgather"
"""


@pytest.fixture(scope="module")
def place(program: Program, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe's kind of dataset, file and model."""
    folder = tmp_path_factory.mktemp("cosmos")
    (folder / "data").symlink_to(world / "data")
    (folder / "model").symlink_to(world / "model")
    (folder / "theirs.toml").write_text(FILE)
    ended = program.run("convert", "data", "dataset", cwd=folder)
    assert ended.code == 0, ended.said
    return folder


def test_a_dry_run_names_every_key_and_writes_nothing(program: Program, place: Path) -> None:
    ended = program.run("sft", "--config", "theirs.toml", "--dry-run", cwd=place)
    assert ended.code == 0, ended.said
    for key in ("custom.dataset.path", "train.epoch", "policy.parallelism.cp_rotate_method"):
        assert key in ended.out
    assert "batch_size = 4" in ended.out
    assert "steps: 2 or so, for 7 samples an epoch" in ended.out
    assert not (place / "outputs").exists()


def test_the_file_trains_as_it_is_and_goes_on(program: Program, place: Path) -> None:
    ended = program.run("sft", "--config", "theirs.toml", cwd=place)
    assert ended.code == 0, ended.said
    assert "cp_rotate_method" in ended.err
    assert "here whole groups (demonstrations) are held out" in ended.err
    assert "7 clips, 1 held out" in ended.out
    run = place / "outputs" / "theirs"
    rows = {row["key"]: row for row in json.loads((run / "cosmos_rl.json").read_text())}
    assert rows["train.train_batch_per_replica"]["became"] == "batch_size = 4"
    assert json.loads((run / "curation.json").read_text())["labels"] == {
        "train": {"square": 7},
        "held_out": {"square": 1},
    }
    assert (run / "best" / "config.json").is_file()
    before = (run / "train.jsonl").read_bytes()
    again = program.run("sft", "--config", "theirs.toml", cwd=place)
    assert again.code == 0, again.said
    assert (run / "train.jsonl").read_bytes() == before


def test_other_frames_are_refused_by_name(program: Program, place: Path) -> None:
    (place / "vision.toml").write_text(FILE + "\n[custom.vision]\nfps = 1\n")
    ended = program.run("sft", "--config", "vision.toml", "--out", "no", cwd=place)
    assert ended.code == 2, ended.said
    assert "--allow-other-frames" in ended.err
    assert not (place / "no").exists()


def test_what_is_exported_is_read_back(program: Program, place: Path) -> None:
    ended = program.run("export", "--cosmos-rl", "data", "--out", "exported", cwd=place)
    assert ended.code == 0, ended.said
    arguments = ("sft", "--config", "exported/sft.toml", "--model", "model", "--dry-run")
    refused = program.run(*arguments, cwd=place)
    assert refused.code == 2, refused.said  # the recipe's frames, and a model of other ones
    allowed = program.run(*arguments, "--allow-other-frames", cwd=place)
    assert allowed.code == 0, allowed.said
