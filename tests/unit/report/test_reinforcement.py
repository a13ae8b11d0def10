"""The page of reinforcement learning says what the rows say."""

from pathlib import Path
from typing import Any

import pytest

from kairoscope.config import GRPOConfig
from kairoscope.report.blocks import Block, Code, Paragraph, Plot, Table
from kairoscope.report.reinforcement import reinforcement_blocks
from kairoscope.runs import Run

SETTINGS = GRPOConfig(
    rewards=(("tiou", 1.0), ("format", 0.1)), kl_beta=0.05, rollouts_per_step=16, freeze_vision=True
)


def step_row(step: int) -> dict[str, Any]:
    names = ("entropy", "answer_tokens", "grad_norm", "learning_rate", "sampler_gap")
    zeros = dict.fromkeys(("clip_share", "unparsed", "unfinished"), 0.0)
    return {
        "kind": "step",
        "step": step,
        "of": 3,
        "reward": 0.5 + 0.1 * step,
        "reward_tiou": 0.4 + 0.1 * step,
        "reward_format": 1.0,
        "reward_spread": 0.2,
        "dropped_groups": 0.25,
        "kl": 0.01 * (step - 1),
        "seconds": 30.0,
        "answering_seconds": 12.0,
        **dict.fromkeys(names, 0.1 * step),
        **zeros,
    }


@pytest.fixture
def blocks(tmp_path: Path) -> list[Block]:
    config = {"recipe": "subtask-times", "model": "builtin", "grpo": SETTINGS}
    with Run.open(tmp_path / "run", kind="grpo", config=config) as run:
        run.append("train", {"kind": "check", "kept": 7})
        run.append("train", {"kind": "held_out", "step": 0, "mre_percent": 40.0, "tiou": 0.5})
        for step in (1, 2, 2):
            run.append("train", step_row(step))
            shown = {"text": f"answer {step}", "reward": 1.0, "parts": {"tiou": 0.9}}
            groups = [{"sample_id": "a", "answers": [shown]}]
            run.append("train", {"kind": "answers", "step": step, "groups": groups})
        run.append("train", {"kind": "held_out", "step": 2, "mre_percent": 30.0, "tiou": 0.6})
        return reinforcement_blocks(run, {"mre_percent": 30.0})


def test_every_curve_that_has_something_to_show(blocks: list[Block]) -> None:
    names = [block.name for block in blocks if isinstance(block, Plot)]
    assert names[:3] == ["reward", "reward_parts", "held_out_mre_percent"]
    assert {"kl", "entropy", "dropped_groups", "answer_tokens", "sampler_gap"} < set(names)
    assert not {"clip_share", "unparsed", "unfinished"} & set(names)  # 0 throughout
    assert len(set(names)) == len(names)


def test_words_and_tables(blocks: list[Block]) -> None:
    said = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "All weights but the vision model's are trained on 7 samples: 8 free answers" in said
    assert "8 free answers to each of 2 prompts a step" in said
    assert "0.05 x k3" in said
    assert "2 of 3 steps in 60 s, 40% of it spent on answering" in said
    assert "reward 0.6 in the first step, 0.7 in the last. The run is not finished." in said
    [table] = [block for block in blocks if isinstance(block, Table)]
    assert list(table.columns) == ["Step", "mre percent", "tiou"]
    assert [row[0] for row in table.rows] == ["0", "2"]
    codes = [block.text for block in blocks if isinstance(block, Code)]
    assert "answer 1" in codes
    assert "answer 2" in codes
