import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdf5_files import edited, write_isaaclab, write_mimicgen
from lerobot_files import make_v2

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.opening import open_dataset


def test_formats_are_recognised_by_what_is_in_them(tmp_path: Path) -> None:
    assert open_dataset(write_mimicgen(tmp_path / "a.hdf5")).format == "mimicgen"
    assert open_dataset(write_isaaclab(tmp_path / "b.hdf5")).format == "isaaclab"
    assert open_dataset(tmp_path / "a.hdf5", fps=7).fps == 7
    assert open_dataset(write_mimicgen(tmp_path / "c.hdf5", prepared=False)).format == "mimicgen"
    with edited(tmp_path / "b.hdf5") as file:
        del file["data"].attrs["env_args"]
    assert open_dataset(tmp_path / "b.hdf5").format == "isaaclab"


def test_a_lerobot_folder_is_recognised(tmp_path: Path) -> None:
    root = make_v2(tmp_path / "dataset")
    dataset = open_dataset(root)
    assert dataset.format.startswith("lerobot")
    assert dataset.episode(dataset.ids[0]).channels
    assert open_dataset(root, fps=3).fps == 3


def without_actions(data: Any) -> None:
    del data["demo_0/actions"]


def empty(data: Any) -> None:
    del data["demo_0"]
    data.create_group("demo_0")


def a_number(data: Any) -> None:
    del data["demo_0"]
    data["demo_0"] = 3.0


@pytest.mark.parametrize("damage", [without_actions, empty, a_number])
def test_one_broken_demonstration_at_the_front_does_not_hide_the_format(
    tmp_path: Path, damage: Any
) -> None:
    path = write_mimicgen(tmp_path / "a.hdf5")
    with edited(path) as file:
        damage(file["data"])
    assert open_dataset(path).format == "mimicgen"
    with pytest.raises(UnreadableEpisode):
        open_dataset(path).episode("demo_0")


def aloha(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["observations/qpos"] = np.zeros((10, 14))
        file["action"] = np.zeros((10, 14))


def other_demonstrations(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data/traj_0/joint_positions"] = np.zeros((10, 14))


def truncated(path: Path) -> None:
    write_mimicgen(path)
    path.write_bytes(path.read_bytes()[:-2000])


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "text": (lambda path: path.write_text("demo,frame\n"), "is not an HDF5 file"),
    "empty": (lambda path: path.write_bytes(b""), "is not an HDF5 file"),
    "truncated": (truncated, "is truncated"),
    "another layout": (aloha, "it holds action, observations. Known: .*mimicgen"),
    "other demonstrations": (other_demonstrations, "demonstrations of joint_positions"),
    "nothing": (lambda path: h5py.File(path, "w").close(), "it holds nothing"),
    "folder": (lambda path: (path / "clips").mkdir(parents=True), "it holds clips"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_cannot_be_opened_is_named_with_what_was_found(tmp_path: Path, case: str) -> None:
    make, said = FILES[case]
    path = tmp_path / "dataset.hdf5"
    make(path)
    with pytest.raises(UserError, match=said) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)


def test_a_file_that_another_program_writes_is_named(tmp_path: Path) -> None:
    path = write_mimicgen(tmp_path / "a.hdf5")
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as HDF5 itself locks what it writes
        with pytest.raises(UserError, match="another program has it open for writing"):
            open_dataset(path)
    assert open_dataset(path).ids
