"""Clips from the web are the right ones, whatever happens on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clip_server import VIDEO, Web, served

from kairoscope.data.downloads import MANIFEST, clip_name, download_clips


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with served() as found:
        yield found


def test_a_name_follows_from_the_url_alone() -> None:
    urls = [
        "https://a.org/set/A_ball,_falling; slowly.mp4",
        "https://b.org/set/A_ball,_falling; slowly.mp4",
        "https://a.org/x/result.MOV?key=1",
        "https://a.org/x/result.MOV?key=2",
        "https://a.org/" + "long" * 99,
        "https://a.org/",
        "https://a.org/%E7%90%83.webm",
    ]
    names = [clip_name(url) for url in urls]
    assert len(set(names)) == len(names)
    assert names[0].startswith("A_ball_falling_slowly-")
    assert names[2].endswith(".mov")
    assert all(len(name) < 90 and "/" not in name for name in names)
    assert clip_name(urls[0]) == names[0]


def test_failures_are_listed_and_the_rest_is_there(web: Web, tmp_path: Path) -> None:
    good = [f"{web.address}/{name}.mp4" for name in ("a", "b c", "busy")]
    bad = {
        f"{web.address}/gone.mp4": "dead link (HTTP 404",
        f"{web.address}/page.mp4": "a web page instead of a video",
        f"{web.address}/hidden.mp4": "a web page instead of a video",
        f"{web.address}/text.mp4": "not a video",
        f"{web.address}/empty.mp4": "an empty file",
        "ftp://a.org/x.mp4": "not a web address",
        "clip.mp4": "not a web address",
        "http://127.0.0.1:9/x.mp4": "cannot be fetched",
    }
    seen: list[tuple[int, int]] = []
    urls = [*good, *bad, good[0]]
    clips, problems = download_clips(
        urls, tmp_path, wait_s=0.01, on_progress=lambda *at: seen.append(at)
    )
    assert list(clips) == good
    assert clips[good[0]].read_bytes() == VIDEO + b"/a.mp4"
    assert [problem.where for problem in problems] == list(bad)
    for problem in problems:
        assert problem.what.startswith(bad[problem.where])
    assert seen[-1] == (11, 11)
    assert not list(tmp_path.glob(".*.part"))


def test_what_is_there_is_not_fetched_again_unless_it_changed(web: Web, tmp_path: Path) -> None:
    urls = [f"{web.address}/again{i}.mp4" for i in range(3)]
    download_clips(urls, tmp_path)
    clips, _ = download_clips(urls[::-1], tmp_path)
    assert [web.asked[f"/again{i}.mp4"] for i in range(3)] == [1, 1, 1]
    clips[urls[1]].write_bytes(b"something else")
    with (tmp_path / MANIFEST).open("ab") as file:
        file.write(b'{"url": "torn')
    again, problems = download_clips(urls, tmp_path)
    assert again[urls[1]].read_bytes() == VIDEO + b"/again1.mp4"
    assert web.asked["/again1.mp4"] == 2
    assert not problems


def test_a_clip_that_was_cut_off_is_gone_on_with(web: Web, tmp_path: Path) -> None:
    url = f"{web.address}/cut.mp4"
    clips, problems = download_clips([url], tmp_path, wait_s=0.01)
    assert not problems
    assert clips[url].read_bytes() == VIDEO
    assert web.ranges == ["bytes=1000-"]
