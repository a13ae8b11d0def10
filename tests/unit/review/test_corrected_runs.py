"""What a person accepted, after `annotate` has been run again: labels by hand wherever labels are."""

import csv
from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_rows
from html_checks import check_page, clips_of

from kairoscope.review.checking import Placed
from kairoscope.review.folder import ReviewFolder
from kairoscope.robot.opening import open_dataset


def correct(out: Path, clip: str, *frames: tuple[int, int] | None) -> None:
    folder = ReviewFolder(out)
    placed = [None if pair is None else Placed(start=pair[0], end=pair[1]) for pair in frames]
    wrong = folder.save(folder.seen(clip), placed)
    assert not any(fault.stops for fault in wrong)


def annotate(program: Program, place: Path, *arguments: str) -> Any:
    ended = program.run("annotate", *arguments, "--out=out", cwd=place)
    assert ended.code == 0, ended.said
    return ended


def rows_of(out: Path, clip: str) -> list[dict[str, Any]]:
    return [row for row in read_rows(out / "boundaries.jsonl") if row["clip"] == clip]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_clips_without_a_dataset(program: Program, videos: Path, world: Path) -> None:
    out = videos / "out"
    before = {clip: rows_of(out, clip) for clip in ("a.mp4", "b.mp4")}
    correct(out, "a.mp4", (1, 7), (8, 14))
    again = ("videos", "--task=videos/square.toml", f"--model={world / 'model'}")
    assert "loading" not in annotate(program, videos, *again).err  # no clip is asked about again
    found = rows_of(out, "a.mp4")
    assert [(r["start_frame"], r["end_frame"], r["source"]) for r in found] == [
        (1, 7, "label"),
        (8, 14, "label"),
    ]
    assert all(row["flags"] == [] and row["confidence"] is None for row in found)
    assert rows_of(out, "b.mp4") == before["b.mp4"]
    with (out / "boundaries.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row["clip"] == "a.mp4"]
    assert [(row["start_frame"], row["end_frame"]) for row in table] == [("1", "7"), ("8", "14")]
    page = clips_of(check_page((out / "annotations.html").read_text("utf-8")))
    (shown,) = [clip for clip in page["clips"] if clip["id"] == "a.mp4"]
    assert [span[1:3] for span in shown["lanes"][0]["spans"]] == [
        pytest.approx([row["start_s"], row["end_s"]], abs=1e-3) for row in found
    ]
    settled = tree(out)
    annotate(program, videos, *again)
    assert tree(out) == settled
    # Taken back, the model's word counts again.
    ReviewFolder(out).forget("a.mp4")
    annotate(program, videos, *again)
    assert rows_of(out, "a.mp4") == before["a.mp4"]


def test_hdf5_gets_human_labels_that_stay(program: Program, mimicgen: Path) -> None:
    out = mimicgen / "out"
    again = ("demos.hdf5", "--task=task.toml", "--signals-only")
    found = rows_of(out, "demo_0")[0]["end_frame"]
    correct(out, "demo_1", (0, 70))
    annotate(program, mimicgen, *again)
    (row,) = rows_of(out, "demo_1")
    assert (row["end_frame"], row["source"]) == (70, "label")
    copy = open_dataset(out / "demos.hdf5")
    assert copy.episode("demo_1").labelled_by == "human"
    assert copy.episode("demo_0").labelled_by == "kairoscope"
    settled = tree(out)
    annotate(program, mimicgen, *again)
    assert tree(out) == settled
    # A later run on the labelled copy keeps what the person said, and finds the rest again.
    (mimicgen / "later").mkdir()
    ended = program.run(
        *("annotate", "out/demos.hdf5", "--task=task.toml", "--signals-only", "--out=later/out"),
        cwd=mimicgen,
    )
    assert ended.code == 0, ended.said
    assert rows_of(mimicgen / "later" / "out", "demo_1")[0]["end_frame"] == 70
    assert rows_of(mimicgen / "later" / "out", "demo_0")[0]["end_frame"] == found


def test_lerobot_gets_human_labels_and_examples(program: Program, lerobot: Path) -> None:
    from lerobot_files import FPS, IDS, LENGTHS

    out = lerobot / "out"
    before = rows_of(out, IDS[2])
    correct(out, IDS[1], (0, 20), (20, 29))
    annotate(program, lerobot, "robot", "--task=task.toml", "--signals-only")
    assert [row["end_frame"] for row in rows_of(out, IDS[1])] == [20, 29]
    labelled = open_dataset(out / "dataset").episode(IDS[1])
    assert labelled.labelled_by == "human"
    assert [e.end_s for e in labelled.events] == pytest.approx([20 / FPS, 29 / FPS], abs=0.06)
    # It is an example now: the third episode, of which nothing else is known, is placed by two.
    after = rows_of(out, IDS[2])
    assert "from 1 labelled" in before[0]["reasons"][-1]
    assert "from 2 labelled" in after[0]["reasons"][-1]
    assert len(after) == 2
    page = clips_of(check_page((out / "annotations.html").read_text("utf-8")))
    starts = {clip["id"]: clip["video_start_s"] for clip in page["clips"]}
    assert starts == {IDS[0]: 0.0, IDS[1]: LENGTHS[0] / FPS, IDS[2]: 0.0}


def test_the_file_goes_into_a_dataset_by_itself(program: Program, mimicgen: Path) -> None:
    correct(mimicgen / "out", "demo_2", (0, 60))
    ended = program.run(
        *("convert", "out/corrections.jsonl", "by-hand.hdf5", "--into=demos.hdf5"), cwd=mimicgen
    )
    assert ended.code == 0, ended.said
    episode = open_dataset(mimicgen / "by-hand.hdf5").episode("demo_2")
    assert episode.labelled_by == "human"
    assert open_dataset(mimicgen / "by-hand.hdf5").episode("demo_0").events == ()


def test_pictures_in_a_dataset_play_on_the_page(mimicgen: Path) -> None:
    page_file = mimicgen / "out" / "annotations.html"
    page = clips_of(check_page(page_file.read_text("utf-8")))
    videos = {clip["id"]: page_file.parent / clip["video"] for clip in page["clips"]}
    assert set(videos) == {"demo_0", "demo_1", "demo_2"}
    assert all(video.is_file() for video in videos.values())


def test_corrections_of_clips_are_examples_elsewhere(program: Program, videos: Path) -> None:
    for clip in ("a.mp4", "c.mp4"):
        correct(videos / "out", clip, (0, 7), (7, 14))
    command = ("annotate", "videos", "--task=videos/square.toml", "--signals-only", "--examples=3")
    ended = program.run(*command, "--labels=out/corrections.jsonl", "--out=by", cwd=videos)
    assert ended.code == 0, ended.said
    assert "label these first:" in ended.out
    assert [row["end_frame"] for row in rows_of(videos / "by", "c.mp4")] == [7, 14]
    others = [
        row for row in read_rows(videos / "by" / "boundaries.jsonl") if row["clip"] == "e.mp4"
    ]
    assert all("from 2 labelled demonstrations" in row["reasons"][0] for row in others)
    kept = ReviewFolder(videos / "by").corrections
    assert set(kept) == {"a.mp4", "c.mp4"}
    video = (videos / "by" / kept["a.mp4"].video).resolve()
    assert video == (videos / "videos" / "a.mp4").resolve()
    settled = (videos / "by" / "boundaries.jsonl").read_bytes()
    assert program.run(*command, "--out=by", cwd=videos).code == 0  # they are in the run by now
    assert (videos / "by" / "boundaries.jsonl").read_bytes() == settled
