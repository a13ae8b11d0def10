"""Options for work that several processes share out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kairoscope.cli.app import say
from kairoscope.core import UserError

if TYPE_CHECKING:
    from kairoscope.models.over_ray import RayOptions
    from kairoscope.shards import Shard

Verb = Callable[..., None]
PANEL = "On many processes or machines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How work is shared out."""

    shard: "Shard | None" = None
    """The share of this process; None: it does all."""
    ray: "RayOptions | None" = None
    """None: this process answers itself."""


SHARD: dict[str, Any] = {
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
RAY: dict[str, Any] = {
    "ray": Annotated[
        bool,
        typer.Option(
            "--ray",
            rich_help_panel=PANEL,
            help="Have workers of a Ray cluster answer: that of RAY_ADDRESS, else of this machine (extra ray).",
        ),
    ],
    "ray_workers": Annotated[
        int | None,
        typer.Option(
            "--ray-workers",
            min=1,
            metavar="N",
            rich_help_panel=PANEL,
            help="Of --ray (default: one for each GPU or, without, for each CPU).",
        ),
    ],
}


def with_spread_options(*, shard: bool) -> Callable[[Verb], Callable[..., None]]:
    """Give a command `--ray`, and `--shard` where it can do a share; it gets them as `spread`."""
    options = {**(SHARD if shard else {}), **RAY}

    def decorate(verb: Verb) -> Callable[..., None]:
        own = inspect.signature(verb, eval_str=True)
        parameters = [p for p in own.parameters.values() if p.name != "spread"]
        for name, kind in options.items():
            default = False if name == "ray" else None
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
                )
            )

        @wraps(verb)
        def command(**given: Any) -> None:
            spread = _spread(**{name: given.pop(name) for name in options})
            verb(**given, spread=spread)

        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def _spread(*, ray: bool, ray_workers: int | None, shard: str | None = None) -> Spread:
    if ray_workers is not None and not ray:
        raise UserError(f"--ray-workers {ray_workers}: is for --ray, which is missing")
    share = cluster = None
    if shard is not None:
        from kairoscope.shards import Shard

        share = Shard.parse(shard)
    if ray:
        from kairoscope.models.over_ray import RayOptions

        cluster = RayOptions(workers=ray_workers)
    return Spread(shard=share, ray=cluster)


def say_shard_done(spread: Spread, out: Path) -> None:
    """That a share is answered, and how the whole comes about."""
    say(f"shard {spread.shard} is done, others are not. The last one puts all together in {out};")
    say("so does the same command without --shard, which asks about what is missing.")
