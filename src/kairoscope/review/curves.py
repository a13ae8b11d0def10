"""What model, signals and other demonstrations say about each boundary of a clip, and all of them
together, as curves over its frames: computed again from what the run has kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kairoscope.annotate.examples import Example, examples_in, prior_for
from kairoscope.annotate.sources import evidence_of
from kairoscope.data.corrections import labels_of
from kairoscope.data.labels import LabelRow
from kairoscope.events import Query
from kairoscope.fusion import Mix, Pool, Trust, ends_by_arm, marginals, on_frames
from kairoscope.json_lines import LineIndex
from kairoscope.pool_fitting import default_pool
from kairoscope.robot.columns import Floats
from kairoscope.runs import Run

FUSED = "fused"
Curves = dict[str, dict[str, Floats]]
"""Slot (`start 1`, `end 1`, …) -> source (`model`, `signals`, `prior`, `fused`) -> (T,)
probabilities of the clip's frames. `fused` is there where there are several sources."""


class CurveReader:
    """Reads the curves of the clips of a run."""

    def __init__(
        self,
        run: Run,
        query: Query,
        arms: Sequence[str],
        signals: LineIndex,
        corrections: Mapping[str, LabelRow],
    ) -> None:
        self.query = query
        self._boundaries = ends_by_arm(arms)
        self._signals = signals
        self._answers = LineIndex(run.file("answers"), "clip")
        self._corrections = corrections
        self._pool = _pool_of(run)
        self._examples: list[Example] = []
        for row in signals.rows():
            self._examples += examples_in([self._labelled(row)])
        for _ in self._answers.rows():
            pass

    def read(self, row: Mapping[str, Any], times_s: Floats) -> Curves:
        """The curves of a clip.

        Args:
            row: of `clips.jsonl`.
            times_s: (T,) of the clip's frames.
        """
        signals = self._signals.get(row["clip"])
        if signals is None or signals["problem"] is not None:
            return self._of_model_alone(row, times_s)
        answer = self._answers.get(row["clip"])
        if answer is not None and answer["digest"] != signals["digest"]:
            answer = None  # about another recording
        signals = self._labelled(signals)
        group = str(signals["source"] or signals["clip"])
        prior = prior_for(self.query, self._examples, row["clip"], group, times_s)
        said = evidence_of(self.query, signals, answer, prior, times_s)
        told: dict[str, dict[str, Floats]] = {}
        curves: Curves = {}
        for place, own in enumerate(said, 1):
            for one in own:
                if one.source != "label":  # what is known besides is what a person wants to see
                    told.setdefault(one.source, {})[f"end {place}"] = one.probabilities_T
                    curves.setdefault(f"end {place}", {})[one.source] = one.probabilities_T
        boundaries = self._boundaries
        if told and len(times_s) > len(self.query):
            for boundary, fused_T in zip(
                boundaries, marginals(times_s, boundaries, told, self._pool), strict=True
            ):
                curves.setdefault(boundary.slot, {})[FUSED] = fused_T
        return curves

    def _labelled(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row of `signals.jsonl` with the labels that a person has set since."""
        correction = self._corrections.get(row["clip"])
        if correction is None or row["problem"] is not None:
            return row
        return row | {"labels": labels_of(correction, self.query), "labelled_by": "human"}

    def _of_model_alone(self, row: Mapping[str, Any], times_s: Floats) -> Curves:
        curves: Curves = {}
        for posterior in row.get("posteriors", ()):
            grid = [float(choice) for choice in posterior["choices"]]
            if len(grid) > 1:
                density = on_frames(grid, posterior["probabilities"], times_s)
                curves[posterior["slot"]] = {"model": density}
        return curves


def _pool_of(run: Run) -> Pool:
    """How far the run believed each source, as far as it says so."""
    pool = default_pool()
    kept = run.read_json("trust.json") or {}
    mixes = dict(pool.mixes)
    for names, trust in kept.get("trust", {}).items():
        sources = frozenset(names.split(" + "))
        if sources in mixes:
            own = {s: Trust(weight=t["weight"], floor=t["floor"]) for s, t in trust.items()}
            mixes[sources] = Mix(trust=own)
    return Pool(mixes)


def thinned(curve_T: Floats) -> list[float]:
    """A curve for a page: as shares of its peak, to three digits."""
    top = float(np.max(curve_T))
    return [round(float(value), 3) for value in curve_T / top] if top > 0 else []


__all__ = ["FUSED", "CurveReader", "Curves", "thinned"]
