"""What a model sees: the right frames, upright, of the right size, with the right labels."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import pytest
import torch
from made_clips import MakeClip, read_number, write_clip
from torch.nn import functional

from kairoscope.core import FramePolicy, StampMode, UnreadableClip
from kairoscope.video import decode
from kairoscope.video import frames as video_frames
from kairoscope.video.clip import frame_times
from kairoscope.video.frames import load_frames, stamped
from kairoscope.video.sampling import (
    QWEN3_GEOMETRY,
    QWEN25_GEOMETRY,
    PatchGeometry,
    frame_size,
    sample_indices,
)
from kairoscope.video.stamps import stamp_layout

TINY = FramePolicy(
    fps=4,
    total_pixels=84 * 84 * 50,
    max_frame_pixels=84 * 84,
    min_frame_pixels=1,
    stamp_place="band",
)


def _native(fps: float) -> FramePolicy:
    return FramePolicy(
        fps=fps, total_pixels=10**9, max_frame_pixels=10**8, min_frame_pixels=1, stamp="none"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"fps": 30},
        {"fps": Fraction(9533, 1000)},
        {"pts": [0, 40, 73, 400, 433, 900, 2000, 2001], "time_base": Fraction(1, 1000)},
        {"codec": "libsvtav1", "fps": 25, "options": {"g": "6"}},
        {"options": {"bf": "6"}, "fps": 50, "num_frames": 100},
        {"size": (99, 57), "pix_fmt": "yuv444p"},
        {"num_frames": 1},
    ],
)
@pytest.mark.parametrize("fps", [2.0, 8.0, 60.0])
def test_frames_and_times_belong_together(
    make_clip: MakeClip, settings: dict[str, object], fps: float
) -> None:
    path = make_clip(**settings)
    frames = load_frames(path, _native(fps))
    assert frames.indices == sample_indices(frame_times(path), _native(fps))
    size = (frames.info.width, frames.info.height)
    assert [read_number(pixels, size) for pixels in frames.pixels_THWC] == list(frames.indices)
    assert frames.times_s == tuple(frame_times(path)[index] for index in frames.indices)
    assert frames.labels == ("",) * len(frames.indices)


def test_pixels_are_the_hugging_face_resize(make_clip: MakeClip) -> None:
    """Bicubic with antialiasing on bytes, applied to the whole video at once."""
    path = make_clip(size=(160, 120), num_frames=12)
    policy = FramePolicy(fps=30, total_pixels=84 * 56 * 6, min_frame_pixels=1, stamp="none")
    frames = load_frames(path, policy)
    with av.open(str(path)) as container:
        decoded = [
            torch.from_numpy(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]
    video_TCHW = torch.stack(decoded).permute(0, 3, 1, 2).contiguous()
    size = frame_size(160, 120, 12, policy, QWEN25_GEOMETRY)
    expected = functional.interpolate(video_TCHW, size, mode="bicubic", antialias=True)
    assert frames.pixels_THWC.shape[1:3] == size
    assert torch.equal(frames.pixels_THWC, expected.permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    "settings",
    [{"options": {"bf": "6"}, "num_frames": 100}, {"codec": "libsvtav1", "options": {"g": "6"}}],
)
def test_pixels_do_not_depend_on_threads_and_batches(
    make_clip: MakeClip, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(size=(320, 240), **settings)
    one = load_frames(path, FramePolicy())
    monkeypatch.setattr(decode, "ONE_THREAD_PIXELS", 0)
    for batch_pixels in (1, 3 * 320 * 240):
        monkeypatch.setattr(video_frames, "BATCH_PIXELS", batch_pixels)
        several = load_frames(path, FramePolicy())
        assert one.times_s == several.times_s
        assert torch.equal(one.pixels_THWC, several.pixels_THWC)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(make_clip: MakeClip, degrees: int) -> None:
    path = make_clip(size=(112, 84), rotation_deg=degrees)
    with av.open(str(path)) as container:
        coded = [torch.from_numpy(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    expected = torch.rot90(torch.stack(coded), degrees // 90, (1, 2))
    turned = load_frames(path, _native(30)).pixels_THWC
    assert turned.shape[1:3] == ((112, 84) if degrees != 180 else (84, 112))
    assert torch.equal(turned, expected)


@pytest.mark.parametrize("geometry", [QWEN25_GEOMETRY, QWEN3_GEOMETRY])
def test_size_is_that_of_frame_size(make_clip: MakeClip, geometry: PatchGeometry) -> None:
    for policy in (FramePolicy(), TINY, FramePolicy(stamp="none", stamp_place="band")):
        frames = load_frames(make_clip(), policy, geometry)
        count = len(frames.indices)
        assert frames.pixels_THWC.shape == (
            *(count, *frame_size(128, 96, count, policy, geometry)),
            3,
        )


def test_a_pair_carries_the_label_of_its_first_frame(make_clip: MakeClip) -> None:
    frames = load_frames(make_clip(num_frames=26, fps=10), TINY)
    assert frames.times_s == (0.0, 0.2, 0.5, 0.7, 1.0, 1.2, 1.5, 1.7, 2.0, 2.2, 2.5)
    texts = [f"{t:.2f}s" for t in (0, 0, 0.5, 0.5, 1, 1, 1.5, 1.5, 2, 2, 2.5)]
    assert list(frames.labels) == texts
    each = load_frames(make_clip(num_frames=26, fps=10), FramePolicy(stamp="frame"))
    assert list(each.labels) == [f"{t:.2f}s" for t in each.times_s]


@pytest.mark.parametrize("place", ["over", "band"])
@pytest.mark.parametrize("mode", ["pair", "frame"])
def test_the_label_is_drawn_and_nothing_else_changes(
    make_clip: MakeClip, place: Literal["over", "band"], mode: StampMode
) -> None:
    path = make_clip(num_frames=20, fps=10)
    policy = FramePolicy(stamp=mode, stamp_place=place)
    plain = load_frames(path, FramePolicy(stamp="none")).pixels_THWC
    frames = load_frames(path, policy)
    pixels, height = frames.pixels_THWC, plain.shape[1]
    layout = stamp_layout(
        pixels.shape[2], height, pixels.shape[1] - height, 0.12, frames.times_s[-1]
    )
    rows = slice(layout.top_px, layout.top_px + layout.height_px)
    columns = slice(layout.left_px, layout.left_px + layout.width_px)
    for picture, label in zip(pixels, frames.labels, strict=True):
        tile = torch.from_numpy(layout.tile(label))
        assert torch.equal(picture[rows, columns], tile[:, :, None].expand(-1, -1, 3))
    expected = torch.zeros_like(pixels)
    expected[:, :height] = plain
    outside = torch.ones(pixels.shape[1:3], dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(pixels[:, outside], expected[:, outside])
    assert torch.equal(pixels, stamped(plain, frames.times_s, policy))


def test_large_clips_stay_small_in_memory(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "4k.mp4", size=(3840, 2160), num_frames=2, plain=True)
    frames = load_frames(path, FramePolicy(fps=30))
    assert (frames.info.width, frames.info.height) == (3840, 2160)
    assert frames.pixels_THWC.numel() <= 2 * FramePolicy().max_frame_pixels * 3
    assert len(frames.times_s) == 2


def test_every_real_clip_loads(shared_data: Path) -> None:
    clips = sorted(shared_data.rglob("*.mp4"))
    assert len(clips) >= 12
    for path in clips:
        frames = load_frames(path, TINY)
        assert len(frames.times_s) == len(frames.labels) == len(frames.pixels_THWC)
        assert frames.pixels_THWC[:, :20].float().std() > 1
        gaps = [b - a for a, b in zip(frames.times_s, frames.times_s[1:], strict=False)]
        assert max(gaps) <= 0.25 + 1 / frames.info.fps + 1e-3


def test_errors_are_those_of_the_clip(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match=r"none\.mp4: No such file"):
        load_frames(tmp_path / "none.mp4", FramePolicy())
