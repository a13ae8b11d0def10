"""A sweep as a command: killed in the middle and run again, its table is that of one left alone."""

import json
import signal
from pathlib import Path
from typing import Any

from command_line import Program, read_json
from resumable import is_clean, world_in

SWEEP = [
    *("evaluate", "subtask-times", "--data=data", "--model=model", "--out=out", "--no-control"),
    *("--fps", "2", "4", "--decoding", "constrained"),
]


def table(place: Path) -> Any:
    """Without how long it took."""
    found = read_json(place / "out" / "sweep.json")
    for row in found["cells"]:
        assert row.pop("seconds") > 0
    return found


def test_killed_and_run_again_is_the_same_table(
    program: Program, world: Path, tmp_path: Path
) -> None:
    straight, killed = (tmp_path / name for name in ("straight", "killed"))
    for place in (straight, killed):
        place.mkdir()
        world_in(place, world)
    ended = program.run(*SWEEP, cwd=straight)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    assert "fps 2" in ended.out
    ended = program.run(*SWEEP, cwd=killed, send=signal.SIGKILL, after=11)
    assert ended.code == -signal.SIGKILL
    ended = program.run(*SWEEP, cwd=killed)
    assert ended.code == 0, ended.said
    assert table(killed) == table(straight)
    page = (straight / "out" / "sweep.html").read_text("utf-8")
    for cell in ("fps-2", "fps-4"):
        assert f"cells/{cell}/report.html" in page
        assert (straight / "out" / "cells" / cell / "report.html").is_file()
        assert (
            json.loads((straight / "out/cells" / cell / "metrics.json").read_text())["n_clips"] == 8
        )


def test_what_is_no_sweep_has_no_validation(program: Program, world: Path, tmp_path: Path) -> None:
    place = world_in(tmp_path, world)
    ended = program.run(*SWEEP[:5], "--out=out", "--validation=0.3", cwd=place)
    assert (ended.code, "--validation is for sweeps" in ended.err) == (2, True), ended.said
