"""Options of `kairoscope simulate`."""

from enum import StrEnum
from typing import Annotated

import typer

from kairoscope.limits import MOST_SEED


class World(StrEnum):
    """What is simulated."""

    robot = "robot"
    physics = "physics"
    driving = "driving"


WorldArgument = Annotated[
    World,
    typer.Argument(
        metavar="WORLD",
        help="robot: demonstrations with event times; physics: clips whose physics is right or "
        "wrong by an exact amount, scored 1 to 5; driving: clips of a road with their captions.",
    ),
]
ClipsOption = Annotated[
    int, typer.Option(metavar="N", help="Number of clips; a larger one adds to a folder.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Decides what every clip shows.")
]
FamiliesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--family",
        metavar="NAME",
        help="Of the robot's tasks; repeatable (default: all but press, which is kept as the unseen one).",
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        metavar="96..512",
        help="Side of the picture in pixels, of drives its width (default: 256; physics 128; "
        "driving 288).",
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(metavar="4..60", help="Frames a second (default: 30; physics 16; driving 8)."),
]
CrfOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=51,
        metavar="0..51",
        help="Of drives: higher makes smaller files (default: 23).",
    ),
]
WorkersOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Processes; clips of physics need none.")
]
