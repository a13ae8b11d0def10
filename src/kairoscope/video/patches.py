"""Frames -> the rows a Qwen2.5-VL or Qwen3-VL vision tower takes, equal to Hugging Face's to the bit."""

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
    missing = -num_frames % tp
    if missing:
        pixels_THWC = torch.cat([pixels_THWC, pixels_THWC[-1:].expand(missing, -1, -1, -1)])
    grid_t, grid_h, grid_w = (num_frames + missing) // tp, height // p, width // p
    blocks = pixels_THWC.reshape(grid_t, tp, grid_h // m, m, p, grid_w // m, m, p, 3)
    blocks = blocks.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    # Bytes are put in order first: a quarter of the traffic of reordering floats.
    rows = blocks.reshape(-1, 3, tp * p * p)
    scale = torch.tensor([geometry.mean, geometry.std], device=rows.device) * 255.0
    values = torch.empty(rows.shape, dtype=torch.float32, device=rows.device)
    for part, out in zip(rows.split(512), values.split(512), strict=True):  # stays in cache
        torch.sub(part, scale[0, :, None], out=out).div_(scale[1, :, None])
    return values.reshape(grid_t * grid_h * grid_w, -1), (grid_t, grid_h, grid_w)
