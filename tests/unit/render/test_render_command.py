"""`kairoscope render` as a command: from a recording to a set that other commands take."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_json
from recorded_worlds import stacking, write_recordings

SMALL = ("--size=96", "--fast", "--holdout=0.4")
PAUSES = [(6, 5, 4), (3, 8, 2), (9, 2, 6)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    demos = {f"demo_{n}": stacking(pauses)[0] for n, pauses in enumerate(PAUSES)}
    write_recordings(tmp_path / "cubes.hdf5", demos)
    write_recordings(tmp_path / "lift.hdf5", {"demo_0": demos["demo_0"]}, env_name="Lift")
    return tmp_path


def test_what_comes_out_is_data_for_the_other_commands(
    program: Program, drawing: Any, assets: Path, place: Path
) -> None:
    ended = program.run(
        "render", "cubes.hdf5", "--out=set", f"--assets={assets}", *SMALL, cwd=place
    )
    assert ended.code == 0, ended.said
    assert "3 clips, 3 of them labelled (2 train, 1 test), 0 left out" in ended.out
    checked = program.run("run", "subtask-times", "--data=set", "--dry-run", cwd=place)
    assert checked.code == 0, checked.said
    converted = program.run("convert", "set/conversations_train", "again.jsonl", cwd=place)
    assert converted.code == 0, converted.said
    assert len((place / "again.jsonl").read_text().splitlines()) == 2


def test_what_is_wrong_is_said_in_a_line(
    program: Program, drawing: Any, assets: Path, place: Path
) -> None:
    ended = program.run("render", "cubes.hdf5", "--out=set", *SMALL, cwd=place)
    assert ended.code == 2
    assert "not one demonstration gave a clip" in ended.err
    assert "--assets" in ended.err
    assert len(read_json(place / "set" / "problems.json")) == 3
    ended = program.run(
        *("render", "gone.hdf5", "lift.hdf5", "--out=set", f"--assets={assets}", *SMALL), cwd=place
    )
    assert ended.code == 0, ended.said
    assert "left out: gone.hdf5" in ended.err
    assert "1 clip, 0 of them labelled" in ended.out
    for options in (["--size=97"], ["--holdout=2"], ["--task=nothing"], ["--camera=top"]):
        wrong = program.run("render", "lift.hdf5", "--out=set", *options, cwd=place)
        assert wrong.code == 2, options
        assert wrong.err.count("error:") == 1, options


def test_a_model_sees_what_nobody_recorded(
    program: Program, drawing: Any, assets: Path, world: Path, place: Path
) -> None:
    (place / "cubes.toml").write_text(
        'name = "cubes"\nevents = ["zigging it", "zagging it", "zogging it"]\n'
    )
    asked = ("--task=cubes.toml", f"--model={world / 'model'}", "--out=out")
    blind = program.run("annotate", "cubes.hdf5", *asked, cwd=place)
    assert "it has no video" in blind.err
    options = ("--render=agentview", f"--assets={assets}")
    seen = program.run("annotate", "cubes.hdf5", *asked[:2], "--out=seen", *options, cwd=place)
    assert seen.code == 0, seen.said
    assert "9 from the model" in seen.out
    clips = sorted((place / "seen" / "clips").glob("demo_*.mp4"))
    assert len(clips) == 3
    wrong = program.run("annotate", clips[0], *asked, "--render=agentview", cwd=place)
    assert wrong.code == 2
    assert "--render is for robot datasets" in wrong.err
