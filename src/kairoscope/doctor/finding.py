"""One row of the doctor's table."""

from dataclasses import dataclass

from kairoscope.models.parity import Check


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what was found."""

    what: str
    found: str
    good: bool | None = None
    """True: as it should be, False: wrong, None: for information."""
    expected: str = ""
    """Where it is not plain from the rest; said beside what is wrong."""
    advice: str = ""
    """What to do about it."""


def finding_of(check: Check) -> Finding:
    """A comparison as a row."""
    return Finding(
        check.what, check.found, check.good, expected=check.expected, advice=check.advice
    )
