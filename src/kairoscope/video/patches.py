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
    if pixels_THWC.device.type != "cpu":
        return _on_device(pixels_THWC, geometry), (grid_t, grid_h, grid_w)
    # NumPy, not torch: it stays on this thread. Torch would wake its others for each small step, and
    # these would then wait busily for the next one; two cores paid three times as much.
    pictures = pixels_THWC.cpu().numpy()
    mean, std = (
        np.repeat(np.asarray(values, np.float32) * np.float32(255), tp * p * p)
        for values in (geometry.mean, geometry.std)
    )
    rows = np.empty((grid_t, grid_h * grid_w, 3 * tp * p * p), np.float32)
    # One temporal patch at a time stays in the cache, and bytes are put in order before they become
    # floats: what is left of the cost is writing the result once.
    for index, part in enumerate(rows):
        frames = pictures[index * tp : (index + 1) * tp]
        if len(frames) < tp:
            frames = np.concatenate([frames, np.repeat(frames[-1:], tp - len(frames), axis=0)])
        planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
        # Lines of a patch are moved whole: an element of this view is one of `patch_px` bytes.
        lines = planes.view(f"V{p}").reshape(tp, 3, grid_h // m, m, p, grid_w // m, m)
        ordered = np.ascontiguousarray(lines.transpose(2, 5, 3, 6, 1, 0, 4))
        part[:] = ordered.view(np.uint8).reshape(part.shape)
        part -= mean
        part /= std
    values = torch.from_numpy(rows.reshape(grid_t * grid_h * grid_w, -1))
    return values.to(pixels_THWC.device), (grid_t, grid_h, grid_w)


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
