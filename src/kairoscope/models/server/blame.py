"""What became of a request, and whose fault it is that there is no answer: the clip's or the server's."""

import json
from dataclasses import dataclass

from kairoscope.core import Completion, Failed
from kairoscope.models.server.http import Connection, Refused, Unanswered


class Gone(Exception):
    """The server answers nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request."""

    request_id: str
    answer: tuple[Completion, ...] | Failed
    refused: bool = False
    """Whether the server would not take it; where it takes none, that is no fault of a clip."""


async def blame(connection: Connection, model: str, error: Unanswered) -> None:
    """Raise Gone unless the server still answers something else: then the clip is to blame."""
    if error.fault in ("connection", "busy"):
        raise Gone(str(error)) from error
    messages = [{"role": "user", "content": "Say a word."}]
    body = json.dumps({"model": model, "messages": messages, "max_tokens": 1})
    try:
        await connection.ask("POST", "chat/completions", body.encode())
    except (Unanswered, Refused) as also:
        raise Gone(f"{error}; and a question without a clip: {also}") from also
