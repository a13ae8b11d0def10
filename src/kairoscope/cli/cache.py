"""`kairoscope cache`, and the store of answers that other commands use."""

import inspect
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.core import UserError

if TYPE_CHECKING:
    from kairoscope.store import AnswerStore

DAY_S = 86_400
UNITS = {"m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S, "y": 365 * DAY_S}
OPTIONS: dict[str, Any] = {
    "store": Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FILE",
            help="Where answers are kept, so that no question is asked twice "
            "(default: $KAIROSCOPE_STORE, else answers.sqlite in the user's cache folder).",
        ),
    ],
    "no_store": Annotated[
        bool, typer.Option("--no-store", help="Ask everything anew, and keep nothing.")
    ],
}


def with_store_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--store` and `--no-store`; it gets an open store, or None, as `store`."""
    own = inspect.signature(verb, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.name != "store"]
    for name, kind in OPTIONS.items():
        default = False if name == "no_store" else None
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
        )

    @wraps(verb)
    def command(**given: Any) -> None:
        with opened(given.pop("store"), no_store=given.pop("no_store")) as store:
            verb(**given, store=store)

    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


@contextmanager
def opened(path: Path | None, *, no_store: bool) -> "Iterator[AnswerStore | None]":
    """The store, closed in the end, when it is said what came from it.

    The user's own store is a help that nobody asked for: where it cannot be opened, a note is all.
    """
    if path is not None and no_store:
        raise UserError("--store and --no-store contradict each other")
    from kairoscope.store.places import default_path

    place = None if no_store else path or default_path()
    if place is None:
        yield None
        return
    from kairoscope.store import AnswerStore

    try:
        store = AnswerStore.open(place)
    except UserError as error:
        if path is not None:
            raise
        note("store: ", f"not used; {error}")
        yield None
        return
    try:
        yield store
    finally:
        store.close()
        _say_what_came(store)


def _say_what_came(store: "AnswerStore") -> None:
    for remark in store.notes:
        note("store: ", remark)
    stored, asked, unkept = (
        sum(getattr(count, name) for count in store.counts)
        for name in ("stored", "asked", "unkept")
    )
    if stored:
        note("store: ", f"{stored} of {counted(stored + asked, 'answer')} came from {store.path}")
    elif asked > unkept:
        note("store: ", f"{counted(asked - unkept, 'answer')} kept in {store.path}")
    if store.num_damaged:
        note("store: ", f"{counted(store.num_damaged, 'damaged answer')} thrown away")
    if store.trouble:
        note("store: ", f"out of use: {store.trouble}; the run itself is complete")


@command("Data, models, this machine")
def cache(
    file: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FILE",
            help="Which store (default: $KAIROSCOPE_STORE, else the user's own).",
        ),
    ] = None,
    clear: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--clear", help="Forget the answers that --model and --older-than name; alone, all."
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --clear: of this model, by name or identity."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="With --clear: older than 30d (or m, h, w, y)."),
    ] = None,
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Show the store of answers, or clear it.

    Evaluation and annotation keep every answer of a model there, and look there first.
    """
    from kairoscope.store.places import OFF, VARIABLE, default_path

    age_s = None if older_than is None else _seconds(older_than)
    if not clear and (model is not None or age_s is not None):
        raise UserError("--model and --older-than go with --clear")
    path = file or default_path()
    if path is None:
        raise UserError(f"there is no store: {VARIABLE} is {OFF!r}; name one with --store")
    if not path.exists():
        _nothing(path, as_json=as_json)
        return
    from kairoscope.store import AnswerStore

    with AnswerStore.open(path) as store:
        for remark in store.notes:
            note("store: ", remark)
        gone = store.clear(model=model, older_than_s=age_s) if clear else None
        rows, size = store.summary(), store.num_bytes()
        if store.trouble:
            raise UserError(f"{store.path}: {store.trouble}")
    if as_json:
        what = {"path": str(store.path), "bytes": size, "rows": rows}
        typer.echo(json.dumps(what if gone is None else {**what, "cleared": gone}, indent=1))
        return
    if gone is not None:
        say(f"{counted(gone, 'answer')} cleared")
    _show(store, rows, size)


def _nothing(path: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"path": str(path), "bytes": 0, "rows": []}, indent=1))
    else:
        say(f"{path}: no answers yet")


def _show(store: "AnswerStore", rows: list[dict[str, Any]], size: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if rows:
        table = Table("Model", "Task", box=SIMPLE_HEAD)
        for name in ("Questions", "Answers", "Size", "Oldest", "Newest"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            paid = " (paid)" if row["is_paid"] else ""
            table.add_row(
                _plain(f"{row['model']}{paid}\n{row['identity'][:19]}"),
                _plain(row["task"]),
                str(row["questions"]),
                str(row["answers"]),
                _bytes(row["bytes"]),
                _age(row["oldest_s"]),
                _age(row["newest_s"]),
            )
        show(table)
    answers = sum(row["answers"] for row in rows)
    say(f"{store.path}: {counted(answers, 'answer')}, {_bytes(size)}")


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _bytes(size: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:.1f} GiB"


def _age(since_s: float) -> str:
    """How long ago, in the largest unit that makes at least one."""
    age_s = max(0.0, time.time() - since_s)
    for unit, unit_s in reversed(UNITS.items()):
        if unit != "w" and age_s >= unit_s:
            return f"{age_s / unit_s:.0f} {unit} ago"
    return "now"


def _seconds(age: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([mhdwy])", age.strip())
    if found is None:
        raise UserError(f"--older-than {age}: allowed: a number and m, h, d, w or y, such as 30d")
    return float(found[1]) * UNITS[found[2]]
