"""Poses as matrices: quaternions, rotation vectors and the target of a relative motion. Pure."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotations(quaternions_wxyz: Array) -> Array:
    """(T, 4) quaternions w, x, y, z of any length but 0 -> (T, 3, 3) rotation matrices."""
    unit = quaternions_wxyz / np.linalg.norm(quaternions_wxyz, axis=1, keepdims=True)
    w, x, y, z = unit.T
    matrices = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.moveaxis(matrices, -1, 0)


def rotations_from_vectors(vectors: Array) -> Array:
    """(T, 3) axis times angle in rad -> (T, 3, 3) rotation matrices."""
    angles = np.linalg.norm(vectors, axis=1, keepdims=True)
    half = np.where(angles > 0, angles, 1.0)
    axes = np.where(angles > 0, vectors / half, 0.0)
    return rotations(np.hstack([np.cos(angles / 2), axes * np.sin(angles / 2)]))


def matrices(positions_m: Array, rotation_matrices: Array) -> Array:
    """(T, 3) positions and (T, 3, 3) rotations -> (T, 4, 4) poses."""
    poses = np.tile(np.eye(4), (len(positions_m), 1, 1))
    poses[:, :3, :3] = rotation_matrices
    poses[:, :3, 3] = positions_m
    return poses


def moved(poses: Array, motions: Array) -> Array:
    """(T, 4, 4) poses and (T, 6) motions in the world's axes -> (T, 4, 4) poses after them.

    Args:
        motions: 3 of translation in m, 3 of axis times angle in rad.
    """
    turned = rotations_from_vectors(motions[:, 3:6]) @ poses[:, :3, :3]
    return matrices(poses[:, :3, 3] + motions[:, :3], turned)
