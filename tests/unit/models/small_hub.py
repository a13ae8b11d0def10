"""A model hub on this machine: as much of its protocol as fetching a model needs."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from serving import listening

COMMIT = "1234567890abcdef1234567890abcdef12345678"


@dataclass
class Hub:
    """What it holds, how it behaves, what it was asked for."""

    models: dict[str, Path] = field(default_factory=dict)
    gated: bool = False
    dripping: bool = False
    """Sends its answer so slowly that it never comes, but never stops either."""
    cut_after: int | None = None
    """Of every file of more bytes only these are sent."""
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, hub, with_body=True)

        def do_HEAD(self) -> None:
            answer(self, hub, with_body=False)

        def log_message(self, *_: Any) -> None:
            pass

    with listening(Handler) as hub.url:
        yield hub


def answer(handler: BaseHTTPRequestHandler, hub: Hub, *, with_body: bool) -> None:
    path = handler.path.partition("?")[0]
    hub.asked.append(path)
    if hub.dripping:
        return _drip(handler)
    for name, folder in hub.models.items():
        files = [file for file in sorted(folder.iterdir()) if file.is_file()]
        if path in (f"/api/models/{name}", f"/api/models/{name}/revision/main"):
            siblings = [{"rfilename": file.name} for file in files]
            return _json(handler, {"id": name, "sha": COMMIT, "siblings": siblings})
        if path == f"/api/models/{name}/tree/{COMMIT}":
            return _json(handler, [_entry(file) for file in files])
        if path.startswith((f"/{name}/resolve/{COMMIT}/", f"/{name}/resolve/main/")):
            return _file(handler, hub, folder / path.rpartition("/")[2], with_body=with_body)
    return _send(handler, 404, b"", {"X-Error-Code": "RepoNotFound"})


def _entry(file: Path) -> dict[str, Any]:
    return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _oid(file)}


def _oid(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


def _file(handler: BaseHTTPRequestHandler, hub: Hub, file: Path, *, with_body: bool) -> None:
    if hub.gated:
        return _send(handler, 403, b"", {"X-Error-Code": "GatedRepo"})
    if not file.is_file():
        return _send(handler, 404, b"", {"X-Error-Code": "EntryNotFound"})
    data = file.read_bytes()
    headers = {"ETag": f'"{_oid(file)}"', "X-Repo-Commit": COMMIT}
    return _send(handler, 200, data, headers, with_body=with_body, cut_after=hub.cut_after)


def _json(handler: BaseHTTPRequestHandler, value: Any) -> None:
    _send(handler, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _send(
    handler: BaseHTTPRequestHandler,
    code: int,
    data: bytes,
    headers: dict[str, str],
    *,
    with_body: bool = True,
    cut_after: int | None = None,
) -> None:
    handler.send_response(code)
    for key, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(key, value)
    handler.end_headers()
    if with_body:
        handler.wfile.write(data[:cut_after])


def _drip(handler: BaseHTTPRequestHandler) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 200:
        try:
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.2)
