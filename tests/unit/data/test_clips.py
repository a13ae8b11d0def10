"""Which clips a path means: folders, lists, single files, and everything that is none of these."""

import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import Sample, UserError
from kairoscope.data.clips import VIDEO_SUFFIXES, check_clips, list_videos


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_a_folder_is_searched_in_order_without_hidden_and_other_files(tmp_path: Path) -> None:
    wanted = ["a.mp4", "b/c.MOV", "b/d.mkv", "e.avi", "f.webm", "ü.m4v"]
    make(tmp_path, *reversed(wanted), "._a.mp4", ".trash/x.mp4", "notes.txt", "labels.jsonl")
    (tmp_path / "folder.mp4").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_videos(tmp_path)] == wanted


@given(names=st.sets(st.sampled_from("abcdefgh")), order=st.randoms(use_true_random=False))
def test_the_order_of_creation_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], order: Random
) -> None:
    folder = tmp_path_factory.mktemp("clips")
    shuffled = list(names)
    order.shuffle(shuffled)
    make(folder, "z.mp4", *(f"{name}.mp4" for name in shuffled))
    assert [path.stem for path in list_videos(folder)] == [*sorted(names), "z"]


def test_one_video(tmp_path: Path) -> None:
    make(tmp_path, "a.MP4")
    assert list_videos(tmp_path / "a.MP4") == [tmp_path / "a.MP4"]


def test_lists_keep_their_order_and_name_absent_clips(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "c.mp4"
    text = tmp_path / "list.txt"
    text.write_text(f"# the good ones\nb.mp4\r\n\n  a b.mp4 \n{elsewhere}\n", encoding="utf-8")
    wanted = [tmp_path / "b.mp4", tmp_path / "a b.mp4", elsewhere]
    assert list_videos(text) == wanted
    lines = tmp_path / "list.jsonl"
    lines.write_text(
        f'{{"video": "b.mp4", "events": 1}}\n"a b.mp4"\n{json.dumps(str(elsewhere))}\n'
    )
    assert list_videos(lines) == wanted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "b.mp4\n\n./b.mp4\n", r"a\.txt:3: video './b\.mp4' is already on line 1"),
        ("a.txt", "# nothing\n", r"a\.txt: the list names no video"),
        ("a.jsonl", '"b.mp4"\n{"clip": 1}\n', r'a\.jsonl:2: {"clip": 1} names no video'),
        ("a.jsonl", '"b.mp4"\n{"video": \n', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", "3\n", r"a\.jsonl:1: 3 names no video"),
        ("a.h5", "x", r"a\.h5: not a known kind of file \(\.h5\); allowed: a video \(\.mp4"),
        ("clip", "x", r"clip: not a known kind of file \(no suffix\)"),
    ],
)
def test_bad_sources(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        list_videos(tmp_path / name)


def test_absent_and_empty_sources(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent: no such file or folder"):
        list_videos(tmp_path / "absent")
    make(tmp_path, "notes.md")
    with pytest.raises(UserError, match=r"no video in this folder; looked for \.mp4 \.mov"):
        list_videos(tmp_path)
    (tmp_path / "list.txt").write_bytes(b"\xff.mp4\n")
    with pytest.raises(UserError, match=r"list\.txt:1: not UTF-8 text"):
        list_videos(tmp_path / "list.txt")


def sample(video: Path) -> Sample[str, str]:
    return Sample(id=video.name, video=video, query="", gold=None, group="g", scenario="s")


def test_clips_that_cannot_be_clips_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, "good.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loose.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "good.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    names = ["good", "empty", "folder", "loose", "link", "pipe", "absent", "x" * 300]
    good, problems = check_clips([sample(tmp_path / f"{name}.mp4") for name in names])
    assert [item.id for item in good] == ["good.mp4", "link.mp4"]
    assert [problem.what for problem in problems] == [
        "an empty file (0 bytes)",
        "not a file",
        "a link to nothing",
        "not a file",
        "no such file",
        "cannot be reached: File name too long",
    ]
    assert problems[0].where == str(tmp_path / "empty.mp4")


def test_every_video_suffix_is_found(tmp_path: Path) -> None:
    make(tmp_path, *(f"clip{suffix}" for suffix in VIDEO_SUFFIXES))
    assert {path.suffix for path in list_videos(tmp_path)} == set(VIDEO_SUFFIXES)
