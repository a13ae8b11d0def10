"""The figures of a judge's run, field by field, in the words of every table. Pure."""

from collections.abc import Mapping
from typing import Any

from kairoscope.report.figures import shown
from kairoscope.report.findings import Finding
from kairoscope.report.page import interval

TRUST = {"trusted": "good", "not trusted": "bad", "not tested": "warn"}
"""Verdict on a judge -> the class of its mark."""
Found = Mapping[str, Any]


def judge_rows(found: Found) -> list[dict[str, Any]]:
    """One row a field, and where there are several, one over all of them first."""
    tables = list(found["fields"].items())
    if len(tables) > 1:
        tables.insert(0, ("all fields", found["all"]))
    return [_row(name, table) for name, table in tables]


def _row(name: str, table: Found) -> dict[str, Any]:
    controls = table["controls"]
    return {
        "name": name.replace("_", " "),
        "num_clips": table["n_clips"],
        "mean": table["mean"],
        "interval": table["mean_ci95"],
        "same": controls["same"],
        "other": controls["other clip"],
        "swapped": controls["swapped"],
        "alpha": table["alpha"],
        "failed": f"{table['n_failed']} of {table['n_asked']}",
        "share_failed": table["n_failed"] / table["n_asked"] if table["n_asked"] else 0.0,
        "missing": table["n_missing"],
        "verdict": table["verdict"],
        "colour": TRUST[table["verdict"]],
    }


def judge_findings(found: Found) -> list[Finding]:
    """The verdict on the judge for each field, the bad ones first."""
    severity = {"not trusted": "gap", "not tested": "warning", "trusted": "strength"}
    order = list(severity)
    titles = {
        "not trusted": "cannot be trusted",
        "not tested": "not tested enough",
        "trusted": "can be trusted",
    }
    fields = sorted(found["fields"].items(), key=lambda item: order.index(item[1]["verdict"]))
    return [
        Finding(
            severity=severity[table["verdict"]],  # type: ignore[arg-type]
            title=f"{name.replace('_', ' ')}: {titles[table['verdict']]}",
            detail=found["verdicts"][name],
            evidence={"field": name},
        )
        for name, table in fields
    ]


def human_rows(found: Found) -> list[dict[str, Any]]:
    """The judge beside people, field by field; empty where nobody scored."""
    human = found.get("human")
    if not human:
        return []
    tables = list(human["fields"].items())
    if len(tables) > 1:
        tables.insert(0, ("all fields", human["all"]))
    return [
        {
            "name": name.replace("_", " "),
            "num_answers": table["n_answers"],
            "num_scores": table["n_scores"],
            "people": table["alpha_people"],
            **{
                key: (table.get(key), table.get(f"{key}_ci95"))
                for key in ("spearman", "pearson", "within_one", "bias")
            },
        }
        for name, table in tables
    ]


def with_interval(mean: float | None, ends: list[float] | None) -> str:
    """`3.42 (3.10 to 3.71)`."""
    if mean is None:
        return "–"
    return shown(mean) + (f" ({interval(ends)})" if ends else "")
