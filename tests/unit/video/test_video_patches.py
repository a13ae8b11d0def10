"""Patches equal the Hugging Face processors' to the bit."""

import pytest
import torch

from kairoscope.video import patches
from kairoscope.video.patches import to_patches
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY, PatchGeometry


def _hugging_face(
    pixels_THWC: torch.Tensor, geometry: PatchGeometry
) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """The steps of Qwen2VLVideoProcessor, one after the other, on (T, C, H, W)."""
    video = pixels_THWC.permute(0, 3, 1, 2).contiguous()
    mean = torch.tensor(geometry.mean) * (1.0 / (1 / 255))
    std = torch.tensor(geometry.std) * (1.0 / (1 / 255))
    video = (video.to(torch.float32) - mean[:, None, None]) / std[:, None, None]
    if video.shape[0] % 2:
        video = torch.cat([video, video[-1:]])
    frames, channels, height, width = video.shape
    p, m = geometry.patch_px, geometry.merge
    t, h, w = frames // 2, height // p, width // p
    video = video.view(t, 2, channels, h // m, m, p, w // m, m, p)
    video = video.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return video.reshape(t * h * w, channels * 2 * p * p), (t, h, w)


@pytest.mark.parametrize("geometry", [QWEN25_GEOMETRY, QWEN3_GEOMETRY])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (3, 2, 1), (4, 3, 4), (9, 5, 2)])
def test_equal_to_hugging_face(shape: tuple[int, int, int], geometry: PatchGeometry) -> None:
    frames, rows, columns = shape
    unit = geometry.unit_px
    generator = torch.Generator().manual_seed(sum(shape))
    size = (frames, rows * unit, columns * unit, 3)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    before = pixels.clone()
    values, grid = to_patches(pixels, geometry)
    expected, expected_grid = _hugging_face(pixels, geometry)
    assert grid == expected_grid
    assert values.dtype == torch.float32
    assert values.is_contiguous()
    assert torch.equal(values, expected)
    assert torch.equal(pixels, before)


def test_views_are_taken_as_they_are() -> None:
    pixels = torch.randint(0, 256, (4, 84, 60, 3), dtype=torch.uint8)
    window = pixels[:, :56, 2:58]
    assert torch.equal(to_patches(window)[0], to_patches(window.contiguous())[0])


@pytest.mark.parametrize("num_frames", [7, 60])
def test_several_threads_give_the_same(num_frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.randint(0, 256, (num_frames, 56, 84, 3), dtype=torch.uint8)
    expected, grid = to_patches(pixels)
    monkeypatch.setattr(patches, "BYTES_PER_THREAD", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    values, same_grid = to_patches(pixels)
    assert same_grid == grid
    assert torch.equal(values, expected)


@pytest.mark.parametrize("shape", [(0, 28, 28, 3), (2, 28, 14, 3), (2, 30, 28, 3), (2, 28, 28, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 28"):
        to_patches(torch.zeros(shape, dtype=torch.uint8))
