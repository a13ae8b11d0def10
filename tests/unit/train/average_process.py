"""A run with averaged weights, to be killed: python average_process.py CLIPS OUT STEP."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from sft_process import CONFIG, killed_in, train

AVERAGED = replace(
    CONFIG,
    max_steps=5,
    save_every=2,
    eval_every=3,
    dense_weight=0.0,
    lora=None,
    ema_decay=0.7,
    ema_every=2,
    vision_learning_rate=1e-3,
    projector_learning_rate=2e-3,
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    killed_in(int(sys.argv[3]))
    train(Path(sys.argv[1]), Path(sys.argv[2]), AVERAGED)
