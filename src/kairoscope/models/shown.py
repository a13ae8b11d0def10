"""What a question shows: the frames of its clip, or none."""

from kairoscope.core import Request
from kairoscope.video.frames import NO_FRAMES, ClipFrames, load_frames
from kairoscope.video.sampling import PatchGeometry


def frames_of(request: Request, geometry: PatchGeometry) -> ClipFrames:
    """Decode, sample, resize and stamp. Raises UnreadableClip naming the file and the reason."""
    if request.video is None:
        return NO_FRAMES
    return load_frames(request.video, request.policy, geometry, request.span)


def named(request: Request) -> str:
    """What a message calls a question: the clip that it is about, or the question itself."""
    return request.id if request.video is None else str(request.video)
