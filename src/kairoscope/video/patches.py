"""Frames -> the rows a Qwen2.5-VL or Qwen3-VL vision tower takes, equal to Hugging Face's to the bit."""

import numpy as np
import torch
from numpy.typing import NDArray

from kairoscope.video.sampling import QWEN25_GEOMETRY, PatchGeometry

BLOCK = 56
"""Rows that are turned into floats at a time: with their constants they stay in a core's own cache."""


def to_patches(
    pixels_THWC: torch.Tensor, geometry: PatchGeometry = QWEN25_GEOMETRY
) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Normalise and cut into patches.

    Args:
        pixels_THWC: uint8 (T, H, W, 3), H and W multiples of `geometry.unit_px`, T at least 1. Where
            T is not a multiple of `geometry.temporal` the last frame is repeated.
        geometry: patch sizes and colour scale.

    Returns:
        float32 (N, 3 * temporal * patch_px ** 2) with N = grid_t * grid_h * grid_w, rows in the order
        (t, h // merge, w // merge, h % merge, w % merge), columns in the order (channel, frame, y, x);
        and (grid_t, grid_h, grid_w) in patches. Every value is (x - 255 * mean) / (255 * std) in
        float32, as the Hugging Face video processors compute it.
    """
    num_frames, height, width, channels = pixels_THWC.shape
    p, tp = geometry.patch_px, geometry.temporal
    if channels != 3 or num_frames < 1 or height % geometry.unit_px or width % geometry.unit_px:
        raise ValueError(
            f"pixels of shape {tuple(pixels_THWC.shape)}: need (T, H, W, 3) with T > 0 and "
            f"H and W multiples of {geometry.unit_px}"
        )
    grid_t, grid_h, grid_w = -(-num_frames // tp), height // p, width // p
    if pixels_THWC.device.type != "cpu":
        return _on_device(pixels_THWC, geometry), (grid_t, grid_h, grid_w)
    # NumPy, not torch: it stays on this thread. Torch would wake its others for each small step, and
    # these would then wait busily for the next one; two cores paid three times as much.
    pictures = pixels_THWC.numpy()
    rows = np.empty((grid_t, grid_h * grid_w, 3 * tp * p * p), np.float32)
    mean, std = (
        np.tile(np.repeat(np.asarray(values, np.float32) * np.float32(255), tp * p * p), BLOCK)
        for values in (geometry.mean, geometry.std)
    )
    # One temporal patch at a time stays in the cache, and bytes are put in order before they become
    # floats: what is left of the cost is writing the result once.
    for index, part in enumerate(rows):
        frames = pictures[index * tp : (index + 1) * tp]
        if len(frames) < tp:
            frames = np.concatenate([frames, np.repeat(frames[-1:], tp - len(frames), axis=0)])
        _normalise(_ordered(frames, geometry), mean, std, part.reshape(-1))
    values = torch.from_numpy(rows.reshape(grid_t * grid_h * grid_w, -1))
    return values, (grid_t, grid_h, grid_w)


def _ordered(frames_THWC: NDArray[np.uint8], geometry: PatchGeometry) -> NDArray[np.uint8]:
    """The bytes of one temporal patch in the order of its rows and columns, flat."""
    num_frames, height, width, _ = frames_THWC.shape
    p, m = geometry.patch_px, geometry.merge
    planes = np.ascontiguousarray(frames_THWC.transpose(0, 3, 1, 2))
    # Lines of a patch are moved whole: an element of this view is one of `patch_px` bytes.
    lines = planes.view(f"V{p}").reshape(num_frames, 3, height // p // m, m, p, width // p // m, m)
    ordered = np.ascontiguousarray(lines.transpose(2, 5, 3, 6, 1, 0, 4))
    return ordered.reshape(-1).view(np.uint8)


def _normalise(
    values: NDArray[np.uint8],
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """`(values - mean) / std` block by block, all flat; `mean` and `std` are a block long."""
    for start in range(0, len(values), len(mean)):
        block = out[start : start + len(mean)]
        block[:] = values[start : start + len(mean)]
        block -= mean[: len(block)]
        block /= std[: len(block)]


def _on_device(pixels_THWC: torch.Tensor, geometry: PatchGeometry) -> torch.Tensor:
    """The same rows by the same arithmetic, on an accelerator."""
    num_frames, height, width, _ = pixels_THWC.shape
    p, m, tp = geometry.patch_px, geometry.merge, geometry.temporal
    missing = -num_frames % tp
    if missing:
        last = pixels_THWC[-1:].expand(missing, -1, -1, -1)
        pixels_THWC = torch.cat([pixels_THWC, last])
    blocks = pixels_THWC.reshape(-1, tp, height // p // m, m, p, width // p // m, m, p, 3)
    rows = blocks.permute(0, 2, 5, 3, 6, 8, 1, 4, 7).reshape(-1, 3 * tp * p * p).float()
    for values, apply in ((geometry.mean, rows.sub_), (geometry.std, rows.div_)):
        scale = torch.tensor(values, device=rows.device) * 255
        apply(scale.repeat_interleave(tp * p * p))
    return rows
