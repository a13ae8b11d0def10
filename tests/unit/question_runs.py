"""Questions and models that answer them, for tests of recipes and of pages."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig
from kairoscope.core import Answer, Completion, Decoding, Request, Sampling
from kairoscope.data.questions import QuestionSample, load_questions
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.recipes.av_questions import RECIPE, TASK
from kairoscope.runs import Run

KINDS = {"light": ["Red", "Green", "None"], "crossing": ["Yes", "No"]}


def make_questions(folder: Path) -> list[QuestionSample]:
    """Twelve clips, two questions with choices about each and an open one; most lights are red."""
    rows: list[dict[str, Any]] = []
    for i in range(12):
        for kind, choices in KINDS.items():
            gold = choices[0] if i % 4 else choices[1]
            shown = choices[i % len(choices) :] + choices[: i % len(choices)]
            rows.append({"video": f"{i}.mp4", "kind": kind, "question": f"{kind}?",
                         "choices": shown, "answer": gold})  # fmt: skip
        rows.append(
            {"video": f"{i}.mp4", "kind": "sky", "question": "Sky?", "answer": f"sky number {i}"}
        )
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_questions(file)


@dataclass
class Player:
    """Sees the clip and knows the truth, or without one always says the same."""

    samples: list[QuestionSample]
    blind_letter: str = "A"
    sees: bool = True
    name: str = "player"
    identity: str = "1"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        known = {sample.id: sample for sample in self.samples}
        for request in requests:
            sample = known[request.id]
            shown = request.video == sample.video and self.sees
            text = TASK.render(sample.query, sample.truth) if shown else self.blind_letter
            yield (
                request.id,
                tuple(completion(text, t, shown=shown) for t in range(sampling.trials)),
            )


def completion(text: str, trial: int, *, shown: bool) -> Completion:
    return Completion(
        text=text, trial=trial, frame_times_s=(0.0, 0.5) if shown else (), num_prompt_tokens=1,
        num_vision_tokens=1, num_new_tokens=1, seconds=0.1, finish="stop",
    )  # fmt: skip


def evaluated(
    player: Player, samples: list[QuestionSample], folder: Path, config: EvalConfig
) -> dict[str, Any]:
    settings = evaluation_config(player, TASK, samples, policy=RECIPE.frames, config=config)
    with Run.open(folder, kind="evaluation", config=settings) as run:
        return evaluate(player, TASK, samples, policy=RECIPE.frames, config=config, run=run)
