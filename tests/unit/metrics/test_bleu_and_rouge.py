"""BLEU and ROUGE-L: the libraries' own figures, whatever way they are summed up."""

import pytest

from kairoscope.metrics import wording as module
from kairoscope.metrics.wording import Pair, is_installed, wording

pytestmark = pytest.mark.skipif(not is_installed(), reason="the extra `text` is not installed")

GIVEN = [
    "The car stops at a red light.",
    "It turns left",
    "",
    "Snow falls on the country road today",
]
GOLD = [
    "The car stops at the red light.",
    "It turns to the right",
    "A lorry",
    "Snow on the country road",
]


def pairs(given: list[str], gold: list[str], weight: float = 1.0) -> list[Pair]:
    texts = zip(given, gold, strict=True)
    return [Pair(given=a, gold=b, group=f"g{i}", weight=weight) for i, (a, b) in enumerate(texts)]


def test_figures_are_those_of_the_libraries() -> None:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import corpus_bleu

    found = wording(pairs(GIVEN, GOLD), draws=200)
    assert found is not None
    assert found["bleu"] == pytest.approx(corpus_bleu(GIVEN, [GOLD]).score)
    each = [
        RougeScorer(["rougeL"]).score(b, a)["rougeL"].fmeasure
        for a, b in zip(GIVEN, GOLD, strict=True)
    ]
    assert found["rouge_l"] == pytest.approx(sum(each) / 4)
    assert found["n_clips"] == 4
    assert found["bleu_ci95"][0] <= found["bleu"] <= found["bleu_ci95"][1]
    assert found["rouge_l_ci95"][0] <= found["rouge_l"] <= found["rouge_l_ci95"][1]
    assert "tok:13a" in found["computed_by"]["bleu"]


def test_trials_share_the_weight_of_their_clip() -> None:
    once, twice = pairs(GIVEN, GOLD), pairs(GIVEN, GOLD, weight=0.5)
    assert wording([*twice, *twice], draws=100) == wording(once, draws=100)


def test_the_truth_is_best_and_nothing_is_worst() -> None:
    best, worst = (wording(pairs(given, GOLD), draws=50) for given in (GOLD, [""] * 4))
    assert best is not None
    assert worst is not None
    assert (best["bleu"], best["rouge_l"]) == (pytest.approx(100), 1.0)
    assert (worst["bleu"], worst["rouge_l"]) == (0.0, 0.0)


def test_one_group_has_no_interval_and_nothing_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    [first, *_] = pairs(GIVEN, GOLD)
    found = wording([first, first], draws=50)
    assert found is not None
    assert found["bleu_ci95"] is None
    assert wording([]) is None
    monkeypatch.setattr(module, "LIBRARIES", ("no_such_library",))
    assert wording(pairs(GIVEN, GOLD)) is None


def test_texts_of_captions_have_both_beside_another_clips_label() -> None:
    from kairoscope.core import Record
    from kairoscope.fields import load_schema
    from kairoscope.metrics.captions import summarizer

    def record(number: int, said: str) -> Record:
        gold = {"weather": "Rain", "description": f"It rains on road number {number} today."}
        return Record(
            sample_id=f"c{number}", video=f"{number}.mp4", group=f"g{number}", scenario="s", trial=0,
            text="", value={**gold, "description": said}, unparsed=None, gold=gold,
            query=list(gold), scores={}, duration_s=1.0,
        )  # fmt: skip

    said = ["It rains on road number 0 today.", "Snow.", "It rains today."]
    records = [record(number, text) for number, text in enumerate(said)]
    fields = summarizer(load_schema("driving_world"))(records, draws=50)["fields"]
    found = fields["description"]
    golds = [f"It rains on road number {number} today." for number in range(3)]
    assert found["wording"] == wording(
        [
            Pair(given=a, gold=b, group=f"g{i}")
            for i, (a, b) in enumerate(zip(said, golds, strict=True))
        ],
        draws=50,
    )
    assert found["baseline"]["rouge_l"] == pytest.approx(6 / 7)
    assert "wording" not in fields["weather"]
