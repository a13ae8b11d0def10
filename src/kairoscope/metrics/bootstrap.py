"""Intervals by resampling demonstrations (Efron and Tibshirani, 1993; clusters: Davison and
Hinkley, 1997, section 3.8). Clips of one group are drawn together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy takes a tenth of a second, which nothing that only imports this waits for
    from numpy import float64, intp
    from numpy.typing import NDArray

LEVEL = 0.95


class Resamples:
    """How often each group is drawn in each bootstrap draw; shared by all scores of a table.

    `groups` has one entry a clip. Draws depend on the sorted names of the groups and the seed
    only, so that the order of clips does not change an interval.
    """

    def __init__(self, groups: Sequence[str], draws: int, seed: int) -> None:
        import numpy as np

        names = sorted(set(groups))
        index = {name: i for i, name in enumerate(names)}
        self._group_of_clip: NDArray[intp] = np.array(
            [index[group] for group in groups], dtype=np.intp
        )
        self._num_groups = len(names)
        chance = np.full(max(len(names), 1), 1 / max(len(names), 1))
        rng = np.random.default_rng(seed)
        self._counts: NDArray[float64] = rng.multinomial(len(names), chance, size=draws).astype(
            np.float64
        )

    def mean_interval(self, values: Sequence[float | None]) -> list[float] | None:
        """95 % percentile interval of the mean of one value a clip; None values are left out.

        None for fewer than two groups with a value: one demonstration says nothing about others.
        """
        given = [v is not None for v in values]
        numbers = [0.0 if v is None else v for v in values]
        return self._interval(numbers, [float(g) for g in given], given)

    def ratio_interval(
        self, numerators: Sequence[float | None], denominators: Sequence[float | None]
    ) -> list[float] | None:
        """The same of sum(numerators) / sum(denominators) over clips that have both."""
        pairs = list(zip(numerators, denominators, strict=True))
        given = [n is not None and d is not None for n, d in pairs]
        top = [n if n is not None and d is not None else 0.0 for n, d in pairs]
        bottom = [d if n is not None and d is not None else 0.0 for n, d in pairs]
        return self._interval(top, bottom, given)

    @property
    def num_groups(self) -> int:
        """Groups that are drawn from."""
        return self._num_groups

    def weights(self, first: int, last: int) -> NDArray[float64]:
        """How often each clip comes in draws `first` to `last` - 1 (draws, clips)."""
        return self._counts[first:last][:, self._group_of_clip]

    @property
    def num_draws(self) -> int:
        """Bootstrap draws."""
        return len(self._counts)

    def _interval(
        self, top: Sequence[float], bottom: Sequence[float], given: Sequence[bool]
    ) -> list[float] | None:
        import numpy as np

        if np.unique(self._group_of_clip[np.array(given, dtype=bool)]).size < 2:
            return None
        sums = [
            self._counts @ np.bincount(self._group_of_clip, weights=x, minlength=self._num_groups)
            for x in (top, bottom)
        ]
        drawn = sums[1] > 0  # a draw may hold none of the groups that have a value
        return percentiles(sums[0][drawn] / sums[1][drawn])


def percentiles(draws_D: NDArray[float64]) -> list[float] | None:
    """95 % percentile interval of bootstrap draws; None where there are none."""
    import numpy as np

    if not draws_D.size:
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws_D, [tail, 100 - tail])
    return [float(low), float(high)]
