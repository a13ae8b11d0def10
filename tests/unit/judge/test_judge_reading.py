"""What judges write is read as they meant it, or not at all."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import Unparsed
from kairoscope.judge.questions import JUDGEMENT
from kairoscope.judge.reading import Verdict, read_judgement
from kairoscope.models.grammar import violation


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        ('{"reason": "Both say \\"rain\\".", "score": "4"}', 4, 'Both say "rain".'),
        ('```json\n{"reason": "same",\n "score": 3}\n```', 3, "same"),
        ("{'reason': 'no', 'score': '2'}", 2, None),
        ("They differ in the light.\n<answer>2</answer>", 2, "They differ in the light."),
        ("Reason: alike.\n**Score: 5/5**", 5, "Reason: alike."),
        ("I would give it a score of 3.0, no more.", 3, None),
        ('<think>perhaps score 1</think>{"reason": "r", "score": "5"}', 5, "r"),
        ('{"reason": "score: 2 would be harsh", "score": "4"}', 4, "score: 2 would be harsh"),
    ],
)
def test_scores_in_any_layout(text: str, score: int, reason: str | None) -> None:
    found = read_judgement(text)
    assert isinstance(found, Verdict)
    assert found.score == score
    if reason is not None:
        assert found.reason == reason


@pytest.mark.parametrize(
    "text", ["", "   ", "4", "They agree.", "score: 4.5", "score: 0", "score: 7", "score: -1"]
)
def test_what_is_no_score_is_none(text: str) -> None:
    assert isinstance(read_judgement(text), Unparsed)


def test_what_the_grammar_allows_is_read() -> None:
    for score in range(1, 6):
        text = f'{{"reason": "Wet, and not dry.", "score": "{score}"}}'
        assert violation(JUDGEMENT, text) is None
        assert read_judgement(text) == Verdict(score=score, reason="Wet, and not dry.")


@given(st.text(max_size=300))
def test_never_raises(text: str) -> None:
    found = read_judgement(text)
    assert isinstance(found, Unparsed) or 1 <= found.score <= 5


def test_long_texts_take_no_long_time() -> None:
    for piece in ('"reason": "', "score: ", "score:    **", "\\", "</think>", '"reason": "\\"'):
        started = time.perf_counter()
        read_judgement(piece * 20_000)
        assert time.perf_counter() - started < 2.0
