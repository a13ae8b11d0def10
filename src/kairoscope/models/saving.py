"""Folders with weights in them that are on the disk as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from kairoscope.core import UserError
from kairoscope.storage import whole_folder


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """`storage.whole_folder`, for weights, whose library has an error of its own for a full disk."""
    try:
        with whole_folder(folder) as temporary:
            yield temporary
    except SafetensorError as error:
        raise UserError(
            f"{folder}: could not be written ({error}); everything saved before is kept: free some "
            "space and run the same command again"
        ) from error
