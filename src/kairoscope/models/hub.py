"""Checkpoints on the model hub: fetched into its cache, and loaded from there like any folder.

Without a network a copy in the cache is used; without either, it is said within seconds.
"""

import logging
import os
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import cast

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from kairoscope.core import UserError

LIMIT_S = 3.0
"""How long the hub may take to answer, unless HF_HUB_ETAG_TIMEOUT says otherwise."""
FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model")
SMALL_FILES = ("config.json", "kairoscope.json")
NOT_FILES = ("*/*",)
NETWORK_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    *cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__),
)
"""What a request may raise: the errors of the HTTP library that the hub's own derive from, and
ValueError for an answer that is not the hub's, such as the login page of a hotel."""


@cache
def fetch(name: str, *, small: bool = False) -> Path:
    """Folder of a model on the hub, in the hub's cache; what is not there yet is fetched.

    Args:
        name: `organisation/name`.
        small: its settings are enough, not its weights.

    Raises:
        UserError: no such model, one that may not be read, or neither a network nor a copy.
    """
    # Every failed attempt would be a line of its own.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    files = list(SMALL_FILES if small else FILES)
    limit_s = _limit_s()
    failure = _failure(name, limit_s)
    if isinstance(failure, HFValidationError):
        raise UserError(f"--model {name}: neither a folder nor a name on the model hub ({failure})")
    if isinstance(failure, RepositoryNotFoundError):
        raise UserError(
            f"--model {name}: there is no such folder, and no such model on the hub, or none that "
            "may be read without logging in (hf auth login)"
        )
    if failure is not None:
        return _cached(name, files, failure, limit_s)
    try:
        return Path(snapshot_download(name, allow_patterns=files, ignore_patterns=list(NOT_FILES)))
    except GatedRepoError as error:
        raise UserError(
            f"--model {name}: its owners let only some read it; ask them on its page on the hub, "
            "and log in (hf auth login)"
        ) from error
    except NETWORK_ERRORS as error:
        raise UserError(
            f"--model {name}: could not be fetched to the end ({_first_line(error)}); what has come "
            "is kept: run the same command again"
        ) from error


def _limit_s() -> float:
    """The user's own limit, by the variable that the hub's library has for it."""
    try:
        return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or LIMIT_S)
    except ValueError:
        return LIMIT_S


@cache
def _failure(name: str, limit_s: float) -> Exception | None:
    """Why the hub does not know the model or cannot be asked; None where all is well.

    Asked in a thread, because the look-up of a host name knows no limit.
    """
    answers: SimpleQueue[Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            HfApi().model_info(name, timeout=limit_s)
        except NETWORK_ERRORS as error:
            answers.put(error)
        else:
            answers.put(None)

    Thread(target=ask, daemon=True, name="hub").start()
    try:
        return answers.get(timeout=limit_s)
    except Empty:
        return TimeoutError("no answer")


def _cached(name: str, files: list[str], failure: Exception, limit_s: float) -> Path:
    """The copy in the hub's cache, whole or not at all."""
    try:
        folder = snapshot_download(
            name, allow_patterns=files, ignore_patterns=list(NOT_FILES), local_files_only=True
        )
    except LocalEntryNotFoundError as error:
        if isinstance(failure, OfflineModeIsEnabled):
            why, way = "HF_HUB_OFFLINE forbids to ask the hub", "set HF_HUB_OFFLINE=0"
        else:
            why = f"the hub could not be asked within {limit_s:g} s ({_first_line(failure)})"
            way = "connect to a network (a slow one: set HF_HUB_ETAG_TIMEOUT=30)"
        raise UserError(
            f"--model {name}: there is no such folder, {why}, and its cache on this machine has no "
            f"whole copy; give the path of a checkpoint folder, or {way}"
        ) from error
    return Path(folder)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
