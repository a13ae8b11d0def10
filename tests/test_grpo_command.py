"""`kairoscope grpo`, as a user runs it."""

from pathlib import Path

import pytest
from command_line import Program, read_json, read_rows
from html_checks import check_page
from resumable import is_clean, world_in

GRPO = ["grpo", "subtask-times", "--data=data", "--model=model", "--out=out", "--device=cpu"]
SMALL = [
    *("--set=max_steps=2", "--set=rollouts_per_step=8", "--set=group_size=4"),
    *("--set=learning_rate=1e-3", "--set=eval_every=1", "--logger=jsonl"),
]
COSMOS = """
[train]
epoch = 80
output_dir = "./outputs/rl"
optm_lr = 2e-6
param_dtype = "float32"
train_batch_per_replica = 8
[rollout]
max_response_length = 8
n_generation = 4
batch_size = 2
[policy]
model_name_or_path = "model"
model_max_length = 2048
[train.train_policy]
type = "grpo"
dataset.name = "data"
temperature = 0.9
kl_beta = 0.05
mini_batch = 2
[policy.parallelism]
dp_shard_size = 1
"""


@pytest.fixture
def place(tmp_path: Path, world: Path) -> Path:
    return world_in(tmp_path, world)


def test_trains_goes_on_and_is_done(program: Program, place: Path) -> None:
    ended = program.run(*GRPO, *SMALL, cwd=place)
    assert ended.code == 0, ended.said
    assert "no reference policy: kl_beta is 0" in ended.err
    out = place / "out"
    rows = read_rows(out / "train.jsonl")
    assert [row["step"] for row in rows if row["kind"] == "held_out"] == [0, 1, 2]
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["reward_format"] for row in steps] == [1.0, 1.0]
    numbers = [row for row in read_rows(out / "metrics.jsonl") if "train/reward" in row]
    assert [row["train/reward"] for row in numbers] == [row["reward"] for row in steps]
    page = (out / "training.html").read_text()
    check_page(page)
    assert "Parts of the reward" in page
    assert steps[0]["reward"] > 0
    again = program.run(*GRPO, *SMALL, cwd=place)
    assert again.code == 0
    assert read_rows(out / "train.jsonl") == rows
    other = program.run(*GRPO, *SMALL, "--set=kl_beta=0.1", cwd=place)
    assert other.code == 2
    assert "kl_beta" in other.err


def test_a_file_of_cosmos_rl(program: Program, place: Path) -> None:
    """The answers of random weights are worth nothing: every group is passed over, and said to be."""
    (place / "rl.toml").write_text(COSMOS)
    dry = program.run("grpo", "--config=rl.toml", "--dry-run", cwd=place)
    assert dry.code == 0, dry.said
    assert "2 prompts a step, 4 answers each, free, at most 8 tokens" in dry.out
    assert "reward = 1 x tiou, 1 x boundary, 0.1 x format" in dry.out
    ended = program.run("grpo", "--config=rl.toml", "--set=max_steps=2", "--device=cpu", cwd=place)
    assert ended.code == 0, ended.said
    out = place / "outputs" / "rl"
    steps = [row for row in read_rows(out / "train.jsonl") if row["kind"] == "step"]
    assert [row["dropped_groups"] for row in steps] == [1.0, 1.0]
    assert "a frozen copy of the starting weights" in ended.err
    kept = read_json(out / "config.json")["config"]["grpo"]
    assert (kept["policy_temperature"], kept["kl_beta"], kept["group_size"]) == (0.9, 0.05, 4)
    refused = program.run("sft", "--config=rl.toml", cwd=place)
    assert refused.code == 2
    assert "is for GRPO, which kairoscope grpo trains" in refused.err


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("rewards=[['likes', 1.0]]", "no reward 'likes'; allowed: score, tiou"),
        ("rewards=[['score', 1.0]]", "the reward 'score' needs a score as gold answer"),
        ("rollouts_per_step=9", "a multiple of group_size"),
        ("variant=gspo", "allowed: 'grpo'"),
    ],
)
def test_what_cannot_be_done_is_said(program: Program, place: Path, change: str, why: str) -> None:
    ended = program.run(*GRPO, *SMALL, f"--set={change}", cwd=place)
    assert ended.code == 2, ended.said
    assert why in ended.err
    assert is_clean(ended)
