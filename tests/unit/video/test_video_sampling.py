"""Which frames, how large: laws that hold for every clip and policy."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.core import FramePolicy, UserError
from kairoscope.video.sampling import (
    QWEN3_GEOMETRY,
    QWEN25_GEOMETRY,
    TIME_TOLERANCE_S,
    PatchGeometry,
    band_height,
    frame_size,
    picture_size,
    sample_indices,
)

GAPS_S = st.lists(st.floats(0.001, 0.7), max_size=60)
POLICIES = st.builds(
    FramePolicy,
    total_pixels=st.integers(1, 20_000_000),
    min_frame_pixels=st.integers(1, 400_000),
    max_frame_pixels=st.integers(1, 1_000_000),
    stamp=st.sampled_from(["pair", "frame", "none"]),
    stamp_place=st.sampled_from(["over", "band"]),
    stamp_height=st.floats(0.05, 0.5),
)
GEOMETRIES = st.sampled_from([QWEN25_GEOMETRY, QWEN3_GEOMETRY])


def _times(gaps_s: list[float]) -> list[float]:
    times_s = [0.0]
    for gap_s in gaps_s:
        times_s.append(times_s[-1] + gap_s)
    return times_s


def _brute_force(times_s: list[float], fps: float) -> list[int]:
    """Watch the clip: note what is on display at every instant, and each frame once."""
    seen: list[int] = []
    i = 0
    while i / fps <= times_s[-1] + TIME_TOLERANCE_S:
        shown = max(k for k, t in enumerate(times_s) if k == 0 or t <= i / fps + TIME_TOLERANCE_S)
        if shown not in seen:
            seen.append(shown)
        i += 1
    return seen


@settings(deadline=None)
@given(GAPS_S, st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 9.533, 16.0, 29.97, 60.0]))
def test_sampling_equals_watching_the_clip(gaps_s: list[float], fps: float) -> None:
    times_s = _times(gaps_s)
    policy = FramePolicy(fps=fps, max_frames=10**6)
    assert list(sample_indices(times_s, policy)) == _brute_force(times_s, fps)


@given(GAPS_S, st.floats(0.1, 60.0), st.integers(1, 30))
def test_sampling_laws(gaps_s: list[float], fps: float, max_frames: int) -> None:
    times_s = _times(gaps_s)
    indices = sample_indices(times_s, FramePolicy(fps=fps, max_frames=max_frames))
    assert indices[0] == 0
    assert 1 <= len(indices) <= max_frames
    assert all(later > earlier for earlier, later in pairwise(indices))
    assert indices[-1] < len(times_s)
    unlimited = sample_indices(times_s, FramePolicy(fps=fps, max_frames=10**6))
    if len(unlimited) > max_frames > 1:
        assert indices[-1] == len(times_s) - 1


def test_known_samplings() -> None:
    at_30 = [i / 30 for i in range(31)]
    assert sample_indices(at_30, FramePolicy(fps=8)) == (0, 3, 7, 11, 15, 18, 22, 26, 30)
    assert sample_indices(at_30, FramePolicy(fps=10)) == tuple(range(0, 31, 3))
    in_milliseconds = [round(t, 3) for t in at_30]
    assert sample_indices(in_milliseconds, FramePolicy(fps=30)) == tuple(range(31))
    assert sample_indices(at_30, FramePolicy(fps=30, max_frames=3)) == (0, 15, 30)
    assert sample_indices([0.0, 0.5, 1.0], FramePolicy(fps=60)) == (0, 1, 2)
    assert sample_indices([0.0], FramePolicy(fps=8)) == (0,)
    assert sample_indices([0.0, 10.0], FramePolicy(fps=1, max_frames=1)) == (0,)


def test_a_clip_that_claims_centuries_is_no_work() -> None:
    assert sample_indices([0.0, 0.5, 1e12], FramePolicy(fps=60)) == (0, 1, 2)
    assert sample_indices([0.0, 0.5, 1e12], FramePolicy(fps=0.1)) == (0, 1, 2)
    for last_s in (1e15, 1e18, 1e30):
        assert sample_indices([0.0, 0.5, last_s], FramePolicy(fps=29.97))[:2] == (0, 1)


def test_nothing_to_sample() -> None:
    with pytest.raises(UserError, match="without frames"):
        sample_indices([], FramePolicy())
    with pytest.raises(UserError, match="fps"):
        sample_indices([0.0], FramePolicy(fps=0))


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 800), POLICIES, GEOMETRIES)
def test_frame_size_laws(
    width: int, height: int, num_frames: int, policy: FramePolicy, geometry: PatchGeometry
) -> None:
    unit = geometry.unit_px
    rows, columns = picture_size(width, height, num_frames, policy, geometry)
    assert rows % unit == columns % unit == 0
    assert min(rows, columns) >= unit
    shared = policy.total_pixels / num_frames * 2
    most = max(min(shared, policy.max_frame_pixels), policy.min_frame_pixels, unit * unit)
    assert rows * columns <= most
    full = frame_size(width, height, num_frames, policy, geometry)
    band = band_height(rows, policy, geometry)
    assert full == (rows + band, columns)
    if policy.stamp_place == "band" and policy.stamp != "none":
        assert band >= max(unit, policy.stamp_height * rows - 1e-9)
        assert band % unit == 0
    else:
        assert band == 0


@given(st.integers(300, 4000), st.floats(0.5, 2.0), st.integers(1, 200))
def test_the_aspect_ratio_is_kept_to_half_a_unit(width: int, aspect: float, frames: int) -> None:
    height = round(width / aspect)
    policy = FramePolicy(total_pixels=10**11, max_frame_pixels=10**9, stamp="none")
    rows, columns = picture_size(width, height, frames, policy, QWEN25_GEOMETRY)
    assert abs(rows - height) <= 14
    assert abs(columns - width) <= 14


def _smart_resize(
    height: int, width: int, factor: int, least: float, most: float
) -> tuple[int, int]:
    """The published rule, for pictures that it accepts."""
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if rows * columns > most:
        beta = math.sqrt(height * width / most)
        rows = max(factor, math.floor(height / beta / factor) * factor)
        columns = max(factor, math.floor(width / beta / factor) * factor)
    elif rows * columns < least:
        beta = math.sqrt(least / (height * width))
        rows = math.ceil(height * beta / factor) * factor
        columns = math.ceil(width * beta / factor) * factor
    return rows, columns


@given(st.integers(60, 3000), st.integers(60, 3000), st.integers(1, 200))
def test_default_policy_equals_smart_resize(width: int, height: int, num_frames: int) -> None:
    policy = FramePolicy()
    most = min(policy.total_pixels / num_frames * 2, policy.max_frame_pixels)
    expected = _smart_resize(height, width, 28, policy.min_frame_pixels, most)
    if max(width, height) > 4 * min(width, height) or expected[0] * expected[1] > most:
        return  # narrow pictures: there the rule leaves the budget or refuses
    assert picture_size(width, height, num_frames, policy, QWEN25_GEOMETRY) == expected


def test_the_recipes_worked_example() -> None:
    """7 s at 8 fps: 476 px a side, as the code it used gives, not the 336 of its text."""
    size = frame_size(512, 512, 56, FramePolicy(), QWEN25_GEOMETRY)
    assert size == (476, 476)
    assert (476 // 28) ** 2 * 56 // 2 == 8092


def test_impossible_sizes() -> None:
    with pytest.raises(UserError, match="positive"):
        frame_size(0, 10, 1, FramePolicy(), QWEN25_GEOMETRY)
