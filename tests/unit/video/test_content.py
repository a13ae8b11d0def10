"""Copies of a clip are known by their pictures, whatever they are called and wrapped in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from tiny_models import make_samples, write_clip

from kairoscope.core import UserError
from kairoscope.curate import check_apart, curate
from kairoscope.video.content import packet_hash


def rewrapped(source: Path, target: Path, **notes: str) -> Path:
    """The same packets in another file."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy: Any = new.add_stream_from_template(stream)
        new.metadata.update(notes)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    return target


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", seconds=1.5, seed=3)


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
def test_another_container_and_title_change_nothing(clip: Path, tmp_path: Path, name: str) -> None:
    copy = rewrapped(clip, tmp_path / name, title="a copy", comment="made later")
    assert copy.read_bytes() != clip.read_bytes()
    assert packet_hash(copy) == packet_hash(clip) is not None


def test_other_pictures_change_it(clip: Path, tmp_path: Path) -> None:
    others = [
        write_clip(tmp_path / "seed.mp4", seconds=1.5, seed=4),
        write_clip(tmp_path / "longer.mp4", seconds=1.6, seed=3),
        write_clip(tmp_path / "larger.mp4", seconds=1.5, seed=3, size=(96, 84)),
    ]
    assert len({packet_hash(path) for path in (clip, *others)}) == 4


def test_what_is_no_video_has_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"nothing to see")
    assert packet_hash(tmp_path / "text.mp4") is None
    assert packet_hash(tmp_path / "absent.mp4") is None


def test_rewrapped_copies_are_duplicates_and_never_on_both_sides(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 4)
    copy = replace(
        samples[0],
        id="copy",
        video=rewrapped(samples[0].video, tmp_path / "copy.mkv", title="copy"),
        group="elsewhere",
    )
    found = curate([*samples, copy], holdout=0.25)
    assert [(drop.sample_id, drop.reason) for drop in found.drops] == [("copy", "duplicate")]
    with pytest.raises(UserError, match="'clip-0' and 'copy' show the same, picture for picture"):
        check_apart(samples, [copy], "train and test")
    assert samples[0].gold
    [event] = samples[0].gold
    other = replace(copy, gold=(replace(event, name="leaving"),), query=("leaving",))
    both = curate([*samples, other], holdout=0.5)
    assert not both.drops
    sides = [{sample.id for sample in side} for side in (both.train, both.held_out)]
    assert any({"clip-0", "copy"} <= side for side in sides)
