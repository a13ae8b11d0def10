"""What is wrong with one demonstration, a file or the disk never costs anything else."""

import fcntl
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hdf5_files import edited, write_isaaclab, write_mimicgen
from signal_readers import (
    ENDS,
    MIMICGEN_SIGNALS,
    THREE,
    boundaries,
    mimicgen_reads,
    write_three,
)

from kairoscope.core import UserError
from kairoscope.robot import isaaclab, mimicgen, replacing
from kairoscope.robot.legality import SPECS
from kairoscope.robot.opening import open_dataset


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_mimicgen(
        tmp_path / "source.hdf5", env_name="StackThree_D1", interface="MG_StackThree"
    )


ILLEGAL = {
    "too close": ([20, 25, 70], "20 + 20 must be less than 25 + 10"),
    "backwards": ([40, 20, 70], "not after 'grasp_1' at 40"),
    "past the end": ([20, 45, 120], "must lie in 2 to 100"),
    "offset past the end": ([20, 45, 85], "the last subtask"),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_ends_that_are_not_legal_are_never_written(tmp_path: Path, source: Path, case: str) -> None:
    ends, said = ILLEGAL[case]
    out = tmp_path / "out.hdf5"
    report = write_three(source, out, ENDS | {"demo_0": ends})
    assert report.written == ("demo_1", "demo_2")
    ((demo, reason),) = report.problems
    assert demo == "demo_0"
    assert "nearest legal ends" in reason
    assert said in reason
    with edited(out, "r") as file:
        assert MIMICGEN_SIGNALS not in file["data/demo_0"]


def test_signals_that_lack_or_do_not_belong_are_named(tmp_path: Path, source: Path) -> None:
    wrong = {"demo_0": {"grasp_1": 20, "stack_1": 45, "lift": 70}, "demo_9": {}}
    report = mimicgen.write_signals(source, tmp_path / "out.hdf5", wrong, spec=THREE)
    reasons = dict(report.problems)
    assert "no end for 'grasp_2'; no signal 'lift'" in reasons["demo_0"]
    assert "demo_9: no such demonstration" in reasons["demo_9"]


def test_what_mimicgen_has_not_prepared_is_left_as_it_was(tmp_path: Path, source: Path) -> None:
    with edited(source) as file:
        del file["data/demo_1/datagen_info"]
        del file["data/demo_2/datagen_info/target_pose"]
    report = write_three(source, tmp_path / "out.hdf5")
    assert report.written == ("demo_0",)
    reasons = dict(report.problems)
    assert "prepare_src_dataset.py first" in reasons["demo_1"]
    assert "{target_pose}" in reasons["demo_2"]


def test_interfaces_that_differ_are_said(tmp_path: Path, source: Path) -> None:
    with edited(source) as file:
        file["data/demo_1/datagen_info"].attrs["env_interface_name"] = "MG_Square"
    report = write_three(source, tmp_path / "out.hdf5")
    assert report.written == tuple(ENDS)
    assert "several environment interfaces" in report.notes[0]


def test_one_broken_demonstration_is_listed_and_the_others_are_written(
    tmp_path: Path, source: Path
) -> None:
    with edited(source) as file:
        del file["data/demo_1/actions"]
    report = write_three(source, tmp_path / "out.hdf5")
    assert report.written == ("demo_0", "demo_2")
    assert "demo_1: has no actions" in dict(report.problems)["demo_1"]


def test_the_target_must_be_a_copy_of_the_source(tmp_path: Path, source: Path) -> None:
    out = write_mimicgen(tmp_path / "out.hdf5", lengths=(100,))
    with pytest.raises(UserError, match="only one of them has demo_1, demo_2"):
        write_three(source, out)
    write_mimicgen(out, lengths=(100, 121, 90))
    before = out.read_bytes()
    with pytest.raises(UserError, match="demo_1 has another length"):
        write_three(source, out)
    assert out.read_bytes() == before


def test_arguments_that_contradict_each_other_are_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(UserError, match="ask for in_place"):
        write_three(source, source)
    with pytest.raises(UserError, match="either an output file or in_place"):
        write_three(source, None)
    with pytest.raises(UserError, match="either an output file or in_place"):
        write_three(source, tmp_path / "out.hdf5", in_place=True)
    with pytest.raises(UserError, match="no such file"):
        write_three(tmp_path / "none.hdf5", tmp_path / "out.hdf5")
    with pytest.raises(UserError, match="could not be written"):
        write_three(source, tmp_path / "no folder" / "out.hdf5")


def test_in_place_through_a_link_changes_the_file_and_keeps_its_mode(
    tmp_path: Path, source: Path
) -> None:
    source.chmod(0o640)
    link = tmp_path / "link.hdf5"
    link.symlink_to(source)
    write_three(link, None, in_place=True)
    assert link.is_symlink()
    assert source.stat().st_mode & 0o777 == 0o640
    assert mimicgen_reads(source, THREE) == ENDS


def test_a_read_only_source_has_a_copy_that_can_be_written(tmp_path: Path, source: Path) -> None:
    source.chmod(0o444)
    write_three(source, tmp_path / "out.hdf5")
    assert mimicgen_reads(tmp_path / "out.hdf5", THREE) == ENDS


def test_a_locked_target_is_named_and_left(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.hdf5"
    write_three(source, out)
    before = out.read_bytes()
    with out.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another program"):
            write_three(source, out, ENDS | {"demo_1": [30, 60, 90]})
    assert out.read_bytes() == before


@contextmanager
def files_up_to(num_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("where", ["copying", "writing"])
@pytest.mark.parametrize("name", ["out.hdf5", None], ids=["copy", "in place"])
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, source: Path, where: str, name: str | None
) -> None:
    before = source.read_bytes()
    room = len(before) // 2 if where == "copying" else len(before) + 1000
    with files_up_to(room), pytest.raises(UserError, match="no space left"):
        write_three(source, tmp_path / name if name else None, in_place=name is None)
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["source.hdf5"]
    write_three(source, tmp_path / "out.hdf5")
    assert mimicgen_reads(tmp_path / "out.hdf5", THREE) == ENDS


def test_the_space_set_aside_is_more_than_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that HDF5 never meets a full disk, which it may not survive."""
    source = write_mimicgen(tmp_path / "source.hdf5", lengths=(90,) * 40, observed=False)
    rooms: list[int] = []
    set_aside = replacing.set_aside

    def listed(path: Path, room: int) -> None:
        rooms.append(room)
        set_aside(path, room)

    monkeypatch.setattr(replacing, "set_aside", listed)
    ends = {f"demo_{i}": [20, 45, 69] for i in range(40)}
    write_three(source, tmp_path / "out.hdf5", ends)
    grown = (tmp_path / "out.hdf5").stat().st_size - source.stat().st_size
    assert 40 * 3 * 90 * 8 < grown < rooms[0] / 2

    raw = write_isaaclab(tmp_path / "raw.hdf5", lengths=(150,) * 5)
    spec = SPECS["stack_cube"]
    both = boundaries(spec, {f"demo_{i}": [20, 45, 69] for i in range(5)})
    isaaclab.write_signals(raw, tmp_path / "isaac.hdf5", both, spec=spec)
    assert (tmp_path / "isaac.hdf5").stat().st_size - raw.stat().st_size < rooms[1]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, source: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    left = tmp_path / f".out.hdf5.{int(ended.stdout)}.tmp"
    mine = tmp_path / f".out.hdf5.{os.getppid()}.tmp"
    for path in (left, mine):
        path.write_bytes(b"half a copy")
    write_three(source, tmp_path / "out.hdf5")
    assert not left.exists()
    assert mine.exists()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere, so tests that root runs become nobody for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("name", ["out.hdf5", None], ids=["copy", "in place"])
def test_a_destination_that_may_not_be_written_is_named(name: str | None) -> None:
    folder = Path(tempfile.mkdtemp())  # unlike tmp_path, nobody can be let into it
    try:
        source = write_mimicgen(folder / "source.hdf5")
        source.chmod(0o444)
        folder.chmod(0o555)
        out = folder / name if name else None
        ends = {"demo_0": {"grasp": 40}}
        with as_nobody(), pytest.raises(UserError, match=f"{out or source}: may not be written"):
            mimicgen.write_signals(source, out, ends, spec=SPECS["stack"], in_place=out is None)
        assert [path.name for path in folder.iterdir()] == ["source.hdf5"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, source: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copy(source, folder / "secret.hdf5")
        (folder / "secret.hdf5").chmod(0)
        folder.chmod(0o755)
        with as_nobody(), pytest.raises(UserError, match="may not be opened"):
            open_dataset(folder / "secret.hdf5")
    finally:
        shutil.rmtree(folder)
