"""How fast a run trains: samples, tokens and operations a second, over all its processes."""

from collections.abc import Sequence
from typing import Any

from kairoscope.train.flops import Arithmetic, device_peak
from kairoscope.train.group import Group
from kairoscope.train.micro import MicroBatch

SPEEDS = ("samples_per_s", "vision_tokens_per_s", "text_tokens_per_s", "tflops_per_s", "mfu")
"""What a step's row says of its speed."""


class Pace:
    """Turns the time of a step into speeds."""

    def __init__(self, network: Any, group: Group) -> None:
        """For a network that is prepared for training."""
        self.arithmetic = Arithmetic.of(network)
        self.video_token = network.config.video_token_id
        self.group = group
        peak = device_peak(network.device)
        self.peak = peak and peak * group.size

    def row(self, batch: Sequence[MicroBatch], seconds: float) -> dict[str, float]:
        """Time and speeds of an optimiser step of which this process did `batch`. A collective call.

        `tflops_per_s` counts what the model's arithmetic needs, nothing that is computed twice (see
        `flops`); `mfu` is its share of what the devices could do in bfloat16 at best, and is left out
        where that is not known.
        """
        everyones = self.group.counts(
            sum(micro.num_samples for micro in batch),
            sum(int((micro.ids_BL == self.video_token).sum()) for micro in batch),
            sum(micro.num_tokens for micro in batch),
            round(self.arithmetic.of_batch(batch)),
        )
        samples, vision, tokens, operations = map(sum, zip(*everyones, strict=True))
        amounts = (samples, vision, tokens - vision, operations / 1e12)
        row = {
            name: float(f"{amount / seconds:.4g}")
            for name, amount in zip(SPEEDS, amounts, strict=False)
        }
        row = {"seconds": seconds, **row}
        return row if self.peak is None else row | {"mfu": operations / seconds / self.peak}
