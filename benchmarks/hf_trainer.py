"""The same training with `transformers`' own Trainer and a collator for videos."""

import inspect
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from kairoscope.train.examples import Example
from kairoscope.video.patches import to_patches
from kairoscope.video.sampling import PatchGeometry

IGNORED = -100


class VideoCollator:
    """Examples -> the arguments of a Qwen2.5-VL: padded ids, labels on the answer, patches."""

    def __init__(self, network: Any, geometry: PatchGeometry, seconds_per_patch: float) -> None:
        self.video_token = network.config.video_token_id
        self.geometry = geometry
        self.seconds_per_patch = seconds_per_patch
        self.known = set(inspect.signature(network.forward).parameters)

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        longest = max(example.num_tokens for example in examples)
        ids = torch.zeros((len(examples), longest), dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        mask = torch.zeros_like(ids)
        for row, example in enumerate(examples):
            start, end = len(example.encoded.token_ids), example.num_tokens
            ids[row, :end] = torch.tensor(example.encoded.token_ids + example.answer_ids)
            labels[row, start:end] = torch.tensor(example.answer_ids)
            mask[row, :end] = 1
        patches = [to_patches(e.encoded.pixels_THWC, self.geometry)[0] for e in examples]
        batch = {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": mask,
            "pixel_values_videos": torch.cat(patches),
            "video_grid_thw": torch.tensor([e.encoded.grid_thw for e in examples]),
            "second_per_grid_ts": torch.full((len(examples),), self.seconds_per_patch),
            "mm_token_type_ids": (ids == self.video_token).int() * 2,
        }
        return {name: value for name, value in batch.items() if name in self.known}


class Clock(TrainerCallback):
    """When every optimiser step ended, and its loss."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []
        self.losses: list[float] = []

    def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends_s.append(time.perf_counter())


def trainer_for(
    network: Any,
    dataset: Any,
    collator: Any,
    *,
    out: Path,
    steps: int,
    batch_size: int,
    micro: int,
    learning_rate: float,
    bfloat16: bool,
    checkpointing: bool,
    workers: int,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """A Trainer as its users set it up: SDPA, fused AdamW on a GPU, nothing saved."""
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch_size // micro,
        learning_rate=learning_rate,
        lr_scheduler_type="constant",
        bf16=bfloat16,
        gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        disable_tqdm=True,
        seed=0,
    )
    return Trainer(
        model=network,
        args=arguments,
        train_dataset=dataset,
        data_collator=collator,
        callbacks=list(callbacks),
    )


def with_adapters(network: Any, rank: int, alpha: int, targets: str) -> Any:
    """As peft's users add them."""
    from peft import LoraConfig, get_peft_model

    wanted = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets)
    return get_peft_model(network, wanted)
