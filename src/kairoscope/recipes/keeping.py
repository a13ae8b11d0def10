"""The store of answers before an engine, and what a run keeps of how many came from there."""

from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import kairoscope
from kairoscope import __version__
from kairoscope.json_lines import read_lines
from kairoscope.models.names import split_spec
from kairoscope.runs import Run
from kairoscope.store import AnswerStore, Stored, Traits

if TYPE_CHECKING:
    from kairoscope.models.engines import Engine, EngineOptions

KEPT = "store.json"
ASKED_FORMAT = "2"
"""Of what a server is sent; to be raised when frames or messages come to look otherwise."""
_CODE = ("models", "video")
"""Packages of ours that decide, to the bit, what weights answer about a clip."""
_LIBRARIES = ("torch", "transformers", "av", "numpy", "Pillow")
_OF_THE_SERVER = ("send", "reasoning", "allow_unconstrained", "allow_other_frames")
"""Options that change what reaches the model, or what is taken for an answer."""


def with_store(
    engine: "Engine", spec: str, options: "EngineOptions", store: AnswerStore | None, task: str
) -> "Engine":
    """The engine behind a store; itself where there is none."""
    if store is None:
        return engine
    return Stored(engine, store, task=task, traits=traits_of(spec, options))


def traits_of(spec: str, options: "EngineOptions") -> Traits:
    """What the answers of an engine depend on besides its weights.

    Weights on this machine are asked again after an update of what computes them: that costs time, and
    gives the answers that a run without a store would have. What a server answered was paid for: it
    holds for the host (not the port), whatever the version, until `ASKED_FORMAT` changes.
    """
    engine, _ = split_spec(spec)
    if engine == "openai":
        server = {name: str(getattr(options.server, name)) for name in _OF_THE_SERVER}
        host = urlsplit(options.server.base_url or "").hostname or ""
        return Traits(computed_by={"format": ASKED_FORMAT, "host": host, **server}, is_paid=True)
    computed_by = {"code": _code_digest(), "engine": engine, "device": _device(options.device)}
    libraries = (*_LIBRARIES, engine) if engine else _LIBRARIES
    versions = {name: _version(name) for name in libraries}
    return Traits(computed_by=computed_by | versions, draws_by_id=True)


def _device(named: str | None) -> str:
    """Its kind, which decides the precision, too."""
    if named is None:
        from kairoscope.models.checkpoint import best_device

        named = best_device()
    return named.partition(":")[0]


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Of the source files that make answers: what is being worked on has no version yet."""
    digest = sha256(__version__.encode())
    root = Path(kairoscope.__file__).parent
    for package in _CODE:
        for file in sorted((root / package).rglob("*.py")):
            if "server" in file.parts:
                continue
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def keep_count(run: Run, *names: str) -> None:
    """Write `store.json`: how many of a run's answers came from the store, if any did.

    Args:
        run: open to be written.
        names: its files of answers. A row says itself where it came from, so a run that was killed
            counts as one that was not.
    """
    answers = stored = 0
    for name in names:
        for row in read_lines(run.file(name)):
            answers += 1
            stored += bool(row.get("stored") or row.get("extra", {}).get("stored"))
    if stored:
        run.write_json(KEPT, {"answers": answers, "from_store": stored})
