"""The figure of a clip says what the run says: boundaries where they are, frames that they show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Program, read_rows
from matplotlib.figure import Figure
from PIL import Image

from kairoscope.core import UserError
from kairoscope.data.taskfiles import load_task
from kairoscope.review.figure import draw, write_figure
from kairoscope.review.story import story_of_episode, story_of_run


def upright_lines(figure: Figure) -> set[float]:
    """Times at which a line goes from the bottom to the top of a row."""
    found = set()
    for axes in figure.axes:
        for line in axes.lines:
            x: Any = line.get_xdata()
            if len(x) == 2 and x[0] == x[1]:
                found.add(round(float(x[0]), 3))
    return found


def stills(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def labels(figure: Figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


def test_an_annotated_clip(videos: Path) -> None:
    story = story_of_run(videos / "out", "e.mp4")
    rows = [r for r in read_rows(videos / "out" / "boundaries.jsonl") if r["clip"] == "e.mp4"]
    figure = draw(story)
    assert upright_lines(figure) == {round(row["end_s"], 3) for row in rows}
    assert len(stills(figure)) == 1 + len(rows)
    assert story.traces == ()
    told = " ".join(labels(figure))
    assert all(
        f"{row['end_s']:.2f} s by model, {100 * row['confidence']:.0f} % sure" in told
        for row in rows
    )


def test_signals_sources_and_pictures_of_a_dataset_run(mimicgen: Path) -> None:
    story = story_of_run(mimicgen / "out", "demo_2")
    (row,) = [r for r in read_rows(mimicgen / "out" / "boundaries.jsonl") if r["clip"] == "demo_2"]
    assert [trace.name for trace in story.traces] == ["hand", "speed", "hand to object"]
    assert all(len(v) == 110 and np.isfinite(v).all() for t in story.traces for _, v in t.lines)
    assert set(story.curves["end 1"]) == {"signals", "fused"}
    assert all(p.sum() == pytest.approx(1) for p in story.curves["end 1"].values())
    figure = draw(story)
    shown = [float(still.mean()) for still in stills(figure)]
    assert shown == pytest.approx([0, row["end_frame"]], abs=2)  # every picture is its number
    assert round(row["end_s"], 3) in upright_lines(figure)


def test_a_dataset_by_itself(mimicgen: Path) -> None:
    of_run = story_of_run(mimicgen / "out", "demo_0")
    alone = story_of_episode(mimicgen / "demos.hdf5", None, load_task(str(mimicgen / "task.toml")))
    assert alone.title == "demo_0"
    assert [e and (e.name, e.end_s) for e in alone.events] == [
        e and (e.name, e.end_s) for e in of_run.events
    ]
    without = story_of_episode(mimicgen / "demos.hdf5", "demo_1", None)
    assert without.events == ()
    assert len(stills(draw(without))) == 6
    with pytest.raises(UserError, match="has no episode 'demo_9'"):
        story_of_episode(mimicgen / "demos.hdf5", "demo_9", None)


def test_labels_and_spans_of_lerobot(lerobot: Path) -> None:
    from lerobot_files import IDS, LENGTHS

    story = story_of_episode(lerobot / "robot", IDS[0], None)
    assert [e and e.end_s for e in story.events] == pytest.approx([0.9, 1.7])
    second = story_of_episode(lerobot / "robot", IDS[1], None)
    assert second.picture is not None
    assert float(second.picture(4).mean()) == pytest.approx((LENGTHS[0] + 4) * 7 % 256, abs=3)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files(videos: Path, tmp_path: Path, suffix: str) -> None:
    file = write_figure(story_of_run(videos / "out", "a.mp4"), tmp_path / "new" / f"a{suffix}")
    assert [p.name for p in file.parent.iterdir()] == [file.name]
    if suffix == ".png":
        with Image.open(file) as picture:
            width, height = picture.size
        assert width == 1210
        assert 300 < height < 1500


def test_the_command(program: Program, mimicgen: Path) -> None:
    ended = program.run("plot", "out", "--clip=demo_1", cwd=mimicgen)
    assert ended.code == 0, ended.said
    assert (mimicgen / "out" / "plots" / "demo_1.png").is_file()
    ended = program.run("plot", "demos.hdf5", "--task=task.toml", "--out=x.gif", cwd=mimicgen)
    assert ended.code == 2
    assert "allowed: a name that ends in .png, .svg, .pdf" in ended.err
    ended = program.run("plot", "out", "--clip=nobody", cwd=mimicgen)
    assert ended.code == 2
    assert "has no clip 'nobody'" in ended.err
