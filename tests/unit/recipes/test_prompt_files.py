"""Prompts from YAML files in the recipes' form."""

from pathlib import Path

import pytest

from kairoscope.core import Prompt, UserError
from kairoscope.recipes.prompt_files import prompt_from_yaml

QUERY = ("grasping the red cube", "releasing the red cube")


def written(folder: Path, text: str) -> Path:
    path = folder / "prompt.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_list_of_events_takes_the_placeholders_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "system_prompt: |\n  Watch: {x}.\nuser_prompt: |\n  Find these {n} events\n  {events}\n  Now.\n",
    )
    assert prompt_from_yaml(path)(QUERY) == Prompt(
        system="Watch: {x}.",
        after="Find these 2 events\nEvent 1: grasping the red cube\n"
        "Event 2: releasing the red cube\nNow.",
    )


def test_a_prompt_with_its_own_list_is_used_as_it_is_for_these_events_only(tmp_path: Path) -> None:
    path = written(
        tmp_path, "user_prompt: 'Event 1: Grasping the red cube. Event 2: releasing red cube.'"
    )
    prompt = prompt_from_yaml(path)
    assert prompt(QUERY).after == "Event 1: Grasping the red cube. Event 2: releasing red cube."
    assert prompt(QUERY).system == ""
    with pytest.raises(UserError, match=r"prompt.yaml: user_prompt does not name .*'pushing it'"):
        prompt(("pushing it",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_prompt: x\nuser_promt: y", "unknown key 'user_promt'; allowed: system_prompt"),
        ("system_prompt: x", "user_prompt is None; allowed: text"),
        ("user_prompt: [1]", r"user_prompt is \[1\]; allowed: text"),
        ("user_prompt: x\nsystem_prompt: 3", "system_prompt is 3"),
        ("- x", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        prompt_from_yaml(written(tmp_path, text))
    assert "prompt.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read"):
        prompt_from_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"user_prompt: \xe9")
    with pytest.raises(UserError, match="not UTF-8"):
        prompt_from_yaml(tmp_path / "latin.yaml")
