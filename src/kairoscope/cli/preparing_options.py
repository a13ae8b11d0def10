"""Options of `kairoscope prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.limits import MOST_SEED

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A table (.csv, .tsv, .xlsx), a dataset on disk, or one on the hub "
        "(videophysics/videophy2_train).",
    ),
]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="The clips, matched by name (default: the links are downloaded)."
    ),
]
PromptsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="NAME_prompt.txt or NAME.txt a clip; clips of one prompt stay on one side.",
    ),
]
ScaleLabelsOption = Annotated[
    bool, typer.Option("--scale-labels", help="Labels from 0 to 1 become scores from 1 to 5.")
]
BalanceLabelsOption = Annotated[
    bool,
    typer.Option(
        "--balance-labels",
        help="Leave training clips out until every score is as frequent as the rarest.",
    ),
]
EvalSizeOption = Annotated[
    float, typer.Option(metavar="SHARE", help="Of the clips, for the test; 0: all to train on.")
]
SeedOption = Annotated[int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Of the split.")]
SheetOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which one of a workbook with several.")
]
SplitOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which one of a dataset with several.")
]
LinkColumnOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Default: output_link, video_url, videopath, video, url."),
]
ScoreColumnOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Default: Physical common sense, pc, score.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=64, metavar="N", help="Downloads at a time.")
]
