"""`kairoscope review`."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, note, say


@command("From videos to boundaries")
def review(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="A folder that `kairoscope annotate` wrote.")
    ],
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Of this machine (default: any that is free)."
        ),
    ] = 0,
    browser: Annotated[  # noqa: FBT002
        bool, typer.Option("--open/--no-open", help="Open the page in this machine's browser.")
    ] = False,
) -> None:
    """Correct the doubtful boundaries of annotated clips on a page in the browser.

    Serves it on this machine until Ctrl-C. Clips to review first come first; what is accepted is kept at
    once, in OUT/corrections.jsonl. Run the `annotate` that wrote OUT again: corrections are labels by
    hand to it, and examples for the other episodes.
    """
    from kairoscope.review.folder import ReviewFolder
    from kairoscope.review.server import ReviewServer
    from kairoscope.runs import Run
    from kairoscope.storage import take_lock

    Run.read(folder)
    lock = take_lock(folder)  # nothing else writes into the folder meanwhile
    clips = ReviewFolder(folder)
    with ReviewServer(clips, port) as server:
        say(f"{counted(len(clips.clips), 'clip')}, {len(clips.corrections)} reviewed")
        say(f"  {server.address}")
        note("open this address in a browser on this machine; stop with Ctrl-C")
        sys.stdout.flush()
        if browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        finally:
            os.close(lock)
