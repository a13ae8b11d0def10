"""One request to a server, tried until it is answered. No key ever leaves the header it travels in."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self

import httpx2

from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions, key_from
from kairoscope.models.server.usage import Usage

AGAIN = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 522, 524, 529})
"""Answers after which the same request may be taken; 429 has rules of its own."""
BUSY = 429
CONNECT_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
PATIENCE_S = 1800.0
"""For how long a request is held back by a server that says it is busy."""
SHOWN = 300
"""Characters of a server's own words that a message repeats."""
LIMIT, NEWER_LIMIT = "max_tokens", "max_completion_tokens"
"""Names of the most tokens of an answer: what all servers know, and what some hosted models insist on."""
Fault = Literal["connection", "time-out", "broken answer", "status", "busy"]


class Refused(Exception):
    """The server will not take this request, however often it is asked."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"the server refused it ({status}): {words}")
        self.status = status
        self.words = words


class Unanswered(Exception):
    """All tries are used up."""

    def __init__(self, fault: Fault, words: str) -> None:
        super().__init__(words)
        self.fault = fault


def with_newer_limit(body: bytes | None) -> bytes | None:
    """A request that names its limit of tokens as hosted models want it that count reasoning in."""
    if body is None:
        return None
    fields = json.loads(body)
    if LIMIT in fields:
        fields[NEWER_LIMIT] = fields.pop(LIMIT)
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")


@dataclass(slots=True)
class _Failure:
    fault: Fault
    words: str
    after_s: float | None = None
    """For how long the server asks to be left alone."""


@dataclass(slots=True)
class Connection:
    """Open with `async with`; all requests share its sockets and its pauses."""

    options: ServerOptions
    usage: Usage = field(default_factory=Usage)
    first_wait_s: float = field(default_factory=lambda: FIRST_WAIT_S)
    random: Callable[[], float] = field(default_factory=lambda: random.Random().random)
    _client: httpx2.AsyncClient | None = None
    _key: str | None = field(default=None, repr=False)
    _quiet_until: float = 0.0
    _names_limit_anew: bool = False

    async def __aenter__(self) -> Self:
        assert self.options.base_url is not None
        self._key = key_from(self.options.api_key_env)
        most = self.options.concurrency + 2
        url = self.options.base_url.rstrip("/") + "/"
        self._client = httpx2.AsyncClient(
            base_url=url,
            verify=url.startswith(
                "https:"
            ),  # without TLS there is nothing to load certificates for
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The JSON that the server answers with, after as many tries as it takes.

        Raises:
            Refused: the request is wrong in the server's eyes.
            Unanswered: no try gave an answer.
            UserError: a key that is missing or wrong, or no such address.
        """
        anew = self._names_limit_anew
        try:
            sent = with_newer_limit(body) if anew else body
            return await self._answered(method, path, sent)
        except Refused as error:
            if body is None or anew or NEWER_LIMIT not in error.words:
                raise
        self._names_limit_anew = True
        return await self._answered(method, path, with_newer_limit(body))

    async def _answered(self, method: str, path: str, body: bytes | None) -> Any:
        failures, tries, held_s = 0, 0, 0.0
        while True:
            await self._pause()
            self.usage.requests += 1
            outcome = await self._try(method, path, body)
            if not isinstance(outcome, _Failure):
                return outcome
            if outcome.fault == "busy":
                done = held_s > PATIENCE_S
            else:
                failures += 1
                done = failures >= self._most_tries(outcome.fault)
            if done:
                raise Unanswered(outcome.fault, outcome.words)
            held_s += await self._wait(outcome, tries)
            tries += 1

    def _most_tries(self, fault: Fault) -> int:
        """A time-out has cost minutes already."""
        return min(self.options.attempts, 3) if fault == "time-out" else self.options.attempts

    async def _pause(self) -> None:
        """Leave a busy server alone until it wants to be asked; with all requests."""
        while (left_s := self._quiet_until - time.monotonic()) > 0:
            await asyncio.sleep(left_s + 0.1 * self.first_wait_s * self.random())

    async def _wait(self, failure: _Failure, tries: int) -> float:
        """Back off: twice as long each time, less up to a half by chance, so that not all come at once."""
        self.usage.retries += 1
        doubled_s = self.first_wait_s * 2.0 ** min(tries, 16)
        wait_s = min(doubled_s, LONGEST_WAIT_S) * (0.5 + 0.5 * self.random())
        if failure.after_s is not None:
            wait_s = max(wait_s, failure.after_s)
            self._quiet_until = max(self._quiet_until, time.monotonic() + failure.after_s)
        await asyncio.sleep(wait_s)
        return wait_s

    async def _try(self, method: str, path: str, body: bytes | None) -> Any:
        """One try: the JSON, or what went wrong with it."""
        assert self._client is not None
        limit_s = self.options.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                response = await self._client.request(
                    method, path, content=body, headers={"Content-Type": "application/json"}
                )
        except (TimeoutError, httpx2.TimeoutException) as error:
            if isinstance(error, httpx2.ConnectTimeout):
                return _Failure("connection", f"no connection within {CONNECT_S:g} s")
            return _Failure("time-out", f"no answer within {limit_s:g} s (--timeout)")
        except httpx2.RemoteProtocolError as error:
            return _Failure("connection", self._without_key(f"broken off ({error})"))
        except httpx2.TransportError as error:
            words = str(error) or type(error).__name__
            return _Failure("connection", self._without_key(words))
        return self._outcome(response)

    def _outcome(self, response: httpx2.Response) -> Any:
        status = response.status_code
        if status == HTTPStatus.OK:
            try:
                return json.loads(response.content)
            except ValueError:
                return _Failure("broken answer", "its answer is not whole JSON")
        words = self._without_key(_words(response))
        if status == BUSY:
            return _Failure("busy", f"{status}: {words}", _retry_after_s(response))
        if status in AGAIN:
            return _Failure("status", f"{status}: {words}", _retry_after_s(response))
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # Its words are left out: some servers repeat parts of the key.
            name = self.options.api_key_env
            state = "holds no key that it takes" if self._key else "is not set"
            raise UserError(
                f"{self.options.base_url}: the server wants a key ({status}); {name} {state}"
            )
        raise Refused(status, words)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


def _words(response: httpx2.Response) -> str:
    """What the server says about a refusal, on one line."""
    try:
        found = json.loads(response.content)
    except ValueError:
        found = response.text
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    text = found if isinstance(found, str) else json.dumps(found)
    return " ".join(text.split())[:SHOWN]


def _retry_after_s(response: httpx2.Response) -> float | None:
    """Seconds, or a date; nonsense is passed over."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        after_s = float(text)
    except ValueError:
        try:
            after_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(after_s, 0.0), PATIENCE_S) if after_s == after_s else None
