"""Answers to questions, all together: the object of `metrics.json`. Pure.

Questions with choices stand beside what is right without looking: chance, always the commonest letter, and
always the commonest answer of their kind. Open ones beside the answer to another question of their kind. A
missing answer is a wrong one. A question counts once, however often it was asked. Intervals resample groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kairoscope.core import Record, Unparsed
from kairoscope.fields.choices import LETTERS
from kairoscope.fields.schema import folded_text
from kairoscope.fields.scores import word_overlap
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.by_clip import records_by_clip
from kairoscope.metrics.wording import Pair, wording

KIND = "question"
"""What `metrics.json` of such an evaluation says it is, under `kind`."""
Table = dict[str, Any]


def answer_figures(answer: str | Unparsed, gold: str, *, has_choices: bool) -> dict[str, float]:
    """`right`: the choice, or of an open question the very words, case and punctuation aside. `f1`: of a
    choice the same, else the overlap of words (as in SQuAD: Rajpurkar and others, 2016).
    """
    if isinstance(answer, Unparsed):
        return {"right": 0.0, "f1": 0.0}
    if has_choices:
        return dict.fromkeys(("right", "f1"), float(answer == gold))
    words = word_overlap(answer, gold)
    return {"right": float(_words(answer) == _words(gold)), "f1": words}


def _words(text: str) -> list[str]:
    kept = (c if c.isalnum() else " " for c in folded_text(text))
    return "".join(kept).split()


@dataclass(frozen=True, slots=True)
class _Row:
    """One answer beside the truth; the rows of a question weigh 1 together."""

    question: str
    kind: str
    choices: tuple[str, ...]
    turn: int
    given: str | None
    gold: str
    right: float
    f1: float
    group: str
    weight: float


def summarize_questions(
    records: Iterable[Record],
    *,
    control: Iterable[Record] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Table:
    """See `core.Summarize`."""
    found = records_by_clip(records)
    rows = _rows(found)
    wrong = _rows(records_by_clip(control or []))
    table = {
        "kind": KIND,
        "n_clips": len(found),
        "n_trials": len(rows),
        "n_groups": len({row.group for row in rows}),
        "n_videos": len({record.video for records in found.values() for record in records}),
        "n_unreadable_clips": sum(all(r.failed for r in answers) for answers in found.values()),
        **_table(rows, draws, seed),
        "kinds": _by_kind(rows, draws, seed),
        "letters": _letters(rows, draws, seed),
        "rotation": _rotation(rows, draws, seed),
        "wrong_video": None,
    }
    if wrong:
        table["wrong_video"] = _table(wrong, draws, seed) | {"kinds": _by_kind(wrong, 0, seed)}
    return table | {"skill": _skill(table["right"], table["baseline"]["right"])}


def _rows(found: Mapping[str, Sequence[Record]]) -> list[_Row]:
    asked: dict[str, list[Record]] = defaultdict(list)
    for name, records in found.items():
        turn = records[0].query["turn"]
        asked[name.removesuffix(f"@{turn}") if turn else name].extend(records)
    return [
        _Row(
            question=name,
            kind=record.scenario,
            choices=tuple(record.query["choices"]),
            turn=record.query["turn"],
            given=record.value,
            gold=record.gold,
            right=record.scores["right"],
            f1=record.scores["f1"],
            group=record.group,
            weight=1 / len(records),
        )
        for name, records in asked.items()
        for record in records
    ]


def _by_kind(rows: Sequence[_Row], draws: int, seed: int) -> Table:
    kinds: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        kinds[row.kind].append(row)
    return {name: _table(kinds[name], draws, seed) for name in sorted(kinds)}


def _skill(right: float | None, blind: float | None) -> float | None:
    """Share of what constant answers get wrong that is right now."""
    if right is None or blind is None or blind >= 1:
        return None
    return 1 - (1 - right) / (1 - blind)


def _table(rows: Sequence[_Row], draws: int, seed: int) -> Table:
    """Everything about some questions."""
    chosen = [row for row in rows if row.choices]
    opened = [row for row in rows if not row.choices]
    return {
        "n_questions": len({row.question for row in rows}),
        "answered": _mean(rows, [float(row.given is not None) for row in rows]),
        **_figure("right", rows, [row.right for row in rows], draws, seed),
        "baseline": {"right": _constant(rows)},
        "choice": _choice(chosen, draws, seed) if chosen else None,
        "open": _open(opened, draws, seed) if opened else None,
    }


def _mean(rows: Sequence[_Row], values: Sequence[float]) -> float | None:
    total = sum(row.weight for row in rows)
    return (
        sum(v * row.weight for v, row in zip(values, rows, strict=True)) / total if rows else None
    )


def _figure(
    name: str, rows: Sequence[_Row], values: Sequence[float], draws: int, seed: int
) -> Table:
    """A weighted mean and its interval."""
    if not rows:
        return {name: None, f"{name}_ci95": None}
    resamples = Resamples([row.group for row in rows], draws, seed)
    weighted = [value * row.weight for value, row in zip(values, rows, strict=True)]
    ends = resamples.ratio_interval(weighted, [row.weight for row in rows])
    return {name: _mean(rows, values), f"{name}_ci95": ends}


def _constant(rows: Sequence[_Row]) -> float | None:
    """What always giving the commonest answer of each kind, in its very words, gets right."""
    return _mean(
        rows, [float(row.gold == best) for row, best in zip(rows, _commonest(rows), strict=True)]
    )


def _commonest(rows: Sequence[_Row]) -> list[str]:
    """For each row the commonest answer of its kind, apart for questions with and without choices."""
    counts: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.kind, bool(row.choices)][row.gold] += row.weight  # type: ignore[assignment]
    best = {key: max(sorted(found), key=found.__getitem__) for key, found in counts.items()}
    return [best[row.kind, bool(row.choices)] for row in rows]


# --- questions with choices ----------------------------------------------------------------


def _choice(rows: Sequence[_Row], draws: int, seed: int) -> Table:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[_letter(row, row.gold)] += row.weight  # type: ignore[assignment]
    commonest = max(sorted(counts), key=counts.__getitem__)
    return {
        "n_questions": len({row.question for row in rows}),
        **_figure("accuracy", rows, [row.right for row in rows], draws, seed),
        "answered": _mean(rows, [float(row.given is not None) for row in rows]),
        "chance": _mean(rows, [1 / len(row.choices) for row in rows]),
        "commonest_letter": {
            "answer": commonest,
            "accuracy": _mean(rows, [float(_letter(row, row.gold) == commonest) for row in rows]),
        },
        "commonest_answer": {"answers": _named(rows), "accuracy": _constant(rows)},
    }


def _named(rows: Sequence[_Row]) -> dict[str, str]:
    """Kind -> its commonest answer."""
    pairs = {row.kind: best for row, best in zip(rows, _commonest(rows), strict=True)}
    return dict(sorted(pairs.items()))


def _letter(row: _Row, choice: str | None) -> str:
    """Under which letter a choice was shown; empty for no answer."""
    return "" if choice is None else LETTERS[row.choices.index(choice)]


def _letters(rows: Sequence[_Row], draws: int, seed: int) -> list[Table]:
    """How often each letter is right and how often it is given, of the questions that have it."""
    chosen = [row for row in rows if row.choices]
    found = []
    for place, letter in enumerate(LETTERS[: max((len(row.choices) for row in chosen), default=0)]):
        some = [row for row in chosen if len(row.choices) > place]
        given = [float(_letter(row, row.given) == letter) for row in some]
        true = [row for row in some if _letter(row, row.gold) == letter]
        found.append(
            {
                "letter": letter,
                "n_questions": len({row.question for row in some}),
                "right": _mean(some, [float(_letter(row, row.gold) == letter) for row in some]),
                **_figure("given", some, given, draws, seed),
                **_figure("accuracy", true, [row.right for row in true], draws, seed),
            }
        )
    return found


def _rotation(rows: Sequence[_Row], draws: int, seed: int) -> Table | None:
    """Of questions that were asked with every choice under every letter: what the order does.

    `agreement`: the same choice in every turn. `all_right`: right in every turn (the "circular" accuracy
    of Liu and others, 2023, MMBench). Of several trials, the first of each turn.
    """
    asked: dict[str, dict[int, _Row]] = defaultdict(dict)
    for row in rows:
        asked[row.question].setdefault(row.turn, replace(row, weight=1.0))
    whole = {
        name: [turns[turn] for turn in sorted(turns)]
        for name, turns in asked.items()
        if 1 < len(turns) == len(turns[min(turns)].choices)
    }
    if not whole:
        return None
    first = [turns[0] for turns in whole.values()]
    same = [float(len({row.given for row in turns}) == 1) for turns in whole.values()]
    right = [float(all(row.right == 1 for row in turns)) for turns in whole.values()]
    return {
        "n_questions": len(whole),
        "turns": [_turn(whole, turn, draws, seed) for turn in range(max(map(len, whole.values())))],
        **_figure("agreement", first, same, draws, seed),
        **_figure("all_right", first, right, draws, seed),
    }


def _turn(whole: Mapping[str, Sequence[_Row]], turn: int, draws: int, seed: int) -> Table:
    rows = [turns[turn] for turns in whole.values() if len(turns) > turn]
    figure = _figure("accuracy", rows, [row.right for row in rows], draws, seed)
    return {"turn": turn, "n_questions": len(rows), **figure}


# --- open questions ------------------------------------------------------------------------


def _open(rows: Sequence[_Row], draws: int, seed: int) -> Table:
    pairs = [
        Pair(given=row.given or "", gold=row.gold, group=row.group, weight=row.weight)
        for row in rows
    ]
    return {
        "n_questions": len({row.question for row in rows}),
        **_figure("exact", rows, [row.right for row in rows], draws, seed),
        **_figure("f1", rows, [row.f1 for row in rows], draws, seed),
        "answered": _mean(rows, [float(row.given is not None) for row in rows]),
        "wording": wording(pairs, draws=draws, seed=seed),
        "baseline": _another(rows),
    }


def _another(rows: Sequence[_Row]) -> Table:
    """The answer to the next question of the same kind in the place of each that has such a one."""
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        kinds[row.kind].setdefault(row.question, row.gold)
    after: dict[str, str] = {}
    for found in kinds.values():
        golds = list(found.values())
        if len(golds) > 1:
            after |= zip(found, [*golds[1:], golds[0]], strict=True)
    some = [row for row in rows if row.question in after]
    pairs = [
        Pair(given=after[row.question], gold=row.gold, group=row.group, weight=row.weight)
        for row in some
    ]
    others = wording(pairs, draws=0) or {}
    return {
        "answer": "the answer to another question of its kind",
        "exact": _mean(some, [float(_words(p.given) == _words(p.gold)) for p in pairs]),
        "f1": _mean(some, [word_overlap(p.given, p.gold) for p in pairs]),
        **{name: others[name] for name in ("bleu", "rouge_l") if name in others},
    }
