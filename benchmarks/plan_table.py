"""What `benchmarks.plan_gpu` measured, as a result like the others."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.results import Goal

LIMIT = 0.15
"""How far a plan may be from what is measured, as a share of it."""


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """The rows as they are in `out`, and as a table beside it."""
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    furthest = max((abs(ratio - 1) for ratio in ratios), default=None)
    goal = Goal(text="peak memory planned, furthest from measured", limit=LIMIT, value=furthest)
    goals = [asdict(goal) | {"met": goal.met}]
    whole = {"name": out.stem, "goals": goals, "settings": rows}
    out.write_text(json.dumps(whole, indent=1) + "\n")
    columns = ("setting", "GiB planned", "GiB measured", "ratio", "tokens/s", "MFU")
    lines = [
        "# Peak memory of a training step, planned and measured",
        "",
        "| " + " | ".join(columns) + " |",
    ]
    lines.append("|---|" + "---:|" * (len(columns) - 1))
    for row in rows:
        if "ratio" not in row:
            lines.append(f"| {row['name']} | failed: {row.get('failed')} |||||")
            continue
        mfu = row.get("mfu")
        share = "" if mfu is None else f"{100 * mfu:.0f} %"
        figures = f"{row['predicted_gib']:.2f} | {row['measured_gib']:.2f} | {row['ratio']:.3f}"
        lines.append(f"| {row['name']} | {figures} | {row['tokens_per_s']:.0f} | {share} |")
    machine = next(
        (f"{row['device']}; torch {row['torch']}" for row in rows if "device" in row), ""
    )
    lines += ["", f"{machine}. Made with `python -m benchmarks.plan_gpu`.", ""]
    out.with_suffix(".md").write_text("\n".join(lines))
