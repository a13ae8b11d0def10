"""An answer as compressed bytes, and back without a loss: probabilities keep every bit. Pure."""

import json
import zlib
from hashlib import sha256
from typing import Any

from kairoscope.core import Completion, Posterior
from kairoscope.storage import canonical_json

LEVEL = 1
"""Of the compression: higher ones gain little on digits that are noise."""
_PLAIN = (
    *("text", "trial", "frame_times_s", "num_prompt_tokens", "num_vision_tokens"),
    *("num_new_tokens", "seconds", "finish"),
)


class DamagedAnswer(ValueError):
    """Bytes that are not an answer, or not the one that was written."""


def pack(completion: Completion, template: str | None) -> bytes:
    """One answer with the digest of the grammar that it follows."""
    choices: dict[tuple[str, ...], int] = {}
    rows = [
        [p.slot, choices.setdefault(p.choices, len(choices)), p.probabilities]
        for p in completion.posteriors
    ]
    kept: dict[str, Any] = {name: getattr(completion, name) for name in _PLAIN}
    kept |= {"template": template, "posteriors": rows, "choices": list(choices)}
    return zlib.compress(canonical_json(kept).encode("utf-8"), LEVEL)


def unpack(body: bytes) -> tuple[Completion, str | None]:
    """The answer, marked as stored, and the digest of its grammar. Raises `DamagedAnswer`."""
    try:
        kept = json.loads(zlib.decompress(body))
        choices = [tuple(values) for values in kept.pop("choices")]
        template = kept.pop("template")
        posteriors = tuple(
            Posterior(slot=slot, choices=choices[which], probabilities=tuple(probabilities))
            for slot, which, probabilities in kept.pop("posteriors")
        )
        times_s = tuple(kept.pop("frame_times_s"))
        completion = Completion(**kept, frame_times_s=times_s, posteriors=posteriors, stored=True)
    except (zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DamagedAnswer(str(error)) from error
    return completion, template


def seal(key: bytes, trial: int, body: bytes) -> bytes:
    """What shows that a row is as it was written, and that it is this row."""
    return sha256(b"%b/%d/%b" % (key, trial, body)).digest()[:16]


def printable(text: str) -> str:
    """Text as a database takes it: bytes of a file name that are no text become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
