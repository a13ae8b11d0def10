"""The page of annotations: everything that was found, the doubtful first, linked to its clip."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from html_checks import check_page, clips_of, linked_files

from kairoscope.report.annotation_page import annotated_clips, write_annotation_page
from kairoscope.runs import Run

NASTY = "grasping the <img src=x onerror=alert(1)> cube"


def clip_row(folder: Path, name: str, confidence: float | None, flags: list[str]) -> dict[str, Any]:
    (folder / name).write_bytes(b"x")
    event = {"start_frame": 3, "end_frame": 60, "confidence": confidence, "flags": flags}
    times = ["0.00", "1.00", "2.00"]
    return {
        "clip": name,
        "video": f"../{folder.name}/{name}",
        "problem": None,
        "text": "<answer></answer>",
        "duration_s": 4.0,
        "events": [
            {"event": NASTY, "start_s": 0.1, "end_s": 2.0, **event},
            {"event": "placing it", "start_s": 2.0, "end_s": 3.5, **event, "flags": []},
        ],
        "posteriors": [{"slot": "end 1", "choices": times, "probabilities": [0.0, 0.25, 0.75]}],
    }


@pytest.fixture
def annotation(tmp_path: Path) -> Path:
    clips = tmp_path / "clips & more"
    clips.mkdir()
    with Run.open(tmp_path / "out", kind="annotation", config={"task": {"name": "t"}}) as run:
        run.append("clips", clip_row(clips, "sure #1.mp4", 0.9, []))
        run.append("clips", clip_row(clips, "unsure.mp4", 0.3, []))
        run.append("clips", clip_row(clips, "flagged.mp4", 0.8, ["ends with the clip"]))
        run.append("clips", clip_row(clips, "no idea.mp4", None, []))
        bad = {"clip": "bad.mp4", "video": "bad.mp4", "events": [], "problem": "<b>no frames</b>"}
        run.append("clips", bad)
    return tmp_path / "out"


def test_everything_found_is_on_the_page(annotation: Path) -> None:
    file = write_annotation_page(annotation, title="<b>Stack</b>", about=[("model", "<i>m</i>")])
    markup = file.read_text("utf-8")
    page = check_page(markup)
    assert "<img" not in markup
    assert "<b>Stack" not in markup
    data = clips_of(page)
    clips = {clip["id"]: clip for clip in data["clips"]}
    assert len(clips) == 5
    assert clips["unsure.mp4"]["events"] == [NASTY, "placing it"]
    spans = clips["unsure.mp4"]["lanes"][0]["spans"]
    assert spans == [[0, 0.1, 2.0, True, 0], [1, 2.0, 3.5, True, 0]]
    assert clips["unsure.mp4"]["lanes"][1]["peaks"] == [[0, 1.0, 0.25], [0, 2.0, 0.75]]
    assert clips["bad.mp4"]["notes"] == ["<b>no frames</b>"]
    assert clips["bad.mp4"]["video"] is None
    links = linked_files(file, page)
    assert len(links) == 4
    assert all(link.is_file() for link in links)


def test_moved_with_its_clips_or_alone_it_finds_them(annotation: Path, tmp_path: Path) -> None:
    file = write_annotation_page(annotation, title="t")
    page = check_page(file.read_text("utf-8"))
    urls = [clip["elsewhere"] for clip in clips_of(page)["clips"] if clip["video"]]
    assert all(Path(url2pathname(urlsplit(url).path)).is_file() for url in urls)
    assert all(url.startswith("file:///") for url in urls)
    other = tmp_path / "some where" / "else"
    other.mkdir(parents=True)
    (tmp_path / "clips & more").rename(other / "clips & more")
    annotation.rename(other / "out")
    moved = other / "out" / file.name
    assert all(link.is_file() for link in linked_files(moved, page))
    again = write_annotation_page(other / "out", title="t")
    links = linked_files(again, check_page(again.read_text("utf-8")))
    assert len(links) == 4
    assert all(link.is_file() for link in links)


def test_the_doubtful_come_first(annotation: Path) -> None:
    page = check_page(write_annotation_page(annotation, title="t").read_text("utf-8"))
    data = clips_of(page)
    assert data["orders"][0] == {"name": "doubtful first", "key": "confidence", "descending": False}
    known = [clip for clip in data["clips"] if clip["sort"]["confidence"] is not None]
    names = [c["id"] for c in sorted(known, key=lambda clip: clip["sort"]["confidence"])]
    assert names == ["bad.mp4", "flagged.mp4", "unsure.mp4", "sure #1.mp4"]
    tags = {clip["id"]: [tag["words"] for tag in clip["tags"]] for clip in data["clips"]}
    assert tags["flagged.mp4"] == ["doubtful", "ends with the clip"]
    assert tags["sure #1.mp4"] == ["sure"]
    assert tags["no idea.mp4"] == []
    words = " ".join(" ".join(page.text).split())
    assert "Clips to look at 2" in words
    assert "Not annotated 1" in words


def test_the_clips_of_a_run_come_one_at_a_time(annotation: Path) -> None:
    found = annotated_clips(Run.read(annotation))
    first = next(found)
    assert first.id == "sure #1.mp4"
    assert first.confidence == 0.9
    assert len(list(found)) == 4
