"""Laws that every recipe keeps. A new recipe is held to them once it has an example below."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kairoscope.config import EvalConfig, Recipe
from kairoscope.core import (
    Answer,
    Answered,
    Completion,
    Decoding,
    Failed,
    Request,
    Sample,
    Sampling,
    Slot,
    Template,
    Text,
    Unparsed,
)
from kairoscope.data.split import split_by_group
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.fields import load_schema
from kairoscope.recipes import RECIPES
from kairoscope.runs import Run, read_records

GARBAGE = (
    "",
    "I cannot tell.",
    "<answer></answer>",
    "<<<<[[[{{{",
    "\0" * 50,
    "nan - inf",
    "}{" * 99,
)
TIMES_S = [i / 8 for i in range(49)]

AnySample = Sample[Any, Any]


def subtask_times_example(folder: Path) -> Path:
    """Twelve clips of six recordings."""
    rng = random.Random(0)
    rows = []
    for i in range(12):
        first, second = sorted(rng.uniform(0.5, 5.5) for _ in range(2))
        rows.append(
            {
                "video": f"{i}.mp4",
                "events": [
                    {"name": "grasping the red cube", "start_s": 0.25, "end_s": round(first, 2)},
                    {
                        "name": "releasing it | now",
                        "start_s": round(first, 2),
                        "end_s": round(second, 3),
                    },
                ],
                "group": f"recording {i // 2}",
                "duration_s": 6.0,
            }
        )
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def physics_score_example(folder: Path) -> Path:
    """Fifteen clips of five recordings, every score three times."""
    rows = [
        {"video": f"{i}.mp4", "score": 1 + i % 5, "group": f"recording {i // 3}", "duration_s": 6.0}
        for i in range(15)
    ]
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def av_captions_example(folder: Path) -> Path:
    """Nine labelled clips."""
    rng = random.Random(3)
    for i in range(9):
        label: dict[str, Any] = {
            field.name: rng.sample(field.values, 2)
            if field.kind == "set"
            else rng.choice(field.values)
            if field.values
            else f"number {i}"
            for field in load_schema("driving").fields
        }
        (folder / f"{i}.label.json").write_text(json.dumps(label), encoding="utf-8")
        (folder / f"{i}.camera_front.mp4").write_bytes(b"")
    return folder


def conversation_example(folder: Path) -> Path:
    """Eight clips of four recordings, each with a question of its own."""
    lines = []
    for i in range(8):
        asked = [{"type": "video", "video": f"{i}.mp4"}, {"type": "text", "text": f"Question {i}?"}]
        talk = [
            {"role": "system", "content": "Look closely."},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": f"It is number {i}.\nNothing else."},
        ]
        lines.append(json.dumps({"messages": talk, "group": f"recording {i // 2}"}))
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def av_questions_example(folder: Path) -> Path:
    """Nine questions with choices about three clips."""
    asked = {
        "What does the light show?": ["Nothing", "Red", "Green"],
        "How many lanes are there?": ["1", "2", "3", "more"],
        "Does somebody cross the road?": ["Yes", "No"],
    }
    rows = [
        {"video": f"{i}.mp4", "question": words, "choices": choices, "kind": words.split()[0],
         "answer": choices[i % len(choices)]}
        for i in range(3)
        for words, choices in asked.items()
    ]  # fmt: skip
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "subtask-times": subtask_times_example,
    "physics-score": physics_score_example,
    "av-captions": av_captions_example,
    "conversation": conversation_example,
    "av-questions": av_questions_example,
    "av-questions:words": av_questions_example,
}

each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
STRICT = [recipe for recipe in RECIPES.values() if recipe.evaluation.decoding != "free"]
each_recipe_with_a_grammar = pytest.mark.parametrize(
    "recipe", STRICT, ids=[recipe.name for recipe in STRICT]
)
"""Of a conversation in free words, every text is an answer."""


def samples_of(recipe: Recipe, folder: Path) -> Sequence[AnySample]:
    return recipe.task.load(EXAMPLES[recipe.name](folder))


@each_recipe
def test_the_headline_and_the_targets_are_metrics(recipe: Recipe) -> None:
    assert recipe.name in EXAMPLES
    assert {recipe.task.headline, *recipe.targets} <= recipe.task.all_metrics.keys()
    assert not recipe.task.metrics.keys() & recipe.task.together_metrics.keys()
    assert RECIPES[recipe.name] is recipe


@each_recipe
def test_the_truth_scores_best_on_every_metric(recipe: Recipe, tmp_path: Path) -> None:
    task = recipe.task
    for sample in samples_of(recipe, tmp_path):
        value = task.parse(sample.query, task.render(sample.query, sample.gold))
        best = {key: metric.best for key, metric in task.metrics.items()}
        assert task.score(value, sample) == pytest.approx(best, abs=1e-9)
        assert task.from_json(json.loads(json.dumps(task.to_json(sample.gold)))) == sample.gold


@each_recipe
def test_nothing_is_scored_without_a_truth(recipe: Recipe, tmp_path: Path) -> None:
    sample = replace(samples_of(recipe, tmp_path)[0], gold=None)
    with pytest.raises(ValueError, match="no gold answer to score against"):
        recipe.task.score(Unparsed("no"), sample)


@each_recipe
def test_the_truths_together_score_best_and_failures_do_not(recipe: Recipe, tmp_path: Path) -> None:
    task = recipe.task
    samples = samples_of(recipe, tmp_path)
    true = [
        Answered(value=sample.gold, expected=None, gold=sample.gold, group=sample.group)
        for sample in samples
    ]
    failed = [
        Answered(value=Unparsed("no"), expected=None, gold=sample.gold, group=sample.group)
        for sample in samples
    ]
    best = {key: metric.best for key, metric in task.together_metrics.items()}
    assert task.together(true) == pytest.approx(best, abs=1e-9)
    assert task.together(failed).keys() == best.keys()
    for key, value in task.together(failed).items():
        metric = task.together_metrics[key]
        assert abs(value - metric.worst) < abs(metric.best - metric.worst) / 2


@each_recipe_with_a_grammar
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_reason_and_scores_worst(recipe: Recipe, garbage: str, tmp_path: Path) -> None:
    task = recipe.task
    rng = random.Random(1)
    for sample in samples_of(recipe, tmp_path):
        failed = task.parse(sample.query, garbage)
        assert isinstance(failed, Unparsed)
        assert failed.reason
        worst = task.score(failed, sample)
        assert worst.keys() == task.metrics.keys()
        answers = [task.render(sample.query, sample.gold)]
        answers += [walk(task.template(sample.query, TIMES_S), rng)[0] for _ in range(20)]
        for text in answers:
            scores = task.score(task.parse(sample.query, text), sample)
            for key, metric in task.metrics.items():
                sign = 1 if metric.best < metric.worst else -1
                assert sign * scores[key] <= sign * worst[key] + 1e-9
                assert metric.best != worst[key]


def walk(template: Template, rng: random.Random) -> tuple[str, list[str]]:
    """A text of the grammar and the choices it takes, as an engine is free to make them."""
    text = ""
    picks: list[int] = []
    taken: list[str] = []
    for part in template:
        if isinstance(part, str):
            text += part
            continue
        if isinstance(part, Text):
            text += " ".join(rng.choices(("car", "tree.", "12"), k=rng.randint(1, 4)))
            continue
        lowest = 0 if part.not_before is None else picks[part.not_before]
        picks.append(rng.randrange(lowest, len(part.choices)))
        taken.append(part.choices[picks[-1]])
        text += taken[-1]
    return text, taken


@each_recipe_with_a_grammar
def test_every_path_of_the_grammar_parses_and_says_what_was_chosen(
    recipe: Recipe, tmp_path: Path
) -> None:
    task = recipe.task
    rng = random.Random(2)
    sample = samples_of(recipe, tmp_path)[0]
    template = task.template(sample.query, TIMES_S)
    slots = [part for part in template if isinstance(part, Slot)]
    assert all(slot.not_before is None or 0 <= slot.not_before < i for i, slot in enumerate(slots))
    for _ in range(300):
        text, taken = walk(template, rng)
        value = task.parse(sample.query, text)
        assert not isinstance(value, Unparsed)
        assert task.render(sample.query, value) == text
        assert len(taken) == len(slots)


@each_recipe_with_a_grammar
def test_the_snapped_truth_can_be_said_and_snapping_again_changes_nothing(
    recipe: Recipe, tmp_path: Path
) -> None:
    task = recipe.task
    for sample in samples_of(recipe, tmp_path):
        snapped = task.snap(sample.gold, TIMES_S)
        assert task.snap(snapped, TIMES_S) == snapped
        text = task.render(sample.query, snapped)
        literals = [part for part in task.template(sample.query, TIMES_S) if isinstance(part, str)]
        position = 0
        for literal in literals:
            position = text.index(literal, position) + len(literal)
        assert position == len(text)


@each_recipe
def test_the_prompt_depends_on_the_query_alone(recipe: Recipe, tmp_path: Path) -> None:
    sample = samples_of(recipe, tmp_path)[0]
    assert recipe.task.prompt(sample.query) == recipe.task.prompt(sample.query)
    assert recipe.task.prompt(sample.query).system


@each_recipe
def test_splits_share_no_group_and_lose_no_sample(recipe: Recipe, tmp_path: Path) -> None:
    samples = samples_of(recipe, tmp_path)
    train, held_out = split_by_group(samples, holdout=0.34, seed=0)
    assert train
    assert held_out
    assert not {s.group for s in train} & {s.group for s in held_out}
    assert sorted(s.id for s in [*train, *held_out]) == sorted(s.id for s in samples)


@dataclass
class Unreliable:
    """Knows the truth; every third clip it cannot read, every other third it answers garbage."""

    recipe: Recipe
    samples: Sequence[AnySample]
    name: str = "unreliable"
    identity: str = "1"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        known = {sample.id: (i, sample) for i, sample in enumerate(self.samples)}
        for request in requests:
            i, sample = known[request.id]
            if i % 3 == 0:
                yield request.id, Failed(reason="cut off")
                continue
            truth = self.recipe.task.render(sample.query, sample.gold)
            text = truth if i % 3 == 1 else GARBAGE[i % len(GARBAGE)]
            yield request.id, tuple(completion(text, t) for t in range(sampling.trials))


def completion(text: str, trial: int) -> Completion:
    return Completion(
        text=text,
        trial=trial,
        frame_times_s=tuple(TIMES_S),
        num_prompt_tokens=9,
        num_vision_tokens=4,
        num_new_tokens=1,
        seconds=0.1,
        finish="stop",
    )


@each_recipe_with_a_grammar
def test_as_many_records_come_out_as_questions_went_in(recipe: Recipe, tmp_path: Path) -> None:
    samples = samples_of(recipe, tmp_path)
    model = Unreliable(recipe, samples)
    config = EvalConfig(sampling=Sampling(trials=2), wrong_video_control=False, bootstrap_draws=100)
    settings = evaluation_config(model, recipe.task, samples, policy=recipe.frames, config=config)
    with Run.open(tmp_path / "run", kind="evaluation", config=settings) as run:
        metrics = evaluate(
            model, recipe.task, samples, policy=recipe.frames, config=config, run=run
        )
    records = read_records(Run.read(tmp_path / "run"))
    asked = sorted((sample.id, trial) for sample in samples for trial in range(2))
    assert sorted((r.sample_id, r.trial) for r in records) == asked
    assert metrics["n_clips"] == len(samples)
    assert metrics["n_trials"] == len(asked)
    assert metrics["answered"] == pytest.approx(1 / 3)
    for record in records:
        assert (record.value is None) == (record.unparsed is not None)
        assert record.scores.keys() == recipe.task.metrics.keys()


def test_of_free_words_garbage_scores_worst_and_there_is_no_grammar(tmp_path: Path) -> None:
    recipe = RECIPES["conversation"]
    for sample in samples_of(recipe, tmp_path):
        assert recipe.task.template(sample.query, (0.0, 1.0)) == ()
        for text in ("", " ", "<<<<[[[", "\0" * 50):
            scores = recipe.task.score(recipe.task.parse(sample.query, text), sample)
            assert all(scores[key] == metric.worst for key, metric in recipe.task.metrics.items())
