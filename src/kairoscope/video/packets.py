"""Where the frames of a video stream are, from its packets, without decoding."""

import itertools
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
import av.container
from av.video.stream import VideoStream

H264_SLICE_IDR = 5
H264_SPS = 7
START_CODE = b"\0\0\1"
_SLACK_S = 0.25
"""The length of the last frame is often not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIndex:
    """The packets of a stream. Ticks are in `time_base`."""

    shown: tuple[int, ...]
    """Presentation ticks of the frames that are displayed, ascending, each once."""
    order: tuple[int, ...]
    """Presentation ticks of all packets in the order of decoding, frames that are not displayed
    included. Empty where the container does not store presentation times."""
    restarts: tuple[int, ...]
    """Positions in `order` at which decoding can start afresh: nothing later needs anything earlier."""
    end: int
    """Tick at which the last frame ends, as far as the container tells."""
    time_base: Fraction


class BrokenOff(Exception):
    """The packets cannot be read to their end."""

    def __init__(self, at_s: float | None, reason: str) -> None:
        super().__init__(reason)
        self.at_s = at_s
        self.reason = reason


def index_packets(container: av.container.InputContainer, stream: VideoStream) -> PacketIndex:
    """Read every packet's times. Raises BrokenOff."""
    time_base = stream.time_base or Fraction(1, 1)
    can_restart = _restart_check(stream)
    hidden = stream.codec_context.name.endswith("vp8")
    order: list[int | None] = []
    decoded: list[int] = []
    shown: dict[int, int] = {}  # tick -> duration
    restarts: list[int] = []
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.is_keyframe and can_restart(packet):
                restarts.append(len(order))
            order.append(packet.pts)
            decoded.append(packet.dts if packet.dts is not None else len(decoded))
            # VP8 keeps reference pictures that are never shown (bit `show_frame`) in own packets.
            if packet.is_discard or (hidden and not bytes(packet)[0] & 0x10):
                continue
            tick = packet.pts if packet.pts is not None else decoded[-1]
            shown[tick] = packet.duration or 0
            if packet.is_corrupt:
                raise BrokenOff(_span_s(shown, time_base), "the file ends within a frame")
    except (av.FFmpegError, OSError) as error:
        raise BrokenOff(_span_s(shown, time_base), str(error)) from error
    end = _end(shown)
    declared_s = _declared_end_s(stream)
    if declared_s is not None and float(end * time_base) < declared_s - _SLACK_S - declared_s / 100:
        raise BrokenOff(_span_s(shown, time_base), f"its header speaks of {declared_s:.2f} s")
    ticks = [tick for tick in order if tick is not None]
    if len(ticks) < len(order) or container.format.name == "avi":
        # AVI and streams without a container store no presentation times (FFmpeg makes some up):
        # frames are shown at the times of decoding, in the order in which the decoder returns them.
        return PacketIndex(
            shown=tuple(sorted(set(decoded))), order=(), restarts=(), end=end, time_base=time_base
        )
    return PacketIndex(
        shown=tuple(sorted(set(shown))),
        order=tuple(ticks),
        restarts=_closed(ticks, restarts),
        end=end,
        time_base=time_base,
    )


def _span_s(ticks: Collection[int], time_base: Fraction) -> float | None:
    return float((max(ticks) - min(ticks)) * time_base) if ticks else None


def _end(shown: Mapping[int, int]) -> int:
    """When the last frame ends, from ticks -> durations in the order of decoding.

    MP4 stores the gaps between decoding times. Where the order of decoding is not that of display,
    they say nothing about single frames, and the usual gap is taken for the last frame.
    """
    ticks = sorted(shown)
    if not ticks:
        return 0
    if ticks == list(shown) or len(ticks) == 1:
        return ticks[-1] + shown[ticks[-1]]
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(ticks))
    return ticks[-1] + gaps[len(gaps) // 2]


def _declared_end_s(stream: VideoStream) -> float | None:
    """Matroska files that are cut off just end; only this tag, written last, knows of the rest."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d\.?\d*)", stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _closed(order: list[int], candidates: list[int]) -> tuple[int, ...]:
    """Those candidates that no earlier packet is displayed after and no later packet before."""
    latest_before: list[int] = []
    latest = min(order, default=0) - 1
    for tick in order:
        latest_before.append(latest)
        latest = max(latest, tick)
    earliest = max(order, default=0) + 1
    closed: list[int] = []
    wanted = set(candidates)
    for position in range(len(order) - 1, -1, -1):
        earliest = min(earliest, order[position])
        if position in wanted and latest_before[position] < order[position] == earliest:
            closed.append(position)
    return tuple(reversed(closed))


def _restart_check(stream: VideoStream) -> Callable[["av.Packet[VideoStream]"], bool]:
    """Whether a packet that the container calls a key frame needs nothing before it.

    Known for AV1, VP8, VP9 and formats without references between frames. In H.264 the flag is not
    enough: open groups and periodic intra refresh carry it too, so an IDR slice is asked for, and
    its parameter sets where they are not in the file's header. In other formats nothing is skipped.
    """
    codec = stream.codec_context.codec.canonical_name
    if codec in {"av1", "vp8", "vp9", "mjpeg", "ffv1", "png"}:
        return lambda _: True
    if codec != "h264":
        return lambda _: False
    header = stream.codec_context.extradata or b""
    if header[:1] == b"\1" and len(header) > 4:
        length_bytes = (header[4] & 3) + 1
        return lambda packet: H264_SLICE_IDR in _types_by_length(bytes(packet), length_bytes)
    return lambda packet: {H264_SPS, H264_SLICE_IDR} <= _types_by_start_code(bytes(packet))


def _types_by_length(data: bytes, length_bytes: int) -> set[int]:
    """NAL unit types of an H.264 packet as MP4 and Matroska store it."""
    types: set[int] = set()
    position = 0
    while position + length_bytes < len(data):
        start = position + length_bytes
        types.add(data[start] & 0x1F)
        position = start + int.from_bytes(data[position:start], "big")
    return types


def _types_by_start_code(data: bytes) -> set[int]:
    """NAL unit types of an H.264 packet as MPEG-TS stores it."""
    types: set[int] = set()
    position = data.find(START_CODE)
    while 0 <= position < len(data) - 3:
        types.add(data[position + 3] & 0x1F)
        position = data.find(START_CODE, position + 3)
    return types
