"""What an evaluation of scores says: failures count, constants gain nothing, order is nothing."""

import random
from dataclasses import replace

import pytest

from kairoscope.core import Answered, Record, Unparsed
from kairoscope.metrics.scores import one_score, paired_scores, summarize_scores, together
from kairoscope.scale import farthest_score


def record(
    name: str, gold: int | None, value: int | None, expected: float | None = None, trial: int = 0
) -> Record:
    return Record(
        sample_id=name,
        video=f"{name}.mp4",
        group=name.split("/")[0],
        scenario="fall",
        trial=trial,
        text="",
        value=value,
        unparsed=None if value is not None else "no score",
        gold=gold,
        query=[],
        scores={},
        duration_s=2.0,
        extra={} if expected is None else {"expected": expected},
    )


def many(seed: int, noise: float) -> list[Record]:
    rng = random.Random(seed)
    records = []
    for i in range(100):
        gold = 1 + i % 5
        expected = min(5.0, max(1.0, gold + rng.gauss(0, noise)))
        records.append(record(f"g{i // 4}/{i}", gold, round(expected), expected))
    return records


def test_a_failed_answer_is_the_score_farthest_from_the_truth() -> None:
    assert [farthest_score(gold) for gold in (1, 2, 3, 4, 5)] == [5, 5, 1, 1, 1]
    assert one_score(Unparsed("no"), 2) == {"mae": 3.0, "exact": 0.0, "within_one": 0.0}
    answered = [record(f"{i}", 1 + i % 5, 1 + i % 5) for i in range(10)]
    failed = [*answered[:5], *(replace(r, value=None, unparsed="no") for r in answered[5:])]
    worst = [
        *answered[:5],
        *(replace(r, value=farthest_score(int(r.gold))) for r in answered[5:]),
    ]
    first, second = (summarize_scores(r, draws=50) for r in (failed, worst))
    assert first["digit"] == second["digit"]
    assert first["answered"] == 0.5
    assert [row[-1] for row in first["confusion"]] == [1.0] * 5


def test_perfect_answers_have_the_best_figures() -> None:
    summary = summarize_scores([record(f"{i}", 1 + i % 5, 1 + i % 5) for i in range(20)], draws=50)
    digit = summary["digit"]
    perfect = ("pearson", "spearman", "kappa", "exact", "within_one", "precision", "recall", "f1")
    assert all(digit[name] == pytest.approx(1.0) for name in perfect)
    assert digit["mae"] == digit["bias"] == 0
    assert summary["expected"] is summary["gain"] is None
    assert summary["skill"] == 1.0


def test_constants_are_judged_as_constants() -> None:
    summary = summarize_scores(many(0, 0.5), draws=50)
    for name in ("majority", "mean"):
        assert summary["baselines"][name]["pearson"] == 0
    assert summary["baselines"]["mean"]["score"] == pytest.approx(3.0)
    always = [replace(r, value=4, extra={}) for r in many(0, 0.5)]
    flat = summarize_scores(always, draws=50)
    assert flat["degenerate"]
    assert flat["digit"]["pearson"] == 0
    assert not summary["degenerate"]


def test_the_figures_do_not_depend_on_the_order_of_records() -> None:
    records = many(1, 0.8)
    shuffled = records[:]
    random.Random(3).shuffle(shuffled)
    assert summarize_scores(shuffled, draws=60) == summarize_scores(records, draws=60)
    with pytest.raises(ValueError, match="two records of one trial"):
        summarize_scores([records[0], records[0]])


def test_trials_of_a_clip_weigh_one_together() -> None:
    records = many(2, 0.7)
    twice = [replace(r, trial=t) for r in records for t in range(2)]
    first, second = summarize_scores(records, draws=60), summarize_scores(twice, draws=60)
    for reading in ("digit", "expected"):
        assert second[reading].keys() == first[reading].keys()
        for name, value in first[reading].items():
            assert second[reading][name] == pytest.approx(value)
    assert second["confusion"] == first["confusion"]
    assert (first["n_clips"], second["n_clips"], second["n_trials"]) == (100, 100, 200)


def test_intervals_hold_the_figure_and_come_from_groups() -> None:
    summary = summarize_scores(many(3, 1.0), draws=400)
    for reading in ("digit", "expected"):
        table = summary[reading]
        low, high = table["pearson_ci95"]
        assert low < table["pearson"] < high
    apart = [replace(r, group=r.sample_id) for r in many(3, 1.0)]
    one = [replace(r, group="same") for r in many(3, 1.0)]
    assert summarize_scores(apart, draws=400)["digit"]["pearson_ci95"] is not None
    assert summarize_scores(one, draws=400)["digit"]["pearson_ci95"] is None


def test_the_expected_score_gains_where_rounding_loses() -> None:
    summary = summarize_scores(many(4, 0.4), draws=400)
    assert summary["gain"]["pearson"] == pytest.approx(
        summary["expected"]["pearson"] - summary["digit"]["pearson"]
    )
    assert summary["gain"]["pearson"] > 0
    assert summary["gain"]["mae"] != 0


def test_a_run_against_itself_differs_by_nothing() -> None:
    records = many(5, 0.6)
    found = paired_scores(records, records, draws=100)
    assert found["n_clips"] == 100
    for figures in (found["digit"], found["expected"]):
        assert all(step["difference"] == 0 for step in figures.values())
        assert all(step["difference_ci95"] == [0, 0] for step in figures.values())
    better = paired_scores(many(5, 1.5), many(5, 0.1), draws=200)["expected"]["pearson"]
    assert better["difference_ci95"][0] > 0
    assert paired_scores(records, [])["n_clips"] == 0


def test_held_out_figures_are_those_of_the_summary() -> None:
    records = many(6, 0.9)
    answers = [
        Answered(value=r.value, expected=r.extra["expected"], gold=r.gold, group=r.group)
        for r in records
    ]
    found, summary = together(answers), summarize_scores(records, draws=20)
    for name in ("pearson", "spearman", "kappa"):
        assert found[name] == pytest.approx(summary["digit"][name])
        assert found[f"expected_{name}"] == pytest.approx(summary["expected"][name])
    assert found["expected_mae"] == pytest.approx(summary["expected"]["mae"])
    flat = together([replace(one, value=3, expected=3.0) for one in answers])
    assert flat["expected_pearson"] == 0


def test_clips_without_a_label_are_counted_and_not_scored() -> None:
    summary = summarize_scores([*many(7, 0.5), record("x", None, 3)], draws=20)
    assert (summary["n_clips"], summary["n_unlabelled"]) == (100, 1)
    assert summarize_scores([], draws=20)["digit"] is None
