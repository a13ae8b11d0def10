"""The Python in docs/robot_lerobot.md runs."""

import re
from pathlib import Path

import pytest
from lerobot_files import make_v3

PAGE = Path(__file__).parents[3] / "docs" / "robot_lerobot.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    make_v3(tmp_path / "arm")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {})
