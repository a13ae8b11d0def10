"""Averaged weights in closed form; evaluated, saved and resumed exactly. The end of patience."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from average_process import AVERAGED
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from sft_process import CONFIG, train
from test_resume import assert_same_run, rows

from kairoscope.core import UserError
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.average import WeightAverage, decay_at
from kairoscope.train.state import TrainState, load_latest
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
    folder = tmp_path_factory.mktemp("average")
    train(folder / "clips", folder / "straight", AVERAGED)
    return folder / "straight"


@given(st.integers(1, 20), st.integers(1, 4), st.floats(0.05, 0.999))
def test_the_average_in_closed_form(steps: int, every: int, decay: float) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    average = WeightAverage([parameter], decay=decay, every=every)
    expected, updates = 0.0, 0
    for step in range(1, steps + 1):
        parameter.data.fill_(float(step * step))
        average.update(step)
        if step % every == 0:
            updates += 1
            kept = min(decay, (1 + updates) / (10 + updates))
            expected = kept * expected + (1 - kept) * step * step
    assert average.tensors[0].tolist() == pytest.approx([expected, expected])


def test_the_ramp_ends_at_the_decay() -> None:
    found = [decay_at(update, 0.9) for update in range(1, 200)]
    assert found == sorted(found)
    assert found[0] == 2 / 11
    assert found[-1] == 0.9


def test_in_place_of_the_weights_and_back_to_the_bit() -> None:
    parameter = torch.nn.Parameter(torch.randn(5))
    average = WeightAverage([parameter], decay=0.5)
    memory, weights = parameter.data_ptr(), torch.randn(5)
    parameter.data.copy_(weights)
    average.update(1)
    averaged = average.tensors[0].clone()
    with average.in_place_of_weights():
        assert torch.equal(parameter, averaged)
    assert torch.equal(parameter, weights)
    assert torch.equal(average.tensors[0], averaged)
    assert parameter.data_ptr() == memory


def test_the_best_checkpoint_holds_the_average(straight: Path) -> None:
    notes = json.loads((straight / "best" / "kairoscope.json").read_text())
    state = load_file(straight / "state" / "step_0000004" / "state.safetensors")
    names = [key.removeprefix("weight/") for key in state if key.startswith("weight/")]
    assert {f"average/{name}" for name in names} <= set(state)
    assert any(not torch.equal(state[f"average/{n}"], state[f"weight/{n}"]) for n in names)
    last = load_file(straight / "state" / "step_0000005" / "state.safetensors")
    # No update falls between steps 4 and 5, so the average stays and the weights move on.
    assert all(torch.equal(last[f"average/{n}"], state[f"average/{n}"]) for n in names)
    if notes["step"] == 5:
        best = load_checkpoint(straight / "best", device="cpu").network
        for name, parameter in best.named_parameters():
            assert torch.equal(parameter, last[f"average/{name}"])


@pytest.mark.parametrize("step", [4])
def test_killed_and_run_again_it_is_the_same_run(straight: Path, tmp_path: Path, step: int) -> None:
    out = tmp_path / "killed"
    places = [str(SOURCES), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    program = Path(__file__).with_name("average_process.py")
    arguments = (program, straight.parent / "clips", out, step)
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, env=environment, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    train(straight.parent / "clips", out, AVERAGED)
    assert_same_run(straight, out)


def test_a_state_without_averages_is_refused(straight: Path) -> None:
    network = load_checkpoint(straight.parent / "base", device="cpu").network
    with pytest.raises(UserError, match="ema_decay was another"):
        load_latest(straight, prepare(network, replace(AVERAGED, ema_decay=0.0)))


def test_without_progress_patience_ends(straight: Path, tmp_path: Path) -> None:
    """With rates of next to nothing every evaluation gives the same score: the first is the best."""
    idle: dict[str, Any] = {
        "learning_rate": 1e-20,
        "augment": False,
        "lora": None,
        "dense_weight": 0.0,
    }
    config = replace(CONFIG, **idle, eval_every=1, save_every=5, patience=2)
    out, clips = tmp_path / "out", straight.parent / "clips"
    first = train(clips, out, config)
    assert (first.best_step, first.last_step, first.num_steps) == (1, 3, 7)
    assert sorted(p.name for p in (out / "state").iterdir()) == ["step_0000003"]
    found = rows(out)
    assert [step for kind, step in found if kind == "step"] == [1, 2, 3]
    assert train(clips, out, config) == first
    assert [key for key in rows(out) if key[0] == "step"] == [("step", s) for s in (1, 2, 3)]


def test_patience_needs_something_to_judge_by(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="patience needs held-out samples"):
        train(straight.parent / "clips", tmp_path, replace(CONFIG, patience=2), held_out=0)


def test_patience_counts_evaluations_since_the_best() -> None:
    config = replace(CONFIG, eval_every=10, patience=3)
    state = TrainState(step=40, best_step=20, best_score=1.0)
    assert not state.out_of_patience(config)
    state.step = 50
    assert state.out_of_patience(config)
    assert not state.out_of_patience(replace(config, patience=None))


@pytest.mark.parametrize(("scores", "taken"), [((5, 4.9, 4.4, 4.4), (1, 0, 1, 0))])
def test_a_better_score_must_be_better_by_as_much_as_asked(
    scores: tuple[float, ...], taken: tuple[int, ...]
) -> None:
    state = TrainState()
    found = []
    for step, score in enumerate(scores, 1):
        state.step = step
        found.append(state.takes_best(score, TASK, 0.5))
    assert found == [bool(one) for one in taken]
