"""The page itself, in a browser: frames are those that it says, keys do what they say, nothing wrong is kept."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Pipe, Tab, browser, program
from command_line import read_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="Chromium is not on this machine"),
]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    with browser(tmp_path_factory.mktemp("profile")) as pipe:
        yield pipe


@pytest.fixture
def tab(pipe: Pipe) -> Tab:
    tab = Tab(pipe)
    tab.size(1400, 900)
    return tab


def load(tab: Tab, page: Any, clip: str) -> None:
    tab.go(page.server.address)
    tab.until("document.readyState === 'complete' && typeof clip !== 'undefined' && clip")
    tab.run(f"open({page.place(clip)})")
    settle(tab)


def settle(tab: Tab) -> None:
    tab.until("screen && onScreen === screen.target && !(screen.video && screen.video.seeking)")


def test_the_picture_is_the_frame(serve: Callable[[Path], Any], lerobot: Path, tab: Tab) -> None:
    from lerobot_files import IDS, LENGTHS

    grey = (
        "(() => { const c = document.createElement('canvas'); c.width = c.height = 1; "
        "const x = c.getContext('2d'); x.drawImage(document.querySelector('video'), 0, 0, 1, 1); "
        "return x.getImageData(0, 0, 1, 1).data[1]; })()"
    )
    with serve(lerobot / "out") as page:
        load(tab, page, IDS[1])  # the second episode in its file
        tab.run("go(0)")
        for key, shift, frame in (
            ("ArrowRight", False, 1),
            ("ArrowRight", False, 2),
            ("ArrowRight", True, 12),
            ("ArrowLeft", False, 11),
            ("ArrowLeft", True, 1),
            ("ArrowLeft", True, 0),
        ):
            settle(tab)
            tab.press(key, shift=shift)
            settle(tab)
            assert tab.run("onScreen") == frame
            assert (
                tab.run("document.getElementById('frame-number').textContent") == f"frame {frame}"
            )
            tab.run("new Promise((r) => setTimeout(r, 50))")
            assert tab.run(grey) == pytest.approx((LENGTHS[0] + frame) * 7 % 256, abs=3)


def test_keys_set_undo_and_accept(serve: Callable[[Path], Any], videos: Path, tab: Tab) -> None:
    with serve(videos / "out") as page:
        load(tab, page, "f.mp4")
        found = tab.run("draft.events")
        tab.run("(draft.joined = false, null)")
        tab.press("1")
        tab.run("go(6)")
        settle(tab)
        tab.press("]")
        tab.press("2")
        tab.run("go(8)")
        tab.press("[")
        tab.run("go(13)")
        tab.press("]")
        assert tab.run("draft.events[0].end") == 6
        assert tab.run("draft.events[1]") == {"start": 8, "end": 13}
        for _ in range(3):
            tab.press("u")
        assert tab.run("draft.events") == found
        for _ in range(3):
            tab.press("U", shift=True)
        tab.run("go(1)")
        tab.press("1")
        tab.press("[")
        tab.until("!document.getElementById('accept').disabled && !faults.length")
        tab.press("Enter")
        tab.until("all.clips.some((one) => one.saved)")
        (row,) = read_rows(videos / "out" / "corrections.jsonl")
        assert row["clip"] == "f.mp4"
        times_s = page.json(f"api/clip/{page.place('f.mp4')}")["times_s"]
        assert [(e["start_s"], e["end_s"]) for e in row["events"]] == [
            (times_s[1], times_s[6]),
            (times_s[8], times_s[13]),
        ]
        tab.until("all.clips[at].clip !== 'f.mp4'")  # it has gone on


def test_a_handle_is_dragged(serve: Callable[[Path], Any], videos: Path, tab: Tab) -> None:
    with serve(videos / "out") as page:
        load(tab, page, "g.mp4")
        tab.run(
            "(change(() => { draft.events = [{start: 0, end: 5}, {start: 5, end: 12}]; }), null)"
        )
        tab.run("(draft.joined = true, null)")
        step = tab.run("document.querySelector('.track').offsetWidth / clip.times_s.length")
        tab.drag(".row:first-child .handle.end", 3 * step)
        assert tab.run("draft.events") == [{"start": 0, "end": 8}, {"start": 8, "end": 12}]
        settle(tab)
        assert tab.run("onScreen") == 8
        tab.press("u")
        assert tab.run("draft.events") == [{"start": 0, "end": 5}, {"start": 5, "end": 12}]


def test_a_wrong_order_is_shown_and_not_kept(
    serve: Callable[[Path], Any], videos: Path, tab: Tab
) -> None:
    with serve(videos / "out") as page:
        load(tab, page, "h.mp4")
        tab.run(
            "(change(() => { draft.events = [{start: 0, end: 9}, {start: 2, end: 4}]; }), null)"
        )
        tab.until("document.querySelectorAll('#faults .stops').length > 0")
        assert tab.run("document.querySelectorAll('.row.wrong').length") == 2
        assert tab.run("document.getElementById('accept').disabled")
        tab.press("Enter")
        tab.run("new Promise((r) => setTimeout(r, 200))")
        assert not (videos / "out" / "corrections.jsonl").exists()
        # What was changed and not accepted is still there when one comes back.
        tab.run(f"open({page.place('a.mp4')})")
        tab.run(f"open({page.place('h.mp4')})")
        assert tab.run("draft.events[1]") == {"start": 2, "end": 4}


@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_is_wider_than_the_window(
    serve: Callable[[Path], Any], mimicgen: Path, tab: Tab, width: int
) -> None:
    tab.size(width, 900)
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    with serve(mimicgen / "out") as page:
        load(tab, page, "demo_1")
        assert tab.run(fits)
    tab.go((mimicgen / "out" / "annotations.html").as_uri())
    tab.until("document.querySelectorAll('.clip').length === 3")
    assert tab.run(fits)
    tables = (
        "[...document.querySelectorAll('.scroll')].every((n) => n.scrollWidth <= n.clientWidth)"
    )
    assert tab.run(tables)
