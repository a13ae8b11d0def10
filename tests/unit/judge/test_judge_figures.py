"""Agreement, controls and means of a judge: against hand-worked figures."""

import random

import pytest

from kairoscope.fields import load_schema
from kairoscope.judge.agreement import krippendorff_alpha
from kairoscope.judge.questions import NOTHING, judge_prompt, judge_questions
from kairoscope.judge.summary import Judgement, summarize_judgements

RELIABILITY = [
    (1, 1, None, 1), (2, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3), (2, 2, 2, 2), (1, 2, 3, 4),
    (4, 4, 4, 4), (1, 1, 2, 1), (2, 2, 2, 2), (None, 5, 5, 5), (None, None, 1, 1), (None, None, 3, None),
]  # fmt: skip
"""The reliability data of Krippendorff (2011), a row a unit; alpha is 0.815 for ordinal data."""


def test_alpha_is_that_of_the_published_example() -> None:
    assert krippendorff_alpha(RELIABILITY) == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_perfect_and_of_random_repeats() -> None:
    rng = random.Random(0)
    assert krippendorff_alpha([(s, s, s) for s in (1, 2, 5, 3)]) == 1
    noise = [(rng.randint(1, 5), rng.randint(1, 5)) for _ in range(4000)]
    assert krippendorff_alpha(noise) == pytest.approx(0, abs=0.05)
    assert krippendorff_alpha([(3, 3), (3, 3)]) is None
    assert krippendorff_alpha([(3,), (2, None)]) is None


ROWS = [
    {
        "sample_id": f"clip {i}",
        "trial": 0,
        "gold": {"road_type": f"road {i}", "weather": "Overcast"},
        "value": {"road_type": "road 0"} if i else {},
    }
    for i in range(6)
]


def test_every_answer_is_asked_about_and_controls_are_of_other_clips() -> None:
    schema = load_schema("driving")
    asked = list(judge_questions(schema, ROWS, ["road_type"], controls=3, seed=0))
    kinds = [one.control for one in asked]
    assert kinds.count("answer") == 6
    assert [kinds.count(kind) for kind in ("swapped", "same", "other clip")] == [3, 3, 3]
    assert len({one.id for one in asked}) == len(asked)
    for one in asked:
        if one.control == "same":
            assert one.first == one.second
        if one.control == "other clip":
            assert one.first != one.second
            assert one.second.startswith("road")
    assert asked[0].second == NOTHING
    assert schema.field("road_type").question in judge_prompt(asked[0]).before
    same = list(judge_questions(schema, ROWS, ["weather"], controls=3, seed=0))
    assert "other clip" not in {one.control for one in same}  # every label says the same


def judged(control: str, score: int | None, clip: int, repeat: int = 0) -> Judgement:
    return Judgement(
        sample_id=f"clip {clip}",
        group=f"group {clip}",
        trial=0,
        field="road_type",
        control=control,
        repeat=repeat,
        score=score,
    )


def test_failures_stay_in_the_mean_and_clips_count_once() -> None:
    rows = [
        *(judged("answer", 5, 0, repeat) for repeat in range(3)),
        judged("answer", None, 1),
        judged("answer", 3, 2),
    ]
    table = summarize_judgements(rows, draws=100)
    assert table["fields"]["road_type"]["mean"] == pytest.approx((5 + 1 + 3) / 3)
    assert (table["all"]["n_clips"], table["all"]["n_failed"]) == (3, 1)
    low, high = table["all"]["mean_ci95"]
    assert 1 <= low < 3 < high <= 5
    assert any("20% of its judgements failed" in doubt for doubt in table["doubts"])


def test_a_judge_that_cannot_be_trusted_is_said_to_be_so() -> None:
    good = [judged("answer", 4, i) for i in range(4)]
    good += [judged("same", 5, i) for i in range(4)] + [
        judged("other clip", 1, i) for i in range(4)
    ]
    good += [judged("swapped", 4, i) for i in range(4)]
    assert summarize_judgements(good, draws=10)["doubts"] == []
    bad = [judged("answer", 4, i) for i in range(4)]
    bad += [judged("same", 4, i) for i in range(4)] + [judged("other clip", 3, i) for i in range(4)]
    bad += [judged("swapped", 2, i) for i in range(4)]
    assert len(summarize_judgements(bad, draws=10)["doubts"]) == 3
