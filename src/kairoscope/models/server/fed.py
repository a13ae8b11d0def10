"""Whether a server fed the model the frames that it was sent: as many, and as large."""

from collections import Counter

from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.sending import Way
from kairoscope.models.server.wire import Reply
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry


def expected_tokens(frames: ClipFrames, geometry: PatchGeometry) -> int:
    """Vision tokens of these frames as a video."""
    num_frames, height, width, _ = frames.pixels_THWC.shape
    patches = -(-num_frames // geometry.temporal)
    return int(patches * (height // geometry.unit_px) * (width // geometry.unit_px))


def fed_tokens(reply: Reply) -> int | None:
    """Vision tokens in what the model was fed: the token that stands there most often.

    None where the server does not tell, which token ids the prompt had.
    """
    if not reply.prompt_ids:
        return None
    return Counter(reply.prompt_ids).most_common(1)[0][1]


def check_fed(
    reply: Reply, frames: ClipFrames, geometry: PatchGeometry, way: Way, options: ServerOptions
) -> None:
    """Raise UserError where the model saw other frames than the policy's, unless that is allowed.

    A server that tells token ids is checked to the token; of others it is only known that a prompt
    shorter than its vision tokens cannot hold them. Pictures sent one by one are not checked.
    """
    if way in ("images", "nothing") or options.allow_other_frames:
        return
    wanted, found = expected_tokens(frames, geometry), fed_tokens(reply)
    if found is None:
        if not 0 < reply.num_prompt_tokens < wanted:
            return
        found = reply.num_prompt_tokens
    if found == wanted:
        return
    count, height, width, _ = frames.pixels_THWC.shape
    raise UserError(
        f"{options.base_url}: the model was fed {found} vision tokens, where {count} frames of "
        f"{width} x {height} make {wanted}: the server samples or resizes by itself. Start vLLM with "
        "--trust-request-mm-kwargs, or see docs/engines.md; --allow-other-frames goes on all the same"
    )
