"""`kairoscope doctor`."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from kairoscope.cli.app import command, counted, err, say, show
from kairoscope.cli.options import DeviceOption
from kairoscope.cli.server_options import with_server_options
from kairoscope.models.names import split_spec
from kairoscope.models.server.options import ServerOptions

MARKS = {True: Text("ok", "green"), False: Text("wrong", "red"), None: Text("note", "dim")}


@command("Data, models, this machine")
@with_server_options
def doctor(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Ask this model, too, and check what it is really fed: as for evaluate, openai:NAME "
            "and vllm:PATH among them.",
        ),
    ] = "builtin",
    device: DeviceOption = None,
    *,
    server: ServerOptions,
) -> None:
    """Check this machine: versions, devices, decoders, and what a model is really fed.

    Exits with 1 where a check failed.
    """
    from dataclasses import replace

    from kairoscope.models.engines import EngineOptions, check_engine

    check_engine(model, server)

    from kairoscope.doctor import examine
    from kairoscope.doctor.finding import Finding

    def row(finding: Finding) -> tuple[Text, Text, Text]:
        found = Text(finding.found)
        if finding.good is False and finding.expected:
            found.append(f"; expected: {finding.expected}")
        if finding.good is False and finding.advice:
            found.append(f"\n{finding.advice}", "bold")
        return MARKS[finding.good].copy(), Text(finding.what), found

    # Asked all the same where it does something else: that is what is to be found out.
    asked = server
    if split_spec(model)[0]:
        asked = replace(server, allow_unconstrained=True, allow_other_frames=True)
    options = EngineOptions(device=device, server=asked)
    failed = 0
    table = Table("", "check", "found", title="kairoscope doctor", title_justify="left")
    with err.status("checking"):
        for finding in examine(model, options):
            table.add_row(*row(finding))
            failed += finding.good is False
    show(table)
    if failed:
        say(f"{counted(failed, 'check')} failed: see the rows marked wrong.", "red")
        raise typer.Exit(1)
    say("Everything that was checked is as it should be.")
