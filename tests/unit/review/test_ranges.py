"""Which bytes a Range header asks for."""

import pytest

from kairoscope.review.ranges import Part, Unsatisfiable, wanted_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-99", Part(0, 99)),
        ("bytes=10-", Part(10, 999)),
        ("bytes=-10", Part(990, 999)),
        ("bytes=-5000", Part(0, 999)),
        ("bytes=990-5000", Part(990, 999)),
        (" bytes=999-999 ", Part(999, 999)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=9-3", None),
        ("bytes=0-1,5-6", None),
        ("frames=0-1", None),
        ("bytes=a-b", None),
    ],
)
def test_the_part_of_a_thousand_bytes(header: str | None, part: Part | None) -> None:
    assert wanted_part(header, 1000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=-0", "bytes=5000-6000"])
def test_beyond_the_end_there_is_nothing(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_part(header, 1000)


def test_parts_put_together_are_the_whole() -> None:
    data = bytes(range(250))
    parts = [wanted_part(f"bytes={i}-{i + 99}", len(data)) for i in range(0, 250, 100)]
    assert b"".join(data[p.first : p.last + 1] for p in parts if p) == data
    assert sum(p.length for p in parts if p) == len(data)
