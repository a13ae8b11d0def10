"""Pages of caption evaluations say what was measured, field by field and clip by clip."""

import io
from pathlib import Path
from typing import Any

import pytest
from caption_runs import SCHEMA, make_run, make_samples
from html_checks import Page
from rich.console import Console

from kairoscope.core import UserError
from kairoscope.fields.schema import schema_from_json
from kairoscope.metrics.caption_pairs import ALL, paired_captions
from kairoscope.recipes.pages import write_page
from kairoscope.report.analysis import analyse_run
from kairoscope.report.comparison.page import write_comparison_page
from kairoscope.report.console import before_after_table, metrics_table
from kairoscope.runs import Run, read_records
from kairoscope.storage import plain


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("captions")
    samples = make_samples(folder, 40)
    make_run(folder / "before", samples, 0.3)
    return folder / "before", folder / "after", make_run(folder / "after", samples, 0.9)


def test_the_page_has_every_field_and_every_clip(runs: tuple[Path, Path, dict[str, Any]]) -> None:
    _, after, metrics = runs
    page = Page(write_page(after).read_text(encoding="utf-8"))
    for name in metrics["fields"]:
        assert name.replace("_", " ") in page.text
    assert 100 * metrics["fields_right"] in page.numbers
    assert 100 * metrics["fields"]["weather"]["score"] in page.numbers
    assert "unreadable clip" in "".join(page.json)
    assert "</b>" not in "".join(page.json)
    assert metrics["fields_right"] > metrics["wrong_video"]["fields_right"]


def test_two_runs_stand_beside_each_other(runs: tuple[Path, Path, dict[str, Any]]) -> None:
    before, after, _ = runs
    page = Page(write_comparison_page([before, after], after / "both.html").read_text("utf-8"))
    assert "better" in page.text
    assert "Win / tie / loss" in page.text
    assert schema_from_json(plain(SCHEMA)) == SCHEMA
    first, second = (read_records(Run.read(folder)) for folder in (before, after))
    found = paired_captions(SCHEMA, first, second, draws=100)
    step = found["fields"][ALL]
    assert step["win"] + step["tie"] + step["loss"] == found["n_clips"] == 40
    assert step["difference_ci95"][0] > 0
    assert step["difference"] == pytest.approx(step["after"] - step["before"])
    same = paired_captions(SCHEMA, second, second, draws=100)["fields"][ALL]
    assert (same["win"], same["loss"], same["difference"]) == (0, 0, 0)


def test_findings_and_tables_say_what_was_won_without_looking(
    runs: tuple[Path, Path, dict[str, Any]],
) -> None:
    before, after, metrics = runs
    titles = [finding.title for finding in analyse_run(Run.read(after))]
    assert any("comes from the video" in title for title in titles)
    assert any("could not be read" in title for title in titles)
    old = Run.read(before).read_json("metrics.json")
    told = io.StringIO()
    console = Console(file=told, width=120)
    console.print(metrics_table(metrics, "title"))
    console.print(before_after_table(old, metrics, []))
    assert "weather" in told.getvalue()
    assert "without looking" in told.getvalue()


def test_runs_of_other_tasks_are_not_compared(
    runs: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    before, _, _ = runs
    other = tmp_path / "other"
    with Run.open(other, kind="evaluation", config={"model": "m"}) as run:
        run.write_json("metrics.json", {"kind": "score", "n_clips": 1})
    with pytest.raises(UserError, match="different tasks"):
        write_comparison_page([before, other], tmp_path / "page.html")
