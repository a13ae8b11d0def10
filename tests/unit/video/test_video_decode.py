"""Skipping what is not wanted changes nothing; what is broken is named."""

import random
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_clips import MakeClip, read_number

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import Scan, scan
from kairoscope.video.decode import Feed, decode_frames, feed_plan

KINDS: dict[str, dict[str, Any]] = {
    "one group": {"options": {"g": "300", "sc_threshold": "0"}},
    "short groups": {"options": {"g": "7"}},
    "groups of two": {"options": {"g": "2", "bf": "0"}},
    "pyramid": {"options": {"g": "24", "bf": "8", "b-pyramid": "normal", "b_strategy": "0"}},
    "strict pyramid": {"options": {"g": "24", "bf": "5", "b-pyramid": "strict"}},
    "no pyramid": {"options": {"g": "24", "bf": "5", "b-pyramid": "none", "b_strategy": "0"}},
    "open groups": {"options": {"g": "8", "x264-params": "open-gop=1:bframes=4:b-adapt=0"}},
    "intra refresh": {"options": {"g": "12", "x264-params": "intra-refresh=1"}},
    "444": {"pix_fmt": "yuv444p", "options": {"g": "5"}},
    "transport stream": {"name": "clip.ts", "options": {"g": "6"}},
    "matroska": {"name": "clip.mkv", "options": {"g": "6", "x264-params": "open-gop=1"}},
    "av1": {"codec": "libsvtav1", "options": {"g": "5", "preset": "10"}},
    "vp9": {
        "name": "clip.webm",
        "codec": "libvpx-vp9",
        "options": {"g": "9", "lag-in-frames": "8"},
    },
    "vp8": {"name": "clip.webm", "codec": "libvpx", "options": {"auto-alt-ref": "1", "g": "30"}},
    "hevc": {"codec": "libx265", "options": {"g": "9", "x265-params": "log-level=none"}},
    "mpeg4": {"name": "clip.avi", "codec": "mpeg4", "options": {"g": "9"}},
    "h264 in avi": {"name": "clip.avi", "options": {"g": "9"}},
    "edit list": {"shift": -7, "muxing": {"avoid_negative_ts": "disabled"}},
}


def _everything(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _chosen(clip: Scan, indices: list[int]) -> list[np.ndarray]:
    wanted = [clip.packets.shown[index] for index in indices]
    found = [
        (tick, frame.to_ndarray(format="rgb24")) for tick, frame in decode_frames(clip, wanted)
    ]
    assert [tick for tick, _ in found] == wanted
    return [pixels for _, pixels in found]


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_frames_equal_those_of_a_full_decode(make_clip: MakeClip, kind: str) -> None:
    path = make_clip(num_frames=50, size=(96, 64), **KINDS[kind])
    whole, clip = _everything(path), scan(path)
    assert clip.info.num_frames == len(whole)
    first = read_number(whole[0])
    rng = random.Random(0)
    choices = [[0], [len(whole) - 1], list(range(len(whole))), list(range(0, len(whole), 4))]
    choices += [sorted(rng.sample(range(len(whole)), n)) for n in (1, 1, 2, 3, 5, 11, 20)]
    for indices in choices:
        for index, pixels in zip(indices, _chosen(clip, indices), strict=True):
            assert np.array_equal(pixels, whole[index])
            assert read_number(pixels) == first + index


@pytest.mark.parametrize(("kind", "most"), [("groups of two", 25), ("av1", 42), ("444", 42)])
def test_short_groups_spare_packets(make_clip: MakeClip, kind: str, most: int) -> None:
    clip = scan(make_clip(num_frames=50, **KINDS[kind]))
    plan = feed_plan(clip.packets, set(clip.packets.shown[::8]))
    assert plan.count(Feed.SHOW) == 7
    assert sum(feed is not Feed.DROP for feed in plan) <= most


@pytest.mark.parametrize("kind", ["intra refresh", "hevc", "open groups"])
def test_groups_that_are_not_closed_are_not_skipped(make_clip: MakeClip, kind: str) -> None:
    clip = scan(make_clip(num_frames=50, **KINDS[kind]))
    plan = feed_plan(clip.packets, {clip.packets.shown[-1]})
    if kind == "open groups":
        assert clip.packets.restarts == (0,)
    assert Feed.DROP not in plan[: plan.index(Feed.SHOW)]


def test_real_clips_equal_a_full_decode(shared_data: Path) -> None:
    for path in sorted(shared_data.rglob("*.mp4"))[:4:3]:
        clip = scan(path)
        indices = list(range(3, clip.info.num_frames, 41))
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in indices:
                    pixels = _chosen(clip, [number])[0]
                    assert np.array_equal(pixels, frame.to_ndarray(format="rgb24"))


def _damage(path: Path, first: float, last: float) -> None:
    """Overwrite the payload of the packets in this share of the file with noise."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.pos and p.size]
    data, rng = bytearray(path.read_bytes()), random.Random(1)
    for place, size in places[int(first * len(places)) : int(last * len(places))]:
        data[place + 2 : place + size] = rng.randbytes(size - 2)
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_damage_is_named_with_its_time(make_clip: MakeClip, codec: str) -> None:
    path = make_clip(num_frames=60, fps=10, codec=codec, options={"g": "10"})
    _damage(path, 0.5, 0.8)
    clip = scan(path)
    with pytest.raises(UnreadableClip, match=r"clip\.mp4: broken or cut off at [2-5]\.\d\d s"):
        list(decode_frames(clip, clip.packets.shown))


def test_a_clip_that_changes_after_the_scan_is_noticed(make_clip: MakeClip) -> None:
    clip = scan(make_clip(num_frames=40))
    make_clip(num_frames=20)
    with pytest.raises(UnreadableClip, match="broken or cut off"):
        list(decode_frames(clip, clip.packets.shown))
