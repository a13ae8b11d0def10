"""The part of a file that an HTTP request asks for, so that a browser can seek in a video. Pure."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file."""

    first: int
    last: int
    """Of the last byte that is sent; before `first` where there is none."""

    @property
    def length(self) -> int:
        """In bytes."""
        return self.last - self.first + 1


class Unsatisfiable(ValueError):
    """No byte of the file is in the range that was asked for."""


def wanted_part(header: str | None, size: int) -> Part | None:
    """The part that a `Range` header asks for; None: the whole file.

    One range is understood. Several, other units and what is no range mean the whole file, as
    RFC 9110 allows. Raises Unsatisfiable.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable(header)
        return Part(size - length, size - 1)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable(header)
    return Part(int(first), min(int(last), size - 1) if last else size - 1)
