"""What one evaluation changes against another in one sentence: the headline of its task."""

from typing import Any

from kairoscope.core import Task
from kairoscope.report.figures import counted, shown
from kairoscope.report.page import interval
from kairoscope.report.sweeps.headline import drawn, headline_of, step_between
from kairoscope.runs import Run, read_records

DRAWS = 1000


def headline_words(task: Task[Any, Any], first: Run, other: Run) -> str | None:
    """The headline before and after over the clips that both have, and the paired difference with its
    95 % interval; None where they share no clip."""
    runs = [[row for row in read_records(run) if row.gold is not None] for run in (first, other)]
    shared = set.intersection(*({row.sample_id for row in rows} for rows in runs))
    before, after = (
        drawn(task, [row for row in rows if row.sample_id in shared], DRAWS) for rows in runs
    )
    if before is None or after is None:
        return None
    headline = headline_of(task)
    step = step_between(before, after, headline.better)
    unit = headline.suffix
    ends = f" (95 %: {interval(step['interval'], unit)})" if step["interval"] else ""
    sign = "+" if step["difference"] > 0 else ""
    verdict = {"not shown": "no difference shown"}.get(step["verdict"], step["verdict"])
    return (
        f"{headline.label}: {shown(before.value, unit)} before, {shown(after.value, unit)} after, "
        f"{sign}{shown(step['difference'], unit, bare=True)}{ends}: {verdict}, over "
        f"{counted(step['n_clips'], 'clip')} that both have"
    )
