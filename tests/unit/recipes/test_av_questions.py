"""Questions put to models that see, that only know letters, and that are blind."""

from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import make_samples
from question_runs import Player, evaluated, make_questions

from kairoscope.config import EvalConfig
from kairoscope.core import Sampling, Slot, UserError
from kairoscope.data.questions import Asked, QuestionSample, turned
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.metrics.questions import summarize_questions
from kairoscope.recipes import get_recipe
from kairoscope.recipes.av_questions import MAX_TOKENS, RECIPE, TASK, TASK_IN_WORDS
from kairoscope.recipes.subtask_times import TASK as TIMES
from kairoscope.runs import Run, read_records


@pytest.fixture
def samples(tmp_path: Path) -> list[QuestionSample]:
    return make_questions(tmp_path)


CONFIG = EvalConfig(blind_control=True, bootstrap_draws=200)


def test_who_sees_is_better_than_the_same_model_blind(
    samples: list[QuestionSample], tmp_path: Path
) -> None:
    found = evaluated(Player(samples), samples, tmp_path / "run", CONFIG)
    assert (found["right"], found["answered"], found["n_questions"]) == (1.0, 1.0, 36)
    choice, opened = found["choice"], found["open"]
    assert choice["accuracy"] == 1.0
    assert choice["chance"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert choice["commonest_answer"]["accuracy"] == pytest.approx(0.75)
    assert choice["commonest_answer"]["answers"] == {"crossing": "Yes", "light": "Red"}
    assert (opened["exact"], opened["f1"]) == (1.0, 1.0)
    assert opened["baseline"]["exact"] == 0.0
    assert opened["baseline"]["f1"] == pytest.approx(2 / 3)
    blind = found["blind"]
    letters = {row["letter"]: row["given"] for row in blind["letters"]}
    assert letters["A"] == 1.0
    assert letters["B"] == letters["C"] == 0.0
    assert blind["choice"]["accuracy"] <= choice["commonest_letter"]["accuracy"]
    assert blind["gain"]["difference"] == pytest.approx(1 - blind["right"])
    assert blind["gain"]["difference_ci95"][0] > 0
    run = Run.read(tmp_path / "run")
    asked = read_records(run, "blind")
    assert sorted(r.sample_id for r in asked) == sorted(s.id for s in samples)
    assert {r.video for r in asked} == {""}
    assert found["wrong_video"]["right"] < 0.5
    again = evaluated(Player(samples), samples, tmp_path / "run", CONFIG)  # nothing is asked again
    assert again == found
    assert len(read_records(run, "blind")) == len(asked)


def test_an_eye_for_one_letter_shows_when_the_choices_turn(
    samples: list[QuestionSample], tmp_path: Path
) -> None:
    some = turned([sample for sample in samples if sample.query.choices])
    config = EvalConfig(wrong_video_control=False, bootstrap_draws=100)
    blind = evaluated(Player(some, sees=False), some, tmp_path / "blind", config)
    assert blind["n_questions"] == 24
    assert blind["rotation"]["n_questions"] == 24
    assert (blind["rotation"]["agreement"], blind["rotation"]["all_right"]) == (0.0, 0.0)
    first = [sample.query.choices[0] == sample.gold for sample in some if not sample.query.turn]
    assert blind["rotation"]["turns"][0]["accuracy"] == pytest.approx(sum(first) / 24)
    # Under every letter once: an eye for A is right as often as chance, to the question.
    assert blind["choice"]["accuracy"] == pytest.approx(blind["choice"]["chance"])
    shares = [row["right"] for row in blind["letters"]]
    assert shares == pytest.approx([(1 / 2 + 1 / 3) / 2, (1 / 2 + 1 / 3) / 2, 1 / 3])
    seeing = evaluated(Player(some), some, tmp_path / "seeing", config)
    assert (seeing["rotation"]["agreement"], seeing["rotation"]["all_right"]) == (1.0, 1.0)
    assert [turn["accuracy"] for turn in seeing["rotation"]["turns"]] == [1.0] * 3
    assert "blind" not in seeing


def test_figures_do_not_depend_on_the_order_of_answers(
    samples: list[QuestionSample], tmp_path: Path
) -> None:
    some = turned(samples)
    config = EvalConfig(sampling=Sampling(trials=2), wrong_video_control=False, bootstrap_draws=50)
    found = evaluated(Player(some), some, tmp_path / "run", config)
    records = read_records(Run.read(tmp_path / "run"))
    assert summarize_questions(records[::-1], draws=50) == found
    assert found["n_trials"] == 2 * len(some)
    assert found["n_clips"] == len(some)
    assert found["n_questions"] == len(samples)


def test_nothing_is_asked_blind_where_answers_are_times_of_frames(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 2)
    player = Player([])
    settings = evaluation_config(player, TIMES, samples, policy=RECIPE.frames, config=CONFIG)
    with (
        Run.open(tmp_path / "run", kind="evaluation", config=settings) as run,
        pytest.raises(UserError, match="times of frames"),
    ):
        evaluate(player, TIMES, samples, policy=RECIPE.frames, config=CONFIG, run=run)


def test_tokens_of_an_answer_are_those_of_its_grammar(tokenizer: Any) -> None:
    """What is learned is tokenized as a whole, what is drawn part by part."""
    for query, gold in (
        (Asked(question="x", choices=("Red light", "Green")), "Green"),
        (Asked(question="x"), "It stops at a red light, isn't it?"),
    ):
        parts = []
        for part in TASK.template(query, ()):
            if isinstance(part, str):
                parts.append(part)
            else:
                assert isinstance(part, Slot) or part.max_tokens == MAX_TOKENS
                parts.append("B" if query.choices else gold)
        whole = TASK.render(query, gold)
        assert "".join(parts) == whole
        encoded = [token for part in parts for token in tokenizer.encode(part)]
        assert encoded == tokenizer.encode(whole)


def test_a_choice_may_be_answered_in_its_own_words() -> None:
    query = Asked(question="x", choices=("Red", "Red light", 'A "stop" sign'))
    for choice in query.choices:
        text = TASK_IN_WORDS.render(query, choice)
        assert TASK_IN_WORDS.parse(query, text) == choice
        opening, slot, closing = TASK_IN_WORDS.template(query, ())
        assert isinstance(opening, str)
        assert isinstance(slot, Slot)
        assert text in {f"{opening}{end}{closing}" for end in slot.choices}
    assert TASK_IN_WORDS.parse(query, "B") == "Red light"
    assert TASK_IN_WORDS.parse(Asked(question="x"), "It is red") == "It is red"
    assert get_recipe("av_questions:words").task is TASK_IN_WORDS
