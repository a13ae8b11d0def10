"""Settings from files and command lines: types held, errors that say what is allowed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.settings import assignments, changed, read_toml


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    count: int = 3
    share: float = 0.5
    on: bool = False
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (1.0, 2.0)
    names: tuple[str, ...] = ()
    inner: Inner = Inner(depth=7)
    maybe: Inner | None = None
    limit: int | None = None


GOOD: list[tuple[dict[str, Any], Outer]] = [
    ({}, Outer()),
    ({"count": 4, "on": True, "kind": "b"}, Outer(count=4, on=True, kind="b")),
    ({"share": 1}, Outer(share=1.0)),
    ({"pair": [3, 4.5]}, Outer(pair=(3.0, 4.5))),
    ({"names": ["p", "q"]}, Outer(names=("p", "q"))),
    ({"names": []}, Outer()),
    ({"inner": {"name": "y"}}, Outer(inner=Inner(depth=7, name="y"))),
    ({"maybe": {"depth": 2}}, Outer(maybe=Inner(depth=2))),
    ({"maybe": {}}, Outer(maybe=Inner())),
    ({"maybe": None, "limit": "none"}, Outer()),
    ({"limit": 5}, Outer(limit=5)),
]


@pytest.mark.parametrize(("values", "expected"), GOOD, ids=str)
def test_values_take_the_place_of_defaults(values: dict[str, Any], expected: Outer) -> None:
    before = Outer()
    after = changed(before, values, "file")
    assert after == expected
    assert type(after.share) is float
    assert all(type(number) is float for number in after.pair)
    assert before == Outer()


def test_none_clears_what_was_set() -> None:
    assert changed(Outer(limit=3, maybe=Inner()), {"limit": "none", "maybe": None}, "f") == Outer()


def test_a_nested_table_starts_from_what_is_there() -> None:
    start = SFTConfig(lora=LoraConfig(rank=64))
    assert changed(start, {"lora": {"alpha": 8}}, "f").lora == LoraConfig(rank=64, alpha=8)
    assert changed(SFTConfig(), {"lora": {"alpha": 8}}, "f").lora == LoraConfig(alpha=8)


WRONG: list[tuple[Any, str]] = [
    ({"cuont": 1, "zz": 2}, "file: unknown cuont, zz; allowed: count, share, on, kind"),
    ({"inner": {"width": 1}}, "file: inner: unknown width; allowed: depth, name"),
    ({"count": 1.5}, "file: count is 1.5; allowed: a whole number"),
    ({"count": True}, "count is True; allowed: a whole number"),
    ({"count": None}, "count is None; allowed: a whole number"),
    ({"count": "none"}, "count is 'none'; allowed: a whole number"),
    ({"share": "much"}, "share is 'much'; allowed: a number"),
    ({"share": True}, "share is True; allowed: a number"),
    ({"share": float("nan")}, "share is nan; allowed: a number"),
    ({"share": float("inf")}, "share is inf; allowed: a number"),
    ({"on": 1}, "on is 1; allowed: true or false"),
    ({"kind": "c"}, "kind is 'c'; allowed: 'a', 'b'"),
    ({"kind": ["a"]}, r"kind is \['a'\]; allowed: 'a', 'b'"),
    ({"pair": [1.0]}, r"pair is \[1.0\]; allowed: a list of 2: a number, a number"),
    ({"pair": [1, 2, 3]}, r"pair is \[1, 2, 3\]; allowed: a list of 2"),
    ({"pair": [1, "x"]}, r"pair\[1\] is 'x'; allowed: a number"),
    ({"pair": 3}, "pair is 3; allowed: a list of 2: a number, a number"),
    ({"names": ["p", 1]}, r"names\[1\] is 1; allowed: text"),
    ({"names": "p"}, "names is 'p'; allowed: a list of text"),
    ({"inner": 3}, "inner is 3; allowed: a table of depth, name"),
    ({"maybe": 3}, "maybe is 3; allowed: a table of depth, name, none"),
    ({"limit": "x"}, "limit is 'x'; allowed: a whole number, none"),
    (3, "file is 3; allowed: a table of count"),
]


@pytest.mark.parametrize(("values", "message"), WRONG, ids=str)
def test_wrong_values_say_what_is_allowed(values: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        changed(Outer(), values, "file")


def test_assignments_are_nested_toml_values() -> None:
    pairs = ["a=1", "b=1e-4", "c=true", 'd="x y"', "e=[1, 2.5]", "f.g = 3", "f.h=none", "i=word"]
    assert assignments(pairs, "--set") == {
        "a": 1,
        "b": 1e-4,
        "c": True,
        "d": "x y",
        "e": [1, 2.5],
        "f": {"g": 3, "h": "none"},
        "i": "word",
    }
    assert assignments([], "--set") == {}
    assert assignments(["a=1", "a=2"], "--set") == {"a": 2}
    assert assignments(["a=1\nb=2"], "--set") == {"a": "1\nb=2"}
    assert assignments(["a=x=y"], "--set") == {"a": "x=y"}


@pytest.mark.parametrize("pair", ["", "=3", "name", ".a=1", "a..b=1", "a.=1"])
def test_what_is_no_assignment_is_refused(pair: str) -> None:
    with pytest.raises(UserError, match=r"--set .*expected name=value"):
        assignments([pair], "--set")


def test_a_value_is_no_table() -> None:
    with pytest.raises(UserError, match=r"lora.rank=8.*lora has been given the value 'none'"):
        assignments(["lora=none", "lora.rank=8"], "--set")


@given(
    st.builds(
        SFTConfig,
        batch_size=st.integers(1, 99),
        learning_rate=st.floats(1e-6, 1),
        schedule=st.sampled_from(["cosine", "constant"]),
        augment=st.booleans(),
        betas=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    )
)
def test_what_is_written_on_a_command_line_is_what_is_read(config: SFTConfig) -> None:
    names = ("batch_size", "learning_rate", "schedule", "augment", "betas")
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name in names
        for value in [getattr(config, name)]
    }
    texts["betas"] = str(list(config.betas))
    pairs = [f"{name}={text}" for name, text in texts.items()]
    assert changed(SFTConfig(), assignments(pairs, "--set"), "--set") == config


def test_a_policy_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[frames]\nfps = 2\nstamp = "none"\n')
    values = read_toml(file)["frames"]
    assert changed(FramePolicy(), values, str(file)) == replace(
        FramePolicy(), fps=2.0, stamp="none"
    )


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", b"[a]\n[a]"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.toml: is not TOML"):
        read_toml(file)
    for other in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UserError, match=str(other)):
            read_toml(other)
