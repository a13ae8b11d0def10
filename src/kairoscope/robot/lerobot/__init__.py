"""LeRobot datasets, read and labelled without lerobot itself: v1, v2.0, v2.1 and v3.0.

docs/robot_lerobot.md says what is read, what is written where, and what lerobot makes of it.
"""

from pathlib import Path

from kairoscope.core import UserError
from kairoscope.robot.hdf5 import checked_fps
from kairoscope.robot.lerobot.arrow import TABLES, ArrowDataset, open_arrow
from kairoscope.robot.lerobot.dataset import LeRobotDataset, episode_id, open_files
from kairoscope.robot.lerobot.info import INFO
from kairoscope.robot.lerobot.write import Written, write_lerobot

__all__ = [
    "ArrowDataset",
    "LeRobotDataset",
    "Written",
    "episode_id",
    "is_lerobot",
    "open_lerobot",
    "write_lerobot",
]


def is_lerobot(path: Path | str) -> bool:
    """Whether a folder looks like a LeRobot dataset of any version."""
    root = Path(path)
    return (root / INFO).is_file() or any(root.glob(TABLES))


def open_lerobot(path: Path | str, *, fps: float | None = None) -> LeRobotDataset | ArrowDataset:
    """Open a dataset of v1, v2.0, v2.1 or v3.0.

    Args:
        path: its folder.
        fps: frames a second where those that are recorded are wrong: frames are then counted at
            this rate, whatever their timestamps are.

    Raises UserError where the folder holds none, or what it holds cannot be read as a whole.
    """
    root = Path(path)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    if not is_lerobot(root):
        raise UserError(f"{root}: is no LeRobot dataset: it has neither {INFO} nor {TABLES}")
    fps = checked_fps(fps)
    return open_files(root, fps) if (root / INFO).is_file() else open_arrow(root, fps)
