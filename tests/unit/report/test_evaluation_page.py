"""The page of an evaluation shows the numbers of `metrics.json` and nothing from elsewhere."""

import json
import shutil
from pathlib import Path

import pytest
from html_checks import check_page, clips_of, linked_files

from kairoscope.core import UserError
from kairoscope.report.evaluation.page import write_evaluation_page
from kairoscope.report.figures import dig, figures, headline, shown
from kairoscope.runs import Run


@pytest.fixture
def runs(evaluations: Path, tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return Path(shutil.copytree(evaluations, tmp_path / "moved" / "runs"))


def test_every_figure_is_the_one_in_metrics_json(runs: Path) -> None:
    file = write_evaluation_page(runs / "before", targets={"mre_percent": 30.0})
    page = check_page(file.read_text("utf-8"))
    metrics = json.loads((runs / "before" / "metrics.json").read_text())
    for path in (
        "ends/all/mre_percent",
        "ends/all/mae_s",
        "ends/answered_only/mae_s",
        "starts/all/mae_s",
        "tiou_mean",
        "recall/0.5",
        "recall/0.7",
        "hit_rate",
        "events_found",
        "skill",
        "prior/mre_percent",
        "prior/mae_s",
        "wrong_video/ends/all/mre_percent",
    ):
        assert dig(metrics, path) in page.numbers, path
    assert 100 * metrics["answered"] in page.numbers
    for table in metrics["scenarios"].values():
        assert table["ends"]["all"]["mre_percent"] in page.numbers
        assert table["skill"] in page.numbers
    words = " ".join(page.text)
    low, high = metrics["ends"]["all"]["mre_ci95"]
    assert f"{low:.1f} to {high:.1f}" in words
    assert f"{metrics['n_clips']} clips" in words


def test_texts_of_models_and_labels_stay_texts(runs: Path) -> None:
    markup = write_evaluation_page(runs / "before").read_text("utf-8")
    page = check_page(markup)
    assert "<script>alert" not in markup
    assert "<b>nuts" not in markup
    clips = clips_of(page)["clips"]
    assert ["", "<script>alert(1)</script>"] in [text for clip in clips for text in clip["texts"]]
    assert "pour <b>nuts</b>" in clips_of(page)["scenarios"]
    assert "pour <b>nuts</b>" in " ".join(page.text)


def test_clips_are_linked_relative_to_the_page_and_move_with_it(runs: Path) -> None:
    file = write_evaluation_page(runs / "before")
    links = linked_files(file, check_page(file.read_text("utf-8")))
    assert len(links) == 23  # one clip cannot be read
    assert all(link.is_file() for link in links)
    moved = runs.parent / "elsewhere"
    runs.rename(moved)
    links = linked_files(
        moved / "before" / file.name, check_page((moved / "before" / file.name).read_text("utf-8"))
    )
    assert all(link.is_file() for link in links)


def test_every_sample_is_listed_with_truth_answer_and_what_is_likely(runs: Path) -> None:
    page = check_page(write_evaluation_page(runs / "before").read_text("utf-8"))
    clips = {clip["id"]: clip for clip in clips_of(page)["clips"]}
    assert len(clips) == 24
    rows = [
        json.loads(line) for line in (runs / "before" / "records.jsonl").read_text().splitlines()
    ]
    for row in rows:
        clip = clips[row["sample_id"]]
        truth = [[event["start_s"], event["end_s"]] for event in row["gold"]]
        lanes = {lane["name"]: lane for lane in clip["lanes"]}
        assert [span[1:3] for span in lanes["truth"]["spans"]] == truth
        assert clip["sort"]["error"] == pytest.approx(row["scores"]["mre_percent"])
        if row["value"] is None:
            assert "spans" not in lanes["answer"]
            assert row["unparsed"] in clip["notes"]
        else:
            ends = [round(event["end_s"], 3) for event in row["value"]]
            assert [span[2] for span in lanes["answer"]["spans"]] == ends
            assert lanes["likely ends"]["peaks"]


def test_problems_are_on_the_page(runs: Path) -> None:
    page = check_page(write_evaluation_page(runs / "before").read_text("utf-8"))
    words = " ".join(page.text)
    assert "unreadable clip" in words
    assert "no such file" in words
    assert "unparsed answer" in words
    tags = {tag["words"] for clip in clips_of(page)["clips"] for tag in clip["tags"]}
    assert {"unreadable clip", "unparsed answer"} <= tags


def test_trials_have_a_lane_each(runs: Path) -> None:
    page = check_page(write_evaluation_page(runs / "trials").read_text("utf-8"))
    for clip in clips_of(page)["clips"]:
        names = [lane["name"] for lane in clip["lanes"]]
        assert names[:4] == ["truth", "trial 0", "trial 1", "trial 2"]


def test_an_unfinished_or_other_run_is_a_user_error(runs: Path, tmp_path: Path) -> None:
    (runs / "before" / "metrics.json").unlink()
    with pytest.raises(UserError, match="run the same evaluate command again"):
        write_evaluation_page(runs / "before")
    Run.open(tmp_path / "sft", kind="sft", config={}).close()
    with pytest.raises(UserError, match="kind 'sft', not an evaluation"):
        write_evaluation_page(tmp_path / "sft")


def test_a_page_of_nothing_but_failures_can_be_made(runs: Path) -> None:
    from evaluation_runs import SeeingModel, make_samples, run_evaluation

    samples = make_samples(runs / "gone", 4)
    model = SeeingModel(samples)
    shutil.rmtree(runs / "gone")
    run_evaluation(runs / "failures", model, samples)
    page = check_page(write_evaluation_page(runs / "failures").read_text("utf-8"))
    assert all(clip["video"] is None for clip in clips_of(page)["clips"])


def test_figures_carry_what_they_stand_beside(runs: Path) -> None:
    metrics = json.loads((runs / "before" / "metrics.json").read_text())
    first = headline(metrics)
    assert first.value == metrics["ends"]["all"]["mre_percent"]
    assert first.prior == metrics["prior"]["mre_percent"]
    assert first.skill == pytest.approx(1 - first.value / metrics["prior"]["mre_percent"], abs=0.2)
    assert first.control == metrics["wrong_video"]["ends"]["all"]["mre_percent"]
    assert [figure.kind.path for figure in figures({"n_clips": 1, "tiou_mean": 0.5})] == [
        "tiou_mean"
    ]
    with pytest.raises(UserError, match="times of events"):
        headline({"n_clips": 1})


def test_shown_numbers() -> None:
    assert (shown(9.84, "%"), shown(0.1944, " s"), shown(-0.0001)) == ("9.8%", "0.194 s", "0.00")
    assert shown(-0.456) == "−0.46"
