"""The HTTP server of the review page: for one folder, on this machine, for whoever has the address.

    GET  /TOKEN/                     the page
    GET  /TOKEN/api/clips            the list
    GET  /TOKEN/api/clip/N           everything about the N-th clip of the list (`?camera=NAME`)
    POST /TOKEN/api/check/N          {"events": [...]} -> what is wrong with them
    POST /TOKEN/api/save/N           the same, and kept where nothing stops that (else 409)
    POST /TOKEN/api/forget/N         takes back what was kept
    GET  /TOKEN/film/N               the clip's video file, in ranges (`?camera=NAME`)
    GET  /TOKEN/frame/N/F            its F-th frame as JPEG (`?camera=NAME`)

The token is made anew for every server. Without it nothing is answered, nor for another host name than
this machine's own, so that no page of the internet can reach through the browser.
"""

import json
import os
import secrets
from collections.abc import Callable
from functools import cached_property
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from kairoscope.core import UserError
from kairoscope.review.checking import placed_from_json
from kairoscope.review.folder import ReviewFolder, Seen
from kairoscope.review.media import Film
from kairoscope.review.payload import clip_payload, list_payload
from kairoscope.review.ranges import Part, Unsatisfiable, wanted_part

HOST = "127.0.0.1"
BLOCK = 256 * 1024
LARGEST_BODY = 1 << 20
PAGE = ("review.html", "text/html; charset=utf-8")
FILES = {
    "review.js": "text/javascript; charset=utf-8",
    "review.css": "text/css; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/mp4",
    ".mkv": "video/x-matroska",
}


class NotThere(Exception):
    """There is nothing at the address."""


class ReviewServer(ThreadingHTTPServer):
    """Serves the page of one folder until it is shut down."""

    daemon_threads = True

    def __init__(self, folder: ReviewFolder, port: int = 0) -> None:
        """Listen on 127.0.0.1 at `port`, 0 for any that is free. Raises UserError where it is taken."""
        self.folder = folder
        self.token = secrets.token_urlsafe(18)
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}; choose another --port") from error

    @property
    def address(self) -> str:
        """Of the page, with the token."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """Answers one browser."""

    protocol_version = "HTTP/1.1"
    server_version = "kairoscope"
    sys_version = ""
    server: ReviewServer

    @cached_property
    def folder(self) -> ReviewFolder:
        """What is reviewed."""
        return self.server.folder

    def do_GET(self) -> None:
        """Answer a question."""
        self._answer(
            {
                ("",): self._page,
                ("api", "clips"): self._clips,
                ("api", "clip"): self._clip,
                ("film",): self._film,
                ("frame",): self._frame,
                **{(name,): self._file for name in FILES},
            }
        )

    def do_POST(self) -> None:
        """Check, keep or take back boundaries."""
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            self._send_text(HTTPStatus.FORBIDDEN, "not from another page")
            return
        self._answer(
            {
                ("api", "check"): self._check,
                ("api", "save"): self._save,
                ("api", "forget"): self._forget,
            }
        )

    def _answer(self, routes: dict[tuple[str, ...], Callable[[list[str]], None]]) -> None:
        try:
            path = self._path()
            for length in (2, 1):
                route = routes.get(tuple(path[:length]))
                if route is not None:
                    route(path[length:])
                    return
            raise NotThere
        except NotThere:
            self._send_text(HTTPStatus.NOT_FOUND, "there is nothing here; the address has a token")
        except UserError as error:
            self._send_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)})
        except ConnectionError:
            self.close_connection = True  # the browser went on to something else

    def _path(self) -> list[str]:
        """Parts of the address behind the token. Raises NotThere without it, or for another host."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        first, *rest = urlsplit(self.path).path.lstrip("/").split("/")
        good = compare_digest(first.encode(), self.server.token.encode())
        if not good or host not in (HOST, "localhost") or not rest:
            raise NotThere
        return [unquote(part) for part in rest]

    def _seen(self, rest: list[str]) -> Seen:
        clip = self._name(rest)
        camera = parse_qs(urlsplit(self.path).query).get("camera", [None])[0]
        return self.folder.seen(clip, camera)

    def _name(self, rest: list[str]) -> str:
        number = _number(rest, 0)
        if number >= len(self.folder.clips):
            raise NotThere
        return self.folder.clips[number].clip

    # --- answers ------------------------------------------------------------------------------

    def _page(self, _rest: list[str]) -> None:
        name, kind = PAGE
        self._send(HTTPStatus.OK, kind, _own(name))

    def _file(self, _rest: list[str]) -> None:
        name = self._path()[0]
        data = _own(name)
        if name == "review.css":  # colours are those of the reports
            data = _own("chart.css", "kairoscope.report") + data
        self._send(HTTPStatus.OK, FILES[name], data)

    def _clips(self, _rest: list[str]) -> None:
        self._send_json(HTTPStatus.OK, list_payload(self.folder))

    def _clip(self, rest: list[str]) -> None:
        self._send_json(HTTPStatus.OK, clip_payload(self.folder, self._seen(rest)))

    def _check(self, rest: list[str]) -> None:
        seen = self._seen(rest)
        wrong = self.folder.faults(seen, self._placed(seen))
        self._send_json(HTTPStatus.OK, {"faults": [fault.plain() for fault in wrong]})

    def _save(self, rest: list[str]) -> None:
        seen = self._seen(rest)
        wrong = self.folder.save(seen, self._placed(seen))
        stopped = any(fault.stops for fault in wrong)
        status = HTTPStatus.CONFLICT if stopped else HTTPStatus.OK
        self._send_json(
            status, {"saved": not stopped, "faults": [fault.plain() for fault in wrong]}
        )

    def _forget(self, rest: list[str]) -> None:
        self._body()
        self.folder.forget(self._name(rest))
        self._send_json(HTTPStatus.OK, {"saved": False})

    def _placed(self, seen: Seen) -> Any:
        body = self._body()
        items = body.get("events") if isinstance(body, dict) else None
        return placed_from_json(items, len(self.folder.query), len(seen.times_s))

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            raise UserError(f"Content-Length is {length!r}; allowed: up to {LARGEST_BODY}")
        data = self.rfile.read(int(length))
        try:
            return json.loads(data or b"null")
        except ValueError as error:
            raise UserError(f"the request is not JSON ({error})") from error

    def _frame(self, rest: list[str]) -> None:
        picture = self.folder.picture(self._seen(rest), _number(rest, 1))
        self._send(HTTPStatus.OK, "image/jpeg", picture, cache="private, max-age=3600")

    def _film(self, rest: list[str]) -> None:
        shown = self._seen(rest).shown
        if not isinstance(shown, Film):
            raise NotThere
        try:
            file = shown.path.open("rb")
        except OSError as error:
            raise UserError(f"{shown.path}: {error.strerror}") from error
        with file:
            self._send_part(file, TYPES.get(shown.path.suffix.lower(), "video/mp4"))

    def _send_part(self, file: BinaryIO, kind: str) -> None:
        size = os.fstat(file.fileno()).st_size
        try:
            part = wanted_part(self.headers.get("Range"), size)
        except Unsatisfiable:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, kind, 0)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        sent = part or Part(0, size - 1)
        self._head(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, kind, sent.length)
        self.send_header("Accept-Ranges", "bytes")
        if part:
            self.send_header("Content-Range", f"bytes {part.first}-{part.last}/{size}")
        self.end_headers()
        file.seek(sent.first)
        left = sent.length
        while left and (block := file.read(min(BLOCK, left))):
            self.wfile.write(block)
            left -= len(block)
        if left:
            self.close_connection = True  # the file has become shorter meanwhile

    # --- sending ------------------------------------------------------------------------------

    def _send_json(self, status: HTTPStatus, value: Any) -> None:
        data = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        self._send(status, "application/json", data)

    def _send_text(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, data: bytes, cache: str = "no-store") -> None:
        self._head(status, kind, len(data), cache)
        self.end_headers()
        self.wfile.write(data)

    def _head(self, status: HTTPStatus, kind: str, length: int, cache: str = "no-store") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", cache)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")

    def log_message(self, *_args: Any) -> None:
        """Say nothing: the terminal belongs to the command."""


def _number(rest: list[str], place: int) -> int:
    if place >= len(rest) or not rest[place].isascii() or not rest[place].isdigit():
        raise NotThere
    return int(rest[place])


def _own(name: str, package: str = "kairoscope.review") -> bytes:
    return files(package).joinpath("templates", name).read_bytes()
