"""The figures of an evaluation of questions, kind by kind, in the words of every table. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kairoscope.metrics.questions import KIND
from kairoscope.report.figures import dig
from kairoscope.report.shares import percent, percent_ends

ALL = "all"


def is_question(metrics: Mapping[str, Any] | None) -> bool:
    """Whether these are the metrics of questions."""
    return metrics is not None and metrics.get("kind") == KIND


def choice_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Questions with choices: all, then one row a kind; beside what is right without looking."""
    rows = []
    for name, table, others in _tables(metrics, "choice"):
        rows.append(
            {
                "name": name,
                "num_questions": table["n_questions"],
                "right": percent(table["accuracy"]),
                "interval": percent_ends(table["accuracy_ci95"]),
                "chance": percent(table["chance"]),
                "letter": table["commonest_letter"]["answer"],
                "by_letter": percent(table["commonest_letter"]["accuracy"]),
                "constant": ", ".join(table["commonest_answer"]["answers"].values()),
                "by_constant": percent(table["commonest_answer"]["accuracy"]),
                "blind": percent(dig(others["blind"], "choice/accuracy")),
                "blind_interval": percent_ends(dig(others["blind"], "choice/accuracy_ci95")),
                "control": percent(dig(others["wrong"], "choice/accuracy")),
                "answered": percent(table["answered"]),
            }
        )
    return rows


def open_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Open questions: all, then one row a kind; beside the answer to another question."""
    rows = []
    for name, table, others in _tables(metrics, "open"):
        words, other = table["wording"] or {}, table["baseline"]
        rows.append(
            {
                "name": name,
                "num_questions": table["n_questions"],
                "exact": percent(table["exact"]),
                "exact_interval": percent_ends(table["exact_ci95"]),
                "f1": percent(table["f1"]),
                "f1_interval": percent_ends(table["f1_ci95"]),
                "rouge_l": percent(words.get("rouge_l")),
                "rouge_l_interval": percent_ends(words.get("rouge_l_ci95")),
                "bleu": words.get("bleu"),
                "bleu_interval": words.get("bleu_ci95"),
                "other_f1": percent(other["f1"]),
                "other_rouge_l": percent(other.get("rouge_l")),
                "other_bleu": other.get("bleu"),
                "blind_f1": percent(dig(others["blind"], "open/f1")),
                "answered": percent(table["answered"]),
            }
        )
    return rows


def _tables(
    metrics: Mapping[str, Any], part: str
) -> Iterator[tuple[str, Mapping[str, Any], dict[str, Mapping[str, Any]]]]:
    """(kind, its table, the tables of the same kind without the clip and about a wrong one)."""
    blind, wrong = metrics.get("blind") or {}, metrics["wrong_video"] or {}
    if metrics[part]:
        yield ALL, metrics[part], {"blind": blind, "wrong": wrong}
    if len(metrics["kinds"]) > 1:
        for name, table in metrics["kinds"].items():
            if table[part]:
                others = {"blind": blind, "wrong": wrong}
                kinds = {key: one.get("kinds", {}).get(name, {}) for key, one in others.items()}
                yield name, table[part], kinds


def letter_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How often each letter is right and is given."""
    return [
        {
            "letter": row["letter"],
            "num_questions": row["n_questions"],
            "right": percent(row["right"]),
            "given": percent(row["given"]),
            "given_interval": percent_ends(row["given_ci95"]),
            "accuracy": percent(row["accuracy"]),
            "accuracy_interval": percent_ends(row["accuracy_ci95"]),
        }
        for row in metrics["letters"]
    ]


def how_computed(metrics: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Libraries and settings of BLEU and ROUGE-L; None where they were not computed."""
    found: Mapping[str, str] | None = dig(metrics, "open/wording/computed_by")
    return found
