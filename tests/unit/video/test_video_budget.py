"""The report says what `load_frames` will give, and its advice, when followed, is enough."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_clips import MakeClip
from PIL import Image

from kairoscope.core import FramePolicy, UserError
from kairoscope.video.budget import ENOUGH_PATCHES, frame_report
from kairoscope.video.frames import load_frames
from kairoscope.video.patches import to_patches
from kairoscope.video.sheet import contact_sheet

SMALL = FramePolicy(fps=4, total_pixels=282_240, min_frame_pixels=1, stamp_place="band")
POLICIES = [FramePolicy(), SMALL, FramePolicy(stamp="none", fps=30), FramePolicy(max_frames=5)]


@pytest.mark.parametrize("policy", POLICIES)
def test_report_equals_what_is_loaded(make_clip: MakeClip, policy: FramePolicy) -> None:
    path = make_clip(size=(320, 180), num_frames=45)
    report, frames = frame_report(path, policy), load_frames(path, policy)
    patches, grid = to_patches(frames.pixels_THWC)
    assert report.times_s == frames.times_s
    assert (report.height, report.width) == tuple(frames.pixels_THWC.shape[1:3])
    assert report.patches_per_frame == grid[1] * grid[2]
    assert report.vision_tokens == len(patches) // 4
    assert 0 < report.budget_share <= 1


def _number(advice: tuple[str, ...], pattern: str) -> float:
    return next(float(m.group(1)) for line in advice if (m := re.search(pattern, line)))


def _follow(report_advice: tuple[str, ...], policy: FramePolicy) -> FramePolicy:
    """What has to be set in any case."""
    for line in report_advice:
        if match := re.search(r"max_frame_pixels (\d+)", line):
            policy = replace(policy, max_frame_pixels=int(match.group(1)))
        if match := re.search(r"min_frame_pixels (\d+)", line):
            policy = replace(policy, min_frame_pixels=int(match.group(1)))
    return policy


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (320, 180), (300, 700)])
@pytest.mark.parametrize("total", [400_000, 4_000_000])
def test_every_remedy_is_enough(make_clip: MakeClip, size: tuple[int, int], total: int) -> None:
    path = make_clip(size=size, num_frames=40, fps=10, plain=True, codec="mpeg4")
    policy = FramePolicy(fps=10, total_pixels=total)
    report = frame_report(path, policy)
    if report.small_object_patches >= ENOUGH_PATCHES:
        assert not any("larger budget" in line for line in report.advice)
        return
    base = _follow(report.advice, policy)
    advice = report.advice
    if any("larger budget" in line for line in advice):
        larger = replace(base, total_pixels=int(_number(advice, r"total_pixels (\d+)")))
        after = frame_report(path, larger)
        assert after.small_object_patches >= ENOUGH_PATCHES
        assert after.budget_share <= 1
    else:
        assert frame_report(path, base).small_object_patches >= ENOUGH_PATCHES
    if any("lower rate" in line for line in advice):
        slower = replace(base, fps=_number(advice, r"lower rate: ([\d.]+) frames/s"))
        after = frame_report(path, slower)
        assert after.small_object_patches >= ENOUGH_PATCHES
        assert after.budget_share <= 1
        length_s = _number(advice, r"shorter clip: ([\d.]+) s")
        trimmed = make_clip(
            "trimmed.mp4",
            size=size,
            num_frames=int(length_s * 10) + 1,
            fps=10,
            plain=True,
            codec="mpeg4",
        )
        after = frame_report(trimmed, base)
        assert after.small_object_patches >= ENOUGH_PATCHES
        assert after.budget_share <= 1


def test_what_sampling_leaves_out_is_said(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=40, fps=10)
    assert "raise max_frames to 32" in frame_report(path, FramePolicy(max_frames=5)).advice[0]
    assert "fewer than the 30 asked for" in frame_report(path, FramePolicy(fps=30)).advice[0]


def test_contact_sheet(make_clip: MakeClip, tmp_path: Path) -> None:
    frames = load_frames(make_clip(num_frames=40, fps=10), SMALL)
    path = contact_sheet(frames, tmp_path / "new" / "sheet.png", max_columns=6)
    height, width = frames.pixels_THWC.shape[1:3]
    enlarge = -(-160 // max(height, width))
    with Image.open(path) as sheet:
        assert sheet.width == 6 * (width * enlarge + 4) + 4
        first = sheet.crop((4, 36, 4 + width * enlarge, 36 + height * enlarge))
        small = first.resize((width, height), Image.Resampling.NEAREST)
        assert small.tobytes() == frames.pixels_THWC[0].numpy().tobytes()
    grid = contact_sheet(frames, tmp_path / "grid.png", max_columns=6, grid_px=28, max_frames=3)
    with Image.open(grid) as sheet:
        assert sheet.width == 3 * (width * enlarge + 4) + 4
        assert sheet.getpixel((4 + 28 * enlarge, 36 + 5)) == (255, 0, 255)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"sheet\.png: cannot be written"):
        contact_sheet(frames, tmp_path / "file" / "sheet.png")
