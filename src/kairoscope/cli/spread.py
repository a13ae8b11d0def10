"""Options for work that several processes share out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kairoscope.annotate.shards import Shard

PANEL = "On many processes or machines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How work is shared out."""

    shard: "Shard | None" = None
    """The share of this process; None: it does all."""


OPTIONS: dict[str, Any] = {
    "shard": Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            rich_help_panel=PANEL,
            help="Ask about one of N shares, as 2/4, beside other processes with the same --out; the last "
            "puts all together, as the same command without --shard does at any time.",
        ),
    ],
}


def with_spread_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets them as one argument `spread`."""
    own = inspect.signature(verb, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.name != "spread"]
    for name, kind in OPTIONS.items():
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        )

    @wraps(verb)
    def command(**given: Any) -> None:
        spread = _spread(**{name: given.pop(name) for name in OPTIONS})
        verb(**given, spread=spread)

    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _spread(shard: str | None) -> Spread:
    if shard is None:
        return Spread()
    from kairoscope.annotate.shards import Shard

    return Spread(shard=Shard.parse(shard))
