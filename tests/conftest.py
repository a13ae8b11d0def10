"""Fixtures shared by all tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from command_line import Program, write_world
from resumable import COMMANDS, results_of, world_in

# The same examples every time: who changed nothing shall not be told that something broke.
# HYPOTHESIS_EXPLORE=1 looks further.
hypothesis.settings.register_profile("fixed", derandomize=True)
if "HYPOTHESIS_EXPLORE" not in os.environ:
    hypothesis.settings.load_profile("fixed")

REPOSITORY = Path(__file__).parents[1]
# No test is answered from an earlier one's run, nor writes into the user's own store.
os.environ["KAIROSCOPE_STORE"] = "off"


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


@pytest.fixture(scope="session")
def uninterrupted(
    program: Program, world: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, bytes]]:
    """Command -> the results of running it in one go, in bytes; run when first asked for."""
    found: dict[str, dict[str, bytes]] = {}

    def results(name: str) -> dict[str, bytes]:
        if name not in found:
            place = world_in(tmp_path_factory.mktemp(name), world)
            ended = program.run(*COMMANDS[name], cwd=place)
            assert ended.code == 0, ended.said
            found[name] = results_of(name, place)
        return found[name]

    return results
