"""What a video file holds, from its container alone: frame times, size, rotation, audio.

Times are the container's presentation times, never index / fps: variable frame rates, 9.533 fps, edit
lists and wrong frame counts exist.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kairoscope.core import UnreadableClip
from kairoscope.video.packets import BrokenOff, PacketIndex, index_packets

NOT_VIDEO = ("tty", "image2", "concat", "hls", "dash", "ffmetadata", "lavfi", "rawvideo")
"""Formats that FFmpeg opens but that are text, pictures, or lists that point at other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """A clip as a player shows it."""

    path: Path
    duration_s: float
    """From the start of the first displayed frame to the end of the last one."""
    num_frames: int
    """Displayed frames."""
    fps: float
    """Average."""
    width: int
    """In pixels after rotation. Non-square pixels are not stretched."""
    height: int
    rotation_deg: int
    """Counter-clockwise rotation that displays the coded picture upright: 0, 90, 180 or 270."""
    codec: str
    has_audio: bool
    variable_rate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that one pass over the packets tells."""

    info: ClipInfo
    packets: PacketIndex

    @property
    def times_s(self) -> tuple[float, ...]:
        """Presentation times in seconds from the first displayed frame."""
        first = self.packets.shown[0]
        return tuple(float((tick - first) * self.packets.time_base) for tick in self.packets.shown)


def probe(path: Path | str) -> ClipInfo:
    """Describe a clip. Raises UnreadableClip naming the file and the reason."""
    return scan(path).info


def frame_times(path: Path | str) -> tuple[float, ...]:
    """Presentation times of all displayed frames, ascending, in seconds from the first of them.

    Read from the packets without decoding; frames that an edit list cuts away are not counted.
    Raises UnreadableClip naming the file and the reason.
    """
    return scan(path).times_s


def scan(path: Path | str) -> Scan:
    """Read the container once, decoding no more than its first frame. Raises UnreadableClip."""
    path = Path(path)
    with open_clip(path) as (container, stream):
        packets = _index(container, stream, path)
        first = _first_frame(container, stream)
        packets = _without_undecodable(packets, first)
        info = _describe(path, container, stream, packets, first)
    return Scan(info=info, packets=packets)


def _index(container: av.container.InputContainer, stream: VideoStream, path: Path) -> PacketIndex:
    try:
        packets = index_packets(container, stream)
    except BrokenOff as broken:
        where = "" if broken.at_s is None else f" at {broken.at_s:.2f} s"
        raise UnreadableClip(f"{path}: broken or cut off{where} ({broken.reason})") from broken
    if not packets.shown:
        raise UnreadableClip(f"{path}: its video holds no frames")
    return packets


def _first_frame(container: av.container.InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first displayed frame, where only it tells something.

    The display matrix (rotation) travels with decoded frames. Nor is it known without decoding
    whether frames before the first key frame can be shown.
    """
    stream.codec_context.thread_count = 1  # more are not worth starting for one frame
    try:
        container.seek(0)
        return next(container.decode(stream), None)
    except av.FFmpegError:
        return None  # whoever decodes in earnest says what is wrong


_LENIENT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Tags that are no text are no reason to refuse a clip. PyAV 19 has no such argument any more."""


@contextmanager
def open_clip(path: Path) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """Open a file and its main video stream. Raises UnreadableClip where there is none."""
    try:
        _check_file(path)
        # Absolute, so that FFmpeg takes no name such as `take:1.mp4` for an address, and files only:
        # a list that calls itself a video shall fetch nothing.
        container = av.open(
            str(path.absolute()),
            "r",
            container_options={"protocol_whitelist": "file"},
            **_LENIENT,
        )
    except OSError as error:
        raise UnreadableClip(f"{path}: {_reason(error)}") from error
    except av.FFmpegError as error:
        hint = "not a video, or cut off before it was complete"
        raise UnreadableClip(f"{path}: {hint} ({error.strerror})") from error
    with container:
        yield container, _video_stream(container, path)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _check_file(path: Path) -> None:
    """Words for what FFmpeg would call `invalid data`; raises OSError for what the system refuses."""
    if path.is_dir():
        raise UnreadableClip(f"{path}: is a folder, not a video file")
    with path.open("rb") as file:
        if not file.read(1):
            raise UnreadableClip(f"{path}: the file is empty")


def _video_stream(container: av.container.InputContainer, path: Path) -> VideoStream:
    name = container.format.name
    if name.endswith("_pipe") or any(part in NOT_VIDEO for part in name.split(",")):
        raise UnreadableClip(f"{path}: not a video (its content is of the kind {name!r})")
    videos = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not videos:
        kinds = ", ".join(sorted({stream.type for stream in container.streams}))
        only = f", only {kinds}" if kinds else " and no sound: broken, or cut off"
        raise UnreadableClip(f"{path}: holds no video{only}")
    stream = next((s for s in videos if s.disposition & av.stream.Disposition.default), videos[0])
    if not isinstance(stream.codec_context, av.VideoCodecContext):
        raise UnreadableClip(f"{path}: no decoder for its video")
    return stream


def _without_undecodable(packets: PacketIndex, first: VideoFrame | None) -> PacketIndex:
    """Drop frames displayed before the first that can be decoded: a recording cut out of a longer one
    may start with frames that refer to what is missing.
    """
    if first is None or first.pts is None or not packets.order:
        return packets
    shown = packets.shown[bisect_left(packets.shown, first.pts) :]
    return replace(packets, shown=shown) if shown else packets


def _describe(
    path: Path,
    container: av.container.InputContainer,
    stream: VideoStream,
    packets: PacketIndex,
    first: VideoFrame | None,
) -> ClipInfo:
    shown, time_base = packets.shown, packets.time_base
    span_s = float((shown[-1] - shown[0]) * time_base)
    fps = (len(shown) - 1) / span_s if span_s > 0 else float(stream.guessed_rate or 0)
    last_s = float((packets.end - shown[-1]) * time_base)
    rotation = round(first.rotation / 90) * 90 % 360 if first else 0
    sides = (stream.codec_context.width, stream.codec_context.height)
    if min(sides) < 1:
        raise UnreadableClip(f"{path}: the size of its frames is not known")
    width, height = sides if rotation % 180 == 0 else sides[::-1]
    return ClipInfo(
        path=path,
        duration_s=span_s + (last_s if last_s > 0 else (1 / fps if fps > 0 else 0.0)),
        num_frames=len(shown),
        fps=fps,
        width=width,
        height=height,
        rotation_deg=rotation,
        codec=stream.codec_context.codec.canonical_name,
        has_audio=bool(container.streams.audio),
        variable_rate=_is_variable(shown, time_base),
    )


def _is_variable(pts: tuple[int, ...], time_base: Fraction) -> bool:
    """Whether gaps differ by more than the rounding of times to ticks explains."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(pts)]
    if not gaps:
        return False
    tick_s = float(time_base)
    rounding_s = max(tick_s if tick_s <= 0.005 else 0.0, 0.001)
    return (max(gaps) - min(gaps)) * tick_s > rounding_s * 1.01
