"""What a clip shows, as a hash: the same for copies in another container or with other notes in it."""

from hashlib import sha256
from pathlib import Path

import av

from kairoscope.core import UnreadableClip
from kairoscope.video.clip import open_clip


def packet_hash(path: Path) -> str | None:
    """SHA-256 over codec, size and compressed pictures of a clip, in hexadecimal; nothing is decoded.

    Names, titles, sound, containers and edit lists change nothing. None where the file cannot be read as
    a video to its end.
    """
    digest = sha256()
    try:
        with open_clip(path) as (container, stream):
            codec = stream.codec_context
            digest.update(f"{codec.name} {codec.width} {codec.height}".encode())
            for packet in container.demux(stream):
                digest.update(bytes(packet))
    except (UnreadableClip, OSError, ValueError, av.FFmpegError):
        return None
    return digest.hexdigest()
