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
"""(what, done, of how many): one bar for each `what`; behind a comma, a detail that changes."""


@contextmanager
def bars() -> Iterator[Report]:
    """Bars on standard error, one for each kind of work that reports."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err) as progress:

        def report(what: str, done: int, total: int) -> None:
            work, _, detail = what.partition(", ")
            if work not in tasks:
                tasks[work] = progress.add_task(work, total=total)
            text = f"{work}, {detail}" if detail else work
            progress.update(tasks[work], completed=done, total=total, description=text)

        yield report
