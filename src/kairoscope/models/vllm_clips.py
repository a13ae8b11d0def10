"""Clips for vLLM: decoded a chunk ahead, each a question on its way."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice

from kairoscope.core import Failed, Request, Template, UnreadableClip
from kairoscope.models.chat import Encoded, Encoder
from kairoscope.models.shown import frames_of
from kairoscope.video.frames import ClipFrames

THREADS = 2
_serial = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question on its way: the clip as it is shown, and what must be written."""

    request: Request
    frames: ClipFrames
    encoded: Encoded
    template: Template | None
    serial: int = field(default_factory=lambda: next(_serial))
    """No other question of this process has it."""


def decoded(
    requests: Iterator[Request], encoder: Encoder, size: int
) -> Iterator[list[tuple[Request, ClipFrames | Failed]]]:
    """Chunks of clips; the next one is decoded while the caller works on one."""

    def decode(request: Request) -> ClipFrames | Failed:
        try:
            return frames_of(request, encoder.geometry)
        except UnreadableClip as error:
            return Failed(reason=str(error))

    pool = ThreadPoolExecutor(THREADS)

    def begin() -> list[tuple[Request, Future[ClipFrames | Failed]]]:
        return [(request, pool.submit(decode, request)) for request in islice(requests, size)]

    try:
        chunk = begin()
        while chunk:
            following = begin()
            yield [(request, future.result()) for request, future in chunk]
            chunk = following
    finally:
        # After Ctrl-C or an error nobody wants the clips that wait.
        pool.shutdown(cancel_futures=True)
