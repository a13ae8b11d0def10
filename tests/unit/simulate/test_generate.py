"""Clips and labels on disk: the same bytes however they came about, and errors that help."""

import itertools
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from kairoscope.core import UserError
from kairoscope.data.labels import read_labels
from kairoscope.simulate import FAMILIES, generate, render
from kairoscope.simulate.produce import Settings

SMALL: dict[str, Any] = {"seed": 4, "families": FAMILIES, "size_px": 96, "fps": 5.0}
NUM_CLIPS = 7


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder written in one go."""
    try:
        render.Canvas(render.load_mujoco(), 96).close()
    except UserError as error:
        pytest.skip(f"no simulator here: {error}")
    out = tmp_path_factory.mktemp("straight")
    generate(out, num_clips=NUM_CLIPS, **SMALL)
    return out


def content(out: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(out)): f.read_bytes()
        for f in out.rglob("*")
        if f.name != ".lock" and f.is_file()
    }


def test_two_workers_write_the_same_bytes_as_one(straight: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(
        tmp_path, num_clips=NUM_CLIPS, workers=2, on_progress=lambda *n: seen.append(n), **SMALL
    )
    assert content(tmp_path) == content(straight)
    assert seen == [(done, NUM_CLIPS) for done in range(1, NUM_CLIPS + 1)]


def test_a_killed_run_is_finished_by_the_same_call(straight: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib; from kairoscope.simulate import generate, FAMILIES; "
        f"generate(pathlib.Path({str(tmp_path)!r}), num_clips={NUM_CLIPS}, "
        f"seed={SMALL['seed']}, families=FAMILIES, size_px=96, fps=5.0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("clips/*.mp4"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "labels.jsonl").exists()
    done: list[int] = []
    generate(tmp_path, num_clips=NUM_CLIPS, on_progress=lambda n, _: done.append(n), **SMALL)
    assert done[0] > 1  # what was there is not made again
    assert content(tmp_path) == content(straight)


def test_lost_files_are_made_again_and_torn_ones_go(straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    (tmp_path / "labels.jsonl").unlink()
    (tmp_path / ".rows" / "00001.json").unlink()
    next((tmp_path / "clips").glob("*_00003.mp4")).unlink()
    (tmp_path / "clips" / ".stack_4_00000.mp4.77.part").write_bytes(b"torn")
    done: list[int] = []
    generate(tmp_path, num_clips=NUM_CLIPS, on_progress=lambda n, _: done.append(n), **SMALL)
    assert done == [NUM_CLIPS - 1, NUM_CLIPS]
    assert content(tmp_path) == content(straight)


def test_more_clips_leave_the_first_ones_as_they_are(straight: Path, tmp_path: Path) -> None:
    generate(tmp_path, num_clips=2, **SMALL)
    first = content(tmp_path)
    generate(tmp_path, num_clips=3, **SMALL)
    files, whole = content(tmp_path), content(straight)
    for name in ("labels.jsonl", "tracks.jsonl"):
        rows = files.pop(name)
        assert rows.startswith(first.pop(name))
        assert whole[name].startswith(rows)
    assert first.items() < files.items() < whole.items()


def test_the_label_reader_takes_every_row(straight: Path) -> None:
    rows, problems = read_labels(straight / "labels.jsonl")
    assert problems == []
    assert len({row.group for row in rows}) == len(rows) == NUM_CLIPS
    assert [row.task for row in rows] == [*FAMILIES, FAMILIES[0]]
    assert all((straight / row.video).exists() for row in rows)


def test_a_clip_is_h264_at_an_exact_constant_rate(straight: Path) -> None:
    rows, _ = read_labels(straight / "labels.jsonl")
    for row in rows:
        with av.open(str(straight / row.video)) as container:
            assert len(container.streams) == 1
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == stream.base_rate == 5
            assert (stream.width, stream.height) == (96, 96)
            assert stream.time_base is not None
            times = [
                f.pts * stream.time_base for f in container.decode(stream) if f.pts is not None
            ]
        assert times == [Fraction(i, 5) for i in range(len(times))]
        assert row.duration_s == pytest.approx(len(times) / 5, abs=1e-6)


def test_the_picture_changes_while_the_arm_moves(straight: Path) -> None:
    """A clip whose frames are all alike would be labelled as well, and teach nothing."""
    for clip in (straight / "clips").iterdir():
        with av.open(str(clip)) as container:
            frames = [f.to_ndarray(format="gray").astype(int) for f in container.decode(video=0)]
        steps = [abs(b - a).mean() for a, b in itertools.pairwise(frames)]
        assert max(steps) > 1.0
        assert frames[0].std() > 15


@pytest.mark.parametrize(
    ("change", "says"),
    [({"seed": 9}, "seed=4"), ({"fps": 10.0}, "fps=5"), ({"size_px": 128}, "size_px=96")],
)
def test_other_settings_in_the_same_folder_are_refused(
    straight: Path, change: dict[str, Any], says: str
) -> None:
    before = content(straight)
    with pytest.raises(UserError, match=says):
        generate(straight, num_clips=1, **(SMALL | change))
    assert content(straight) == before
    generate(straight, num_clips=NUM_CLIPS, **SMALL)  # the refusal let go of the folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_clips": 0}, "num_clips=0"),
        ({"workers": 0}, "workers=0"),
        ({"seed": -1}, "seed=-1"),
        ({"families": ("stack", "juggle")}, "juggle"),
        ({"families": ()}, "families"),
        ({"size_px": 97}, "97"),
        ({"size_px": 1024}, "1024"),
        ({"fps": 0.5}, "0.5"),
        ({"fps": float("nan")}, "nan"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        generate(tmp_path, **({"num_clips": 1} | SMALL | change))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_mujoco_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UserError, match=r"kairoscope\[simulate\]"):
        generate(tmp_path, num_clips=1, **SMALL)


def test_a_missing_opengl_library_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(render, "_LIBRARIES", {"egl": "libnot-there.so.1"})
    with pytest.raises(UserError, match=r"libosmesa6.*libegl1"):
        render.load_mujoco()


def test_importing_the_package_does_not_import_mujoco_or_torch() -> None:
    code = "import sys, kairoscope.simulate; print([m for m in ('mujoco', 'torch', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_name_of_a_clip_tells_family_seed_and_number() -> None:
    settings = Settings(seed=4, families=("open", "push"), size_px=96, fps=6.0)
    assert settings.stem(3) == "push_4_00003"
