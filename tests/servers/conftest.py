"""One server for all tests of this folder; none at all in the ordinary run."""

import os
from collections.abc import Iterator

import pytest
from vllm_server import PYTHON, Server, free_port


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not os.environ.get(PYTHON):
        pytest.skip("asks a real server: run `make test-servers`")
    server = Server(log=tmp_path_factory.mktemp("server") / "server.log", port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
