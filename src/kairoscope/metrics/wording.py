"""BLEU and ROUGE-L of texts, by the libraries whose figures others report (the extra `text`). Pure.

Both compare wording, not meaning, and are no judge's score. BLEU is that of sacrebleu over the whole set of
texts (Post, 2018), 0 to 100; ROUGE-L the mean F-measure of rouge-score over clips (Lin, 2004), 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kairoscope.metrics.bootstrap import Resamples, percentiles

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Table = dict[str, Any]
LIBRARIES = ("sacrebleu", "rouge_score")
HOW_TO = "pip install 'kairoscope[text]'"
ORDERS = 4
DRAWS_AT_ONCE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A text beside the right one."""

    given: str
    """Empty where there is no answer: it shares nothing."""
    gold: str
    group: str
    weight: float = 1.0
    """A clip's trials share its weight."""


def is_installed() -> bool:
    """Whether the libraries are there."""
    return all(find_spec(name) is not None for name in LIBRARIES)


def wording(pairs: Sequence[Pair], *, draws: int = 2000, seed: int = 0) -> Table | None:
    """`bleu` and `rouge_l` with 95 % intervals that resample groups, and how they were computed.

    None without texts, or where the libraries are not installed.
    """
    if not pairs or not is_installed():
        return None
    import numpy as np

    counts_NS = np.array([_counts(pair) for pair in pairs], dtype=np.float64)
    rouge_N = np.array([_rouge_l(pair) for pair in pairs])
    own_N = np.array([pair.weight for pair in pairs])
    resamples = Resamples([pair.group for pair in pairs], draws, seed)
    bleu_draws, rouge_draws = [], []
    for first in range(0, draws if resamples.num_groups > 1 else 0, DRAWS_AT_ONCE):
        weights_DN = resamples.weights(first, first + DRAWS_AT_ONCE) * own_N
        bleu_draws += [_bleu(sums_S) for sums_S in weights_DN @ counts_NS]
        rouge_draws.append(weights_DN @ rouge_N / weights_DN.sum(axis=1))
    return {
        "n_clips": round(float(own_N.sum())),
        "bleu": _bleu(own_N @ counts_NS),
        "bleu_ci95": percentiles(np.array(bleu_draws)),
        "rouge_l": float(own_N @ rouge_N / own_N.sum()),
        "rouge_l_ci95": percentiles(np.concatenate(rouge_draws) if rouge_draws else np.array([])),
        "computed_by": {
            "bleu": str(_sacrebleu().get_signature()),
            "rouge_l": f"rouge-score {version('rouge-score')}, F-measure, no stemming",
        },
    }


def _sacrebleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    scorer = BLEU()
    scorer.corpus_score(["a"], [["a"]])  # the signature counts references
    return scorer


def _counts(pair: Pair) -> list[float]:
    """n-grams of one text that are right and that there are, 1 to 4, and the two lengths."""
    from sacrebleu.metrics.bleu import BLEU

    found = BLEU(effective_order=True).sentence_score(pair.given, [pair.gold])
    return [*found.counts, *found.totals, found.sys_len, found.ref_len]


def _bleu(sums_S: NDArray[float64]) -> float:
    """BLEU of summed counts, smoothed as sacrebleu does where nobody asks otherwise."""
    from sacrebleu.metrics.bleu import BLEU

    found = BLEU.compute_bleu(
        correct=list(sums_S[:ORDERS]),
        total=list(sums_S[ORDERS : 2 * ORDERS]),
        # Whole numbers, as the library prints them; what is resampled of n trials are n-ths.
        sys_len=round(sums_S[-2]),
        ref_len=round(sums_S[-1]),
        smooth_method="exp",
    )
    return float(found.score)


def _rouge_l(pair: Pair) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(pair.gold, pair.given)["rougeL"].fmeasure)
