"""Tables of captions: each figure against another way to compute it, and against not looking."""

import random
from typing import Any

import pytest

from kairoscope.core import Record
from kairoscope.fields.schema import schema_of
from kairoscope.metrics.captions import summarizer

SCHEMA = schema_of(
    {
        "name": "s",
        "system": "x",
        "fields": [
            {"name": "kind", "kind": "choice", "values": ["a", "b", "c"], "instruction": "?"},
            {"name": "rare", "kind": "boolean", "instruction": "?"},
            {"name": "many", "kind": "set", "values": ["p", "q"], "instruction": "?"},
            {"name": "said", "kind": "text", "instruction": "?"},
        ],
    }
)
Row = tuple[dict[str, Any], dict[str, Any] | None]


def records(rows: list[Row], trials: int = 1) -> list[Record]:
    return [
        Record(
            sample_id=f"clip {i:03d}",
            video="v",
            group=f"group {i // 2}",
            scenario="s",
            trial=trial,
            text="",
            value=given,
            unparsed=None if given is not None else "no",
            gold=gold,
            query=[],
            scores={},
            duration_s=1.0,
        )
        for i, (gold, given) in enumerate(rows)
        for trial in range(trials)
    ]


def drawn(number: int) -> list[Row]:
    rng = random.Random(0)

    def one() -> dict[str, Any]:
        return {
            "kind": rng.choice("aabc"),
            "rare": str(rng.random() < 0.1),
            "many": rng.choice([[], ["p"], ["p", "q"]]),
            "said": rng.choice(["a red car", "the bus stops"]),
        }

    return [(one(), one() if rng.random() < 0.9 else None) for _ in range(number)]


def test_figures_of_a_closed_field_are_those_of_their_definitions() -> None:
    rows = drawn(80)
    table = summarizer(SCHEMA)(records(rows), draws=200)["fields"]["kind"]
    truth = [gold["kind"] for gold, _ in rows]
    given = ["none!" if value is None else value["kind"] for _, value in rows]
    n = len(rows)
    accuracy = sum(t == g for t, g in zip(truth, given, strict=True)) / n
    assert table["score"] == pytest.approx(accuracy)
    recalls, f1s = [], []
    for label in "abc":
        hits = sum(t == g == label for t, g in zip(truth, given, strict=True))
        recalls.append(hits / truth.count(label))
        f1s.append(2 * hits / (truth.count(label) + given.count(label)))
    assert table["balanced_accuracy"] == pytest.approx(sum(recalls) / 3)
    assert table["macro_f1"] == pytest.approx(sum(f1s) / 3)
    chance = sum(truth.count(x) * given.count(x) for x in "abc") / n**2
    assert table["kappa"] == pytest.approx((accuracy - chance) / (1 - chance))
    for name in ("score", "balanced_accuracy", "macro_f1", "kappa"):
        low, high = table[f"{name}_ci95"]
        assert low < table[name] < high
    assert table["baseline"]["answer"] == max("abc", key=truth.count)
    assert table["baseline"]["kappa"] == 0


def test_always_answering_false_wins_accuracy_and_nothing_else() -> None:
    rows: list[Row] = [({"rare": str(i == 3)}, {"rare": "False"}) for i in range(20)]
    table = summarizer(SCHEMA)(records(rows), draws=50)
    rare = table["fields"]["rare"]
    assert rare["score"] == rare["baseline"]["score"] == 0.95
    assert rare["balanced_accuracy"] == 0.5
    assert rare["kappa"] == 0
    assert table["skill"] == 0


def test_trials_of_a_clip_count_once_and_order_does_not_matter() -> None:
    rows = drawn(30)
    once = summarizer(SCHEMA)(records(rows), draws=100)
    thrice = records(rows, trials=3)
    random.Random(1).shuffle(thrice)
    again = summarizer(SCHEMA)(thrice, draws=100)
    assert again["n_trials"] == 3 * once["n_trials"]
    for name, table in once["fields"].items():
        assert again["fields"][name]["score"] == pytest.approx(table["score"])
        assert again["fields"][name]["baseline"]["score"] == pytest.approx(
            table["baseline"]["score"]
        )
    assert again["fields_right"] == pytest.approx(once["fields_right"])


def test_perfect_answers_and_none_at_all() -> None:
    rows = drawn(20)
    best = summarizer(SCHEMA)(records([(gold, gold) for gold, _ in rows]), draws=50)
    assert best["fields_right"] == best["skill"] == 1
    assert all(table["score"] == 1 for table in best["fields"].values())
    worst = summarizer(SCHEMA)(records([(gold, None) for gold, _ in rows]), draws=50)
    assert worst["answered"] == worst["fields_right"] == 0
    assert worst["fields"]["kind"]["confusion"]
    with pytest.raises(ValueError, match="two records of one trial"):
        summarizer(SCHEMA)(records(rows[:1]) * 2)
