"""What a server says that it fed the model, beside what our own preprocessing would have."""

from collections.abc import Mapping

from kairoscope.core import Request
from kairoscope.models.chat import Encoder, text_ids
from kairoscope.models.parity import Check, Fed, Kind, advised, compare, compare_frames
from kairoscope.models.reference import expected_input, vision_tokens
from kairoscope.models.server.sending import Way
from kairoscope.models.server.wire import Reply
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry

ADVICE: Mapping[Kind, str] = {
    "frames": "the server samples or resizes by itself: start vLLM with --trust-request-mm-kwargs, or "
    "see docs/engines.md",
    "prompt": "the server writes another prompt around the frames: have it use the checkpoint's own "
    "chat template and tokenizer",
}


def fed_checks(
    reply: Reply,
    request: Request,
    frames: ClipFrames,
    geometry: PatchGeometry,
    way: Way,
    encoder: Encoder | None,
    begun: str = "",
) -> tuple[Check, ...]:
    """Every comparison that can be made of an answer.

    Pictures sent one by one are not compared: they are another input than training saw, of which the
    user is told.

    Args:
        reply: with the tokens of the prompt, where the server tells them.
        request: what was asked.
        frames: that were sent.
        geometry: of the model's patches, as well as that is known.
        way: how they were sent.
        encoder: of the model, where its files are seen from here.
        begun: what of the answer stood behind the prompt.
    """
    if way == "images":
        return ()
    fed = _fed(reply, len(text_ids(encoder, begun)) if encoder is not None and begun else 0)
    if encoder is not None:
        expected = expected_input(encoder, request.prompt, frames, request.policy)
        return advised(compare(encoder, expected, fed), ADVICE)
    if way == "nothing":
        return ()
    return advised(compare_frames(*vision_tokens(frames, geometry), fed), ADVICE)


def _fed(reply: Reply, num_written: int) -> Fed:
    """`num_written`: tokens of the answer, at the end of the prompt."""
    total, ids = reply.num_prompt_tokens, reply.prompt_ids
    return Fed(
        num_prompt_tokens=total - num_written if total else None,
        token_ids=ids[: len(ids) - num_written] if ids else None,
    )
