"""On a CUDA device: the same answers as on the CPU, training, and what to do about its memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint, request_for

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import Completion, Failed, Sampling, UserError
from kairoscope.models.checkpoint import load_checkpoint, save_checkpoint
from kairoscope.models.in_process import InProcessModel
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.sft import sft

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
CONFIG = SFTConfig(
    max_steps=4,
    epochs=9,
    batch_size=3,
    micro_batch_size=2,
    learning_rate=1e-3,
    warmup_steps=0,
    dense_weight=0.5,
    augment=True,
    eval_every=2,
    save_every=2,
)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = make_checkpoint(tokenizer, request.param)
    path: Path = tmp_path_factory.mktemp("gpu") / request.param
    save_checkpoint(checkpoint.network, tokenizer, POLICY, path, notes={})
    return path


def answers(checkpoint: Any, samples: Any, sampling: Sampling, decoding: Any) -> list[Completion]:
    model = InProcessModel(checkpoint, batch_size=4)
    found: list[Completion] = []
    for _, answer in model.answer(map(request_for, samples), sampling, decoding):
        assert not isinstance(answer, Failed)
        found += answer
    return found


def test_answers_are_those_of_the_cpu(folder: Path, samples: Any) -> None:
    there = load_checkpoint(folder, device="cuda", dtype="float32")
    here = load_checkpoint(folder, device="cpu")
    pairs = zip(
        answers(there, samples, Sampling(), "posterior"),
        answers(here, samples, Sampling(), "posterior"),
        strict=True,
    )
    for a, b in pairs:
        assert a.posteriors[0].probabilities == pytest.approx(
            b.posteriors[0].probabilities, abs=2e-3
        )


@pytest.mark.parametrize("decoding", ["free", "constrained", "posterior"])
def test_bfloat16_is_the_default_and_answers(folder: Path, samples: Any, decoding: Any) -> None:
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.network.device.type, checkpoint.network.dtype) == ("cuda", torch.bfloat16)
    sampling = Sampling(trials=3, temperature=1.0, max_new_tokens=8)
    found = answers(checkpoint, samples, sampling, decoding)
    assert len(found) == 3 * len(samples)
    if decoding != "free":
        assert all(isinstance(TASK.parse((), c.text), tuple) or "Event 1" in c.text for c in found)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "bfloat16", "gradient_checkpointing": True},
        {"lora": LoraConfig(rank=2, alpha=4, dropout=0.2)},
        {
            "lora": LoraConfig(rank=2, alpha=4),
            "dtype": "bfloat16",
            "packing": True,
            "cache": True,
            "augment": False,
        },
    ],
    ids=["full", "adapters", "packed-and-cached"],
)
def test_training_stops_and_goes_on(
    folder: Path, samples: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    def train(max_steps: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        sft(
            load_checkpoint(folder, device="cuda", dtype="float32"),
            TASK,
            samples[:4],
            samples[4:],
            policy=POLICY,
            config=replace(CONFIG, max_steps=max_steps, schedule="constant", **changes),
            out=tmp_path,
            log=rows.append,
        )
        return [row for row in rows if row["kind"] == "step"]

    assert [row["step"] for row in train(2)] == [1, 2]
    assert [row["step"] for row in train(4)] == [3, 4]
    best = load_checkpoint(tmp_path / "best", device="cuda")
    assert len(answers(best, samples[:2], Sampling(), "posterior")) == 2


def test_too_little_memory_is_said_with_what_to_do(
    folder: Path, samples: Any, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(folder, device="cuda", dtype="float32")
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    room = torch.cuda.memory_reserved() + 2**21
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        with pytest.raises(UserError, match=r"memory is too small for 4 clips .* lower the batch"):
            answers(checkpoint, samples, Sampling(trials=50), "posterior")
        with pytest.raises(UserError, match=r"memory is too small .* micro_batch_size below 3"):
            sft(
                checkpoint,
                TASK,
                samples[:4],
                [],
                policy=POLICY,
                config=replace(CONFIG, micro_batch_size=3),
                out=tmp_path,
                log=lambda row: None,
            )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
