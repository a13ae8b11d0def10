"""Decode chosen frames of a clip, in a stream: memory does not grow with the clip."""

from collections.abc import Collection, Iterator

import av
from av.video.frame import VideoFrame

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import Scan, open_clip


def decode_frames(clip: Scan, wanted: Collection[int]) -> Iterator[tuple[int, VideoFrame]]:
    """(tick, frame) for each wanted presentation tick, in order, each exactly once.

    Raises UnreadableClip with the time at which the clip breaks off when a wanted frame cannot be
    decoded.
    """
    missing = sorted(wanted, reverse=True)
    with open_clip(clip.info.path) as (container, stream):
        stream.thread_type = "AUTO"
        try:
            for frame in container.decode(stream):
                if not missing:
                    return
                if frame.pts is None or frame.pts < missing[-1]:
                    continue
                if frame.pts > missing[-1] or frame.is_corrupt:
                    break
                yield missing.pop(), frame
        except av.FFmpegError as error:
            raise UnreadableClip(_broken(clip, missing[-1], str(error))) from error
    if missing:
        raise UnreadableClip(_broken(clip, missing[-1], "a frame does not decode"))


def _broken(clip: Scan, tick: int, reason: str) -> str:
    at_s = float((tick - clip.pts[0]) * clip.time_base)
    return f"{clip.info.path}: broken or cut off at {at_s:.2f} s ({reason})"
