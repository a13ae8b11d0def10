"""The CPU build of vLLM with the built-in checkpoint, started and stopped; and a proxy that spoils answers."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from serving import listening

from kairoscope.models.names import builtin_folder

PYTHON = "KAIROSCOPE_SERVERS"
"""Environment variable: the Python that has vLLM, which `make test-servers` sets."""
NAME = "builtin"
START_S = 900
ARGUMENTS = (
    *("--dtype", "float32", "--max-model-len", "4096", "--enforce-eager", "--max-num-seqs", "32"),
    *("--allowed-local-media-path", "/", "--trust-request-mm-kwargs"),
    *("--limit-mm-per-prompt", '{"video":1,"image":128}'),
    # Of a prompt that is computed in parts, this build cannot draw with a seed and dies.
    *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "16384"),
)
SURROUNDINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    # Lets it take weights, for reinforcement learning.
    "VLLM_SERVER_DEV_MODE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Server:
    """A server that can be killed and started again on the same port."""

    log: Path
    port: int
    arguments: tuple[str, ...] = ARGUMENTS
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [os.environ[PYTHON], "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(builtin_folder()), "--served-model-name", NAME]
        command += ["--host", "127.0.0.1", "--port", str(self.port), *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **SURROUNDINGS},
                start_new_session=True,
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/models", timeout=2):
                    return
            except (URLError, OSError):
                time.sleep(0.5)
        raise TimeoutError(f"the server did not start in {START_S} s")

    def kill(self) -> None:
        """End it with all its processes, which are a session of their own."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


Spoil = Callable[[BaseHTTPRequestHandler, int, bytes], bool]
"""(handler, number of the request, answer) -> whether it sent something itself."""


@contextmanager
def proxy(server: Server, spoil: Spoil, *, ahead: bool = False) -> Iterator[str]:
    """Address of a proxy before a server that lets `spoil` answer requests first.

    With `ahead` the server does not get those that `spoil` answers; its answer is then empty.
    """
    count = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.pass_on(None)

        def do_POST(self) -> None:
            self.pass_on(self.rfile.read(int(self.headers["content-length"])))

        def pass_on(self, body: bytes | None) -> None:
            number = next(count) if body is not None else -1
            if ahead and number >= 0 and spoil(self, number, b""):
                return
            url = f"http://127.0.0.1:{server.port}{self.path}"
            headers = {"content-type": "application/json"}
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, body, headers), timeout=300
                ) as found:
                    status, content = found.status, found.read()
            except HTTPError as error:
                status, content = error.code, error.read()
            if not ahead and number >= 0 and spoil(self, number, content):
                return
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with listening(Handler) as address:
        yield f"{address}/v1"
