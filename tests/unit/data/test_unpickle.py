"""Only plain data comes out of a pickle; whatever asks for more is refused by name and never run."""

import builtins
import collections
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import UserError
from kairoscope.data.unpickle import MAX_BYTES, load_plain

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def load(folder: Path, data: bytes) -> Any:
    file = folder / "a.pkl"
    file.write_bytes(data)
    return load_plain(file)


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back(
    tmp_path_factory: pytest.TempPathFactory, value: Any, protocol: int
) -> None:
    shared = [value, value, {"again": value}]
    folder = tmp_path_factory.mktemp("pickles")
    assert load(folder, pickle.dumps(shared, protocol)) == shared


class Own:
    """A class of somebody's script."""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Call(os.system, "touch {marker}"), f"{os.system.__module__}.system"),
        (Call(builtins.eval, "open('{marker}', 'w')"), "builtin"),
        (Call(os.mkdir, "{marker}"), f"{os.mkdir.__module__}.mkdir"),
        ([1, {"deep": Call(subprocess.Popen, ["touch", "{marker}"])}], r"\.Popen"),
        (collections.OrderedDict(a=1), r"collections\.OrderedDict"),
        (Path("a"), r"pathlib"),
        (os.system, f"{os.system.__module__}.system"),
        (complex(1, 2), "complex"),
    ],
)
def test_whatever_wants_code_is_refused_by_name(
    tmp_path: Path, value: Any, wanted: str, protocol: int
) -> None:
    marker = tmp_path / "was_here"
    data = pickle.dumps(value, protocol).replace(b"{marker}", b"/dev/null")
    with pytest.raises(UserError, match=rf"a\.pkl: the pickle wants to load .*{wanted}.*; allowed"):
        load(tmp_path, data)
    assert not marker.exists()


def test_a_reduce_that_would_run_leaves_no_trace(tmp_path: Path) -> None:
    """The same bytes do run under `pickle`, so the refusal is what prevents it."""
    marker = tmp_path / "was_here"
    data = pickle.dumps(Call(os.mkdir, str(marker)))
    with pytest.raises(UserError, match="mkdir"):
        load(tmp_path, data)
    assert not marker.exists()
    pickle.loads(data)  # noqa: S301
    assert marker.exists()


def test_nothing_is_imported(tmp_path: Path) -> None:
    for data in (b"cantigravity\nfly\n.", b"\x80\x04\x8c\x0bantigravity\x8c\x03fly\x93."):
        with pytest.raises(UserError, match=r"wants to load antigravity\.fly"):
            load(tmp_path, data)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("data", "instruction"),
    [
        (b"\x82\x01.", "EXT1"),  # the registry of short codes for classes
        (b"Pname\n.", "PERSID"),
        (b"Nb.", "BUILD"),
        (b"N)R.", "REDUCE"),
        (b"N)\x81.", "NEWOBJ"),
        (b"\x93.", "STACK_GLOBAL"),
        (pickle.dumps(b"bytes", 5), "SHORT_BINBYTES"),
        (pickle.dumps({1, 2}, 5), "EMPTY_SET"),
        (pickle.dumps(bytearray(b"x"), 5), "BYTEARRAY8"),
    ],
)
def test_other_instructions_are_refused(tmp_path: Path, data: bytes, instruction: str) -> None:
    with pytest.raises(UserError, match=rf"the instruction {instruction} at byte \d+"):
        load(tmp_path, data)


def laughs(depth: int, width: int = 10) -> bytes:
    value: list[Any] = ["ha"]
    for _ in range(depth):
        value = [value] * width
    return pickle.dumps(value)


def test_a_small_file_that_stands_for_too_much_is_refused(tmp_path: Path) -> None:
    assert len(laughs(12)) < 1000
    with pytest.raises(UserError, match="stands for more than 5000000 values"):
        load(tmp_path, laughs(12))
    with pytest.raises(UserError, match="stands for more than 5000000 values"):
        load(tmp_path, laughs(2, 3000))
    with pytest.raises(UserError, match="nested deeper than 32"):
        load(tmp_path, laughs(40, 1))
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(UserError, match="nested deeper than 32"):
        load(tmp_path, pickle.dumps(itself))


def test_keys_that_would_hash_for_years_are_refused(tmp_path: Path) -> None:
    nested = b"\x80\x04)" + b"\x94h\x00\x86" * 60
    with pytest.raises(UserError, match="a key of a dict is a tuple; allowed: text, number"):
        load(tmp_path, b"\x80\x04})" + nested[3:] + b"Ns.")


def test_a_huge_memo_slot_or_length_takes_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load(tmp_path, b"Nr\xff\xff\xff\x7f.") is None
    with pytest.raises(UserError, match="not a pickle, or a broken one"):
        load(tmp_path, b"\x8d\xff\xff\xff\xff\xff\xff\xff\x00x.")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def outcome(folder: Path, data: bytes) -> str:
    """What became of the bytes: a type of plain data, or `refused`; anything else raises."""
    try:
        return type(load(folder, data)).__name__
    except UserError as error:
        return "refused" if "a.pkl: " in str(error) else str(error)


OUTCOMES = {"refused", "dict", "list", "tuple", "str", "int", "float", "bool", "NoneType"}


@given(data=st.binary(max_size=60) | st.binary(max_size=40).map(lambda b: b"\x80\x04" + b + b"."))
def test_garbage_is_refused_or_plain(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    assert outcome(tmp_path_factory.mktemp("pickles"), data) in OUTCOMES


@given(st.data(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_damaged_pickles_are_refused_or_plain(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, protocol: int
) -> None:
    bad = bytearray(pickle.dumps({"responses": {"a": "Event 1", "b": ["x", (1, 2.5)]}}, protocol))
    bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(tmp_path_factory.mktemp("pickles"), bytes(bad)) in OUTCOMES


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pkl: cannot be read: No such file"):
        load_plain(tmp_path / "absent.pkl")
    with pytest.raises(UserError, match="not a pickle, or a broken one"):
        load(tmp_path, b"")
    with (tmp_path / "big.pkl").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UserError, match="larger than 67108864 bytes"):
        load_plain(tmp_path / "big.pkl")
