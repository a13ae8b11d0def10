"""Answers in free words beside the truth: equal, or how many words they share. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from kairoscope.core import Record, Unparsed
from kairoscope.metrics.bootstrap import Resamples

FIGURES = ("exact", "words")
KIND = "text"
"""What `metrics.json` of such an evaluation says it is, under `kind`."""


def text_scores(answer: str | Unparsed, gold: str) -> dict[str, float]:
    """`exact`: 1 where the texts are the same but for blanks. `words`: F1 of their words, cases alike."""
    if isinstance(answer, Unparsed):
        return dict.fromkeys(FIGURES, 0.0)
    return {
        "exact": float(answer.split() == gold.split()),
        "words": _shared(answer.casefold().split(), gold.casefold().split()),
    }


def _shared(given: Sequence[str], true: Sequence[str]) -> float:
    """2 * common / (given + true), words counted as often as they come."""
    common = sum((Counter(given) & Counter(true)).values())
    return 2 * common / (len(given) + len(true)) if given or true else 1.0


def summarize_texts(
    records: Iterable[Record],
    *,
    control: Iterable[Record] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Means over clips with intervals over groups, and the same of answers about a wrong clip.

    A clip's trials share its weight. Order does not matter.
    """
    clips = _by_clip(records)
    resamples = Resamples([rows[0].group for rows in clips], draws, seed)
    table: dict[str, Any] = {
        "kind": KIND,
        "n_clips": len(clips),
        "n_trials": sum(map(len, clips)),
        "n_groups": resamples.num_groups if clips else 0,
        "answered": fmean([r.unparsed is None for rows in clips for r in rows]) if clips else None,
    }
    wrong = _by_clip(control or ())
    for name in FIGURES:
        values = [fmean(row.scores[name] for row in rows) for rows in clips]
        table[name] = fmean(values) if values else None
        table[f"{name}_ci"] = resamples.mean_interval(values) if values else None
        if wrong:
            by_clip = [fmean(row.scores[name] for row in rows) for rows in wrong]
            table[f"{name}_wrong_video"] = fmean(by_clip)
    return table


def _by_clip(records: Iterable[Record]) -> list[list[Record]]:
    """Records of each sample, in the order of their names."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.sample_id].append(record)
    return [sorted(found[name], key=lambda row: row.trial) for name in sorted(found)]
