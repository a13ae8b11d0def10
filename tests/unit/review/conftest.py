"""Annotated folders of every kind, and their pages on a real server."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from command_line import Program

from kairoscope.review.folder import ReviewFolder
from kairoscope.review.server import ReviewServer

sys.path.append(str(Path(__file__).parents[1] / "robot"))  # makers of small robot datasets

TWO = ("raising it", "lowering it")


class Page:
    """A browser's side of a review."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server
        self.token = server.token

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """Any request; a path that begins with a slash has no token put before it."""
        connection = HTTPConnection(*self.server.server_address[:2], timeout=20)
        whole = path if path.startswith("/") else f"/{self.token}/{path}"
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, whole, sent, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def get(self, path: str, **headers: str) -> bytes:
        answer, data = self.ask("GET", path, headers=headers)
        assert answer.status in (200, 206), data
        return data

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        answer, data = self.ask("POST", path, body)
        return answer.status, json.loads(data)

    def place(self, clip: str) -> int:
        """Of a clip in the list."""
        return next(i for i, c in enumerate(self.server.folder.clips) if c.clip == clip)


@contextmanager
def _served(folder: Path) -> Iterator[Page]:
    with ReviewServer(ReviewFolder(folder)) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert urlsplit(server.address).hostname == "127.0.0.1"
        try:
            yield Page(server)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serve() -> Callable[[Path], Any]:
    """Folder -> its page, for as long as the `with` lasts."""
    return _served


def write_task(folder: Path, *events: str) -> None:
    names = ", ".join(json.dumps(event) for event in events)
    (folder / "task.toml").write_text(f'name = "task"\nevents = [{names}]\n')


@pytest.fixture(scope="session")
def videos_once(program: Program, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("videos")
    shutil.copytree(world / "data", place / "videos")
    (place / "videos" / "labels.jsonl").unlink()
    task = place / "videos" / "square.toml"
    ended = program.run(
        *("annotate", "videos", f"--task={task}", f"--model={world / 'model'}", "--out=out"),
        cwd=place,
    )
    assert ended.code == 0, ended.said
    return place


@pytest.fixture
def videos(videos_once: Path, tmp_path: Path) -> Path:
    """A folder with `videos` and what `annotate` made of them in `out`."""
    return Path(shutil.copytree(videos_once, tmp_path / "videos"))


@pytest.fixture
def lerobot(program: Program, tmp_path: Path) -> Path:
    """A folder with LeRobot v3 in `robot`, several episodes in a video, and `out`, from a label."""
    from lerobot_files import IDS, make_v3

    from kairoscope.events import Event
    from kairoscope.robot.lerobot import write_lerobot

    make_v3(tmp_path / "plain", video=True)
    labels = {IDS[0]: (Event(TWO[0], 0.0, 0.9), Event(TWO[1], 0.9, 1.7))}
    write_lerobot(tmp_path / "plain", tmp_path / "robot", labels, labelled_by="human")
    write_task(tmp_path, *TWO)
    _annotate(program, tmp_path, "robot")
    return tmp_path


@pytest.fixture
def mimicgen(program: Program, tmp_path: Path) -> Path:
    """A folder with an HDF5 file that has pictures, and `out`, from its signals."""
    from hdf5_files import write_mimicgen

    write_mimicgen(tmp_path / "demos.hdf5", lengths=(120, 120, 110), pictures=True)
    write_task(tmp_path, "grasping the red cube")
    _annotate(program, tmp_path, "demos.hdf5")
    return tmp_path


def _annotate(program: Program, place: Path, source: str) -> None:
    ended = program.run(
        "annotate", source, "--task=task.toml", "--signals-only", "--out=out", cwd=place
    )
    assert ended.code == 0, ended.said
