"""The figures of an evaluation of captions, field by field, in the words of every table. Pure."""

from collections.abc import Mapping
from typing import Any

from kairoscope.report.figures import Interval
from kairoscope.report.shares import percent, percent_ends

KIND = "caption"
"""What `metrics.json` of such an evaluation says it is, under `kind`."""
KINDS = {
    "choice": "one of several",
    "boolean": "true or false",
    "integer": "number",
    "set": "some of several",
    "text": "text",
}
MEASURES = {"set": "F1 of the set", "text": "overlap of words"}


def is_caption(metrics: Mapping[str, Any] | None) -> bool:
    """Whether these are the metrics of captions."""
    return metrics is not None and metrics.get("kind") == KIND


def text_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a field of text: BLEU and ROUGE-L beside what the label of another clip gets.

    Empty where they were not computed: the extra `text` is not installed, or the run is older.
    """
    rows = []
    for name in fields_in_order(metrics):
        table = metrics["fields"][name]
        words, other = table.get("wording"), table["baseline"]
        if words:
            rows.append(
                {
                    "name": name.replace("_", " "),
                    "num_clips": words["n_clips"],
                    "rouge_l": percent(words["rouge_l"]),
                    "rouge_l_interval": percent_ends(words["rouge_l_ci95"]),
                    "other_rouge_l": percent(other.get("rouge_l")),
                    "bleu": words["bleu"],
                    "bleu_interval": words["bleu_ci95"],
                    "other_bleu": other.get("bleu"),
                    "computed_by": words["computed_by"],
                }
            )
    return rows


def fields_in_order(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the fields that have figures, in the schema's order."""
    names = (str(field["name"]) for field in metrics["schema"]["fields"])
    return [name for name in names if name in metrics["fields"]]


def field_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a field: what is right, what is right without looking, and about the wrong clip."""
    wrong = (metrics["wrong_video"] or {}).get("fields", {})
    rows = []
    for name in fields_in_order(metrics):
        table = metrics["fields"][name]
        blind = table["baseline"]
        shown = blind["answer"]
        rows.append(
            {
                "name": name.replace("_", " "),
                "kind": KINDS[table["kind"]],
                "measure": MEASURES.get(table["kind"], "accuracy"),
                "is_text": table["kind"] == "text",
                "num_clips": table["n_clips"],
                "answered": percent(table["answered"]),
                "score": percent(table["score"]),
                "interval": percent_ends(table["score_ci95"]),
                "blind": percent(blind["score"]),
                "constant": ", ".join(shown) or "none" if isinstance(shown, list) else shown,
                "balanced": percent(table.get("balanced_accuracy")),
                "balanced_interval": percent_ends(table.get("balanced_accuracy_ci95")),
                "macro_f1": percent(table.get("macro_f1")),
                "kappa": table.get("kappa"),
                "kappa_interval": table.get("kappa_ci95"),
                "control": percent(wrong.get(name, {}).get("score")),
            }
        )
    return rows


def verdict(between: Interval | None) -> str:
    """What an interval of a difference shows."""
    if between is None or between[0] <= 0 <= between[1]:
        return "not shown"
    return "better" if between[0] > 0 else "worse"
