"""Options of `kairoscope judge`."""

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A finished evaluation of av-captions.")
]
FieldsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fields",
        metavar="NAME,…",
        help="What the judge may be shown: texts, all, or names of fields. Nothing else leaves the "
        "machine.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="The judge: openai:NAME (with --base-url), or a model in this process, as elsewhere. It "
        "reads texts alone.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where it goes (default: judge in the run)."),
]
RepeatsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Answers to each question (default: 3).")
]
TemperatureOption = Annotated[
    float | None, typer.Option(metavar="T", help="Of the repeats (default: 0.7).")
]
ControlsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Clips for each control (label against itself, against another clip's, texts swapped) and "
        "field; they say whether the judge can be trusted (default: 20).",
    ),
]
HumanOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Scores of people, a table or JSON lines with sample_id, field, score (and trial, rater): "
        "how far the judge agrees. May be added later; nothing is asked again.",
    ),
]
DecodingOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="constrained: a reason, then a digit, and nothing else; free: for servers that keep to no "
        "constraint (default: constrained).",
    ),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Of an answer, reasoning included (default: 512)."),
]
SeedOption = Annotated[int | None, typer.Option(metavar="N", help="Of what is drawn (default: 0).")]
OfflineOption = Annotated[
    str | None,
    typer.Option(
        metavar="MEASURE",
        help="Ask no judge: lexical (words that both have) or embedding (cosine, of --model in this "
        "process). Likeness from 0 to 1, which is no score of a judge.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be sent, and where; send nothing.")
]
