"""TensorBoard shows each step once, whatever was killed in between."""

from pathlib import Path
from typing import Any

import pytest

from kairoscope.train.tensorboard import ScalarBoard

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def step(number: int, loss: float) -> dict[str, Any]:
    return {"kind": "step", "step": number, "of": 9, "loss": loss, "tokens": 100}


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(tag)]


def test_rows_become_scalars_as_soon_as_they_are_written(tmp_path: Path) -> None:
    with ScalarBoard(tmp_path / "board") as board:
        board.write({"kind": "check", "kept": 3, "rejected": []})
        assert not (tmp_path / "board").exists()
        board.write(step(1, 0.5))
        board.write(step(2, 0.25))
        board.write({"kind": "held_out", "step": 2, "mre_percent": 30.5})
        assert scalars(tmp_path / "board", "train/loss") == [(1, 0.5), (2, 0.25)]
        assert scalars(tmp_path / "board", "train/tokens") == [(1, 100), (2, 100)]
    assert scalars(tmp_path / "board", "held_out/mre_percent") == [(2, 30.5)]


def test_steps_that_are_done_again_are_shown_once(tmp_path: Path) -> None:
    killed = ScalarBoard(tmp_path)
    for number in range(1, 6):
        killed.write(step(number, number / 10))
    killed.write({"kind": "held_out", "step": 4, "mre_percent": 40.0})
    with ScalarBoard(tmp_path) as board:
        for number in range(4, 8):
            board.write(step(number, number / 10))
            if number == 4:
                board.write({"kind": "held_out", "step": 4, "mre_percent": 40.0})
    expected = [(number, round(number / 10, 4)) for number in range(1, 8)]
    assert scalars(tmp_path, "train/loss") == expected
    assert scalars(tmp_path, "held_out/mre_percent") == [(4, 40.0)]
    killed.close()
