"""Progress bars for long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kairoscope.cli.app import err

Report = Callable[[str, int, int], None]
"""(what, done, of how many): one bar for each `what`; behind a comma, a detail that changes. Of 0:
it is not known how many."""
MAX_DETAIL = 28


@contextmanager
def bars() -> Iterator[Report]:
    """Bars on standard error, one for each kind of work that reports; nothing before the first."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    progress = Progress(*columns, console=err)

    def report(what: str, done: int, total: int) -> None:
        progress.start()
        work, _, detail = what.partition(", ")
        if work not in tasks:
            tasks[work] = progress.add_task(work, total=total or None)
        if len(detail) > MAX_DETAIL:
            detail = f"…{detail[1 - MAX_DETAIL :]}"
        text = f"{work}, {detail}" if detail else work
        progress.update(tasks[work], completed=done, total=total or None, description=text)

    try:
        yield report
    finally:
        if tasks:
            progress.stop()
