"""`kairoscope doctor`."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from kairoscope.cli.app import command, counted, err, say, show
from kairoscope.cli.options import DeviceOption

MARKS = {True: Text("ok", "green"), False: Text("wrong", "red"), None: Text("note", "dim")}


@command("Data, models, this machine")
def doctor(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="Load this model, too, and check what it is really fed."
        ),
    ] = "builtin",
    device: DeviceOption = None,
) -> None:
    """Check this machine: versions, devices, decoders, and what a model is really fed.

    Exits with 1 where a check failed.
    """
    from kairoscope.doctor import examine

    failed = 0
    table = Table("", "check", "found", title="kairoscope doctor", title_justify="left")
    with err.status("checking"):
        for finding in examine(model, device):
            mark = MARKS[finding.good]
            table.add_row(mark.copy(), Text(finding.what), Text(finding.found))
            failed += finding.good is False
    show(table)
    if failed:
        say(f"{counted(failed, 'check')} failed: see the rows marked wrong.", "red")
        raise typer.Exit(1)
    say("Everything that was checked is as it should be.")
