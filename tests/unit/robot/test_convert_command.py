"""`kairoscope convert` between label files and robot datasets: what goes in comes out."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_line import Program, read_rows
from hdf5_files import write_mimicgen
from lerobot_files import FPS, IDS, LENGTHS, labels_of, make_v2, make_v3, tree
from signal_readers import mimicgen_reads

from kairoscope.data.labels import load_folder
from kairoscope.robot.legality import SPECS
from kairoscope.video.clip import frame_times


def row(video: str, *ends_s: float, names: tuple[str, ...] = ("grasp", "place")) -> dict[str, Any]:
    pairs = zip(names, ends_s, strict=True)
    return {"video": video, "events": [{"name": name, "end_s": end} for name, end in pairs]}


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_labels_into_lerobot_and_out_again(program: Program, tmp_path: Path, version: str) -> None:
    source = (make_v3 if version == "v3.0" else make_v2)(tmp_path / "data", video=True)
    before = tree(source)
    ends_s = {IDS[0]: (0.9, 1.6), IDS[1]: (1.0, 2.5)}
    write_rows(
        tmp_path / "hand.jsonl", *(row(f"x/{name}.mp4", *ends) for name, ends in ends_s.items())
    )
    ended = program.run("convert", "hand.jsonl", "made", "--into", "data", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert tree(source) == before
    labels = labels_of(tmp_path / "made")
    for name, ends in ends_s.items():
        events, by = labels[name]
        assert by == "human"
        assert [event.end_s for event in events] == pytest.approx(ends)
    ended = program.run("convert", "made", "again.jsonl", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "2 labels, 1 left out" in ended.out
    samples = {sample.group: sample for sample in load_folder(tmp_path / "again.jsonl")}
    assert set(samples) == set(ends_s)
    for name, sample in samples.items():
        assert sample.gold is not None
        assert [event.end_s for event in sample.gold] == pytest.approx(ends_s[name])


def test_labels_into_mimicgen_and_out_again(program: Program, tmp_path: Path) -> None:
    write_mimicgen(tmp_path / "demos.hdf5", lengths=(100, 90), pictures=True)
    grasp = ("grasping the red cube",)
    write_rows(
        tmp_path / "hand.jsonl",
        row("demo_0.mp4", 2.0, names=grasp),
        {**row("any.mp4", 1.5, names=grasp), "group": "demo_1"},
        row("demo_7.mp4", 1.0, names=grasp),
    )
    ended = program.run("convert", "hand.jsonl", "m.hdf5", "--into", "demos.hdf5", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "demo_7" in ended.err
    assert mimicgen_reads(tmp_path / "m.hdf5", SPECS["stack"]) == {"demo_0": [41], "demo_1": [31]}
    with h5py.File(tmp_path / "m.hdf5") as file:
        signal = file["data/demo_0/datagen_info/subtask_term_signals/grasp"]
        assert signal.attrs["kairoscope_labelled_by"] == "human"
    assert program.run("convert", "m.hdf5", "out.jsonl", cwd=tmp_path).code == 0
    rows = read_rows(tmp_path / "out.jsonl")
    assert [one["events"] for one in rows] == [
        [{"name": "grasp", "end_s": 2.0}],
        [{"name": "grasp", "end_s": 1.5}],
    ]
    for one, length in zip(rows, (100, 90), strict=True):
        times_s = frame_times(tmp_path / one["video"])
        assert times_s == pytest.approx((np.arange(length) / 20).tolist(), abs=1e-4)
        assert one["duration_s"] == pytest.approx(length / 20)
    # What was written by hand stays when the copy is annotated.
    (tmp_path / "stack.toml").write_text('name = "stack"\nevents = ["grasping the red cube"]\n')
    options = ("--task=stack.toml", "--signals-only", "--out=out")
    ended = program.run("annotate", "m.hdf5", *options, cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "2 were labelled" in ended.out


def test_cut_clips_are_as_long_as_their_episodes(program: Program, tmp_path: Path) -> None:
    make_v3(tmp_path / "data", video=True)
    write_rows(tmp_path / "hand.jsonl", *(row(f"{name}.mp4", 0.4, 1.0) for name in IDS))
    assert program.run("convert", "hand.jsonl", "made", "--into", "data", cwd=tmp_path).code == 0
    assert program.run("convert", "made", "again.jsonl", cwd=tmp_path).code == 0
    for sample, length in zip(load_folder(tmp_path / "again.jsonl"), LENGTHS, strict=True):
        assert sample.duration_s == pytest.approx(length / FPS)
        assert len(frame_times(sample.video)) == length


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.jsonl", "made", "--into", "data"), "none of its rows is an episode"),
        (("hand.jsonl", "made", "--into", "nowhere"), "nowhere: no such file"),
        (("data", "out.jsonl"), "no labelled episode to write"),
        (("data", "folder"), "allowed: the name of a new .jsonl file"),
    ],
)
def test_what_cannot_be_converted_is_named(
    program: Program, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    make_v2(tmp_path / "data", video=True)
    write_rows(tmp_path / "hand.jsonl", row(f"{IDS[0]}.mp4", 0.4, 1.0))
    write_rows(tmp_path / "none.jsonl", row("other.mp4", 0.4, 1.0))
    ended = program.run("convert", *arguments, cwd=tmp_path)
    assert ended.code == 2, ended.said
    assert words in ended.err
    assert not (tmp_path / "made").exists()
