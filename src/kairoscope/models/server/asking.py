"""Asking a server about one clip, among many at a time."""

import asyncio
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kairoscope.core import (
    Completion,
    Decoding,
    Failed,
    Request,
    Sampling,
    Template,
    UnreadableClip,
    UserError,
)
from kairoscope.models.chat import Encoder
from kairoscope.models.grammar import answer_part, template_regex
from kairoscope.models.parity import Check, allowed_kinds, insist, kept_to
from kairoscope.models.reasoning import INSTEAD
from kairoscope.models.server.blame import Outcome, blame
from kairoscope.models.server.constraint import Form, accepted_form, constrained
from kairoscope.models.server.fed import fed_checks
from kairoscope.models.server.http import Connection, Refused, Unanswered
from kairoscope.models.server.made import completions
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.order import mended, picks
from kairoscope.models.server.sending import WAYS, Way, medium
from kairoscope.models.server.usage import Usage
from kairoscope.models.server.walk import continues, walk
from kairoscope.models.server.wire import (
    Choice,
    Medium,
    NotAnAnswer,
    Reply,
    num_samples,
    read_reply,
    request_fields,
)
from kairoscope.models.shown import frames_of, named
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry

NO_VIDEO = re.compile(r"video|image_url|content.?type|content.?part|unsupported", re.IGNORECASE)
"""In the words of servers whose models see pictures, and no videos."""
TRUST = "--trust-request-mm-kwargs"
"""What vLLM asks for in its words of refusal where it was started without."""
THREADS = 2
"""That decode and encode clips."""


@dataclass(slots=True)
class Asking:
    """One pass over many requests: what they share."""

    model: str
    options: ServerOptions
    sampling: Sampling
    decoding: Decoding
    geometry: PatchGeometry
    folder: Path
    """Where files for the server are put."""
    usage: Usage
    encoder: Encoder | None = None
    """Of the model, where its files are seen from here."""
    checks: tuple[Check, ...] = ()
    """What the model was last fed, beside what it should have been."""
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))
    _in_flight: asyncio.Semaphore = field(init=False)
    _settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _way: Way | None = None
    _form: Form | None = None
    _form_known: bool = False

    def __post_init__(self) -> None:
        self._in_flight = asyncio.Semaphore(self.options.concurrency)

    def close(self) -> None:
        """Give up clips that nobody waits for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, connection: Connection, request: Request) -> Outcome:
        """Decode, send, check.

        Raises:
            Gone: the server does not answer this, nor anything else.
            UserError: a wrong key, a constraint that is ignored, or other frames than were sent.
        """
        loop = asyncio.get_running_loop()
        try:
            frames = await loop.run_in_executor(self._pool, frames_of, request, self.geometry)
        except UnreadableClip as error:
            return Outcome(request_id=request.id, answer=Failed(reason=str(error)))
        try:
            found = await self._completions(connection, request, frames)
        except Refused as error:
            failed = Failed(reason=f"{named(request)}: {error}")
            return Outcome(request_id=request.id, answer=failed, refused=True)
        except Unanswered as error:
            await blame(connection, self.model, error)
            failed = Failed(reason=f"{named(request)}: the server fails on it ({error})")
            return Outcome(request_id=request.id, answer=failed)
        return Outcome(request_id=request.id, answer=found)

    async def _completions(
        self, connection: Connection, request: Request, frames: ClipFrames
    ) -> tuple[Completion, ...]:
        template = await self._template(connection, request, frames)
        if request.video is None:
            return await self._sent(connection, request, frames, template, "nothing")
        if self._way is None:
            # The first clip finds out how clips can be sent; the others wait for it.
            async with self._settling:
                if self._way is None:
                    return await self._first(connection, request, frames, template)
        return await self._sent(connection, request, frames, template, self._way)

    async def _first(
        self,
        connection: Connection,
        request: Request,
        frames: ClipFrames,
        template: Template | None,
    ) -> tuple[Completion, ...]:
        """Try the ways one after the other; the first that the server takes is the way for all.

        Pictures instead of a video only where the server's words are about that: a clip that is
        refused for another reason must not decide for all.
        """
        refused: dict[str, Refused] = {}
        for way in WAYS[self.options.send]:
            if way == "images" and not any(NO_VIDEO.search(r.words) for r in refused.values()):
                break
            try:
                found = await self._sent(connection, request, frames, template, way)
            except Refused as error:
                refused[way] = error
                continue
            self._way = self.usage.sent = way
            return found
        if any(TRUST in error.words for error in refused.values()):
            raise UserError(
                f"{self.options.base_url}: the server takes no settings for the frames of a request; start "
                f"vLLM with {TRUST}, or it would sample them by itself"
            )
        words = "; ".join(f"as {way}: {error.words}" for way, error in refused.items())
        raise Refused(next(iter(refused.values())).status, words)

    async def _template(
        self, connection: Connection, request: Request, frames: ClipFrames
    ) -> Template | None:
        """The grammar that the answer is held to."""
        if self.decoding == "free":
            return None
        if request.template is None:
            raise UserError(f"request {request.id!r} has no template; decode it freely instead")
        async with self._settling:
            if not self._form_known:
                self._form = await accepted_form(connection, self.model, self.options)
                await self._check_continues(connection)
                self._form_known = True
        return request.template(frames.times_s)

    async def _check_continues(self, connection: Connection) -> None:
        if self.decoding == "posterior" and not await continues(connection, self.model):
            raise UserError(
                f"{self.options.base_url}: the server does not go on with an answer that has begun, so "
                f"that it gives no distribution over times; {INSTEAD}"
            )

    async def _sent(
        self,
        connection: Connection,
        request: Request,
        frames: ClipFrames,
        template: Template | None,
        way: Way,
    ) -> tuple[Completion, ...]:
        """Send a clip's frames one way and make completions of what comes back."""
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            context = medium(way, frames, request.policy, self.geometry, self.folder)
            sent = await loop.run_in_executor(self._pool, stack.enter_context, context)
            if self.decoding == "posterior" and template is not None:
                return await self._walked(connection, request, frames, sent, template, way)
            async with self._in_flight:
                started = time.perf_counter()
                reply = await self._asked(connection, request, sent, template, self.sampling)
                self._insist_fed(reply, request, frames, way)
                texts = [
                    await self._in_order(connection, request, sent, template, choice, trial)
                    for trial, choice in enumerate(reply.choices, self.sampling.first_trial)
                ]
                seconds = time.perf_counter() - started
        return completions(texts, reply, frames, self.geometry, self.sampling, seconds)

    async def _asked(
        self,
        connection: Connection,
        request: Request,
        sent: Medium,
        template: Template | None,
        sampling: Sampling,
    ) -> Reply:
        body = request_fields(self.model, request.prompt, sent, sampling, request_id=request.id)
        if template is not None and self._form is not None:
            regex = template_regex(template, reasoning=self.options.reasoning)
            body |= constrained(self._form, regex)
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
        reply, _ = await self._reply(connection, content, num_samples(sampling))
        return reply

    async def _reply(
        self, connection: Connection, content: bytes, expected: int
    ) -> tuple[Reply, Any]:
        """A whole answer, read and as it came; what is none is asked for again."""
        for tries_left in reversed(range(self.options.attempts)):
            found = await connection.ask("POST", "chat/completions", content)
            try:
                reply = read_reply(found, expected)
            except NotAnAnswer as error:
                if not tries_left:
                    raise Unanswered("broken answer", str(error)) from error
                continue
            self.usage.prompt_tokens += reply.num_prompt_tokens
            self.usage.completion_tokens += reply.num_new_tokens
            return reply, found
        raise AssertionError("unreachable")

    async def _walked(
        self,
        connection: Connection,
        request: Request,
        frames: ClipFrames,
        sent: Medium,
        template: Template,
        way: Way,
    ) -> tuple[Completion, ...]:
        """Every slot at the median of its distribution; the same in all trials."""

        async def ask(content: bytes, expected: int) -> tuple[Reply, Any]:
            async with self._in_flight:
                return await self._reply(connection, content, expected)

        if self._form is None:
            raise UserError("a server that keeps to no constraint gives no distribution over times")
        started = time.perf_counter()
        fields = request_fields(
            self.model, request.prompt, sent, self.sampling, request_id=request.id
        )
        walked = await walk(template, fields, self._form, ask)
        assert walked.first is not None
        self._insist_fed(walked.first, request, frames, way, walked.begun)
        choice = Choice(text=walked.text, finish="stop")
        seconds = time.perf_counter() - started
        made = completions([choice], walked.first, frames, self.geometry, self.sampling, seconds)
        return tuple(
            replace(one, posteriors=tuple(walked.posteriors), num_new_tokens=walked.num_new_tokens)
            for one in made
        )

    async def _in_order(
        self,
        connection: Connection,
        request: Request,
        sent: Medium,
        template: Template | None,
        choice: Choice,
        trial: int,
    ) -> Choice:
        """An answer whose times are in order: from the first that is not on, it is asked for again.

        Raises:
            Mismatch: the constraint was taken and ignored.
        """
        if template is None or self._form is None or choice.finish == "length":
            return choice
        again = replace(self.sampling, trials=1, first_trial=trial)
        for _ in template:
            answer = answer_part(choice.text)
            values = picks(template, answer)
            if values is None:
                check = kept_to(template, [answer])
                insist([check], self._about(request), allowed_kinds(self.options))
                return choice
            rest = mended(template, values)
            if rest is None:
                return choice
            reply = await self._asked(connection, request, sent, rest, again)
            choice = reply.choices[0]
        return choice

    def _insist_fed(
        self, reply: Reply, request: Request, frames: ClipFrames, way: Way, begun: str = ""
    ) -> None:
        """Raise Mismatch where the model saw something else than it should; see `fed_checks`."""
        self.checks = fed_checks(reply, request, frames, self.geometry, way, self.encoder, begun)
        insist(self.checks, self._about(request), allowed_kinds(self.options))

    def _about(self, request: Request) -> str:
        return f"{self.options.base_url}, {named(request)}"
