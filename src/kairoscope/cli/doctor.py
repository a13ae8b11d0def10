"""`kairoscope doctor`."""

from typing import Annotated

import typer
from rich.table import Table

from kairoscope.cli.app import app, out
from kairoscope.cli.options import DeviceOption


@app.command()
def doctor(
    model: Annotated[
        str | None, typer.Option(help="Also load this model and check what it is really fed.")
    ] = "builtin",
    device: DeviceOption = None,
) -> None:
    """Check this machine: versions, devices, decoders, and what a model is really fed."""
    from kairoscope.doctor import examine

    failed = 0
    table = Table("", "check", "found", title="kairoscope doctor", title_justify="left")
    for finding in examine(model, device):
        mark = {True: "[green]ok[/]", False: "[red]wrong[/]", None: "[dim]note[/]"}[finding.good]
        table.add_row(mark, finding.what, finding.found)
        failed += finding.good is False
    out.print(table)
    if failed:
        out.print(f"[red]{failed} checks failed[/]; see the rows marked wrong")
        raise typer.Exit(1)
    out.print("Everything that was checked is as it should be.")
