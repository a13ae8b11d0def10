"""Likeness of answers and labels without a judge: a run of its own, apart from every judge's."""

from collections.abc import Mapping
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.judge.similarity import (
    LEXICAL,
    MEASURES,
    Likeness,
    Measure,
    lexical,
    similarity_rows,
    summarize_similarity,
)
from kairoscope.recipes.judging import JudgeConfig, Judged
from kairoscope.runs import Run

KIND = "similarity"
FILE, RESULT = "similarity", "similarity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How likeness is told."""

    measure: Measure
    how: str
    model: str | None
    identity: str | None
    likeness: Likeness


def means_of(measure: str, model: str | None, device: str | None) -> Means:
    """What `--offline` and `--model` say. Raises UserError for what is no measure, or no local model."""
    if measure not in MEASURES:
        raise UserError(f"--offline {measure}: allowed: {', '.join(MEASURES)}")
    if measure == "lexical":
        if model is not None:
            raise UserError(f"--model {model}: --offline lexical asks no model")
        return Means(measure="lexical", how=LEXICAL, model=None, identity=None, likeness=lexical)
    from kairoscope.models.embedding import TextEmbedder

    embedder = TextEmbedder(model or "builtin", device)
    return Means(
        measure="embedding",
        how=embedder.how,
        model=embedder.name,
        identity=embedder.identity,
        likeness=embedder.likeness,
    )


def similarity_stage(judged: Judged, means: Means, *, out: Path) -> Mapping[str, Any]:
    """Compare every answer with its label, in the run folder `out`; returns what `similarity.json` holds."""
    config = {
        "run": relpath(judged.answers.run.path.resolve(), out.resolve()),
        "judged_model": judged.answers.run.config["model"],
        "schema": judged.schema.name,
        "fields": list(judged.fields),
        "measure": means.measure,
        "how": means.how,
        "model": means.model,
        "model_identity": means.identity,
    }
    with Run.open(out, kind=KIND, config=config) as run:
        rows = similarity_rows(judged.questions(JudgeConfig(controls=0)), means.likeness)
        # Made anew as a whole: that takes seconds, and the answers may have become more.
        run.forget(FILE, lambda _: True)
        run.append_all(FILE, rows)
        found = {
            "kind": KIND,
            "measure": means.measure,
            "how": means.how,
            **summarize_similarity(rows, judged.fields),
        }
        run.write_json(RESULT, found)
    return found
