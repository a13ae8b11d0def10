"""How a server is reached and asked. Nothing here changes what is asked. No HTTP, no torch."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from kairoscope.core import UserError

Send = Literal["auto", "file", "base64", "frames", "images"]
"""How frames reach the server. `file`: an MP4 on a disk that it shares; `base64`: the same in the
request; `frames`: lossless pictures that the server puts together to a video; `images`: pictures that
the model sees one by one. `auto`: the first of these that the server takes."""
DEFAULT_KEY_ENV = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Everything about a server that the user may set; see `docs/engines.md`."""

    base_url: str | None = None
    """Such as `http://localhost:8000/v1`."""
    api_key_env: str = DEFAULT_KEY_ENV
    """Name of the environment variable with the key. The key itself is kept nowhere."""
    send: Send = "auto"
    concurrency: int = 16
    """Requests that are with the server at a time; as many clips again are prepared ahead."""
    timeout_s: float = 600.0
    """For one answer, from the last byte sent to the last one received."""
    attempts: int = 6
    """Tries of one request, before it counts as failed."""
    price_prompt: float | None = None
    """Per million tokens, in any currency; None: cost is not counted."""
    price_completion: float | None = None
    allow_unconstrained: bool = False
    """Go on where the server takes a constraint and does not keep to it."""
    allow_other_frames: bool = False
    """Go on where the server feeds the model other frames than it was sent."""
    reasoning: bool = False
    """A block of reasoning, closed by `</think>`, comes before a constrained answer. Not needed where
    the server takes reasoning out by itself (vLLM's `--reasoning-parser`)."""
    shared_folder: Path | None = None
    """Where files for the server are put; None: the system's folder for temporary files."""


def check_options(spec: str, options: ServerOptions) -> None:
    """Raise UserError for options with which no server can be asked."""
    url = options.base_url
    if url is None:
        raise UserError(f"--model {spec}: needs --base-url, such as http://localhost:8000/v1")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"--base-url {_shown(url)}: allowed: http://… or https://…")
    if parts.username or parts.password or parts.query or parts.fragment:
        # An address is written into messages, where a key would be read.
        raise UserError(
            f"--base-url {_shown(url)}: holds a password, a query or a fragment; keys are taken "
            f"from the environment (--api-key-env {DEFAULT_KEY_ENV})"
        )
    if options.send not in get_args(Send):
        raise UserError(f"--send {options.send}: allowed: {', '.join(get_args(Send))}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", options.api_key_env):
        # Not repeated: it may be the key itself.
        raise UserError("--api-key-env: takes the name of a variable, such as OPENAI_API_KEY")
    if options.shared_folder is not None and not options.shared_folder.is_dir():
        raise UserError(f"--shared-folder {options.shared_folder}: there is no such folder")
    rules = (
        ("--concurrency", options.concurrency, 1 <= options.concurrency <= 4096, "1 to 4096"),
        ("--timeout", options.timeout_s, 0 < options.timeout_s <= 86_400, "above 0, at most 86400"),
        ("attempts", options.attempts, 1 <= options.attempts <= 100, "1 to 100"),
        ("--price-prompt", options.price_prompt, (options.price_prompt or 0) >= 0, "0 or more"),
        (
            "--price-completion",
            options.price_completion,
            (options.price_completion or 0) >= 0,
            "0 or more",
        ),
    )
    for name, value, good, allowed in rules:
        if not good:
            raise UserError(f"{name} {value}: allowed: {allowed}")


def _shown(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def key_from(name: str) -> str | None:
    """The key in an environment variable; None where there is none.

    Raises:
        UserError: it holds what no header may hold. The key is not shown.
    """
    key = os.environ.get(name, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{name}: holds characters that no key has")
    return key or None
