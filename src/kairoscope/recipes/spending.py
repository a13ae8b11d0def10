"""What asking a server took: kept beside a run's answers, no part of what makes it the same run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kairoscope.json_lines import read_lines
from kairoscope.runs import Run

FILE = "usage"
"""`usage.jsonl`: a row for each session that asked a server."""
COUNTS = ("prompt_tokens", "completion_tokens", "requests", "retries")


@contextmanager
def usage_kept(run: Run, model: Any) -> Iterator[None]:
    """Add what an engine spends in this context to the run, however the context ends."""
    before = _spent(model)
    try:
        yield
    finally:
        after = _spent(model)
        row = {name: after[name] - before.get(name, 0) for name in COUNTS if name in after}
        if any(row.values()):
            cost = after["cost"]
            if cost is not None:
                cost -= before.get("cost") or 0.0
            prices = after["prices_per_million"]
            sent = after.get("sent") or None
            run.append(FILE, {**row, "sent": sent, "cost": cost, "prices_per_million": prices})


def _spent(model: Any) -> Mapping[str, Any]:
    """So far, of an engine that counts; nothing of others."""
    spent = getattr(model, "spent", None)
    found: Mapping[str, Any] = {} if spent is None else spent()
    return found


def total_usage(folder: Path) -> dict[str, Any] | None:
    """Sums over a run's sessions; None where no server was asked.

    The cost is that of the sessions that had prices; `unpriced` says how many had none.
    """
    rows = list(read_lines(folder / f"{FILE}.jsonl"))
    if not rows:
        return None
    costs = [row["cost"] for row in rows if row.get("cost") is not None]
    found: dict[str, Any] = {name: sum(row.get(name, 0) for row in rows) for name in COUNTS}
    return {**found, "cost": sum(costs) if costs else None, "unpriced": len(rows) - len(costs)}


def usage_text(total: Mapping[str, Any]) -> str:
    """One line of it."""
    words = (
        f"{total['requests']} requests ({total['retries']} of them again), "
        f"{total['prompt_tokens']} tokens asked, {total['completion_tokens']} answered"
    )
    if total["cost"] is None:
        return words
    partly = f" without {total['unpriced']} sessions without prices" if total["unpriced"] else ""
    return f"{words}, cost {total['cost']:.4f}{partly}"
