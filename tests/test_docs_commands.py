"""docs/commands.md: its examples run, and no command or option is missing from it."""

import json
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_rows, write_world

PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text("utf-8")
EXAMPLES = re.findall(r"^\$ kairoscope (.*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def place(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page speaks of."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(world / "data", folder / "data")
    shutil.copytree(world / "model", folder / "model")
    rows = write_world(folder / "moredata", 2, first=50)
    for row in rows:  # other recordings than those of `data`
        row["group"] += " again"
    (folder / "moredata" / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shutil.copytree(world / "data", folder / "videos", ignore=shutil.ignore_patterns("*.jsonl"))
    shutil.copy(world / "data" / "square.toml", folder / "task.toml")
    answers = [{"video": row["video"], "events": row["events"]} for row in read_rows_of(folder)]
    (folder / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    return folder


def read_rows_of(folder: Path) -> list[dict[str, Any]]:
    return read_rows(folder / "data" / "labels.jsonl")


def test_the_examples_run_in_their_order(program: Program, place: Path) -> None:
    assert len(EXAMPLES) > 15
    for example in EXAMPLES:
        ended = program.run(*shlex.split(example), cwd=place)
        assert ended.code == 0, f"{example}\n{ended.said}"
        assert "problem" not in ended.err, f"{example}\n{ended.said}"
    for file in (
        *("boundaries/boundaries.csv", "runs/plain/report.html", "runs/lora/best/config.json"),
        *("runs/recipe/recipe.html", "before-after.html", "stamped/a.mp4", "band.mp4"),
        *("a.mp4.frames.png", "sheet.png", "dataset/dataset_info.json", "labels-again.jsonl"),
    ):
        assert (place / file).is_file(), file


def test_every_command_and_option_is_on_the_page() -> None:
    from typer.main import get_command

    from kairoscope.cli.app import app
    from kairoscope.cli.ending import VERBS

    for module in VERBS:
        import_module(f"kairoscope.cli.{module}")
    group: Any = get_command(app)
    assert len(group.commands) >= 12
    for name, command in group.commands.items():
        assert f"\n## {name}:" in PAGE
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--") and option != "--help":
                    assert option in PAGE, f"{name} {option}"
