"""What this machine can do, and whether a model is fed what it should be and keeps to what it is told."""

from collections.abc import Iterator

from kairoscope.core import UserError
from kairoscope.doctor.engine import engine_findings
from kairoscope.doctor.finding import Finding
from kairoscope.doctor.machine import machine, video
from kairoscope.doctor.weights import fed
from kairoscope.models.engines import EngineOptions, open_engine
from kairoscope.models.load import load_weights
from kairoscope.models.names import split_spec


def examine(model: str | None, options: EngineOptions) -> Iterator[Finding]:
    """All checks, one after the other.

    A model behind an engine is asked although it may feed other frames or ignore a constraint: that is
    what the checks are to find out.
    """
    yield from machine()
    yield from video()
    if model is None:
        return
    try:
        if not split_spec(model)[0]:
            yield from fed(load_weights(model, device=options.device))
        yield from engine_findings(open_engine(model, options))
    except UserError as error:
        yield Finding(f"model {model}", str(error), good=False)
