"""Labels that a model contradicts: what it is sure of, and where it is no judge."""

from collections.abc import Iterator, Sequence

import pytest

from kairoscope.core import Record, Sample
from kairoscope.recipes import get_recipe
from kairoscope.report.labels.counts import counts_by_slot, remarks
from kairoscope.report.labels.doubts import (
    contradicted_rows,
    doubt_blocks,
    doubts_to_json,
    worst_clips,
)
from kairoscope.report.labels.support import (
    contradicted,
    fitted_temperature,
    is_in_order,
    label_doubts,
    support_of,
)

PHYSICS = get_recipe("physics-score").task
DRIVING = get_recipe("av-captions:driving_world").task
SCORES = ("1", "2", "3", "4", "5")


def scored(clip: int, gold: int, shares: Sequence[float]) -> Record:
    value = 1 + max(range(5), key=lambda place: shares[place])
    return Record(
        sample_id=f"clip-{clip:02d}",
        video=f"{clip}.mp4",
        group=f"g{clip}",
        scenario="fall",
        trial=0,
        text=f"<answer>{value}</answer>",
        value=value,
        unparsed=None,
        gold=gold,
        query=[],
        scores={"mae": float(abs(value - gold)), "exact": 0.0, "within_one": 0.0},
        duration_s=1.0,
        frame_times_s=(0.0, 0.5),
        posteriors=({"slot": "score", "choices": list(SCORES), "probabilities": list(shares)},),
    )


def peaked(at: int) -> list[float]:
    near = [0.05 ** abs(place - (at - 1)) for place in range(5)]
    return [share / sum(near) for share in near]


def seeing(count: int = 40) -> Iterator[Record]:
    """A model that is right about every clip."""
    for clip in range(count):
        yield scored(clip, 1 + clip % 5, peaked(1 + clip % 5))


def test_planted_wrong_labels_stand_first_and_no_other_is_contradicted() -> None:
    planted = {3: 1, 10: 5, 22: 1}
    records = [
        scored(clip, planted.get(clip, 1 + clip % 5), peaked(1 + clip % 5)) for clip in range(40)
    ]
    doubts, slots = label_doubts(PHYSICS, records)
    wrong = {f"clip-{clip:02d}" for clip in planted}
    assert {doubt.sample_id for doubt in doubts[:3]} == wrong
    assert {doubt.sample_id for doubt in contradicted(doubts)} == wrong
    assert slots[0].knows
    assert slots[0].right == pytest.approx(37 / 40)
    kept = doubts_to_json(PHYSICS, doubts, slots, worst_clips(PHYSICS, records))
    assert {row["sample_id"] for row in contradicted_rows(kept)} == wrong
    assert {row["sample_id"] for row in kept["worst"]} == wrong
    assert any("3 have less than 10%" in str(block) for block in doubt_blocks(kept))


def test_a_model_that_knows_nothing_contradicts_nothing() -> None:
    blind = [scored(clip, 1 + clip % 5, peaked(4)) for clip in range(40)]
    doubts, slots = label_doubts(PHYSICS, blind)
    assert doubts == []
    assert not slots[0].knows
    few, _ = label_doubts(PHYSICS, list(seeing(10)))
    assert few == []
    assert label_doubts(PHYSICS, [])[0] == []


def test_a_model_that_is_too_sure_is_flattened_and_one_that_is_right_is_not() -> None:
    right = [(peaked(1 + clip % 5), clip % 5) for clip in range(50)]
    assert fitted_temperature(right) == 1.0
    # Five wrong labels among fifty are no reason to believe the model less.
    assert fitted_temperature([*right[5:], *((peaked(1), 4) for _ in range(5))]) == 1.0
    often_off = [(peaked(1 + clip % 5), (clip + clip % 2) % 5) for clip in range(50)]
    assert fitted_temperature(often_off) > 2.0


def test_support_of_values_in_order_is_that_of_the_label_and_all_farther_off() -> None:
    shares = (0.1, 0.2, 0.4, 0.2, 0.1)
    for label, expected in ((4, 0.1), (3, 0.3), (2, 1.0), (1, 0.3), (0, 0.1)):
        support, answer = support_of(shares, label, in_order=True)
        assert support == pytest.approx(expected)
        assert answer == 2
    assert support_of(shares, 1, in_order=False) == (0.2, 2)


def test_scores_times_and_numbers_are_in_order_words_are_not() -> None:
    assert is_in_order(SCORES)
    assert is_in_order(('1 ",\n', '2 ",\n', '3 ",\n'))
    assert not is_in_order(("Rain", "Snow", "Fog"))
    assert not is_in_order(("False", "True"))


WEATHERS = ("Clear skies", "Overcast", "Rain", "Snow", "Fog")


def described(clip: int, label: str, seen: str) -> Record:
    """A model that sees the weather, and always says that there is a vehicle ahead."""
    choices = [f'{value} ",\n' for value in WEATHERS]
    shares = [0.92 if value == seen else 0.02 for value in WEATHERS]
    return Record(
        sample_id=f"drive-{clip:02d}",
        video=f"{clip}.mp4",
        group=f"g{clip}",
        scenario="drive",
        trial=0,
        text="",
        value={"weather": seen, "lead_vehicle": "True"},
        unparsed=None,
        gold={"weather": label, "lead_vehicle": "True" if clip % 3 else "False"},
        query=["weather", "lead_vehicle"],
        scores={"fields_right": float(label == seen)},
        duration_s=5.0,
        frame_times_s=(0.0, 0.5),
        posteriors=(
            {"slot": "weather", "choices": choices, "probabilities": shares},
            {
                "slot": "lead_vehicle",
                "choices": ['False "\n', 'True "\n'],
                "probabilities": [0.01, 0.99],
            },
        ),
    )


def test_of_captions_only_the_fields_are_doubted_that_the_model_can_see() -> None:
    planted = {4: "Snow", 9: "Clear skies", 30: "Rain"}
    seen = [WEATHERS[clip % 5] for clip in range(50)]
    records = [described(clip, planted.get(clip, seen[clip]), seen[clip]) for clip in range(50)]
    doubts, slots = label_doubts(DRIVING, records)
    wrong = {f"drive-{clip:02d}" for clip in planted if planted[clip] != seen[clip]}
    assert {doubt.sample_id for doubt in contradicted(doubts)} == wrong
    assert {doubt.slot for doubt in doubts} == {"weather"}
    # A third of the labels are False, and it never says so: it is no judge of that field.
    assert {slot.slot: slot.knows for slot in slots} == {"weather": True, "lead_vehicle": False}
    kept = doubts_to_json(DRIVING, doubts, slots, worst_clips(DRIVING, records))
    assert "no judge of lead vehicle" in str(doubt_blocks(kept))
    assert {row["sample_id"] for row in kept["worst"]} == wrong


def drives(*labels: str) -> list[Sample[object, object]]:
    return [
        Sample(
            id=str(place),
            video=None,  # type: ignore[arg-type]
            query=("weather", "lead_vehicle"),
            gold=DRIVING.from_json({"weather": label, "lead_vehicle": "True"}),
            group=str(place),
            scenario="drive",
        )
        for place, label in enumerate(labels)
    ]


def test_labels_are_counted_in_every_closed_field_and_what_is_uneven_is_named() -> None:
    counts = counts_by_slot(DRIVING, drives(*["Rain"] * 9, *["Snow"] * 8, "Fog"))
    assert counts["weather"] == {"Clear skies": 0, "Overcast": 0, "Rain": 9, "Snow": 8, "Fog": 1}
    assert counts["lead_vehicle"] == {"False": 0, "True": 18}
    words = " | ".join(remarks(counts))
    assert "Fog (1)" in words
    assert "no clip shows Clear skies, Overcast" in words
    assert "lead vehicle: 100% are True" in words


def test_times_are_no_labels_to_count() -> None:
    from kairoscope.events import Event

    task = get_recipe("subtask-times").task
    sample = Sample(
        id="a",
        video=None,  # type: ignore[arg-type]
        query=("grasp",),
        gold=(Event("grasp", 0.0, 1.0),),
        group="a",
        scenario="stack",
    )
    assert counts_by_slot(task, [sample]) == {}
