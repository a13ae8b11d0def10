"""A run that was killed and run again is the run that was not killed, to the bit."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sft_process import CONFIG, train
from tiny_models import POLICY

from kairoscope.core import UserError
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.train.pace import SPEEDS
from kairoscope.train.state import TrainState, load_latest, save_best
from kairoscope.train.trainable import prepare

SOURCES = Path(__file__).parents[3] / "src"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums of several threads differ in their last bits from those of one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run; its clips and base model lie beside it."""
    folder = tmp_path_factory.mktemp("sft")
    train(folder / "clips", folder / "straight")
    return folder / "straight"


def rows(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What was logged, without wall times. Steps that were done again must say the same again."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in (out / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        row = {k: v for k, v in row.items() if k not in ("seconds", *SPEEDS)}
        key = (row["kind"], row.get("step", 0))
        assert found.setdefault(key, row) == row
    return found


def assert_same_run(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    states = [sorted(p.name for p in (out / "state").iterdir()) for out in (one, other)]
    assert states[0] == states[1]
    for name in states[0]:
        a, b = (load_file(out / "state" / name / "state.safetensors") for out in (one, other))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert (one / "state" / name / "state.json").read_text() == (
            other / "state" / name / "state.json"
        ).read_text()
    for file in ("model.safetensors", "kairoscope.json"):
        assert (one / "best" / file).read_bytes() == (other / "best" / file).read_bytes()


def test_the_states_that_are_kept(straight: Path) -> None:
    assert sorted(p.name for p in (straight / "state").iterdir()) == [
        "step_0000006",
        "step_0000007",
    ]
    found = rows(straight)
    assert [step for kind, step in found if kind == "step"] == [1, 2, 3, 4, 5, 6, 7]
    assert [step for kind, step in found if kind == "held_out"] == [3, 6, 7]
    held_out = {s: r["mre_percent"] for (k, s), r in found.items() if k == "held_out"}
    notes = json.loads((straight / "best" / "kairoscope.json").read_text())
    assert notes["held_out"] == held_out[notes["step"]] == min(held_out.values())


@pytest.mark.parametrize("kills", [(1,), (5, 2)])
def test_killed_and_run_again(straight: Path, tmp_path: Path, kills: tuple[int, ...]) -> None:
    """Steps are counted from where each process began; dropout makes randomness matter."""
    out = tmp_path / "killed"
    places = [str(SOURCES), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    program = Path(__file__).with_name("sft_process.py")
    for step in kills:
        arguments = (program, straight.parent / "clips", out, step)
        command = [sys.executable, *map(str, arguments)]
        ended = subprocess.run(command, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    train(straight.parent / "clips", out)
    assert_same_run(straight, out)


def test_a_finished_run_does_nothing_more(straight: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "again"))
    first, second = (train(straight.parent / "clips", out) for _ in range(2))
    assert first == second
    assert first.num_steps == 7
    assert [key for key in rows(out) if key[0] == "step"] == [("step", s) for s in range(1, 8)]


def test_a_kill_between_two_renames_loses_nothing(straight: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "torn"))
    (out / "best").rename(out / ".best.old")
    (out / "state" / "step_0000007").rename(out / "state" / ".step_0000007.old")
    (out / "state" / ".step_0000007.part").mkdir()
    (out / ".best.part").mkdir()
    train(straight.parent / "clips", out)
    assert_same_run(straight, out)


@contextmanager
def disk_of(num_bytes: int) -> Iterator[None]:
    """No file may become larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(out: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != "log.jsonl"}


def test_a_full_disk_is_said_and_the_state_before_it_stays(straight: Path, tmp_path: Path) -> None:
    out, clips = tmp_path / "full", straight.parent / "clips"
    train(clips, out, replace(CONFIG, max_steps=2, eval_every=2))
    before = contents(out)
    state_bytes = (out / "state" / "step_0000002" / "state.safetensors").stat().st_size
    config = replace(CONFIG, eval_every=100)
    with disk_of(state_bytes - 1), pytest.raises(UserError, match=f"{out}.*(space|written)"):
        train(clips, out, config, held_out=0)
    assert contents(out) == before
    assert not list(out.rglob("*.part"))


def test_a_full_disk_leaves_the_best_checkpoint_before_it(straight: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(straight.parent / "base", device="cpu")
    made = prepare(checkpoint.network, CONFIG)
    save_best(tmp_path, made, checkpoint, POLICY, TrainState(step=1), CONFIG)
    before = contents(tmp_path)
    with disk_of(50_000), pytest.raises(UserError, match=f"{tmp_path}.*(space|written)"):
        save_best(tmp_path, made, checkpoint, POLICY, TrainState(step=2), CONFIG)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob("*.part"))


def test_a_state_of_other_weights_is_refused(straight: Path) -> None:
    network = load_checkpoint(straight.parent / "base", device="cpu").network
    with pytest.raises(UserError, match="other trained weights"):
        load_latest(straight, prepare(network, replace(CONFIG, lora=None)))
    assert CONFIG.lora is not None
    network = load_checkpoint(straight.parent / "base", device="cpu").network
    wider = replace(CONFIG, lora=replace(CONFIG.lora, rank=3))
    with pytest.raises(UserError, match="other trained weights"):
        load_latest(straight, prepare(network, wider))


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:2000])


def changed_in_one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)


def emptied(file: Path) -> None:
    file.with_name("state.json").write_text("")


@pytest.mark.parametrize("damage", [cut_off, changed_in_one_bit, emptied, Path.unlink])
def test_a_damaged_state_is_named_and_the_one_before_it_taken(
    straight: Path, tmp_path: Path, damage: Any
) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "damaged"))
    damage(out / "state" / "step_0000007" / "state.safetensors")
    warnings: list[str] = []
    train(straight.parent / "clips", out, on_warning=warnings.append)
    assert len(warnings) == 1
    assert "step_0000007 is damaged (" in warnings[0]
    assert warnings[0].endswith("going on from step_0000006 instead")
    assert_same_run(straight, out)


def test_without_a_whole_state_nothing_is_trained(straight: Path, tmp_path: Path) -> None:
    """Least of all from the base weights."""
    out = Path(shutil.copytree(straight, tmp_path / "damaged"))
    for file in out.glob("state/*/state.safetensors"):
        changed_in_one_bit(file)
    before = contents(out)
    with pytest.raises(UserError, match=r"step_0000007 is damaged \(.*step_0000006 is damaged"):
        train(straight.parent / "clips", out)
    assert contents(out) == before


def test_without_held_out_samples_the_last_weights_are_kept(straight: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone"
    config = replace(CONFIG, lora=None, max_steps=2)
    result = train(straight.parent / "clips", out, config, held_out=0)
    assert (result.best_step, result.num_steps) == (2, 2)
    assert result.best_score != result.best_score
    assert "NaN" not in (out / "best" / "kairoscope.json").read_text()
    state = load_file(out / "state" / "step_0000002" / "state.safetensors")
    network = load_checkpoint(out / "best", device="cpu").network
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, state[f"weight/{name}"])


def test_nothing_to_train_on_is_said(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of the 4 samples .* clip-0: \d+ tokens"):
        train(straight.parent / "clips", tmp_path, replace(CONFIG, max_tokens=10))
    assert rows(tmp_path)["check", 0]["kept"] == 0
    assert len(rows(tmp_path)["check", 0]["rejected"]) == 4


@pytest.mark.parametrize(("best", "better", "worse"), [(0.0, 1.0, 2.0), (1.0, 0.6, 0.5)])
def test_the_best_is_the_first_of_the_best(best: float, better: float, worse: float) -> None:
    from kairoscope.core import Metric
    from kairoscope.recipes.subtask_times import TASK

    metric = Metric(unit="", best=best, worst=1 - best, title="")
    task = replace(TASK, metrics={TASK.headline: metric})
    state = TrainState()
    taken = []
    for step, score in enumerate([float("nan"), worse, better, better, worse], 1):
        state.step = step
        taken.append(state.takes_best(score, task))
    assert taken == [False, True, True, False, False]
    assert (state.best_step, state.best_score) == (3, better)
