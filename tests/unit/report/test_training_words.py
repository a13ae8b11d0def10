"""What a document says about a training is what was done, and its settings and command do it again."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.report.blocks import Paragraph
from kairoscope.report.recipe.states import one_option_a_line
from kairoscope.report.recipe.training import as_toml, log_blocks
from kairoscope.report.training import read_training
from kairoscope.runs import Run
from kairoscope.settings import changed, read_toml
from kairoscope.storage import plain


def words(folder: Path, sft: dict[str, Any], seconds: float) -> str:
    with Run.open(folder, kind="sft", config={"sft": sft, "model": "builtin"}) as run:
        row = {"kind": "step", "step": 1, "of": 1, "loss": 2.0, "learning_rate": 1e-3}
        run.append("train", {**row, "seconds": seconds})
    run = Run.read(folder)
    blocks = log_blocks(run, read_training(run), {})
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def test_the_loss_is_said_to_be_on_what_it_is_on(tmp_path: Path) -> None:
    assert "The loss is taken on the answer alone;" in words(tmp_path / "a", {}, 1.0)
    dense = words(tmp_path / "b", {"dense_weight": 0.5}, 1.0)
    assert "on the answer and, with weight 0.5, on what the video's own tokens should say" in dense


@pytest.mark.parametrize(
    ("seconds", "said"), [(6.914, "6.91 s"), (90.0, "90 s"), (600.0, "10 min")]
)
def test_times_are_said_in_units_for_people(tmp_path: Path, seconds: float, said: str) -> None:
    assert f"1 of 1 optimiser steps in {said}" in words(tmp_path / "run", {}, seconds)


def test_none_is_a_setting_too(tmp_path: Path) -> None:
    """Of a checkpoint that recommends settings of its own the shown ones win, those without a value, too."""
    shown = SFTConfig()
    file = tmp_path / "sft.toml"
    file.write_text(as_toml("sft", plain(shown)))
    recommended = SFTConfig(warmup_steps=5, max_steps=3, lora=LoraConfig(rank=3), clips_gib=1.0)
    assert changed(recommended, read_toml(file)["sft"], "sft.toml") == shown


def test_a_long_command_is_the_same_to_a_shell() -> None:
    long = ["kairoscope", "run", "r", "--data", "a b/'c", "--set", "lora.rank=8", "--out", "x" * 60]
    text = one_option_a_line(shlex.join(long))
    assert len(text.splitlines()) == 4
    echoed = subprocess.run(
        ["/bin/sh", "-c", text.replace("kairoscope", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert echoed.stdout.splitlines() == long[1:]
    assert one_option_a_line("kairoscope doctor --model builtin") == (
        "kairoscope doctor --model builtin"
    )
