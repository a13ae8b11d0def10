"""`kairoscope prepare`: labels of people and clips become training and test sets."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.limits import MOST_SEED

MAX_LISTED = 20


@command("Data, models, this machine")
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A table (.csv, .tsv, .xlsx), a dataset on disk, or one on the hub "
            "(videophysics/videophy2_train).",
        ),
    ],
    folder: OutOption,
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The clips, matched by name (default: the links are downloaded)."
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="NAME_prompt.txt or NAME.txt a clip; clips of one prompt stay on one side.",
        ),
    ] = None,
    scale_labels: Annotated[  # noqa: FBT002
        bool, typer.Option("--scale-labels", help="Labels from 0 to 1 become scores from 1 to 5.")
    ] = False,
    balance_labels: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--balance-labels",
            help="Leave training clips out until every score is as frequent as the rarest.",
        ),
    ] = False,
    eval_size: Annotated[
        float, typer.Option(metavar="SHARE", help="Of the clips, for the test; 0: all to train on.")
    ] = 0.1,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Of the split.")
    ] = 42,
    sheet: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one of a workbook with several.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one of a dataset with several.")
    ] = None,
    link_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Default: output_link, video_url, videopath, video, url."
        ),
    ] = None,
    score_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Default: Physical common sense, pc, score.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Downloads at a time.")
    ] = 8,
) -> None:
    """Make training and test clips of labels that people gave to videos, for physics-score.

    Writes train and test (labels.jsonl, and a dataset of conversations), clips where they were
    downloaded, and prepared.json with everything that could not be used. Downloads go on where a kill
    stopped them.
    """
    from kairoscope.data.score_sets import Columns
    from kairoscope.recipes.score_sets import Asked
    from kairoscope.recipes.score_sets import prepare as prepare_set

    asked = Asked(
        source=source,
        out=folder,
        videos=videos,
        prompts=prompts,
        columns=Columns(link=link_column, score=score_column),
        sheet=sheet,
        split=split,
        scale_labels=scale_labels,
        balance_labels=balance_labels,
        eval_size=eval_size,
        seed=seed,
        workers=workers,
    )
    with bars() as progress:
        done = prepare_set(asked, progress)
    for problem in done.problems[:MAX_LISTED]:
        note("not used: ", str(problem))
    if len(done.problems) > MAX_LISTED:
        note(f"and {len(done.problems) - MAX_LISTED} more: ", f"{folder / 'prepared.json'}")
    for name, counts in done.labels.items():
        scores = ", ".join(f"{score}: {n}" for score, n in counts.items())
        say(f"{folder / name}: {counted(sum(counts.values()), 'clip')} ({scores})")
    say(f"{counted(len(done.problems), 'problem')}: {folder / 'prepared.json'}")
