"""Models to measure with. Imports torch: for the processes that measure, not for those that start them."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.clips import Clip, smoke_clips
from benchmarks.results import WORK
from kairoscope.core import Failed, FramePolicy, Request, Sample
from kairoscope.events import Event
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.load import load_weights
from kairoscope.models.scratch import Size, make_checkpoint
from kairoscope.recipes.subtask_times import RECIPE, TASK
from kairoscope.video.frames import ClipFrames


class Preloaded(InProcessModel):
    """The same engine with clips that were decoded before: what is left is the model's work."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.kept: dict[Path | None, ClipFrames | Failed] = {}

    def _frames(self, request: Request) -> ClipFrames | Failed:
        if request.video not in self.kept:
            self.kept[request.video] = super()._frames(request)
        return self.kept[request.video]


def load_engine(spec: str, *, preloaded: bool, random_weights: bool = False) -> InProcessModel:
    """The model that `--model` names.

    Args:
        spec: as on kairoscope's command line.
        preloaded: keep decoded clips, see `Preloaded`.
        random_weights: the same architecture and tokenizer, untrained.
    """
    checkpoint = load_weights(spec)
    if random_weights:
        _forget(checkpoint.network)
    return Preloaded(checkpoint) if preloaded else InProcessModel(checkpoint)


@torch.no_grad()
def _forget(network: Any) -> None:
    """Draw all matrices anew, as a network is initialised."""
    torch.manual_seed(0)
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.normal_(std=0.02)


def requests_for(engine: InProcessModel, clips: Sequence[Clip], copies: int = 1) -> list[Request]:
    """Each clip asked about its own events, `copies` times as questions of their own."""
    policy = engine.checkpoint.policy or RECIPE.frames
    return [
        Request(
            id=f"{clip.path}#{copy}",
            video=Path(clip.path),
            prompt=TASK.prompt(clip.events),
            policy=policy,
            template=partial(TASK.template, clip.events),
        )
        for clip in clips
        for copy in range(copies)
    ]


class PassClock:
    """Counts the network's forward passes and times them; the first of an answer is its prefill."""

    def __init__(self, network: Any) -> None:
        self.prefill_s: list[float] = []
        self.later_s: list[float] = []
        self._started_s = 0.0
        self._is_prefill = False
        self._hooks = (
            network.model.register_forward_pre_hook(self._before, with_kwargs=True),
            network.model.register_forward_hook(self._after),
        )

    def stop(self) -> None:
        """Leave the network as it was."""
        for hook in self._hooks:
            hook.remove()

    def _before(self, _: Any, __: Any, given: dict[str, Any]) -> None:
        self._is_prefill = "pixel_values_videos" in given
        self._started_s = time.perf_counter()

    def _after(self, *_: Any) -> None:
        taken = self.prefill_s if self._is_prefill else self.later_s
        taken.append(time.perf_counter() - self._started_s)


def _make_smoke_model(folder: Path) -> None:
    clips = smoke_clips(1, WORK / "smoke-clips")
    samples = [
        Sample(
            id=str(i),
            video=Path(clip.path),
            query=clip.events,
            gold=tuple(Event(name, float(k), k + 0.5) for k, name in enumerate(clip.events)),
            group=str(i),
            scenario="smoke",
        )
        for i, clip in enumerate(clips)
    ]
    policy = FramePolicy(fps=4, min_frame_pixels=56 * 56, max_frame_pixels=56 * 56)
    size = Size(vision_depth=1, vision_width=32, vision_heads=2, text_depth=1, text_width=48)
    make_checkpoint(folder, TASK, samples, policy, replace(size, text_heads=2), seed=0)


if __name__ == "__main__":
    _make_smoke_model(Path(sys.argv[1]))
