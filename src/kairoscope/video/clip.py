"""What a video file holds, from its container alone: frame times, size, rotation, audio.

Times are the container's presentation times, never index / fps: variable frame rates, 9.533 fps, edit
lists and wrong frame counts exist.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
from av.video.stream import VideoStream

from kairoscope.core import UnreadableClip

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
    pts: tuple[int, ...]
    """Presentation times of the displayed frames in ticks of `time_base`, ascending."""
    time_base: Fraction

    @property
    def times_s(self) -> tuple[float, ...]:
        """Presentation times in seconds from the first displayed frame."""
        return tuple(float((tick - self.pts[0]) * self.time_base) for tick in self.pts)


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
    """Read the container once, without decoding. Raises UnreadableClip."""
    path = Path(path)
    with open_clip(path) as (container, stream):
        pts, end = _presentation_times(container, stream, path)
        if stream.time_base is None:
            raise UnreadableClip(f"{path}: its video has no time base")
        time_base = stream.time_base
        rotation = _rotation_deg(container, stream)
        width, height = stream.codec_context.width, stream.codec_context.height
        if rotation % 180:
            width, height = height, width
        first, last = pts[0], pts[-1]
        rate = stream.average_rate or stream.guessed_rate
        span_s = float((last - first) * time_base)
        fps = (len(pts) - 1) / span_s if span_s > 0 else float(rate or 0)
        end_s = float((end - first) * time_base)
        info = ClipInfo(
            path=path,
            duration_s=end_s if end > last else span_s + (1 / fps if fps > 0 else 0.0),
            num_frames=len(pts),
            fps=fps,
            width=width,
            height=height,
            rotation_deg=rotation,
            codec=stream.codec_context.codec.canonical_name,
            has_audio=bool(container.streams.audio),
            variable_rate=_is_variable(pts, time_base),
        )
    return Scan(info=info, pts=pts, time_base=time_base)


@contextmanager
def open_clip(path: Path) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """Open a file and its main video stream. Raises UnreadableClip where there is none."""
    try:
        _check_file(path)
        # Absolute, so that FFmpeg takes no name such as `take:1.mp4` for an address.
        container = av.open(str(path.absolute()), "r", metadata_errors="replace")
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
        raise UnreadableClip(f"{path}: holds no video, only {kinds or 'nothing'}")
    stream = next((s for s in videos if s.disposition & av.stream.Disposition.default), videos[0])
    if not isinstance(stream.codec_context, av.VideoCodecContext):
        raise UnreadableClip(f"{path}: no decoder for its video")
    return stream


def _presentation_times(
    container: av.container.InputContainer, stream: VideoStream, path: Path
) -> tuple[tuple[int, ...], int]:
    """Ticks of the displayed frames, and the tick at which the last of them ends."""
    pts: list[int] = []
    end, incomplete, first_key = 0, False, None
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                incomplete = True
                break
            if packet.is_discard or _is_hidden(stream, packet):
                continue
            if first_key is None and packet.is_keyframe:
                first_key = packet.pts
            pts.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    except (av.FFmpegError, OSError) as error:
        raise UnreadableClip(_broken(path, pts, stream.time_base, error)) from error
    if incomplete or (pts and first_key is not None and min(pts) < first_key):
        pts = _decoded_times(path, everything=incomplete, pts=pts)
    if not pts:
        raise UnreadableClip(f"{path}: its video holds no frames")
    return tuple(sorted(set(pts))), end


def _broken(path: Path, pts: list[int], time_base: Fraction | None, error: Exception) -> str:
    if not pts or time_base is None:
        return f"{path}: its video cannot be read ({error})"
    return (
        f"{path}: broken or cut off at {float((max(pts) - min(pts)) * time_base):.2f} s ({error})"
    )


def _is_hidden(stream: VideoStream, packet: "av.Packet[VideoStream]") -> bool:
    """VP8 keeps reference pictures that are never shown in packets of their own (bit `show_frame`)."""
    return stream.codec_context.name.endswith("vp8") and not bytes(packet)[0] & 0x10


def _decoded_times(path: Path, *, everything: bool, pts: list[int]) -> list[int]:
    """For the few files whose packets do not tell.

    `everything`: old containers store no presentation times, so the decoder has to order the
    frames. Otherwise frames stand before the first key frame, and only the decoder knows which of
    them can be shown: the first one it returns is the first displayed.
    """
    with open_clip(path) as (container, stream):
        try:
            frames = container.decode(stream)
            shown = frames if everything else itertools.islice(frames, 1)
            decoded = [frame.pts for frame in shown if frame.pts is not None]
        except av.FFmpegError as error:
            raise UnreadableClip(f"{path}: its video cannot be decoded ({error})") from error
    return decoded if everything else [tick for tick in pts if decoded and tick >= decoded[0]]


def _rotation_deg(container: av.container.InputContainer, stream: VideoStream) -> int:
    """The display matrix travels with the decoded frames, so one frame is decoded where it may exist.

    Only containers of the MOV and Matroska families carry it.
    """
    if not {"mov", "matroska"} & set(container.format.name.split(",")):
        return 0
    try:
        container.seek(0)
        frame = next(container.decode(stream), None)
    except av.FFmpegError:
        return 0
    return round(frame.rotation / 90) * 90 % 360 if frame else 0


def _is_variable(pts: tuple[int, ...], time_base: Fraction) -> bool:
    """Whether gaps differ by more than the rounding of times to ticks explains."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(pts)]
    if not gaps:
        return False
    tick_s = float(time_base)
    rounding_s = max(tick_s if tick_s <= 0.005 else 0.0, 0.001)
    return (max(gaps) - min(gaps)) * tick_s > rounding_s * 1.01
