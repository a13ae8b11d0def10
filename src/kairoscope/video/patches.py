"""Frames -> the rows a Qwen2.5-VL or Qwen3-VL vision tower takes, equal to Hugging Face's to the bit."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from kairoscope.video.sampling import QWEN25_GEOMETRY, PatchGeometry

BLOCK = 56
"""Rows that are turned into floats at a time: with their constants they stay in a core's own cache."""
MOST_THREADS = 4
BYTES_PER_THREAD = 2**25
"""Of the result: a thread is not worth starting for less."""


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
    if pixels_THWC.device.type != "cpu" or type(pixels_THWC) is not torch.Tensor:
        return _on_device(pixels_THWC, geometry), (grid_t, grid_h, grid_w)
    # NumPy, not torch: torch would wake its threads for each small step, and these would then wait
    # busily for the next one; two cores paid three times as much.
    pictures_TCHW = pixels_THWC.numpy().transpose(0, 3, 1, 2)
    rows = np.empty((grid_t, grid_h * grid_w, 3 * tp * p * p), np.float32)
    threads = min(MOST_THREADS, os.cpu_count() or 1, max(1, rows.nbytes // BYTES_PER_THREAD))
    if threads == 1:
        _cut(pictures_TCHW, rows, geometry)
    else:
        with ThreadPoolExecutor(threads) as pool:
            shares = [
                pool.submit(_cut, pictures_TCHW, rows, geometry, first, threads)
                for first in range(threads)
            ]
        for share in shares:
            share.result()
    return torch.from_numpy(rows.reshape(-1, 3 * tp * p * p)), (grid_t, grid_h, grid_w)


def _cut(
    pictures_TCHW: NDArray[np.uint8],
    rows: NDArray[np.float32],
    geometry: PatchGeometry,
    first: int = 0,
    step: int = 1,
) -> None:
    """Fill every `step`-th temporal patch of `rows`, (temporal patches, patches, columns)."""
    _, _, height, width = pictures_TCHW.shape
    p, m, tp = geometry.patch_px, geometry.merge, geometry.temporal
    mean, std = (
        np.tile(np.repeat(np.asarray(values, np.float32) * np.float32(255), tp * p * p), BLOCK)
        for values in (geometry.mean, geometry.std)
    )
    # One temporal patch at a time stays in the cache, and bytes are put in order before they become
    # floats: what is left of the cost is writing the result once. The memory for it is taken once:
    # given back each time, it would come from the system anew.
    planes = np.empty((tp, 3, height, width), np.uint8)
    # Lines of a patch are moved whole: an element of this view is one of `patch_px` bytes.
    lines = planes.view(f"V{p}").reshape(tp, 3, height // p // m, m, p, width // p // m, m)
    in_order = lines.transpose(2, 5, 3, 6, 1, 0, 4)
    ordered = np.empty(in_order.shape, in_order.dtype)
    for index in range(first, len(rows), step):
        frames = pictures_TCHW[index * tp : (index + 1) * tp]
        planes[: len(frames)] = frames
        planes[len(frames) :] = frames[-1]
        ordered[:] = in_order
        _normalise(ordered.reshape(-1).view(np.uint8), mean, std, rows[index].reshape(-1))


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
