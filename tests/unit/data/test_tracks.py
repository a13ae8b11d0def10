"""Tracks beside labels: read by name, at other moments, mirrored."""

import json
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import Sample, UserError
from kairoscope.data.tracks import hand_tracks_of, read_hand_tracks

ROW: dict[str, Any] = {
    "video": "clips/a.mp4",
    "times_s": [0.0, 0.1, 0.2],
    "tracks": {
        "hand_column": [0.0, 0.25, 1.0],
        "hand_row": [0.5, 0.5, 0.5],
        "hand_height": [0.1, 0.2, 0.3],
        "opening": [1.0, 0.5, 0.0],
        "holding": [0.0, 0.0, 1.0],
    },
}


def write(folder: Path, *rows: object) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "tracks.jsonl").write_text(text)
    return folder


def sample(folder: Path, name: str) -> Sample[tuple[str, ...], None]:
    return Sample(id=name, video=folder / name, query=("x",), gold=None, group=name, scenario="s")


def test_tracks_are_found_beside_the_labels_of_the_samples(tmp_path: Path) -> None:
    write(tmp_path, ROW)
    samples = [sample(tmp_path, "clips/a.mp4"), sample(tmp_path, "clips/b.mp4")]
    tracks = hand_tracks_of(samples)
    assert list(tracks) == ["clips/a.mp4"]
    assert tracks["clips/a.mp4"].holding == (0.0, 0.0, 1.0)


def test_a_folder_without_tracks_has_none(tmp_path: Path) -> None:
    assert hand_tracks_of([sample(tmp_path, "a.mp4")]) == {}


def test_other_moments_take_the_latest_row_before_them(tmp_path: Path) -> None:
    track = read_hand_tracks(write(tmp_path, ROW))["clips/a.mp4"]
    later = track.at((0.05, 0.1, 5.0))
    assert later.column == (0.0, 0.25, 1.0)
    assert later.times_s == (0.05, 0.1, 5.0)
    assert track.mirrored().column == (1.0, 0.75, 0.0)
    assert track.mirrored().mirrored() == track


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "tracks": {"hand_row": [0.0]}}, "hand_column"),
        ({**ROW, "times_s": [0.0]}, "not one length"),
        ({**ROW, "times_s": ["x", 0.1, 0.2]}, "is no track"),
        ({**ROW, "times_s": [0.0, 0.2, 0.1]}, "times that rise"),
        ({**ROW, "times_s": [0.0, float("nan"), 0.2]}, "finite times"),
        ({**ROW, "tracks": {**ROW["tracks"], "hand_row": [0, float("nan"), 1]}}, "the value nan"),
        ({**ROW, "tracks": {**ROW["tracks"], "holding": [0, 1, -0.5]}}, "the value -0.5"),
        ({**ROW, "times_s": [], "tracks": {key: [] for key in ROW["tracks"]}}, "at least one"),
        ([1], "is no track"),
    ],
)
def test_a_broken_row_is_named_with_its_line(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_hand_tracks(write(tmp_path, ROW, row))
    assert "tracks.jsonl:2" in str(error.value)
