"""What all records say together."""

import json
import random
from dataclasses import replace

import pytest

from kairoscope.core import Record
from kairoscope.events import Event, Events, events_to_json
from kairoscope.metrics import summarize

QUERY = ("grasp", "release")


def gold(first: float, second: float) -> Events:
    return (Event("grasp", 0.0, first), Event("release", first, second))


TRUTH = {"a": gold(2.0, 3.0), "b": gold(1.0, 4.0), "c": gold(1.5, 3.0), "d": gold(2.2, 4.2)}


def record(name: str, value: Events | None, trial: int = 0, scenario: str = "stack") -> Record:
    return Record(
        sample_id=name,
        video=f"{name}.mp4",
        group=name,
        scenario=scenario,
        trial=trial,
        text="",
        value=None if value is None else events_to_json(value),
        unparsed="no" if value is None else None,
        gold=events_to_json(TRUTH[name]),
        query=list(QUERY),
        scores={},
        duration_s=6.0,
    )


def late(name: str, by_s: float) -> Events:
    return tuple(Event(e.name, (e.start_s or 0.0) + by_s, e.end_s + by_s) for e in TRUTH[name])


RECORDS = [record(name, late(name, 0.1 * i)) for i, name in enumerate(TRUTH)]


def test_the_object_has_the_promised_keys_and_is_json() -> None:
    summary = summarize(RECORDS, draws=50)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    for kind in ("ends", "starts", "both"):
        for over in ("all", "answered_only"):
            assert {"mae_s", "mre_percent", "mre_ci95"} <= summary[kind][over].keys()
    assert set(summary["recall"]) == {"0.5", "0.7"}
    assert {"mae_s", "mre_percent"} <= summary["prior"].keys()
    assert (summary["n_clips"], summary["n_trials"], summary["answered"]) == (4, 4, 1.0)
    for key in ("tiou_mean", "events_found", "skill", "degenerate"):
        assert summary[key] is not None


def test_ends_starts_and_both_are_means_over_their_boundaries() -> None:
    only_ends_late = [
        record(name, tuple(Event(e.name, e.start_s, e.end_s + 0.2) for e in events))
        for name, events in TRUTH.items()
    ]
    summary = summarize(only_ends_late, draws=50)
    assert summary["ends"]["all"]["mae_s"] == pytest.approx(0.2)
    assert summary["starts"]["all"]["mae_s"] == 0
    assert summary["both"]["all"]["mae_s"] == pytest.approx(0.1)


def test_recall_counts_events_at_or_above_its_threshold() -> None:
    # a: truth 0-2 and 2-3. Answers 0-1 and 2.0-2.6 overlap by exactly 0.5 and by 0.6.
    answer = (Event("grasp", 0.0, 1.0), Event("release", 2.0, 2.6))
    assert summarize([record("a", answer)], draws=10)["recall"] == {"0.5": 1.0, "0.7": 0.0}
    answer = (Event("grasp", 0.0, 0.98), Event("release", 2.0, 2.75))
    assert summarize([record("a", answer)], draws=10)["recall"] == {"0.5": 0.5, "0.7": 0.5}


def test_failures_count_at_their_worst_and_survivors_are_reported_beside() -> None:
    # a: both events 0.1 s late; b: nothing; in a clip of 6 s b's ends 1.0 and 4.0 can miss by 5, 4.
    summary = summarize([record("a", late("a", 0.1)), record("b", None)], draws=50)
    assert summary["answered"] == 0.5
    assert summary["ends"]["all"]["mae_s"] == pytest.approx((0.1 + 4.5) / 2)
    assert summary["ends"]["answered_only"]["mae_s"] == pytest.approx(0.1)
    assert (summary["ends"]["all"]["n_clips"], summary["ends"]["answered_only"]["n_clips"]) == (
        2,
        1,
    )
    assert summary["events_found"] == 0.5
    assert summary["names_right"] == 1


def test_no_answer_at_all_leaves_the_survivors_figure_empty_and_never_zero() -> None:
    summary = summarize([record(name, None) for name in TRUTH], draws=50)
    assert summary["ends"]["answered_only"]["mae_s"] is None
    assert summary["ends"]["answered_only"]["mre_ci95"] is None
    assert summary["names_right"] is None
    assert summary["answered"] == summary["tiou_mean"] == summary["events_found"] == 0
    assert summary["ends"]["all"]["mre_percent"] > 100
    assert summary["degenerate"] is False


def test_trials_are_averaged_within_a_clip_before_clips_are() -> None:
    many = [record("a", late("a", 0.4), trial) for trial in range(9)] + [
        record("b", late("b", 0.0))
    ]
    summary = summarize(many, draws=50)
    assert summary["ends"]["all"]["mae_s"] == pytest.approx(0.2)
    assert (summary["n_clips"], summary["n_trials"]) == (2, 10)


def test_the_order_of_records_changes_nothing() -> None:
    many = [replace(r, trial=t) for r in RECORDS for t in range(3)]
    shuffled = random.Random(0).sample(many, len(many))
    assert summarize(shuffled, draws=100) == summarize(many, draws=100)


def test_two_records_of_one_trial_are_refused() -> None:
    with pytest.raises(ValueError, match="'a' has two records of one trial"):
        summarize([RECORDS[0], RECORDS[0]])


def test_a_single_demonstration_has_no_prior_no_skill_and_no_interval() -> None:
    summary = summarize(RECORDS[:1], draws=50)
    assert summary["prior"]["mae_s"] is None
    assert summary["prior"]["n_clips"] == 0
    assert summary["skill"] is None
    assert summary["ends"]["all"]["mre_ci95"] is None
    assert summary["ends"]["all"]["mae_s"] == 0


def test_the_skill_compares_on_the_clips_that_have_a_prior() -> None:
    alone = record("d", None, scenario="pour")
    with_alone, without = (summarize(x, draws=50) for x in ([*RECORDS[:3], alone], RECORDS[:3]))
    assert with_alone["skill"] == pytest.approx(without["skill"])
    assert with_alone["prior"]["n_clips"] == 3
    assert with_alone["ends"]["all"]["mae_s"] > without["ends"]["all"]["mae_s"]


def test_every_scenario_has_its_own_table() -> None:
    mixed = [replace(r, scenario="pour" if r.sample_id in "cd" else "stack") for r in RECORDS]
    summary = summarize(mixed, draws=50)
    assert list(summary["scenarios"]) == ["pour", "stack"]
    assert summary["scenarios"]["stack"] | {"degenerate": False} == {
        key: value
        for key, value in summarize(mixed[:2], draws=50).items()
        if key in summary["scenarios"]["stack"]
    }


def test_the_wrong_video_control_stands_beside_the_same_clips() -> None:
    wrong = [record(name, late(name, 1.0)) for name in "bcd"]
    summary = summarize(RECORDS, control=wrong, draws=50)
    control = summary["wrong_video"]
    assert control["n_clips"] == 3
    assert control["ends"]["all"]["mae_s"] == pytest.approx(1.0)
    assert control["mae_ratio"] == pytest.approx(1.0 / 0.2)
    assert summarize(RECORDS, draws=50)["wrong_video"] is None


def test_records_without_truth_and_clips_that_do_not_decode_are_counted() -> None:
    unread = replace(record("c", None), failed=True, duration_s=0.0)
    unlabelled = replace(record("d", None), gold=None)
    summary = summarize([*RECORDS[:2], unread, unlabelled], draws=50)
    assert (summary["n_clips"], summary["n_unreadable_clips"], summary["n_unlabelled"]) == (3, 1, 1)
    assert summary["answered"] == pytest.approx(2 / 3)


def test_no_record_gives_a_table_without_numbers() -> None:
    summary = summarize([])
    assert summary["n_clips"] == summary["n_trials"] == 0
    assert summary["answered"] is None
    assert summary["ends"]["all"]["mae_s"] is None
