"""Fixtures shared by all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Program, write_world

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips that are not part of the repository; tests on them skip where they are absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real clips of ../shared/data are not on this machine")
    return folder


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The command line; see `command_line.Program`."""
    program = Program(tmp_path_factory.mktemp("program"))
    yield program
    program.close()


@pytest.fixture(scope="session")
def world(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight labelled clips in `data`, and a small checkpoint in `model`."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder / "data", 8)
    sizes = ("text_width=48", "text_depth=2", "vision_width=32", "vision_depth=2", "text_heads=2")
    frames = ("fps=4", "min_frame_pixels=7056", "max_frame_pixels=7056", "stamp_place=band")
    options = [f"--size={size}" for size in sizes] + [f"--frames={frame}" for frame in frames]
    ended = program.run("new-model", "model", "--data", "data", *options, cwd=folder)
    assert ended.code == 0, ended.said
    return folder
