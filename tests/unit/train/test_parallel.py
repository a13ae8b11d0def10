"""Two processes train what one trains: losses, weights, checkpoints, in any order of resuming."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from parallel_process import LAST, configured, run_job
from safetensors.torch import load_file
from sft_process import train
from tiny_models import POLICY

from kairoscope.core import UserError
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.train.group import Group
from kairoscope.train.pace import SPEEDS
from kairoscope.train.trainable import prepare

pytestmark = pytest.mark.slow
SOURCES = Path(__file__).parents[3] / "src"
WHOLE: dict[str, Any] = {"ema_decay": 0.5}
ADAPTERS: dict[str, Any] = {"lora": 0.0}
PLAIN: dict[str, Any] = ADAPTERS | {"augment": False}
KEPT: dict[str, Any] = PLAIN | {"cache": True, "cache_folder": "kept"}
PACKED: dict[str, Any] = {"packing": True, "pack_tokens": 500}
HALF: dict[str, Any] = ADAPTERS | {"dtype": "bfloat16"}
ALONE_JOBS: dict[str, dict[str, Any]] = {
    "whole": WHOLE,
    "adapters": ADAPTERS,
    "plain": PLAIN,
    "half": HALF,
}
"""In one process, before the others."""
TOGETHER: dict[str, dict[str, Any]] = {
    "whole-ddp": WHOLE | {"parallel": "ddp"},
    "whole-fsdp": WHOLE | {"parallel": "fsdp"},
    "whole-hsdp": WHOLE | {"parallel": "hsdp", "gradient_checkpointing": True},
    "adapters-ddp": ADAPTERS | {"parallel": "ddp"},
    "adapters-fsdp": ADAPTERS | {"parallel": "fsdp", "gradient_checkpointing": True},
    "whole-one-then-fsdp": WHOLE | {"parallel": "fsdp", "resumes": "whole"},
    "adapters-one-then-ddp": ADAPTERS | {"parallel": "ddp", "resumes": "adapters"},
    "whole-packed-fsdp": WHOLE | PACKED | {"parallel": "fsdp"},
    "plain-packed-ddp": PLAIN | PACKED | {"parallel": "ddp"},
    "plain-kept-fsdp": KEPT | {"parallel": "fsdp"},
    "plain-kept-packed-ddp": KEPT | PACKED | {"parallel": "ddp"},
    "half-ddp": HALF | {"parallel": "ddp"},
    "half-fsdp": HALF | {"parallel": "fsdp"},
    "dropout": {"lora": 0.3, "parallel": "fsdp"},
    "dropout-again": {"lora": 0.3, "parallel": "fsdp", "resumes": "dropout"},
}
"""In two processes, in this order."""
THEN_ALONE: dict[str, dict[str, Any]] = {
    "whole-fsdp-then-one": WHOLE | {"resumes": "whole-fsdp"},
    "adapters-fsdp-then-one": ADAPTERS | {"resumes": "adapters-fsdp"},
    "plain-kept-then-one": KEPT | PACKED | {"resumes": "plain-kept-fsdp"},
}
"""In one process again."""


def torchrun(*arguments: Any, processes: int = 2, **variables: str) -> Any:
    """A program in several processes of this machine."""
    places = [str(SOURCES), str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"PYTHONPATH": os.pathsep.join(places), **variables}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={processes}", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which all jobs have been trained."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("parallel")
    clips = folder / "clips"
    for name, settings in ALONE_JOBS.items():
        run_job(clips, folder, name, settings)
    program = Path(__file__).with_name("parallel_process.py")
    ended = torchrun(program, clips, folder, json.dumps(TOGETHER))
    assert ended.returncode == 0, ended.stderr
    for name, settings in THEN_ALONE.items():
        run_job(clips, folder, name, settings)
    yield folder
    torch.set_num_threads(before)


def rows(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    keys = [(row["kind"], row.get("step", 0)) for row in found]
    assert len(set(keys)) == len(keys), "logged more than once"
    return dict(zip(keys, found, strict=True))


def state(out: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(out / "state" / LAST / "state.safetensors")
    return {key: value for key, value in tensors.items() if not key.startswith("rng")}


def began(runs: Path, alone: str) -> dict[str, torch.Tensor]:
    """The trained weights before the first step."""
    network = load_checkpoint(runs / "base", device="cpu").network
    trained = prepare(network, configured(ALONE_JOBS[alone]))
    return {n: p.detach() for n, p in zip(trained.names, trained.parameters, strict=True)}


TOLERANCE = {"half": 3e-2}
"""Share of the way that rounding may make; else 1e-5."""


def assert_close(one: Any, other: Any, start: Any, tolerance: float = 1e-5) -> None:
    """Apart by next to nothing of the way from `start`."""
    assert one.keys() == other.keys()
    moved = torch.cat([(one[k] - start[k]).flatten() for k in one])
    apart = torch.cat([(one[k] - other[k]).flatten() for k in one])
    assert moved.norm() > 0
    assert apart.norm() < tolerance * moved.norm()


PAIRS = [(name, name.split("-")[0]) for name in [*TOGETHER, *THEN_ALONE] if "dropout" not in name]


@pytest.mark.parametrize(("name", "alone"), PAIRS)
def test_losses_scores_and_gradients_are_those_of_one_process(
    runs: Path, name: str, alone: str
) -> None:
    ours, theirs = rows(runs / name), rows(runs / alone)
    assert ours[("check", 0)] == theirs[("check", 0)]
    resumed = "then" in name
    expected = {key for key in theirs if key[1] > 2 or key[1] == 0 or not resumed}
    assert ours.keys() == expected
    for key in sorted(expected):
        for field, value in theirs[key].items():
            if isinstance(value, float) and field not in ("seconds", *SPEEDS):
                near = max(1e-4, TOLERANCE.get(alone, 0.0))
                assert ours[key][field] == pytest.approx(value, rel=near), (key, field)
            elif field in ("tokens", "learning_rate"):
                assert ours[key][field] == value


@pytest.mark.parametrize(("name", "alone"), PAIRS)
def test_weights_moments_and_averages_are_those_of_one_process(
    runs: Path, name: str, alone: str
) -> None:
    ours, theirs = state(runs / name), state(runs / alone)
    for kind in ("weight", "average", "exp_avg", "exp_avg_sq"):
        of_kind = [key for key in theirs if key.startswith(f"{kind}/")]
        assert of_kind or kind == "average"
        start = began(runs, alone) if kind in ("weight", "average") else {}
        if of_kind:
            assert_close(
                {key: ours[key] for key in of_kind},
                {key: theirs[key] for key in of_kind},
                {key: start.get(key.partition("/")[2], torch.zeros(())) for key in of_kind},
                TOLERANCE.get(alone, 1e-5),
            )
    assert ours.keys() == theirs.keys()


@pytest.mark.parametrize(("name", "alone"), [pair for pair in PAIRS if pair[1] != "half"])
def test_the_best_checkpoint_is_one_that_loads(runs: Path, name: str, alone: str) -> None:
    ours, theirs, base = (
        load_checkpoint(folder, device="cpu")
        for folder in (runs / name / "best", runs / alone / "best", runs / "base")
    )
    assert ours.policy == theirs.policy == POLICY
    one, other, start = (dict(c.network.named_parameters()) for c in (ours, theirs, base))
    assert_close(one, other, start)


def test_weights_are_shared_out_where_they_are_to_be(runs: Path) -> None:
    held = json.loads((runs / "held.json").read_text())
    all_of_them = held["ddp"][0]
    assert held["ddp"] == [all_of_them, all_of_them]
    for way in ("fsdp", "hsdp"):
        assert sum(held[way]) == all_of_them
        assert max(held[way]) < 0.6 * all_of_them


def test_what_is_not_trained_is_shared_out_in_bfloat16(runs: Path) -> None:
    """All of it, but for the vision tower, which stays whole everywhere."""
    network = load_checkpoint(runs / "base", device="cpu").network
    tower = sum(p.numel() for p in network.model.visual.parameters())
    rest = sum(p.numel() for p in network.parameters()) - tower
    held = json.loads((runs / "frozen.json").read_text())
    assert sum(numbers for numbers, _ in held) == 2 * tower + rest
    assert all(num_bytes == 2 * numbers for numbers, num_bytes in held)
    assert all(abs(numbers - tower - rest / 2) < 0.1 * rest for numbers, _ in held)


def test_a_clip_is_looked_at_by_one_of_the_processes_and_once(runs: Path) -> None:
    """Three runs, of two processes and of one, have their features from the same four entries."""
    entries = list((runs / "kept").glob("??/*.safetensors"))
    assert len(entries) == 4
    made = max(entry.stat().st_mtime for entry in entries)
    assert made < (runs / "plain-kept-packed-ddp" / "log.jsonl").stat().st_mtime
    assert not list((runs / "kept").glob("**/*.part"))


def test_a_run_of_two_processes_resumes_to_the_bit(runs: Path) -> None:
    """With dropout, every process has randomness of its own."""
    straight, again = (
        load_file(runs / name / "state" / LAST / "state.safetensors")
        for name in ("dropout", "dropout-again")
    )
    assert straight.keys() == again.keys() >= {"rng", "rng/1"}
    assert not torch.equal(straight["rng"], straight["rng/1"])
    assert all(torch.equal(straight[key], again[key]) for key in straight)


def test_fewer_samples_than_processes_are_refused(tmp_path: Path) -> None:
    group = Group(rank=1, size=3)
    with pytest.raises(UserError, match="batch_size is 2, fewer than the 3 processes"):
        train(tmp_path / "clips", tmp_path / "out", configured({"batch_size": 2}), group=group)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_put_together_are_the_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(range(7))
    groups = [Group(rank=rank, size=size) for rank in range(size)]
    parts = [list(group.share(items)) for group in groups]
    monkeypatch.setattr(Group, "gathered", lambda self, value: parts)
    assert all(group.merged(list(group.share(items))) == items for group in groups)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_an_incomplete_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "none")
    with pytest.raises(UserError, match="RANK is 'none'"):
        Group.join()
