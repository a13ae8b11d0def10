"""Tracks say what the pictures show: the hand in the picture, and when it holds something."""

import json
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.simulate import generate, render

World = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Rows of the labels and of the tracks."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    try:
        render.Canvas(render.load_mujoco(), 96).close()
    except UserError as error:
        pytest.skip(f"no simulator here: {error}")
    folder = tmp_path_factory.mktemp("world")
    generate(folder, num_clips=3, seed=5, families=("place",), size_px=96, fps=10)
    labels, tracks = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("labels.jsonl", "tracks.jsonl")
    )
    return labels, tracks


def test_every_frame_of_every_clip_has_a_value_from_0_to_1(world: World) -> None:
    labels, tracks = world
    for label, row in zip(labels, tracks, strict=True):
        assert row["video"] == label["video"]
        frames = round(label["duration_s"] * 10)
        assert row["times_s"] == [round(i / 10, 4) for i in range(frames)]
        for values in row["tracks"].values():
            assert len(values) == frames
            assert all(0 <= value <= 1 for value in values)


def test_the_hand_holds_the_object_from_the_grasp_to_the_release(world: World) -> None:
    for label, row in zip(*world, strict=True):
        grasp, release = (round(event["end_s"] * 10) for event in label["events"])
        holding = row["tracks"]["holding"]
        assert holding[grasp] == 1
        assert holding[grasp - 1] == 0
        assert holding[release] == 0
        assert set(holding[grasp : release - 3]) == {1}
