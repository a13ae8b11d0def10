"""Agreement, controls and means of a judge: against hand-worked figures."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from kairoscope.fields import load_schema
from kairoscope.judge.agreement import krippendorff_alpha
from kairoscope.judge.human import calibrate, read_human
from kairoscope.judge.questions import NOTHING, judge_prompt, judge_questions
from kairoscope.judge.summary import Judgement, summarize_judgements, verdict_words

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
        "group": f"group {i}",
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
    assert [kinds.count(kind) for kind in ("same", "other clip")] == [3, 3]
    answered = {one.sample_id for one in asked if one.control == "same"} - {"clip 0"}
    assert kinds.count("swapped") == len(answered)  # what is not there cannot be swapped
    assert len({one.id for one in asked}) == len(asked)
    for one in asked:
        if one.control == "same":
            assert one.first == one.second
        if one.control == "other clip":
            assert one.first != one.second
            assert one.second.startswith("road")
    assert (asked[0].second, asked[0].missing) == (NOTHING, True)
    assert not any(one.missing for one in asked[1:])
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
    good = controlled(same=5, other=1, swapped=4)
    table = summarize_judgements(good, draws=10)
    assert (table["doubts"], table["verdict"]) == ([], "trusted")
    words = verdict_words("road_type", table["fields"]["road_type"])
    assert words.startswith("This judge can be trusted for road type")
    assert "5.00" in words
    bad = summarize_judgements(controlled(same=4, other=3, swapped=2), draws=10)
    own = bad["fields"]["road_type"]
    assert (len(own["doubts"]), own["verdict"]) == (3, "not trusted")
    assert all(doubt in verdict_words("road_type", own) for doubt in own["doubts"])


@pytest.mark.parametrize("spoiled", ["same", "other clip", "swapped"])
def test_one_control_that_fails_is_enough_and_one_without_clips_leaves_it_open(
    spoiled: str,
) -> None:
    rows = controlled(same=5, other=1, swapped=4)
    worse = {"same": 3, "other clip": 4, "swapped": 1}[spoiled]
    changed = [replace(row, score=worse) if row.control == spoiled else row for row in rows]
    assert summarize_judgements(changed, draws=10)["verdict"] == "not trusted"
    without = [row for row in rows if row.control != spoiled]
    table = summarize_judgements(without, draws=10)
    assert table["verdict"] == "not tested"
    assert "is not known" in verdict_words("road_type", table["fields"]["road_type"])


def test_repeats_that_hardly_differ_agree_though_alpha_is_low() -> None:
    rows = controlled(same=5, other=1, swapped=5)
    rows = [replace(row, score=5) if row.control == "answer" else row for row in rows]
    again = [replace(row, repeat=1) for row in rows if row.control != "other clip"]
    rows = [row for row in rows if row.control != "other clip"] + again
    slips = [replace(r, score=4) if r.repeat and r.sample_id == "clip 0" else r for r in rows]
    table = summarize_judgements(slips, draws=10)
    assert table["all"]["alpha"] < 0.1
    assert table["all"]["step"] == pytest.approx(1 / 6)
    assert not any("agree little" in doubt for doubt in table["doubts"])
    far = [replace(r, score=1) if r.repeat and r.sample_id < "clip 3" else r for r in rows]
    assert any("agree little" in doubt for doubt in summarize_judgements(far, draws=10)["doubts"])


def test_each_field_has_a_verdict_of_its_own() -> None:
    rows = controlled(same=5, other=1, swapped=4)
    rows += [replace(r, field="weather") for r in controlled(same=2, other=2, swapped=4)]
    table = summarize_judgements(rows, draws=10)
    verdicts = {name: own["verdict"] for name, own in table["fields"].items()}
    assert verdicts == {"road_type": "trusted", "weather": "not trusted"}


def test_answers_that_are_not_there_count_as_the_lowest_score_and_not_against_the_judge() -> None:
    rows = [judged("answer", 5, 0), replace(judged("answer", None, 1), missing=True)]
    table = summarize_judgements(rows, draws=10)["all"]
    assert (table["mean"], table["n_missing"], table["n_failed"]) == (3.0, 1, 0)
    assert table["doubts"] == []


def controlled(same: int, other: int, swapped: int) -> list[Judgement]:
    """Six clips with all controls; answers score 4."""
    scores = {"answer": 4, "same": same, "other clip": other, "swapped": swapped}
    return [judged(name, score, clip) for name, score in scores.items() for clip in range(6)]


# --- beside people ----------------------------------------------------------------------------


def test_people_and_judge_are_compared_answer_by_answer(tmp_path: Path) -> None:
    rows = [judged("answer", score, i) for i, score in enumerate((1, 2, 3, 4, 5, None))]
    rows.append(judged("same", 5, 0))
    file = tmp_path / "people.csv"
    lines = ["sample_id,field,score,rater"]
    lines += [f"clip {i},road_type,{score},a" for i, score in enumerate((1, 2, 3, 4, 5, 1))]
    lines += [f"clip {i},road_type,{score},b" for i, score in enumerate((1, 2, 3, 4, 5, 3))]
    file.write_text("\n".join([*lines, "clip 9,road_type,3,a", "clip 0,road_type,6,a"]))
    people, problems = read_human(file)
    assert (len(people), len(problems)) == (13, 1)
    assert "allowed: 1 to 5" in problems[0].what
    found, unmatched = calibrate(rows, people, draws=200)
    assert [p.what for p in unmatched] == [
        "road_type of 'clip 9', trial 0: no such answer was judged"
    ]
    own = found["fields"]["road_type"]
    assert (own["n_answers"], own["n_scores"], own["n_groups"]) == (6, 12, 6)
    # The judge failed at the last one, which counts as 1; people's mean is 2 there.
    assert own["bias"] == pytest.approx(-1 / 6)
    assert own["within_one"] == 1
    judge, given = [1, 2, 3, 4, 5, 1], [1, 2, 3, 4, 5, 2]
    assert own["pearson"] == pytest.approx(correlation(judge, given))
    low, high = own["spearman_ci95"]
    assert low <= own["spearman"] <= high
    assert own["alpha_people"] == pytest.approx(
        krippendorff_alpha([(s, s) for s in range(1, 6)] + [(1, 3)])
    )
    swapped = [replace(row, score=None if row.score is None else 6 - row.score) for row in rows]
    worse = calibrate(swapped, people, draws=50)[0]["all"]
    assert worse["spearman"] < 0 < worse["bias"] + 1


def test_json_lines_of_people_are_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text(
        '{"sample_id": "clip 0", "field": "road_type", "score": 4, "trial": 1}\n{"score": 3}\nno\n[]\n'
    )
    people, problems = read_human(file)
    assert [(one.key, one.score) for one in people] == [(("road_type", "clip 0", 1), 4)]
    assert [problem.where[-1] for problem in problems] == ["3", "4", "2"]


def correlation(one: list[int], other: list[int]) -> float:
    import numpy as np

    return float(np.corrcoef(one, other)[0, 1])
