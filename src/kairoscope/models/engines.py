"""From what the user writes after `--model` to what answers: one entry for each kind of engine.

Nothing heavy is imported before an engine is opened.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from kairoscope.core import FramePolicy, Model, UserError
from kairoscope.models.names import located, split_spec
from kairoscope.models.server.options import ServerOptions, check_options
from kairoscope.models.vllm_installed import check_installed

Loading = Callable[[int], None]
"""Told 0 when the weights begin to be loaded, and 1 when they are there."""


class Engine(Model, Protocol):
    """A model that also knows which frames it was trained on."""

    @property
    def policy(self) -> FramePolicy | None:
        """Frames that the model was trained on, where it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What all kinds of engines are opened with; each takes what it has use for."""

    device: str | None = None
    """`cpu`, `cuda`, …; None takes the best there is."""
    batch_size: int | None = None
    """Clips that share a forward pass; None: the engine's own choice."""
    name: str | None = None
    """What runs and reports call the model; None: as the user did."""
    on_loading: Loading | None = None
    task: str = ""
    """Name of the task that the model is asked about: a checkpoint may have frames of its own for it."""
    server: ServerOptions = ServerOptions()


Opener = Callable[[str, EngineOptions], Engine]
"""(what follows the prefix, options) -> engine; weights may be loaded when first asked."""


def open_engine(spec: str, options: EngineOptions) -> Engine:
    """The engine for `spec`: `builtin`, a folder, a name on the hub, or one with a prefix.

    Raises:
        UserError: there is no such model, or options that it cannot be asked with.
    """
    check_engine(spec, options.server)
    prefix, rest = split_spec(spec)
    return ENGINES[prefix](rest, options)


def _in_process(spec: str, options: EngineOptions) -> Engine:
    from kairoscope.models.load import LazyCheckpoint

    return LazyCheckpoint(
        spec,
        device=options.device,
        batch_size=options.batch_size,
        name=options.name,
        on_loading=options.on_loading,
        task=options.task,
        reasoning=options.server.reasoning,
    )


def _server(name: str, options: EngineOptions) -> Engine:
    from kairoscope.models.server.engine import ServedModel

    return ServedModel(name, options.server, name=options.name)


def _vllm(spec: str, options: EngineOptions) -> Engine:
    from kairoscope.models.vllm_engine import VllmModel

    return VllmModel(
        spec,
        name=options.name,
        device=options.device,
        chunk=options.batch_size,
        options=options.server,
        on_loading=options.on_loading,
    )


ENGINES: dict[str, Opener] = {"": _in_process, "openai": _server, "vllm": _vllm}
"""By prefix; the empty one is for weights in this process."""


TAKEN: dict[str, tuple[str, ...]] = {
    "": ("reasoning",),
    "vllm": ("reasoning", "allow_unconstrained", "allow_other_frames"),
}
"""Options of a server that other engines, by prefix, have use for, too."""


def taken_by(spec: str, options: ServerOptions) -> ServerOptions:
    """Those of the options that the engine of `spec` has use for."""
    prefix, _ = split_spec(spec)
    if prefix not in TAKEN:
        return options
    return replace(ServerOptions(), **{name: getattr(options, name) for name in TAKEN[prefix]})


def check_engine(spec: str, options: ServerOptions) -> None:
    """Raise UserError where `spec` cannot be asked, before anything heavy is imported."""
    prefix, rest = split_spec(spec)
    if options != taken_by(spec, options):
        raise UserError(f"--model {spec}: --base-url and what goes with it are for openai:NAME")
    if prefix and not rest:
        raise UserError(f"--model {spec} names no model; write {prefix}:NAME")
    if prefix == "openai":
        check_options(spec, options)
        return
    try:
        located(rest, small=True)
    except UserError as error:
        # Said with the words that the user wrote.
        raise UserError(str(error).replace(f"--model {rest}", f"--model {spec}", 1)) from error
    if prefix == "vllm":
        check_installed(spec)
