"""An OpenAI-compatible server of a few lines, on a real socket, that misbehaves when told to."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kairoscope.models.server.constraint import PROBE

Body = Mapping[str, Any]
NAME = "small"


@dataclass
class Reply:
    """What comes back to one request."""

    text: str | Callable[[Body, int], str] = "<0.00>"
    """Of sample i of a request."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    """Of an error."""
    cut: bool = False
    """The connection ends in the middle of the answer."""
    reset: bool = False
    """The connection is reset instead of an answer."""
    broken: bool = False
    """Not JSON, and as long as it says."""
    wait_s: float = 0.0
    prompt_ids: list[int] | None = None
    num_prompt_tokens: int = 9000
    sample: Callable[[Body, int], tuple[str, list[dict[str, Any]]]] | None = None
    """Instead of `text`: sample i with the tokens that it is made of."""


@dataclass
class Small:
    """The server's behaviour and what it was asked."""

    reply: Callable[[Body, int], Reply]
    """(request with a clip, its number) -> what comes back."""
    keeps_constraint: bool = True
    takes: tuple[str, ...] = ("structured_outputs",)
    goes_on: bool = True
    """With an answer that has begun."""
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": NAME, "created": 1}])
    text_only: Callable[[Body], Reply] = lambda _: Reply(text="word")
    asked: list[Body] = field(default_factory=list)
    """Requests with a clip."""
    others: list[Body] = field(default_factory=list)
    """Requests without one."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count how many are here at a time."""
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def answer(self, body: Body) -> Reply:
        """What comes back to a chat request."""
        if not has_clip(body):
            self.others.append(body)
            return self._probe(body) or self._begun(body) or self.text_only(body)
        with self._lock:
            number = len(self.asked)
            self.asked.append(body)
        return self.reply(body, number)

    def _begun(self, body: Body) -> Reply | None:
        """A short prompt where the last message is gone on with."""
        if body["messages"][-1]["role"] != "assistant":
            return None
        return Reply(num_prompt_tokens=5 if self.goes_on and body["continue_final_message"] else 9)

    def _probe(self, body: Body) -> Reply | None:
        regexes = {
            "structured_outputs": body.get("structured_outputs", {}).get("regex"),
            "regex": body.get("regex"),
            "guided_regex": body.get("guided_regex"),
        }
        form = next((name for name, regex in regexes.items() if regex == PROBE), None)
        if form is None:
            return None
        keeps = self.keeps_constraint and form in self.takes
        return Reply(text="<0.25> <0.75>" if keeps else "Word.")


def has_clip(body: Body) -> bool:
    """Whether a chat request holds pictures."""
    return bool(_parts(body))


def _parts(body: Body) -> list[Any]:
    """Pictures and videos of a request."""
    contents = [m["content"] for m in body["messages"] if not isinstance(m["content"], str)]
    return [part for content in contents for part in content if part["type"] != "text"]


STARTS = {"file:///": "file", "data:video/mp4": "base64", "data:video/jpeg": "frames"}


def clip_url(body: Body) -> str:
    """The address, or the content, of a request's first picture or video."""
    parts = _parts(body)
    return str(parts[0][parts[0]["type"]]["url"])


def way_of(body: Body) -> str:
    """How a clip came."""
    url = clip_url(body)
    return next((way for start, way in STARTS.items() if url.startswith(start)), "images")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    small: Small

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.small.headers.append({k.lower(): v for k, v in self.headers.items()})
        self._send(200, json.dumps({"data": self.small.models}).encode())

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        self.small.headers.append({k.lower(): v for k, v in self.headers.items()})
        with self.small.counted():
            body = json.loads(content)
            reply = self.small.answer(body)
            threading.Event().wait(reply.wait_s)
        self._reply(body, reply)

    def _reply(self, body: Body, reply: Reply) -> None:
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        if reply.status != 200:
            words = json.dumps({"error": {"message": reply.words}}).encode()
            self._send(reply.status, words, reply.headers)
            return
        content = json.dumps(_completion(body, reply)).encode()
        if reply.broken:
            content = content[: len(content) // 2]
        self._send(200, content, reply.headers, cut=reply.cut)

    def _send(
        self,
        status: int,
        content: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True


def _completion(body: Body, reply: Reply) -> dict[str, Any]:
    count = body.get("n", 1)
    found: dict[str, Any] = {
        "choices": [_choice(body, reply, i) for i in range(count)],
        "usage": {"prompt_tokens": reply.num_prompt_tokens, "completion_tokens": 10 * count},
    }
    if reply.prompt_ids is not None:
        found["prompt_token_ids"] = reply.prompt_ids
    return found


def _choice(body: Body, reply: Reply, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "finish_reason": "stop"}
    if reply.sample is not None:
        text, tokens = reply.sample(body, index)
        return {**row, "message": {"content": text}, "logprobs": {"content": tokens}}
    text = reply.text if isinstance(reply.text, str) else reply.text(body, index)
    return {**row, "message": {"content": text}}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


@contextmanager
def serving(small: Small, port: int = 0) -> Iterator[Small]:
    """The server, for as long as the context lasts."""
    handler = type("Handler", (_Handler,), {"small": small})
    server = _Quiet(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    small.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield small
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
