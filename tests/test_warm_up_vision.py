"""`kairoscope warm-up-vision` as a user meets it; that it can be stopped is in `test_stopped.py`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Program, read_json, read_rows
from resumable import COMMANDS, RESULTS, is_clean, results_of, world_in
from safetensors.torch import load_file

COMMAND = COMMANDS["warm-up-vision"]


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    """Data and model, and beside them `some`: labels and tracks that may be changed."""
    (tmp_path / "some").mkdir()
    for name in ("labels.jsonl", "tracks.jsonl"):
        shutil.copy(world / "data" / name, tmp_path / "some" / name)
    for clip in (world / "data").glob("*.mp4"):
        (tmp_path / "some" / clip.name).symlink_to(clip)
    return world_in(tmp_path, world)


def test_it_writes_a_checkpoint_that_the_other_commands_take(program: Program, place: Path) -> None:
    ended = program.run(*COMMAND, cwd=place)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    steps = read_rows(place / "out" / "warm_up.jsonl")
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert ended.out == (
        f"out: vision tower warmed up on 8 clips, loss {steps[-1]['loss']:.3f} at the end\n"
    )
    assert not (place / "out.unfinished").exists()
    before, after = (load_file(place / name / "model.safetensors") for name in ("model", "out"))
    changed = {key for key in after if not before[key].equal(after[key])}
    assert changed
    assert all("visual" in key for key in changed)
    used = program.run("frames", "data/a.mp4", "--model=out", cwd=place)
    assert used.code == 0, used.said


def test_done_is_done_and_another_one_is_refused(program: Program, place: Path) -> None:
    first = program.run(*COMMAND, cwd=place)
    before = results_of("warm-up-vision", place)
    again = program.run(*COMMAND, cwd=place)
    assert (again.code, again.out) == (0, first.out)
    other = program.run(*COMMAND, "--set=seed=5", cwd=place)
    assert other.code == 2
    assert "out: is there already, made with other settings" in other.err
    assert "sft.seed: 0 there, 5 now" in other.err
    taken = program.run(COMMAND[0], "model", *COMMAND[2:], cwd=place)
    assert taken.code == 2
    assert "error: model: is there already" in taken.err
    assert results_of("warm-up-vision", place) == before


def test_what_nothing_can_be_learned_from_is_listed(program: Program, place: Path) -> None:
    some = place / "some"
    (some / "c.mp4").unlink()
    (some / "c.mp4").write_bytes(b"no video")
    tracks = read_rows(some / "tracks.jsonl")
    rows = [json.dumps(row) for row in tracks if row["video"] != "e.mp4"]
    (some / "tracks.jsonl").write_text("\n".join(rows))
    with (some / "labels.jsonl").open("a") as file:
        file.write("{torn\n")
    command = [COMMAND[0], "out", "--data=some", *COMMAND[3:]]
    ended = program.run(*command, cwd=place)
    assert ended.code == 0, ended.said
    assert is_clean(ended)
    assert ended.err.count("left out: ") == 3
    assert "left out: e.mp4: no row in tracks.jsonl" in ended.err
    assert "warmed up on 6 clips" in ended.out
    assert len(read_json(place / "out" / "left_out.json")) == 3


@pytest.mark.parametrize(
    ("tracks", "said"),
    [
        (None, "none of the clips has a row in tracks.jsonl"),
        ('{"video": "a.mp4"}\n', "some/tracks.jsonl:1: is no track"),
        ("\x00\n", "some/tracks.jsonl:1: not JSON"),
    ],
)
def test_without_tracks_it_says_so(
    tracks: str | None, said: str, program: Program, place: Path
) -> None:
    (place / "some" / "tracks.jsonl").unlink()
    if tracks is not None:
        (place / "some" / "tracks.jsonl").write_text(tracks)
    ended = program.run(COMMAND[0], "out", "--data=some", *COMMAND[3:], cwd=place)
    assert ended.code == 2, ended.said
    assert is_clean(ended)
    assert said in ended.err
    assert not (place / "out").exists()


def test_a_kill_between_the_last_two_steps_leaves_nothing_behind(
    program: Program, place: Path, uninterrupted: Callable[[str], dict[str, bytes]]
) -> None:
    assert program.run(*COMMAND, cwd=place).code == 0
    (place / "out.unfinished").mkdir()
    (place / "out.unfinished" / "warm_up.jsonl").touch()
    assert program.run(*COMMAND, cwd=place).code == 0
    assert not (place / "out.unfinished").exists()
    assert results_of("warm-up-vision", place) == uninterrupted("warm-up-vision")
    assert set(RESULTS["warm-up-vision"]) <= {file.name for file in (place / "out").iterdir()}
