"""Decode chosen frames of a clip, in a stream: memory does not grow with the clip.

Frames that are not wanted are decoded only where a wanted one needs them. What comes out is equal to
decoding everything, to the bit.
"""

import os
from bisect import bisect_right
from collections.abc import Collection, Iterator
from enum import IntEnum

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import Scan, open_clip
from kairoscope.video.packets import PacketIndex

MOST_THREADS = 4
"""Every thread of a decoder holds pictures of its own: with 64 of them a 4K clip takes gigabytes."""
ONE_THREAD_PIXELS = 640 * 480
"""Pictures up to this size are decoded by one thread: handing them from thread to thread costs a third
more CPU time and wins next to no time where something else is done with them meanwhile."""


class Feed(IntEnum):
    """What to do with a packet."""

    DROP = 0
    """Nothing wanted needs it."""
    REFERENCE = 1
    """A wanted frame may refer to it; skipped by the decoder if it knows that none can."""
    SHOW = 2
    """Holds a wanted frame."""


def feed_plan(packets: PacketIndex, wanted: Collection[int]) -> list[Feed]:
    """What to do with every packet, in the order of decoding.

    Between two restarts, packets after the last wanted one, and so the whole stretch where nothing
    is wanted, are dropped: nothing outside the stretch refers to them.
    """
    plan = [Feed.DROP] * len(packets.order)
    starts = packets.restarts
    for position, tick in enumerate(packets.order):
        if tick not in wanted:
            continue
        stretch = bisect_right(starts, position)
        start = starts[stretch - 1] if stretch else 0
        earlier = position - 1
        while earlier >= start and plan[earlier] is Feed.DROP:
            plan[earlier] = Feed.REFERENCE
            earlier -= 1
        plan[position] = Feed.SHOW
    return plan


def decode_frames(clip: Scan, wanted: Collection[int]) -> Iterator[tuple[int, VideoFrame]]:
    """(tick, frame) for each wanted presentation tick of `clip.packets.shown`, ascending, each once.

    Raises UnreadableClip with the time at which the clip breaks off when a wanted frame cannot be
    decoded.
    """
    missing = sorted(set(wanted), reverse=True)
    with open_clip(clip.info.path) as (container, stream):
        try:
            for tick, frame in _decoded(clip, container.demux(stream), stream, set(wanted)):
                if not missing:
                    return
                if tick < missing[-1]:
                    continue
                if tick > missing[-1] or frame.is_corrupt:
                    break
                yield missing.pop(), frame
        except av.FFmpegError as error:
            raise UnreadableClip(_broken(clip, missing[-1], str(error))) from error
    if missing:
        raise UnreadableClip(_broken(clip, missing[-1], "a frame does not decode"))


def _decoded(
    clip: Scan,
    packets: Iterator["av.Packet[VideoStream]"],
    stream: VideoStream,
    wanted: Collection[int],
) -> Iterator[tuple[int, VideoFrame]]:
    """(tick, frame) of everything that the decoder returns."""
    decoder = stream.codec_context
    decoder.thread_type = "AUTO"
    is_small = clip.info.width * clip.info.height <= ONE_THREAD_PIXELS
    decoder.thread_count = 1 if is_small else min(MOST_THREADS, (os.cpu_count() or 1) + 1)
    if not clip.packets.order:
        yield from zip(clip.packets.shown, _all_frames(stream, packets), strict=False)
        return
    # Only in H.264 does a decoder know for certain that no other picture refers to one.
    may_skip = decoder.codec.canonical_name == "h264"
    plan = iter(feed_plan(clip.packets, wanted))
    for packet in packets:
        feed = next(plan, Feed.DROP) if packet.size else Feed.SHOW
        if feed is Feed.DROP:
            continue
        if may_skip:
            decoder.skip_frame = "DEFAULT" if feed is Feed.SHOW else "NONREF"
        for frame in stream.decode(packet):
            if frame.pts is not None:
                yield frame.pts, frame


def _all_frames(
    stream: VideoStream, packets: Iterator["av.Packet[VideoStream]"]
) -> Iterator[VideoFrame]:
    for packet in packets:
        yield from stream.decode(packet)


def _broken(clip: Scan, tick: int, reason: str) -> str:
    at_s = float((tick - clip.packets.shown[0]) * clip.packets.time_base)
    return f"{clip.info.path}: broken or cut off at {at_s:.2f} s ({reason})"
