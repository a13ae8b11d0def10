"""Small evaluation runs for tests: samples, a model that follows the protocol, finished runs."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig
from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Posterior,
    Request,
    Sample,
    Sampling,
)
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.events import Event, Events, Query
from kairoscope.recipes.subtask_times import TASK, render
from kairoscope.runs import Run

EventSample = Sample[Query, Events]
TIMES_S = tuple(i / 8 for i in range(65))
SCENARIOS: dict[str, Query] = {
    "stack": ("grasping the red cube", "releasing the red cube"),
    "pour <b>nuts</b>": ("picking up the cup", "pouring", "putting the cup down"),
}


def chance(*words: object) -> float:
    """A number from 0 to 1 that depends on the words alone."""
    digest = hashlib.sha256(repr(words).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def make_samples(folder: Path, count: int, *, group_size: int = 2) -> list[EventSample]:
    """Samples whose clips are small files with bytes of their own; no test decodes them."""
    samples = []
    for i in range(count):
        scenario = list(SCENARIOS)[i % len(SCENARIOS)]
        video = folder / f"clip #{i} ä.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(f"clip {i}".encode())
        events: list[Event] = []
        for place, name in enumerate(SCENARIOS[scenario]):
            start_s = events[-1].end_s if events else 0.25
            length_s = 0.8 + round(chance(i, place), 2)
            events.append(Event(name, start_s, round(start_s + length_s, 2)))
        sample: EventSample = Sample(
            id=f"clip-{i:03d}",
            video=video,
            query=SCENARIOS[scenario],
            gold=tuple(events),
            group=f"g{i // (group_size * len(SCENARIOS))}-{scenario}",
            scenario=scenario,
            duration_s=8.0,
        )
        samples.append(sample)
    return samples


@dataclass
class SeeingModel:
    """Answers from the bytes of a clip: it knows the truth of every clip, and nothing else.

    It reads the file it is given, so a wrong video gets that other clip's times. `noise_s` moves
    every end by a fixed amount that depends on the clip; `batch` is how many requests it draws
    before it answers any, in reverse order.
    """

    samples: Sequence[EventSample]
    noise_s: float = 0.0
    batch: int = 4
    name: str = "seeing"
    identity: str = "sha256:1"
    broken_text: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        waiting: list[Request] = []
        for request in requests:
            waiting.append(request)
            if len(waiting) == self.batch:
                yield from self._answer_all(waiting, sampling)
                waiting = []
        yield from self._answer_all(waiting, sampling)

    def _answer_all(self, requests: list[Request], sampling: Sampling) -> Iterator[Answer]:
        known = {
            sample.video.read_bytes(): sample for sample in self.samples if sample.video.exists()
        }
        for request in reversed(requests):
            self.asked.append(request.id)
            assert request.video is not None
            if not request.video.exists():
                yield request.id, Failed(reason="no such file")
                continue
            shown = known[request.video.read_bytes()]
            query = next(s.query for s in self.samples if s.id == request.id)
            trials = (self._completion(request, shown, query, t) for t in range(sampling.trials))
            yield request.id, tuple(trials)

    def _completion(
        self, request: Request, shown: EventSample, query: Query, trial: int
    ) -> Completion:
        moved = tuple(
            Event(
                name,
                event.start_s,
                round(event.end_s + self.noise_s * (2 * chance(shown.id, name, trial) - 1), 3),
            )
            for name, event in zip(query, shown.gold or (), strict=True)
        )
        text = (
            "<script>alert(1)</script>" if request.id in self.broken_text else render(query, moved)
        )
        posteriors = tuple(
            Posterior(
                slot=f"end {i}",
                choices=tuple(f"{t:.2f}" for t in TIMES_S),
                probabilities=tuple(float(abs(t - event.end_s) <= 0.0625) for t in TIMES_S),
            )
            for i, event in enumerate(moved, 1)
        )
        return Completion(
            text=text,
            trial=trial,
            frame_times_s=TIMES_S,
            num_prompt_tokens=100,
            num_vision_tokens=64,
            num_new_tokens=20,
            seconds=0.25,
            finish="stop",
            posteriors=posteriors,
        )


def config_of(trials: int = 1, *, control: bool = True) -> EvalConfig:
    return EvalConfig(
        sampling=Sampling(trials=trials), wrong_video_control=control, bootstrap_draws=200
    )


def run_evaluation(
    out: Path,
    model: SeeingModel,
    samples: Sequence[EventSample],
    config: EvalConfig | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate into a run folder, as the command line does, and return the metrics."""
    config = config or config_of()
    policy = FramePolicy()
    settings = evaluation_config(model, TASK, samples, policy=policy, config=config)
    with Run.open(out, kind="evaluation", config=settings) as run:
        return evaluate(model, TASK, samples, policy=policy, config=config, run=run, **options)
