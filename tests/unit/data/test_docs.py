"""The examples of docs/data.md, run from top to bottom in an empty folder."""

import re
from pathlib import Path
from typing import Any

import datasets
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    names: dict[str, Any] = {}
    kinds: list[str] = []
    for kind, file, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        kinds.append(kind)
        if kind == "python":
            exec(compile(body, f"{PAGE.name}, block {len(kinds)}", "exec"), names)
        else:
            Path(file).write_text(body, encoding="utf-8")
    assert kinds.count("python") == 6
    assert len(kinds) == 9


def test_every_reason_to_drop_is_explained() -> None:
    from typing import get_args

    from kairoscope.curation import Reason

    page = PAGE.read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z ]+)` \|", page[page.index("## Curation") :], re.MULTILINE)
    assert table == list(get_args(Reason))
