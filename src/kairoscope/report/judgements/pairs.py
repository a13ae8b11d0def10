"""Two runs that one judge has judged: what its scores change by, clip by clip."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import UserError
from kairoscope.metrics.caption_pairs import paired_step
from kairoscope.report.judgements.page import JUDGEMENT
from kairoscope.runs import Run

LOWEST = 1
TIE = 0.499
"""Of 1 to 5: repeats of a judge differ by themselves, so a smaller change is no win."""
ASKED_ALIKE = ("repeats", "temperature", "decoding", "max_new_tokens")
SAME = ("model_identity", "rubric", "schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRun:
    """A finished run of a judge."""

    run: Run
    found: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    """Field -> clip -> mean over its answers and repeats."""
    groups: Mapping[str, str]

    @property
    def judge(self) -> tuple[Any, ...]:
        """What makes two scores comparable: the judge, what it was told, and how it was asked."""
        config = self.run.config
        how = tuple(config["judge"].get(key) for key in ASKED_ALIKE)
        return (*(config.get(key) for key in SAME), *how)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two runs beside each other, by one judge."""

    first: JudgeRun
    other: JudgeRun
    fields: Mapping[str, Mapping[str, Any]]
    """Field -> what `paired_step` says of its scores."""

    @property
    def name(self) -> str:
        """The judge, as the user called it."""
        return str(self.other.run.config["model"])

    def trusted(self, field: str) -> bool:
        """Whether its controls speak for the judge in both runs."""
        tables = (judged.found["fields"][field] for judged in (self.first, self.other))
        return all(table["verdict"] == "trusted" for table in tables)


def judges_of(folder: Path, named: Sequence[Path] = ()) -> list[JudgeRun]:
    """The finished judges' runs of an evaluation: those in its folder, and of `named` those about it.

    Raises UserError where something that is named is no finished judge's run.
    """
    inside = sorted(file.parent for file in folder.glob("*/judge.json"))
    found = [judge for judge in map(_maybe, inside) if judge is not None]
    for place in named:
        judge = _read(place)
        about = (judge.run.path / judge.run.config["run"]).resolve()
        if about == folder.resolve() and place.resolve() not in {
            own.run.path.resolve() for own in found
        }:
            found.append(judge)
    return found


def _maybe(folder: Path) -> JudgeRun | None:
    try:
        return _read(folder)
    except UserError:
        return None


def _read(folder: Path) -> JudgeRun:
    run = Run.read(folder)
    found = run.read_json("judge.json")
    if run.kind != JUDGEMENT or found is None:
        raise UserError(f"{folder}: holds no finished run of a judge")
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    groups: dict[str, str] = {}
    for row in run.rows("judgements", ("id", "repeat")):
        if row["control"] == "answer":
            score = LOWEST if row["score"] is None else row["score"]
            scores[row["field"]][row["sample_id"]].append(float(score))
            groups[row["sample_id"]] = row["group"]
    means = {f: {clip: fmean(given) for clip, given in own.items()} for f, own in scores.items()}
    return JudgeRun(run=run, found=found, scores=means, groups=groups)


def judged_pairs(
    first: Path, other: Path, named: Sequence[Path] = ()
) -> tuple[list[JudgedPair], list[str]]:
    """Every judge that judged both, and in words what cannot be compared."""
    before, after = (judges_of(folder, named) for folder in (first, other))
    pairs = [
        JudgedPair(first=one, other=two, fields=dict(_steps(one, two)))
        for one in before
        for two in after
        if one.judge == two.judge
    ]
    pairs = [pair for pair in pairs if pair.fields]
    if pairs or not (before or after):
        return pairs, []
    told = "; ".join(
        f"{folder}: {_names(judges)}" for folder, judges in ((first, before), (other, after))
    )
    return [], [
        f"No judge has judged both runs in the same way, so its scores are not compared ({told})."
    ]


def _names(judges: Iterable[JudgeRun]) -> str:
    return ", ".join(str(judge.run.config["model"]) for judge in judges) or "not judged"


def _steps(first: JudgeRun, other: JudgeRun) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in first.scores:
        if field in other.scores:
            step = paired_step(first.scores[field], other.scores[field], other.groups, tie=TIE)
            if step is not None:
                yield field, step
