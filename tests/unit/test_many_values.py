"""Options with several values: however they are written, the command sees the same."""

import pytest

from kairoscope.cli.evaluation import MANY
from kairoscope.cli.many import expanded
from kairoscope.cli.sweeping import axes_of
from kairoscope.core import UserError

WHOLE = ("--model",)


def words(line: str) -> list[str]:
    return expanded(line.split(), MANY, whole=WHOLE)


@pytest.mark.parametrize(
    "line",
    [
        "--fps 4 8 12",
        "--fps 4,8,12",
        "--fps 4 --fps 8 12",
        "--fps=4 8,12",
        "--fps=4 --fps=8 --fps=12",
    ],
)
def test_all_spellings_are_the_same(line: str) -> None:
    wanted = ["--fps", "4", "--fps", "8", "--fps", "12"]
    assert words(f"subtask-times {line} --out o") == ["subtask-times", *wanted, "--out", "o"]


def test_the_recipe_after_values_stays_the_recipe() -> None:
    for before in ("--fps 4 8", "--decoding free posterior", "--model a b/c", "--trials 1"):
        assert words(f"{before} subtask-times --out o")[-3:] == ["subtask-times", "--out", "o"]
        assert words(f"{before} subtask_times")[-1] == "subtask_times"
    assert words("--model a,b c") == ["--model", "a,b", "--model", "c"]


def test_what_is_no_value_is_left_to_the_parser() -> None:
    assert words("--fps") == ["--fps"]
    assert words("--fps --out o") == ["--fps", "--out", "o"]
    assert words("--temperature 0 -1") == ["--temperature", "0", "-1"]
    assert words("--out 4 5 -- --fps 4 8") == ["--out", "4", "5", "--", "--fps", "4", "8"]
    assert words("--decoding free nonsense") == ["--decoding", "free", "nonsense"]


def test_vary_takes_any_setting_and_refuses_a_second_place() -> None:
    axes = axes_of({"model": ["m"], "fps": None}, ["stamp=pair,none", "top_p=0.5,1"], [])
    assert axes == {"model": ["m"], "stamp": ["pair", "none"], "top_p": [0.5, 1]}
    for vary, frames in ((["fps=1,2"], []), (["stamp"], []), ([], ["fps=3"]), (["=1,2"], [])):
        with pytest.raises(UserError, match=r"twice|expected"):
            axes_of({"model": ["m"], "fps": [4.0]}, vary, frames)
