"""A web server on this machine that misbehaves on request."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from serving import listening

VIDEO = b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 40


BODIES = {
    "page": (b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8"),
    "hidden": (b"<html>no video, whatever the type says</html>", "video/mp4"),
    "text": (b"hello", "video/mp4"),
    "empty": (b"", "video/mp4"),
}


class Web:
    """What was asked for, and how often."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []


@contextmanager
def served(files: Mapping[str, bytes] | None = None, *, wait_s: float = 0.0) -> Iterator[Web]:
    """`/NAME.mp4` is a video, of `files` where that has it; some names misbehave."""
    web = Web("")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(self.path)
            web.asked[path] += 1
            time.sleep(wait_s)
            kind = path.removeprefix("/").removesuffix(".mp4")
            if files and kind in files:
                self.whole(files[kind], "video/mp4")
            elif kind == "gone":
                self.send_error(404)
            elif kind in BODIES:
                self.whole(*BODIES[kind])
            elif kind == "busy" and web.asked[path] < 3:
                self.send_error(503)
            elif kind == "cut" and web.asked[path] == 1:
                self.send_response(200)
                self.send_header("Content-Length", str(len(VIDEO)))
                self.end_headers()
                self.wfile.write(VIDEO[:1000])
                self.close_connection = True
            elif found := self.headers.get("Range"):
                web.ranges.append(found)
                begin = int(found.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Length", str(len(VIDEO) - begin))
                self.end_headers()
                self.wfile.write(VIDEO[begin:])
            else:
                self.whole(VIDEO + path.encode(), "video/mp4")

        def whole(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as web.address:
        yield web
