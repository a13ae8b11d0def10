"""Every rule speaks where it should, stays silent where it should not, and only of the measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import chance

from kairoscope.core import Record, Sample, Unparsed
from kairoscope.events import Event, Events, Query
from kairoscope.metrics import summarize
from kairoscope.recipes.subtask_times import TASK
from kairoscope.report.analysis import (
    analyse,
    analyse_run,
    read_analysis,
    true_ends_inside,
    write_analysis,
)
from kairoscope.report.boundaries import event_views, likely_boundaries
from kairoscope.report.findings import RANK, Finding
from kairoscope.runs import Run

QUERY: Query = ("reach", "grasp", "place")
Answerer = Callable[[int, Events], Events | Unparsed]
TARGETS = {"mre_percent": 30.0}


def truth(i: int) -> Events:
    """Times that differ from clip to clip, so that the prior is no perfect guess."""
    ends, t = [], 0.0
    for place in range(3):
        t += 1.0 + chance(i, place)
        ends.append(round(t, 2))
    starts = [0.0, *ends[:-1]]
    return tuple(Event(n, s, e) for n, s, e in zip(QUERY, starts, ends, strict=True))


def a_record(i: int, answer: Events | Unparsed, scenario: str, *, failed: bool = False) -> Record:
    sample: Sample[Query, Events] = Sample(
        id=f"{scenario}{i:03d}",
        video=Path("x.mp4"),
        query=QUERY,
        gold=truth(i),
        group=f"g{i}",
        scenario=scenario,
        duration_s=8.0,
    )
    unparsed = answer.reason if isinstance(answer, Unparsed) else None
    return Record(
        sample_id=sample.id,
        video="x.mp4",
        group=sample.group,
        scenario=scenario,
        trial=0,
        text="",
        value=None if isinstance(answer, Unparsed) else TASK.to_json(answer),
        unparsed=unparsed,
        gold=TASK.to_json(truth(i)),
        query=list(QUERY),
        scores=TASK.score(answer, sample),
        duration_s=8.0,
        failed=failed,
    )


def moved(gold: Events, shift_s: Callable[[int], float]) -> Events:
    return tuple(
        Event(e.name, e.start_s, max(e.start_s or 0.0, e.end_s + shift_s(place)))
        for place, e in enumerate(gold)
    )


def findings(
    answer: Answerer, *, control: Answerer | None = None, count: int = 30, scenario: str = "s"
) -> dict[str, Finding]:
    """What the rules find in answers of one kind, by the first words of their titles."""
    records = [a_record(i, answer(i, truth(i)), scenario) for i in range(count)]
    wrong = None
    if control is not None:
        wrong = [a_record(i, control(i, truth(i)), scenario) for i in range(count)]
    return titles(analyse(summarize(records, control=wrong, draws=200), records, TARGETS))


def titles(found: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.title: finding for finding in found}


def has(found: dict[str, Finding], words: str) -> Finding | None:
    return next((finding for title, finding in found.items() if words in title), None)


def perfect(i: int, gold: Events) -> Events:
    return gold


def other_clip(i: int, gold: Events) -> Events:
    return truth(i + 1000)


def noisy(i: int, gold: Events) -> Events:
    return moved(gold, lambda place: 0.3 * (2 * chance("noise", i, place) - 1))


def test_a_good_model_has_strengths_and_no_gap() -> None:
    found = findings(noisy, control=other_clip)
    assert [f.title for f in found.values() if f.severity == "gap"] == []
    assert has(found, "goal of 30% is reached")
    assert has(found, "knows more than the no-video prior")
    assert has(found, "answers come from the video")


def test_findings_are_ordered_gaps_first() -> None:
    found = list(findings(lambda i, g: moved(g, lambda _: 2.0), control=other_clip).values())
    ranks = [RANK[finding.severity] for finding in found]
    assert ranks == sorted(ranks)
    assert len(found) > 1


def test_an_error_above_the_goal_is_a_gap_with_its_figures() -> None:
    found = findings(lambda i, gold: moved(gold, lambda _: 2.0))
    gap = has(found, "the goal is 30%")
    assert gap is not None
    assert gap.severity == "gap"
    assert gap.evidence["target"] == 30.0
    assert float(gap.evidence["mre_percent"]) > 100


def test_a_model_that_repeats_the_median_has_no_skill_and_does_not_look() -> None:
    usual = tuple(Event(n, 1.5 * i, 1.5 * (i + 1)) for i, n in enumerate(QUERY))
    found = findings(lambda i, gold: usual, control=lambda i, gold: usual)
    assert has(found, "does not look")
    assert has(found, "no better than the no-video prior") or has(found, "adds little")
    assert has(found, "same whatever the clip")


def test_a_prior_for_a_part_of_the_clips_is_pointed_out() -> None:
    records = [a_record(i, noisy(i, truth(i)), "s" if i else "alone") for i in range(12)]
    found = has(titles(analyse(summarize(records, draws=200), records)), "only for 11 of 12 clips")
    assert found is not None
    assert found.evidence == {"with_prior": 11, "clips": 12}
    assert has(findings(noisy), "no-video prior only") is None


def test_answers_that_are_shares_of_the_length_are_found_out() -> None:
    def stretched(i: int) -> Events:
        ends = [(1 + 2 * chance("length", i)) * share for share in (1.0, 2.0, 3.0)]
        pairs = zip(QUERY, (0.0, *ends), ends, strict=False)
        return tuple(Event(name, round(a, 2), round(b, 2)) for name, a, b in pairs)

    def a_clip(i: int, answer: Events) -> Record:
        length_s = stretched(i)[-1].end_s + 1.0
        record = a_record(i, answer, "s")
        return replace(record, gold=TASK.to_json(stretched(i)), duration_s=length_s)

    def guess(i: int) -> Events:
        length_s = stretched(i)[-1].end_s + 1.0
        ends = [length_s * share for share in (0.2, 0.5, 0.9)]
        pairs = zip(QUERY, (0.0, *ends), ends, strict=False)
        return tuple(Event(name, a, b) for name, a, b in pairs)

    def found(answer: Callable[[int], Events]) -> Finding | None:
        records = [a_clip(i, answer(i)) for i in range(20)]
        metrics = summarize(records, draws=200)
        return has(titles(analyse(metrics, records)), "length of the clip")

    assert found(guess) is not None
    assert found(stretched) is None


def test_an_early_bias_is_measured() -> None:
    found = findings(lambda i, g: moved(g, lambda _: -0.25 - 0.05 * chance(i)))
    gap = has(found, "too early")
    assert gap is not None
    assert float(gap.evidence["median_error_s"]) == pytest.approx(-0.275, abs=0.02)
    assert has(findings(noisy), "too early") is None
    assert has(findings(noisy), "too late") is None


def test_one_bad_event_is_named() -> None:
    def one_bad(i: int, gold: Events) -> Events:
        return moved(gold, lambda place: (0.8 if place == 1 else 0.1) * (-1) ** i)

    gap = has(findings(one_bad), "concentrated in one event")
    assert gap is not None
    assert gap.evidence["event"] == "grasp"
    assert has(findings(noisy), "concentrated in one event") is None


def test_one_bad_scenario_is_named() -> None:
    good = [a_record(i, noisy(i, truth(i)), "easy") for i in range(10)]
    fine = [a_record(i, noisy(i, truth(i)), "fair") for i in range(10, 20)]
    bad = [a_record(i, moved(truth(i), lambda _: 0.9), "hard") for i in range(20, 30)]
    records = [*good, *fine, *bad]
    gap = has(titles(analyse(summarize(records, draws=200), records)), "one scenario")
    assert gap is not None
    assert gap.evidence["scenario"] == "hard"


def test_missing_answers_and_clips_are_counted_apart() -> None:
    records = [a_record(i, noisy(i, truth(i)), "s") for i in range(20)]
    records += [a_record(i, Unparsed("no times"), "s") for i in range(20, 24)]
    records += [a_record(24, Unparsed("gone"), "s", failed=True)]
    gap = has(titles(analyse(summarize(records, draws=200), records)), "missing or cannot be read")
    assert gap is not None
    assert gap.severity == "gap"
    assert gap.evidence == {"lost": 5, "records": 25, "unreadable": 1}
    assert "no times (4 in all)" in gap.detail


def test_missing_and_renamed_events_are_counted() -> None:
    def careless(i: int, gold: Events) -> Events:
        renamed = Event("something else", gold[2].start_s, gold[2].end_s, 3)
        return (gold[0], gold[1], renamed) if i % 2 else gold[:2]

    gap = has(findings(careless), "missing or named otherwise")
    assert gap is not None
    assert gap.evidence == {"asked": 90, "missing": 15, "renamed": 15}


def test_a_heavy_tail_is_pointed_out() -> None:
    def tail(i: int, gold: Events) -> Events:
        return moved(gold, lambda _: 2.0 if i < 3 else 0.02)

    finding = has(findings(tail), "A few clips carry most")
    assert finding is not None
    assert finding.evidence["clips"] == 3
    assert has(findings(noisy), "A few clips") is None


def test_few_demonstrations_are_pointed_out() -> None:
    assert has(findings(noisy, count=6), "Only 6 demonstrations")
    assert has(findings(noisy, count=30), "Only") is None


def posterior(center_s: float, width_s: float) -> dict[str, Any]:
    times = [i / 8 for i in range(65)]
    weights = [max(0.0, 1 - abs(t - center_s) / width_s) for t in times]
    shares = [weight / sum(weights) for weight in weights]
    return {"slot": "end 1", "choices": [f"{t:.3f}" for t in times], "probabilities": shares}


@pytest.mark.parametrize(
    ("width_s", "words"), [(0.2, "too sure"), (5.0, "less sure than it could be")]
)
def test_intervals_that_hold_too_little_or_too_much(width_s: float, words: str) -> None:
    records = [a_record(i, truth(i), "s") for i in range(40)]
    pairs = [
        (
            event_views(record),
            likely_boundaries([posterior(truth(i)[0].end_s + 2 * chance("p", i) - 1, width_s)]),
        )
        for i, record in enumerate(records)
    ]
    inside = true_ends_inside(pairs)
    assert inside[1] == 40
    found = titles(analyse(summarize(records, draws=200), records, inside=inside))
    assert has(found, words)


def test_an_interval_holds_its_share_of_the_distribution() -> None:
    likely = likely_boundaries([posterior(4.0, 2.0), {**posterior(4.0, 2.0), "slot": "score"}])
    assert len(likely) == 1
    assert likely[0].is_end
    assert likely[0].place == 0
    assert likely[0].low_s == pytest.approx(8.0 - likely[0].high_s)
    inside = sum(p for t, p in likely[0].peaks if likely[0].low_s <= t <= likely[0].high_s)
    assert inside == pytest.approx(0.8, abs=0.06)


def test_findings_survive_the_way_through_a_file(evaluations: Path, tmp_path: Path) -> None:
    run = Run.read(evaluations / "before")
    written = write_analysis(run, tmp_path / "analysis.json", TARGETS)
    assert written
    assert read_analysis(tmp_path / "analysis.json") == written == analyse_run(run, TARGETS)
