"""Pages play their clips wherever the command was started and whatever the clips are called."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from command_line import GOOD_NAMES, Program, read_rows
from html_checks import check_page, clips_of
from resumable import world_in

NAMES = (*GOOD_NAMES, "50% #1?.mp4", "a & <b>.mp4", "sub folder/ü.mp4", "C:drive.mp4")
OPTIONS = ("--task=data/square.toml", "--model=model")


def links(page: Path) -> dict[str, Path]:
    """Clip -> the file that a browser finds for it, by the rules of URLs."""
    clips = clips_of(check_page(page.read_text("utf-8")))["clips"]
    found = {}
    for clip in clips:
        url = clip["video"]
        assert not set("#?: \n") & set(url)
        found[clip["id"]] = page.parent / os.fsdecode(unquote_to_bytes(url))
    return found


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    (tmp_path / "place" / "my clips" / "sub folder").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(world / "data" / "a.mp4", tmp_path / "place" / "my clips" / name)
    return world_in(tmp_path / "place", world)


def check(page: Path, num_clips: int) -> None:
    found = links(page)
    assert len(found) == num_clips
    assert all(file.is_file() for file in found.values()), found


def test_any_name_from_any_folder(program: Program, place: Path) -> None:
    ended = program.run("annotate", "my clips", *OPTIONS, "--out=runs/out", cwd=place)
    assert ended.code == 0, ended.said
    page = place / "runs" / "out" / "annotations.html"
    check(page, len(NAMES))
    first = page.read_bytes()
    # The page is written again from another folder, and the run goes on from there.
    elsewhere = place / "deep"
    elsewhere.mkdir()
    assert program.run("report", "../runs/out", cwd=elsewhere).code == 0
    assert page.read_bytes() == first
    options = [option.replace("=", "=../") for option in OPTIONS]
    again = program.run("annotate", "../my clips", *options, "--out=../runs/out", cwd=elsewhere)
    assert again.code == 2  # another name for the model
    assert "model: 'model' there, '../model' now" in again.err
    assert "source" not in again.err


def test_moved_with_its_clips_it_goes_on(program: Program, place: Path) -> None:
    command = ("annotate", "my clips", *OPTIONS, "--out=out")
    assert program.run(*command, cwd=place).code == 0
    rows = read_rows(place / "out" / "boundaries.jsonl")
    moved = place.rename(place.with_name("moved here"))
    check(moved / "out" / "annotations.html", len(NAMES))
    ended = program.run(*command, cwd=moved)
    assert ended.code == 0, ended.said
    assert "loading" not in ended.err  # no clip is asked about again
    check(moved / "out" / "annotations.html", len(NAMES))
    assert read_rows(moved / "out" / "boundaries.jsonl") == rows


def test_through_links_to_folders(program: Program, place: Path) -> None:
    deep = place / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "linked clips").symlink_to(place / "my clips")
    (deep / "linked runs").symlink_to(place)
    source, out = "a/b/linked clips", "a/b/linked runs/out"
    ended = program.run("annotate", source, *OPTIONS, f"--out={out}", cwd=place)
    assert ended.code == 0, ended.said
    check(place / "out" / "annotations.html", len(NAMES))


def test_a_single_clip_and_a_list(program: Program, place: Path) -> None:
    lines = [name for name in NAMES if name == name.strip() and "\n" not in name]
    names = [name for name in lines if "\udcff" not in name]
    (place / "list.txt").write_text("".join(f"my clips/{name}\n" for name in names))
    for source, count in ((f"my clips/{NAMES[-3]}", 1), ("list.txt", len(names))):
        out = f"out{count}"
        ended = program.run("annotate", source, *OPTIONS, f"--out={out}", cwd=place)
        assert ended.code == 0, ended.said
        check(place / out / "annotations.html", count)


def test_evaluation_pages_link_as_well(program: Program, world: Path, place: Path) -> None:
    shutil.copytree(world / "data", place / "50% #1? ü")
    args = ("evaluate", "subtask-times", "--data=50% #1? ü", "--model=model", "--out=e/out")
    ended = program.run(*args, "--no-control", cwd=place)
    assert ended.code == 0, ended.said
    page = place / "e" / "out" / "report.html"
    check(page, 8)
    before = page.read_bytes()
    assert program.run("report", "out", cwd=place / "e").code == 0
    assert page.read_bytes() == before
