"""What makes two questions the same one. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from kairoscope.core import Decoding, Request, Sampling
from kairoscope.storage import canonical_json, plain

KEY_FORMAT = 1
PROBE_S = (0.0, 0.25, 1.0, 2.75)
"""Frame times on which templates are told apart before the clip's own are known."""
_APART = {"id", "video", "template", "query"}
"""Fields of a request that stand in the key in another form, or not at all."""
_OF_CLIPS = {"policy", "span"}


def question_key(
    request: Request,
    clip_sha256: str | None,
    sampling: Sampling,
    decoding: Decoding,
    *,
    identity: str,
    computed_by: Mapping[str, str],
    draws_by_id: bool,
) -> bytes:
    """SHA-256 of everything that an answer depends on but the number of the trial.

    Args:
        request: every field counts that says what is asked, also one that is added later. The path
            does not: the clip stands for itself by its bytes.
        clip_sha256: of the clip's bytes; None where nothing is shown, and how frames are taken does not
            count.
        sampling: all of it but which trials.
        decoding: without a template (`free`), the request's own does not count.
        identity: of the model.
        computed_by: what else an answer depends on, such as versions.
        draws_by_id: draws depend on the request's id, which then counts where anything is drawn.
    """
    drawn = sampling.temperature > 0 and decoding != "posterior"
    asked = {
        "format": KEY_FORMAT,
        "model": identity,
        "computed_by": computed_by,
        "clip": clip_sha256,
        "decoding": decoding,
        "sampling": _fields(sampling, {"trials", "first_trial"}),
        "request": _fields(request, _APART if request.video else _APART | _OF_CLIPS),
        "template": template_digest(request, PROBE_S if request.video else (), decoding),
        "id": request.id if draws_by_id and drawn else None,
    }
    return sha256(canonical_json(asked).encode("utf-8")).digest()


def template_digest(
    request: Request, frame_times_s: Sequence[float], decoding: Decoding
) -> str | None:
    """Hash of the grammar on these frames; None where no grammar is followed."""
    if decoding == "free" or request.template is None:
        return None
    text = canonical_json(request.template(frame_times_s))
    return sha256(text.encode("utf-8")).hexdigest()[:32]


def _fields(value: Any, left_out: set[str]) -> dict[str, Any]:
    return {
        field.name: plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in left_out
    }
