"""What the container tells, and what is said about files that are no clips."""

import os
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from made_clips import MakeClip
from PIL import Image

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import frame_times, open_clip, probe, scan


def test_constant_rate(make_clip: MakeClip) -> None:
    info = probe(make_clip(num_frames=45, fps=30))
    assert (info.num_frames, info.width, info.height, info.rotation_deg) == (45, 128, 96, 0)
    assert info.fps == pytest.approx(30)
    assert info.duration_s == pytest.approx(1.5)
    assert (info.codec, info.has_audio, info.variable_rate) == ("h264", False, False)


def test_times_of_a_variable_rate_are_the_containers(make_clip: MakeClip) -> None:
    ticks = [0, 40, 73, 400, 433, 900, 2000]
    clip = make_clip(pts=ticks, time_base=Fraction(1, 1000))
    assert frame_times(clip) == pytest.approx([tick / 1000 for tick in ticks])
    assert probe(clip).variable_rate


def test_awkward_rate(make_clip: MakeClip) -> None:
    clip = make_clip(fps=Fraction(9533, 1000), num_frames=40)
    assert frame_times(clip) == pytest.approx([i / 9.533 for i in range(40)], abs=1e-4)
    assert probe(clip).fps == pytest.approx(9.533, abs=1e-3)
    assert not probe(clip).variable_rate


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "5"}, {"bf": "16", "b-pyramid": "normal"}])
def test_frames_out_of_order_in_the_file(make_clip: MakeClip, options: dict[str, str]) -> None:
    times_s = frame_times(make_clip(options=options, num_frames=40, fps=20))
    assert times_s == pytest.approx([i / 20 for i in range(40)])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("a.webm", "libvpx-vp9"),
        ("a.mp4", "libsvtav1"),
        ("a.mp4", "libx265"),
        ("a.mov", "mjpeg"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.avi", "libx264"),
    ],
)
def test_containers_and_codecs(make_clip: MakeClip, name: str, codec: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = make_clip(name, codec=codec, fps=25, num_frames=30, options=options, pix_fmt=fmt)
    times_s = frame_times(clip)
    assert len(times_s) == 30
    assert times_s == pytest.approx([i / 25 for i in range(30)], abs=0.0011)
    assert not probe(clip).variable_rate
    with av.open(str(clip)) as container:
        assert len(list(container.decode(video=0))) == 30


def test_frames_before_an_edit_list_are_not_displayed(make_clip: MakeClip) -> None:
    muxing = {"avoid_negative_ts": "disabled"}
    clip = make_clip(num_frames=30, fps=10, shift=-12, muxing=muxing, options={"bf": "2"})
    assert frame_times(clip) == pytest.approx([i / 10 for i in range(18)])
    with av.open(str(clip)) as container:
        assert len(list(container.decode(video=0))) == 18


@pytest.mark.parametrize(("degrees", "size"), [(90, (96, 128)), (180, (128, 96)), (270, (96, 128))])
def test_rotation(make_clip: MakeClip, degrees: int, size: tuple[int, int]) -> None:
    info = probe(make_clip(rotation_deg=degrees))
    assert (info.width, info.height) == size
    assert info.rotation_deg == degrees


def test_audio_and_a_single_frame(make_clip: MakeClip) -> None:
    assert probe(make_clip("sound.mp4", audio="aac")).has_audio
    info = probe(make_clip("one.mp4", num_frames=1, fps=10))
    assert (info.num_frames, info.fps) == (1, 10)
    assert info.duration_s == pytest.approx(0.1)
    assert frame_times(info.path) == (0.0,)


@pytest.mark.parametrize(
    "name",
    ["grüße 夹爪 🤖.mp4", "take:1.mp4", "%03d.mp4", "-flag.mp4", "a b'\"c.mp4", "http:x.mp4"],
)
def test_names(make_clip: MakeClip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(name, num_frames=5)
    assert probe(clip).num_frames == 5
    monkeypatch.chdir(clip.parent)
    assert probe(name).num_frames == 5


def test_links_and_read_only_files(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(num_frames=5)
    clip.chmod(0o444)
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    assert probe(link).num_frames == 5
    assert probe(link).path == link


def test_wrong_ending_is_no_obstacle(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(num_frames=5).rename(tmp_path / "clip.avi")
    assert probe(clip).num_frames == 5


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000)
        samples = np.zeros((1, 16000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _zero_frames(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        output.start_encoding()


def _cover_art(path: Path) -> None:
    _audio_only(path)
    plain = path.with_name("plain.m4a")
    path.rename(plain)
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        audio = output.add_stream_from_template(source.streams.audio[0])
        art = output.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        output.mux(art.encode(av.VideoFrame(64, 64, "yuvj420p")))
        output.mux(art.encode(None))
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = audio
                output.mux(packet)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("missing.mp4", lambda path: None, "No such file"),
        ("folder.mp4", lambda path: path.mkdir(), "is a folder"),
        ("empty.mp4", lambda path: path.write_bytes(b""), "the file is empty"),
        ("text.mp4", lambda path: path.write_text("not a video\n" * 99), "not a video"),
        ("text.txt", lambda path: path.write_text("not a video\n" * 99), "not a video"),
        ("noise.mkv", lambda path: path.write_bytes(bytes(range(256)) * 40), "not a video"),
        ("still.mp4", lambda path: Image.new("RGB", (64, 64)).save(path, "PNG"), "not a video"),
        ("list.m3u8", lambda path: path.write_text("#EXTM3U\nhttp://localhost/a.ts\n"), ""),
        ("dangling.mp4", lambda path: path.symlink_to("nowhere.mp4"), "No such file"),
        ("loop.mp4", lambda path: path.symlink_to(path.name), "symbolic links"),
        ("sound.mp4", _audio_only, "holds no video, only audio"),
        ("cover.mp4", _cover_art, "holds no video"),
        ("none.mp4", _zero_frames, "no "),
    ],
)
def test_what_is_no_clip(
    tmp_path: Path, name: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / name
    write(path)
    for read in (probe, frame_times):
        with pytest.raises(UnreadableClip) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert said in str(caught.value)


def test_cut_off_before_the_index(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip(num_frames=60).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableClip, match="cut off before it was complete"):
        probe(path)


@pytest.mark.parametrize(
    ("name", "muxing"),
    [
        ("early.mp4", {"movflags": "faststart"}),
        ("pieces.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("matroska.mkv", {}),
    ],
)
def test_cut_off_after_the_index(
    make_clip: MakeClip, tmp_path: Path, name: str, muxing: dict[str, str]
) -> None:
    whole = make_clip(name, num_frames=60, muxing=muxing, options={"g": "10"})
    assert probe(whole).num_frames == 60
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(UnreadableClip, match=r"cut off at [01]\.\d\d s"):
        probe(cut)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(make_clip: MakeClip) -> None:
    clip = make_clip(num_frames=2)
    clip.chmod(0)
    with pytest.raises(UnreadableClip, match="Permission denied"):
        probe(clip)


def test_no_permission_as_told_by_the_system(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    clip = make_clip(num_frames=2)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableClip, match=r"clip\.mp4: Permission denied"):
        probe(clip)


def test_times_rise_and_start_at_zero_on_real_clips(shared_data: Path) -> None:
    clips = sorted(shared_data.rglob("*.mp4"))
    assert len(clips) >= 12
    for clip in clips:
        found = scan(clip)
        times_s = found.times_s
        assert times_s[0] == 0
        assert all(later > earlier for earlier, later in pairwise(times_s))
        assert times_s[-1] < found.info.duration_s
        with open_clip(clip) as (_, stream):
            assert stream.frames == len(times_s)
