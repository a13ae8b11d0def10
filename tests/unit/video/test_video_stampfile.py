"""Stamped files: the same frames at the same times with the same sound, and a label to read."""

import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_clips import MakeClip, read_number, write_clip
from numpy.typing import NDArray

from kairoscope.core import FramePolicy, UnreadableClip, UserError
from kairoscope.video.clip import frame_times, open_clip, probe, scan
from kairoscope.video.overlay import Overlay
from kairoscope.video.stampfile import FILE_POLICY, CannotWrite, stamp_file
from kairoscope.video.stampfolder import stamp_folder

BAND_POLICY = FramePolicy(stamp="frame", stamp_place="band")


def _pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def _sound(path: Path) -> tuple[list[float], NDArray[np.float32]]:
    """Times of the packets (s) and the samples."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        times_s = [float(frame.time or 0) for frame in frames]
        return times_s, np.concatenate([frame.to_ndarray()[0] for frame in frames])


SOURCES: dict[str, dict[str, Any]] = {
    "constant": {},
    "slow": {"fps": Fraction(9533, 1000), "num_frames": 20},
    "variable": {"pts": [0, 40, 73, 400, 433, 900, 2000], "time_base": Fraction(1, 1000)},
    "late start": {"shift": 20, "audio": "aac", "fps": 10},
    "edit list": {"shift": -7, "muxing": {"avoid_negative_ts": "disabled"}},
    "odd": {"size": (99, 57), "pix_fmt": "yuv444p"},
    "sound": {"audio": "aac", "num_frames": 60},
    "sound in matroska": {"name": "clip.mkv", "audio": "libopus", "num_frames": 60},
    "one frame": {"num_frames": 1},
    "av1": {"codec": "libsvtav1", "options": {"g": "4"}},
    "avi": {"name": "clip.avi", "codec": "mpeg4"},
    "ten bits": {"pix_fmt": "yuv420p10le", "codec": "libx265"},
    "full range": {"name": "clip.mov", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "rotated": {"rotation_deg": 90},
    "upside down and odd": {"rotation_deg": 180, "size": (99, 57), "pix_fmt": "yuv444p"},
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("policy", [FILE_POLICY, BAND_POLICY], ids=["over", "band"])
def test_frames_and_times_stay(
    make_clip: MakeClip, tmp_path: Path, kind: str, policy: FramePolicy
) -> None:
    source, target = make_clip(**SOURCES[kind]), tmp_path / "out" / "stamped.mp4"
    progress: list[tuple[int, int]] = []
    report = stamp_file(source, target, policy, on_progress=lambda *done: progress.append(done))
    before, after = probe(source), probe(target)
    assert frame_times(target) == pytest.approx(frame_times(source), abs=1e-4)
    assert after.duration_s == pytest.approx(before.duration_s, abs=1e-3)
    assert progress == [(n + 1, before.num_frames) for n in range(before.num_frames)]
    assert (after.codec, after.rotation_deg) == ("h264", 0)
    assert (report.width, report.height) == (after.width, after.height)
    assert (after.width, after.height) >= (before.width, before.height)
    assert after.width % 2 == after.height % 2 == 0
    assert report.num_frames == before.num_frames
    with open_clip(target) as (_, stream):
        assert stream.codec_context.pix_fmt in ("yuv420p", "yuvj420p")
    if before.rotation_deg == 0:
        first = read_number(_pictures(source)[0])
        numbers = [read_number(pixels) for pixels in _pictures(target)]
        assert numbers == list(range(first, first + before.num_frames))
    assert bool(report.notes) == (kind in {"odd", "rotated", "upside down and odd"})
    assert [path.name for path in target.parent.iterdir()] == ["stamped.mp4"]


@pytest.mark.parametrize("kind", ["sound", "sound in matroska", "late start"])
def test_sound_is_copied_and_in_sync(make_clip: MakeClip, tmp_path: Path, kind: str) -> None:
    source, target = make_clip(**SOURCES[kind]), tmp_path / "stamped.mp4"
    stamp_file(source, target)
    (times_s, samples), (copied_s, copied) = _sound(source), _sound(target)
    with av.open(str(source)) as one, av.open(str(target)) as other:
        shift_s = [float(next(container.decode(video=0)).time or 0) for container in (one, other)]
    offset_s = shift_s[1] - shift_s[0]
    assert [t + offset_s for t in times_s] == pytest.approx(copied_s, abs=2e-3)
    # MP4 does not store that a part of Opus's last packet is padding.
    assert np.array_equal(samples, copied[: len(samples)])
    assert len(copied) - len(samples) < 960


def test_rotated_pictures_stand_upright(make_clip: MakeClip, tmp_path: Path) -> None:
    for degrees in (90, 180, 270):
        source = make_clip(f"{degrees}.mp4", rotation_deg=degrees, options={"crf": "1"})
        target = tmp_path / f"upright{degrees}.mp4"
        stamp_file(source, target, BAND_POLICY, crf=1)
        info = probe(source)
        for coded, pixels in zip(_pictures(source), _pictures(target), strict=True):
            upright = np.rot90(coded, degrees // 90).astype(float)
            assert np.abs(upright - pixels[: info.height, : info.width]).mean() < 2


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
@pytest.mark.parametrize("policy", [FILE_POLICY, BAND_POLICY], ids=["over", "band"])
def test_label_and_quality(
    make_clip: MakeClip, tmp_path: Path, policy: FramePolicy, pix_fmt: str
) -> None:
    """The box holds the frame's own time; the rest of the picture stays as it was."""
    settings = {"codec": "mjpeg", "options": {"q": "2"}} if pix_fmt == "yuvj420p" else {}
    source = make_clip("clip.mov", size=(320, 240), num_frames=12, pix_fmt=pix_fmt, **settings)
    target = tmp_path / "stamped.mp4"
    stamp_file(source, target, policy, crf=12)
    overlay, times_s = Overlay.fit(scan(source), policy), frame_times(source)
    layout = overlay.layout
    rows = slice(layout.top_px, layout.top_px + layout.height_px)
    columns = slice(layout.left_px, layout.left_px + layout.width_px)
    for time_s, pixels, original in zip(times_s, _pictures(target), _pictures(source), strict=True):
        box = pixels[rows, columns].astype(float)
        tile = layout.tile(f"{time_s:.2f}s").astype(float)
        assert np.abs(box - tile[:, :, None]).mean() < 6
        picture = pixels[: layout.top_px if policy is FILE_POLICY else 240].astype(float)
        error = np.square(picture - original[: len(picture)]).mean()
        assert 10 * np.log10(255**2 / error) > 39


def test_pairs_as_sampling_takes_them(make_clip: MakeClip) -> None:
    clip = scan(make_clip(num_frames=20, fps=10))
    overlay = Overlay.fit(clip, FramePolicy(fps=5, stamp="pair"))
    assert overlay.labels_s == pytest.approx([0.4 * (i // 4) for i in range(20)])


def test_a_target_of_another_clip_is_not_taken_for_this_ones(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    source, target = make_clip(num_frames=5), tmp_path / "stamped.mp4"
    other = make_clip("other.mp4", num_frames=7)
    stamp_file(source, target)
    assert stamp_file(other, target).num_frames == scan(target).info.num_frames == 7
    shutil.copy2(source, other)  # with the older time of change
    assert not stamp_file(other, target).skipped
    assert scan(target).info.num_frames == 5
    assert stamp_file(source, target).skipped


def test_finished_targets_are_left_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(num_frames=5), tmp_path / "stamped.mp4"
    assert not stamp_file(source, target).skipped
    written = target.stat().st_mtime_ns
    assert stamp_file(source, target).skipped
    assert target.stat().st_mtime_ns == written
    assert not stamp_file(source, target, crf=30).skipped
    os.utime(source, (time.time() + 10, time.time() + 10))
    assert stamp_file(source, target, crf=30).skipped
    foreign = make_clip("mine.mp4", num_frames=3)
    content = foreign.read_bytes()
    with pytest.raises(UserError, match="not made by stamping"):
        stamp_file(source, foreign)
    assert foreign.read_bytes() == content


def test_settings_that_make_no_sense(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(num_frames=2), tmp_path / "stamped.mp4"
    link = tmp_path / "link.mp4"
    link.symlink_to(source)
    wrong: list[tuple[str, Any]] = [
        ("preset 'quick'", lambda: stamp_file(source, target, preset="quick")),
        ("crf 52", lambda: stamp_file(source, target, crf=52)),
        ("'none'", lambda: stamp_file(source, target, FramePolicy(stamp="none"))),
        ("same file", lambda: stamp_file(source, source)),
        ("same file", lambda: stamp_file(link, source)),
        ("symbolic links", lambda: stamp_file(_loop(tmp_path / "loop.mp4"), target)),
        ("another folder", lambda: stamp_folder(tmp_path, tmp_path / "folder.mp4" / "..")),
        ("ends in one of", lambda: stamp_file(source, tmp_path / "a.txt")),
        ("is a folder", lambda: stamp_file(source, _made(tmp_path / "folder.mp4"))),
        ("cannot be written", lambda: stamp_file(source, source / "below.mp4")),
    ]
    for said, call in wrong:
        with pytest.raises(UserError, match=said):
            call()
    assert not target.exists()


def _loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_broken_source_leaves_nothing(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(num_frames=60, muxing={"movflags": "faststart"})
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    target = tmp_path / "out" / "stamped.mp4"
    with pytest.raises(UnreadableClip, match="cut off"):
        stamp_file(source, target)
    assert not target.parent.exists() or not list(target.parent.iterdir())


@contextmanager
def _disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk is to the writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98])
def test_a_full_disk_leaves_no_half_file(make_clip: MakeClip, tmp_path: Path, share: float) -> None:
    source = make_clip(num_frames=60, size=(320, 240))
    whole = tmp_path / "whole.mp4"
    stamp_file(source, whole)
    target = tmp_path / "out" / "stamped.mp4"
    with _disk_of(int(whole.stat().st_size * share)), pytest.raises(CannotWrite, match="stamped"):
        stamp_file(source, target)
    assert list(target.parent.iterdir()) == []


def test_sound_that_mp4_cannot_hold_is_left_out_and_said(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mkv", audio="pcm_u8", num_frames=10)
    report = stamp_file(source, tmp_path / "stamped.mp4")
    assert report.notes == ("audio left out: a .mp4 file cannot hold pcm_u8",)
    assert not probe(report.target).has_audio
    assert stamp_file(source, report.target).notes == report.notes
    report = stamp_file(source, tmp_path / "stamped.mkv")
    assert report.notes == ()
    assert probe(report.target).has_audio


def test_interruption_leaves_no_half_file(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(), tmp_path / "out" / "stamped.mp4"

    def interrupt(done: int, _: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stamp_file(source, target, on_progress=interrupt)
    assert list(target.parent.iterdir()) == []


def test_a_folder_goes_on_past_bad_files(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "in" / "stamped"
    (source / "deep").mkdir(parents=True)
    write_clip(source / "a.mp4", num_frames=4)
    write_clip(source / "a.mkv", num_frames=5)
    write_clip(source / "deep" / "夹爪.MOV", num_frames=6)
    (source / "empty.mp4").touch()
    (source / "text.avi").write_text("no video")
    (source / "notes.txt").write_text("not looked at")
    seen: list[tuple[int, int, Path]] = []
    report = stamp_folder(source, target, on_progress=lambda *call: seen.append(call))
    assert [
        (clip.target.relative_to(target).as_posix(), clip.num_frames) for clip in report.clips
    ] == [
        ("a.mkv.mp4", 5),
        ("a.mp4", 4),
        ("deep/夹爪.mp4", 6),
    ]
    assert [problem.source.name for problem in report.problems] == ["empty.mp4", "text.avi"]
    assert "the file is empty" in report.problems[0].reason
    assert [call[:2] for call in seen] == [(n, 5) for n in range(5)]
    again = stamp_folder(source, target)
    assert all(clip.skipped for clip in again.clips)
    assert len(again.clips) == 3


def test_a_folder_stops_where_nothing_can_be_written(tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", num_frames=4)
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        stamp_folder(tmp_path, tmp_path / "file" / "below")
    with pytest.raises(UserError, match="is not a folder"):
        stamp_folder(tmp_path / "in.mp4", tmp_path / "out")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="holds no video files"):
        stamp_folder(tmp_path / "bare", tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_target_folder(make_clip: MakeClip, tmp_path: Path) -> None:
    folder = _made(tmp_path / "locked")
    folder.chmod(0o555)
    with pytest.raises(CannotWrite, match="Permission denied"):
        stamp_file(make_clip(num_frames=2), folder / "stamped.mp4")


def test_real_clips(shared_data: Path, tmp_path: Path) -> None:
    for number, source in enumerate(sorted(shared_data.rglob("*.mp4"))[2:17:7]):
        target = tmp_path / f"{number}.mp4"
        stamp_file(source, target, preset="ultrafast")
        assert frame_times(target) == pytest.approx(frame_times(source), abs=1e-4)
        assert probe(target).has_audio == probe(source).has_audio
