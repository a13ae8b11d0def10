"""Pages of questions: every figure of the metrics, every clip, and nothing from outside."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from html_checks import check_page, clips_of
from question_runs import Player, evaluated, make_questions
from rich.console import Console

from kairoscope.config import EvalConfig
from kairoscope.core import UserError
from kairoscope.data.questions import load_questions, turned, write_questions
from kairoscope.metrics.question_pairs import ALL, paired_questions
from kairoscope.recipes.pages import write_page
from kairoscope.report.analysis import analyse_run
from kairoscope.report.comparison.page import write_comparison_page
from kairoscope.report.console import before_after_table, metrics_table
from kairoscope.runs import Run, read_records

MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("questions")
    samples = make_questions(folder)
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    rows[0] |= {"question": f"Is it {MARKUP}?", "kind": f"light {MARKUP}"}
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = turned(load_questions(folder / "questions.jsonl"))
    config = EvalConfig(blind_control=True, bootstrap_draws=100)
    evaluated(Player(samples, sees=False, name="blind"), samples, folder / "before", config)
    found = evaluated(Player(samples, name="sees"), samples, folder / "after", config)
    return folder / "before", folder / "after", found


def test_the_page_has_every_kind_every_letter_and_every_question(
    runs: tuple[Path, Path, dict[str, Any]],
) -> None:
    _, after, metrics = runs
    markup = write_page(after).read_text("utf-8")
    page = check_page(markup)
    assert MARKUP not in markup
    for number in (
        metrics["right"],
        metrics["blind"]["right"],
        metrics["choice"]["chance"],
        metrics["kinds"]["crossing"]["choice"]["commonest_answer"]["accuracy"],
        metrics["kinds"]["sky"]["open"]["f1"],
        *(row["given"] for row in metrics["letters"]),
    ):
        assert 100 * number in page.numbers
    clips = clips_of(page)["clips"]
    assert len(clips) == metrics["n_videos"] == 12
    assert sum(len(clip["events"]) for clip in clips) == metrics["n_clips"]
    assert any("Seeing the clip" in text for text in page.text)


def test_two_runs_are_compared_question_by_question(
    runs: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    before, after, metrics = runs
    page = check_page(
        write_comparison_page([before, after], after / "both.html").read_text("utf-8")
    )
    assert "Win / tie / loss" in page.text
    first, second = (read_records(Run.read(folder)) for folder in (before, after))
    table = paired_questions(first, second, draws=100)["kinds"]
    assert table[ALL]["win"] + table[ALL]["tie"] + table[ALL]["loss"] == metrics["n_clips"]
    assert table[ALL]["difference_ci95"][0] > 0
    assert (table["sky"]["key"], table["crossing"]["key"]) == ("f1", "right")
    same = paired_questions(second, second, draws=50)["kinds"][ALL]
    assert (same["win"], same["loss"], same["difference"]) == (0, 0, 0)
    assert paired_questions(first, [], draws=50) == {"n_questions": 0, "kinds": {}}
    others = [sample for sample in make_questions(tmp_path) if sample.query.choices]
    write_questions(others, tmp_path / "more.jsonl")
    rows = (tmp_path / "more.jsonl").read_text().replace('"id": "', '"id": "other ')
    (tmp_path / "more.jsonl").write_text(rows)
    samples = load_questions(tmp_path / "more.jsonl")
    evaluated(Player(samples), samples, tmp_path / "run", EvalConfig(bootstrap_draws=50))
    with pytest.raises(UserError, match="none of the questions"):
        write_comparison_page([before, tmp_path / "run"], tmp_path / "page.html")


def test_findings_and_tables_say_what_was_not_seen(
    runs: tuple[Path, Path, dict[str, Any]],
) -> None:
    before, _, metrics = runs
    titles = [finding.title for finding in analyse_run(Run.read(before))]
    for words in ("than without the clip", "A is given more often", "change with the order"):
        assert any(words in title for title in titles)
    told = io.StringIO()
    console = Console(file=told, width=120)
    old = Run.read(before).read_json("metrics.json")
    console.print(metrics_table(metrics, "title"))
    console.print(before_after_table(old, metrics, []))
    assert "crossing (12)" in told.getvalue()
    assert "points over the same model without the clip" in told.getvalue()
    assert "before" in told.getvalue()
