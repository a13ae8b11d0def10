"""Frames -> the rows a Qwen2.5-VL or Qwen3-VL vision tower takes, equal to Hugging Face's to the bit."""

import numpy as np
import torch

from kairoscope.video.sampling import QWEN25_GEOMETRY, PatchGeometry


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
    p, m, tp = geometry.patch_px, geometry.merge, geometry.temporal
    if channels != 3 or num_frames < 1 or height % geometry.unit_px or width % geometry.unit_px:
        raise ValueError(
            f"pixels of shape {tuple(pixels_THWC.shape)}: need (T, H, W, 3) with T > 0 and "
            f"H and W multiples of {geometry.unit_px}"
        )
    grid_t, grid_h, grid_w = -(-num_frames // tp), height // p, width // p
    mean, std = (torch.tensor([geometry.mean, geometry.std], device=pixels_THWC.device) * 255.0)[
        :, :, None
    ]
    shape = (grid_t, grid_h * grid_w, 3, tp * p * p)
    values = _empty_float32(shape, pixels_THWC.device)
    # One temporal patch at a time stays in the cache, and bytes are put in order before they become
    # floats: what is left of the cost is writing the result once.
    for index in range(grid_t):
        frames = pixels_THWC[index * tp : (index + 1) * tp]
        missing = tp - len(frames)
        if missing:
            frames = torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)])
        blocks = frames.reshape(tp, grid_h // m, m, p, grid_w // m, m, p, 3)
        rows = blocks.permute(1, 4, 2, 5, 7, 0, 3, 6).reshape(shape[1:])
        torch.sub(rows, mean, out=values[index]).div_(std)
    return values.reshape(grid_t * grid_h * grid_w, -1), (grid_t, grid_h, grid_w)


def _empty_float32(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """NumPy asks the system for huge pages, torch does not: half the time of the whole function."""
    if device.type == "cpu":
        return torch.from_numpy(np.empty(shape, np.float32))
    return torch.empty(shape, dtype=torch.float32, device=device)
