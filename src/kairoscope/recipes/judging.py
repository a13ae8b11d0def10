"""A judge's run over the answers of an evaluation: asked, resumed, summed up, and written as a page."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

from kairoscope.core import Decoding, Sampling, UserError
from kairoscope.data.rows import Problem
from kairoscope.fields.normalise import normalised_label
from kairoscope.fields.schema import Schema, schema_from_json
from kairoscope.judge.asking import FILE, KEY, ask_judge
from kairoscope.judge.human import calibrate, read_human
from kairoscope.judge.questions import JUDGEMENT, SYSTEM, JudgeQuestion, judge_questions
from kairoscope.judge.summary import judgement_of, summarize_judgements, verdict_words
from kairoscope.models.engines import Engine
from kairoscope.recipes.keeping import keep_count
from kairoscope.recipes.spending import total_usage, usage_kept
from kairoscope.report.answered_run import AnsweredRun
from kairoscope.report.captions.page import read_captioned
from kairoscope.report.figures import counted
from kairoscope.runs import Run
from kairoscope.storage import canonical_json, plain

KIND = "judgement"
"""What the `config.json` of a judge's run says it is."""
RESULT = "judge.json"
TEXTS, ALL = "texts", "all"
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """How a judge is asked."""

    repeats: int = 3
    """Of every question."""
    temperature: float = 0.7
    controls: int = 20
    """Clips that each control asks about, for each field."""
    seed: int = 0
    decoding: Decoding = "constrained"
    max_new_tokens: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The answers that are to be judged, and what is asked about them."""

    answers: AnsweredRun
    schema: Schema
    fields: tuple[str, ...]
    rows: Rows
    """Normalised: `sample_id`, `group`, `trial`, `gold` and `value`."""

    def questions(self, config: JudgeConfig) -> list[JudgeQuestion]:
        """Every question, in order."""
        return list(
            judge_questions(
                self.schema, self.rows, self.fields, controls=config.controls, seed=config.seed
            )
        )


def check_config(config: JudgeConfig) -> None:
    """Raise UserError for repeats that could only be alike, and other settings that make no sense."""
    rules = (
        ("--repeats", config.repeats, 1 <= config.repeats <= 100, "1 to 100"),
        ("--temperature", config.temperature, 0 <= config.temperature <= 2, "0 to 2"),
        ("--controls", config.controls, config.controls >= 0, "0 or more"),
        ("--max-tokens", config.max_new_tokens, config.max_new_tokens >= 16, "16 or more"),
    )
    for name, value, good, allowed in rules:
        if not good:
            raise UserError(f"{name} {value}: allowed: {allowed}")
    if config.temperature == 0 and config.repeats > 1:
        raise UserError(
            f"--repeats {config.repeats} --temperature 0: repeats would all be alike and their agreement "
            "would say nothing; use --repeats 1, or a temperature above 0"
        )
    if config.decoding not in ("constrained", "free"):
        raise UserError(f"--decoding {config.decoding}: allowed: constrained, free")


def read_judged(folder: Path, fields: Sequence[str]) -> Judged:
    """The captions of a finished evaluation, and the fields that the user names.

    `fields`: names, `texts` for all that are texts, `all` for every one.

    Raises UserError where the folder holds no such evaluation, and for a field that it has not.
    """
    answers = read_captioned(folder)
    schema = schema_from_json(answers.metrics["schema"])
    rows = [
        {
            "sample_id": record.sample_id,
            "group": record.group,
            "trial": record.trial,
            "gold": normalised_label(schema, record.gold)[0],
            "value": normalised_label(schema, record.value or {})[0],
        }
        for record in answers.records
    ]
    chosen = _chosen(schema, rows, fields, folder)
    return Judged(answers=answers, schema=schema, fields=chosen, rows=rows)


def _chosen(schema: Schema, rows: Rows, fields: Sequence[str], folder: Path) -> tuple[str, ...]:
    labelled = [f for f in schema.fields if any(f.name in row["gold"] for row in rows)]
    allowed = ", ".join(field.name for field in labelled)
    names = [name.strip() for words in fields for name in words.split(",") if name.strip()]
    if not names:
        raise UserError(
            f"--fields: name what may be shown to the judge: {TEXTS}, {ALL}, or some of {allowed}"
        )
    found = set()
    for name in names:
        own = [
            f.name
            for f in labelled
            if name in (ALL, f.name) or (name == TEXTS and f.kind == "text")
        ]
        if not own:
            raise UserError(
                f"--fields {name}: {folder} has none; allowed: {TEXTS}, {ALL}, {allowed}"
            )
        found.update(own)
    return tuple(field.name for field in labelled if field.name in found)


def run_config(
    judged: Judged,
    questions: Sequence[JudgeQuestion],
    model: Engine,
    out: Path,
    config: JudgeConfig,
) -> dict[str, Any]:
    """What makes a judge's run the same one. Questions, not the folder they come from, tell runs apart."""
    digest = hashlib.sha256(canonical_json([plain(q) for q in questions]).encode("utf-8"))
    rubric = hashlib.sha256(canonical_json([SYSTEM, plain(JUDGEMENT)]).encode("utf-8"))
    return {
        "run": relpath(judged.answers.run.path.resolve(), out.resolve()),
        "judged_model": judged.answers.run.config["model"],
        "schema": judged.schema.name,
        "fields": list(judged.fields),
        "model": model.name,
        "model_identity": model.identity,
        "rubric": rubric.hexdigest()[:16],
        "judge": plain(config),
        "questions": {"count": len(questions), "sha256": digest.hexdigest()},
    }


def judge_stage(
    judged: Judged,
    model: Engine,
    config: JudgeConfig,
    *,
    out: Path,
    human: Path | None,
    on_progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Have a judge compare answers with labels, in the run folder `out`; returns what `judge.json` holds.

    `human`: scores of people, which decide nothing that is asked, so that they may come later.
    """
    questions = judged.questions(config)
    people = read_human(human) if human is not None else None
    sampling = Sampling(
        trials=config.repeats,
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
    )
    settings = run_config(judged, questions, model, out, config)
    with Run.open(out, kind=KIND, config=settings) as run:
        with usage_kept(run, model):
            ask_judge(
                model,
                questions,
                sampling,
                config.decoding,
                run,
                lambda done, total: on_progress("judging", done, total),
            )
        keep_count(run, FILE)
        found = _summed(run, judged, people)
        run.write_json(RESULT, found)
    return found


def _summed(run: Run, judged: Judged, people: tuple[Any, list[Problem]] | None) -> dict[str, Any]:
    judgements = [judgement_of(row) for row in run.rows(FILE, KEY)]
    table = summarize_judgements(judgements, fields=judged.fields)
    words = {name: verdict_words(name, own) for name, own in table["fields"].items()}
    found = {"kind": KIND, **table, "verdicts": words, "usage": total_usage(run.path)}
    if people is not None:
        scores, problems = people
        beside, unmatched = calibrate(judgements, scores)
        if not beside["all"]["n_answers"]:
            first = [*problems, *unmatched]
            raise UserError(
                f"--human: not one score fits an answer; {first[0] if first else 'no rows'}"
            )
        found["human"] = beside
        found["human_problems"] = [plain(problem) for problem in (*problems, *unmatched)]
    return found


# --- what leaves the machine -----------------------------------------------------------------


def disclosure(
    judged: Judged, questions: Sequence[JudgeQuestion], config: JudgeConfig, host: str | None
) -> str:
    """What a judge is shown, and where it is: to be said before anything is sent."""
    asked = [question for question in questions if not question.missing]
    texts = {text for question in asked for text in (question.first, question.second)}
    where = f"sent to {host}" if host else "shown to a model in this process; nothing leaves it"
    letters = sum(len(q.question) + len(q.first) + len(q.second) for q in asked)
    return (
        f"{counted(len(asked), 'question')}, {counted(config.repeats, 'answer')} each, {where}: of "
        f"{counted(len(judged.fields), 'field')} "
        f"({', '.join(judged.fields)}) the question, the label and the answer, {len(texts):,} different "
        f"texts, {letters:,} characters in all. No clip, and no name of a clip or a file."
    )
