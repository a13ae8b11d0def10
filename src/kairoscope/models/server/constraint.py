"""Which form of constraint a server takes, found out by asking; and a model that only thinks first."""

import json
import re
from typing import Any, Literal

from kairoscope.models.grammar import answer_part
from kairoscope.models.parity import ADVICE, Check, allowed_kinds, insist
from kairoscope.models.server.http import Connection, Refused
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.wire import NotAnAnswer, read_reply

Form = Literal["structured_outputs", "regex", "guided_regex"]
"""Field of a request: of vLLM, of SGLang, of vLLM before 0.12 (later ones take it and do nothing)."""
FORMS: tuple[Form, ...] = ("structured_outputs", "regex", "guided_regex")
PROBE = r"<(?:0\.25|0\.75)> <(?:0\.25|0\.75)>"
"""What no model writes of its own accord when asked for a word."""
FEW_TOKENS, THINKING_TOKENS = 64, 4096


def constrained(form: Form, regex: str) -> dict[str, Any]:
    """The fields of a request that hold its answer to a regular expression."""
    return {form: {"regex": regex}} if form == "structured_outputs" else {form: regex}


async def accepted_form(connection: Connection, model: str, options: ServerOptions) -> Form | None:
    """The first form that a server keeps to; None: it keeps to none, and that is allowed.

    Raises:
        Mismatch: it keeps to none.
    """
    said: list[str] = []
    for form in FORMS:
        try:
            text = await _probe(connection, model, form)
        except Refused as error:
            said.append(f"{form}: refused ({error.words})")
            continue
        if re.fullmatch(PROBE, text):
            return form
        said.append(f"{form}: taken and ignored, it wrote {text[:40]!r}")
    none = Check(
        what="constraint",
        expected=f"kept in one of the forms {', '.join(FORMS)}",
        found="; ".join(said),
        good=False,
        kind="constraint",
        advice=ADVICE["constraint"],
    )
    insist([none], str(options.base_url), allowed_kinds(options))
    return None


async def forms_found(connection: Connection, model: str) -> dict[Form, str]:
    """What a server does with each form, in words, whether it is needed or not."""
    found: dict[Form, str] = {}
    for form in FORMS:
        try:
            text = await _probe(connection, model, form)
        except Refused as error:
            found[form] = f"refused ({error.status})"
            continue
        found[form] = "kept" if re.fullmatch(PROBE, text) else "taken and ignored"
    return found


async def _probe(connection: Connection, model: str, form: Form) -> str:
    """The answer part of a constrained answer to a question without a video."""
    for most in (FEW_TOKENS, THINKING_TOKENS):
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": "Say a word."}],
            "max_tokens": most,
            "temperature": 0,
            **constrained(form, PROBE),
        }
        found = await connection.ask("POST", "chat/completions", json.dumps(body).encode())
        try:
            choice = read_reply(found, 1).choices[0]
        except NotAnAnswer as error:
            raise Refused(200, str(error)) from error
        if choice.finish == "stop" or not choice.text.startswith("<think>"):
            break
    return answer_part(choice.text).strip()
