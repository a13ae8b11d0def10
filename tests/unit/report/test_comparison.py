"""Differences between runs are taken clip by clip, and pages and tables show them as they are."""

import json
from pathlib import Path

import pytest
from html_checks import check_page, clips_of, linked_files
from rich.console import Console
from rich.table import Table

from kairoscope.core import UserError
from kairoscope.recipes.subtask_times import TASK
from kairoscope.report.comparison.headline import headline_words
from kairoscope.report.comparison.page import run_names, write_comparison_page
from kairoscope.report.comparison.paired import ClipScores, clip_scores, differences
from kairoscope.report.console import before_after_table, metrics_table
from kairoscope.runs import Run, read_records


def scores(folder: Path) -> dict[str, ClipScores]:
    return clip_scores(read_records(Run.read(folder)))


def test_a_run_does_not_differ_from_itself(evaluations: Path) -> None:
    before = scores(evaluations / "before")
    steps = differences(before, before)
    assert len(steps) == 8
    for step in steps:
        assert step.difference == 0.0
        assert step.interval == (0.0, 0.0)
        assert step.verdict == "not shown"


def test_differences_turn_their_sign_when_the_runs_are_turned(evaluations: Path) -> None:
    before, after = scores(evaluations / "before"), scores(evaluations / "after")
    for there, back in zip(differences(before, after), differences(after, before), strict=True):
        assert there.difference == pytest.approx(-back.difference)
        assert there.interval is not None
        assert back.interval is not None
        assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
        assert {there.verdict, back.verdict} in ({"better", "worse"}, {"not shown"})


def test_the_difference_is_that_of_the_means_over_shared_clips(evaluations: Path) -> None:
    before, after = scores(evaluations / "before"), scores(evaluations / "after")
    metrics = [
        json.loads((evaluations / name / "metrics.json").read_text())
        for name in ("before", "after")
    ]
    first = differences(before, after)[0]
    assert first.before == pytest.approx(metrics[0]["ends"]["all"]["mre_percent"])
    assert first.after == pytest.approx(metrics[1]["ends"]["all"]["mre_percent"])
    assert first.verdict == "better"
    half = dict(list(after.items())[:10])
    assert {step.num_clips for step in differences(before, half)} == {10}
    assert differences(before, {}) == []


def test_one_sentence_says_what_changes(evaluations: Path) -> None:
    before, after = (Run.read(evaluations / name) for name in ("before", "after"))
    step = differences(scores(before.path), scores(after.path))[0]
    words = headline_words(TASK, before, after)
    assert words is not None
    assert f"{step.before:.1f}% before, {step.after:.1f}% after" in words
    assert f"over {step.num_clips} clips" in words
    assert ": better," in words
    assert ": worse," in (headline_words(TASK, after, before) or "")
    assert "no difference shown" in (headline_words(TASK, before, before) or "")


def test_the_comparison_page(evaluations: Path, tmp_path: Path) -> None:
    folders = [evaluations / "before", evaluations / "after"]
    file = write_comparison_page(folders, evaluations / "pages" / "comparison.html")
    page = check_page(file.read_text("utf-8"))
    for step in differences(*(scores(folder) for folder in folders)):
        assert {step.before, step.after, step.difference} <= set(page.numbers)
    data = clips_of(page)
    assert len(data["clips"]) == 24
    assert [lane["name"] for lane in data["clips"][0]["lanes"]] == ["truth", "before", "after"]
    assert all(link.is_file() for link in linked_files(file, page))
    assert "better" in " ".join(page.text)


def test_runs_over_other_clips_are_pointed_out(evaluations: Path, tmp_path: Path) -> None:
    file = write_comparison_page(
        [evaluations / "before", evaluations / "trials"], tmp_path / "c.html"
    )
    page = check_page(file.read_text("utf-8"))
    words = " ".join(page.text)
    assert "before 24, trials 6; 6 in all of them" in words
    assert len(clips_of(page)["clips"]) == 6


def test_names_tell_runs_apart() -> None:
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/one/sft"), Path("/x/two/sft")]) == ["one/sft", "two/sft"]
    with pytest.raises(UserError, match="given twice"):
        run_names([Path("/x/a"), Path("/x/a")])


def test_a_comparison_needs_two_finished_evaluations(evaluations: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two run folders"):
        write_comparison_page([evaluations / "before"], tmp_path / "c.html")
    Run.open(tmp_path / "sft", kind="sft", config={}).close()
    with pytest.raises(UserError, match="no finished evaluation"):
        write_comparison_page([evaluations / "before", tmp_path / "sft"], tmp_path / "c.html")


def text_of(table: Table, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_console_tables_show_the_figures_within_80_characters(evaluations: Path) -> None:
    before, after = (
        json.loads((evaluations / name / "metrics.json").read_text())
        for name in ("before", "after")
    )
    words = text_of(metrics_table(before, "title"))
    assert f"{before['ends']['all']['mre_percent']:.1f}%" in words
    assert f"{before['prior']['mae_s']:.3f} s" in words
    assert f"{100 * before['answered']:.1f}% answered" in words
    assert max(len(line) for line in words.splitlines()) <= 80
    steps = differences(scores(evaluations / "before"), scores(evaluations / "after"))
    words = text_of(before_after_table(before, after, steps))
    assert f"{after['ends']['all']['mae_s']:.3f} s" in words
    assert f"{steps[0].difference:.1f} points".replace("-", "−") in words
    assert max(len(line) for line in words.splitlines()) <= 80
    assert "do not depend" in text_of(metrics_table({**before, "degenerate": True}))
