"""Evaluations of captions by models of a few lines, for tests of what is made of them."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.config import EvalConfig
from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Request,
    Sample,
    Sampling,
)
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.fields import load_schema, render_caption
from kairoscope.recipes.av_captions import recipe_of
from kairoscope.runs import Run
from kairoscope.simulate.driving.facts import caption_of, draw_drive

RECIPE = recipe_of("driving_world")
SCHEMA = load_schema("driving_world")


def make_samples(folder: Path, count: int) -> list[Sample[Any, Any]]:
    """Labels of simulated drives with videos that are none."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        caption = caption_of(draw_drive(np.random.default_rng([5, number])))
        if number % 8 == 0:
            caption["description"] = "It says </script> & <b>stops</b>."
        video = folder / f"{number}.camera_front.mp4"
        video.write_bytes(f"clip {number}".encode())
        found.append(
            Sample(
                id=f"{number}",
                video=video,
                query=tuple(caption),
                gold=caption,
                group=f"{number // 2}",
                scenario="driving_world",
                duration_s=5.0,
            )
        )
    return found


@dataclass
class Describer:
    """Sees what is shown but for some fields; cannot read one clip, writes nonsense about another."""

    samples: Sequence[Sample[Any, Any]]
    right: float
    name: str = "describer"
    identity: str = "1"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        shown = {sample.video: sample for sample in self.samples}
        for request in requests:
            assert request.video is not None
            rng = random.Random(f"{request.id}/{request.video.name}/{self.right}")
            sample = shown[request.video]
            if request.id == "3":
                yield request.id, Failed(reason="cut off")
                continue
            other = rng.choice(self.samples)
            assert sample.gold is not None
            assert other.gold is not None
            said = {
                name: value if rng.random() < self.right else other.gold[name]
                for name, value in sample.gold.items()
            }
            text = render_caption(SCHEMA, sample.query, said)
            yield (
                request.id,
                (
                    Completion(
                        text="cannot say" if request.id == "4" else text,
                        trial=0,
                        frame_times_s=tuple(i / 4 for i in range(20)),
                        num_prompt_tokens=9,
                        num_vision_tokens=4,
                        num_new_tokens=3,
                        seconds=0.1,
                        finish="stop",
                    ),
                ),
            )


def make_run(folder: Path, samples: Sequence[Sample[Any, Any]], right: float) -> dict[str, Any]:
    model = Describer(samples, right)
    config = EvalConfig(bootstrap_draws=100, decoding="free")
    settings = evaluation_config(model, RECIPE.task, samples, policy=RECIPE.frames, config=config)
    with Run.open(folder, kind="evaluation", config=settings) as run:
        return evaluate(model, RECIPE.task, samples, policy=RECIPE.frames, config=config, run=run)
