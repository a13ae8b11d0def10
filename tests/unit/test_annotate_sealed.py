"""Rows that were changed behind our back are found, whatever was done to them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.annotate.sealed import is_whole, mend, sealed, write_rows
from kairoscope.runs import Run

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
rows = st.dictionaries(st.text(max_size=4).filter(lambda key: key != "seal"), values, max_size=4)


@given(rows)
def test_what_is_written_is_whole(row: dict[str, object]) -> None:
    assert is_whole(json.loads(json.dumps(sealed(row))))


@given(rows, rows)
def test_what_is_changed_is_not(row: dict[str, object], other: dict[str, object]) -> None:
    was = sealed(row)
    changed = {**other, "seal": was["seal"]}
    assert is_whole(changed) == (sealed(other) == was)


@pytest.mark.parametrize("line", [b"[1\n", b"{}\n", b"\xff\xfe\n", b"3\n", b'{"a": NaN}\n', b"\n"])
def test_only_damaged_lines_go(tmp_path: Path, line: bytes) -> None:
    with Run.open(tmp_path / "run", kind="annotation", config={}) as run:
        write_rows(run.file("x"), [sealed({"clip": "a"}), sealed({"clip": "b"})])
        whole = run.file("x").read_bytes()
        state = run.file("x").stat()
        assert mend(run, "x") == 0
        assert run.file("x").stat() == state
        first, second = whole.splitlines(keepends=True)
        run.file("x").write_bytes(first + line + second)
        assert mend(run, "x") == 1
        assert run.file("x").read_bytes() == whole
        assert mend(run, "absent") == 0
