"""Options for models behind a server, which every command that asks a model takes."""

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import note
from kairoscope.models.server.options import DEFAULT_KEY_ENV, ServerOptions

PANEL = "With --model openai:NAME"


def _option(*names: str, metavar: str | None = None, text: str, least: float | None = None) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, min=least, rich_help_panel=PANEL)


OPTIONS: dict[str, Any] = {
    "base_url": Annotated[
        str | None,
        _option("--base-url", metavar="URL", text="Of the server, as http://localhost:8000/v1."),
    ],
    "api_key_env": Annotated[
        str | None,
        _option(
            "--api-key-env",
            metavar="NAME",
            text=f"Environment variable with the key, where one is needed (default: {DEFAULT_KEY_ENV}).",
        ),
    ],
    "send": Annotated[
        str | None,
        _option(
            "--send",
            metavar="HOW",
            text="file (the server reads this disk), base64, frames (put together to a video there), "
            "images (seen one by one), or auto: the first of them that it takes (default: auto).",
        ),
    ],
    "concurrency": Annotated[
        int | None,
        _option("--concurrency", metavar="N", text="Requests in flight (default: 16)."),
    ],
    "timeout_s": Annotated[
        float | None,
        _option("--timeout", metavar="S", text="Seconds that an answer may take (default: 600)."),
    ],
    "price_prompt": Annotated[
        float | None,
        _option("--price-prompt", metavar="P", text="Of a million tokens asked, to count cost."),
    ],
    "price_completion": Annotated[
        float | None,
        _option("--price-completion", metavar="P", text="Of a million tokens answered."),
    ],
    "shared_folder": Annotated[
        Path | None,
        _option(
            "--shared-folder",
            metavar="FOLDER",
            text="Where files for --send file are put: one that the server may read (default: that for "
            "temporary files).",
        ),
    ],
    "reasoning": Annotated[
        bool,
        _option(
            "--reasoning",
            text="A block of reasoning comes before a constrained answer; with any other model, too.",
        ),
    ],
    "allow_unconstrained": Annotated[
        bool,
        _option(
            "--allow-unconstrained",
            text="Go on where the engine ignores the constraint; with vllm:MODEL, too.",
        ),
    ],
    "allow_other_frames": Annotated[
        bool,
        _option(
            "--allow-other-frames",
            text="Go on where the engine feeds other frames; with vllm:MODEL, too.",
        ),
    ],
}
"""Field of `ServerOptions` -> the option that sets it."""
FLAGS = ("reasoning", "allow_unconstrained", "allow_other_frames")


def print_usage(folder: Path) -> None:
    """What asking a server took for a run, where one was asked."""
    from kairoscope.recipes.spending import total_usage, usage_text

    total = total_usage(folder)
    if total is not None:
        note("server: ", usage_text(total))


def with_server_options(
    verb: Callable[..., None], names: Collection[str] = tuple(OPTIONS)
) -> Callable[..., None]:
    """Give a command these options, or some of them; it gets them as one argument `server`."""
    own = inspect.signature(verb, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.name != "server"]
    for name in names:
        default = False if name in FLAGS else None
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=OPTIONS[name]
            )
        )

    @wraps(verb)
    def command(**given: Any) -> None:
        taken = {name: given.pop(name) for name in names}
        fields = {name: value for name, value in taken.items() if value is not None}
        verb(**given, server=ServerOptions(**fields))

    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command
