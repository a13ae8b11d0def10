"""`kairoscope compare`: captions field by field, and the scores of a judge only where both runs have his."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from caption_runs import make_run, make_samples
from command_line import Program
from html_checks import Page
from overlap_judge import honest, judging
from small_server import NAME, serving

from kairoscope.core import UserError
from kairoscope.metrics.caption_pairs import ALL
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.judging import JudgeConfig, judge_stage, read_judged
from kairoscope.report.captions.comparison import compare_captions, judge_scores
from kairoscope.report.captions.page import read_captioned
from kairoscope.report.judgements.pairs import TIE, judged_pairs, judges_of
from kairoscope.runs import Run

CONFIG = JudgeConfig(repeats=1, controls=6)


def judge(run: Path, out: Path, config: JudgeConfig = CONFIG, name: str = NAME) -> None:
    models = [{"id": name, "created": 1}]
    with serving(judging(honest, models=models)) as small:
        model = ServedModel(name, ServerOptions(base_url=small.url))
        judged = read_judged(run, ["description", "lighting"])
        judge_stage(judged, model, config, out=out, human=None, on_progress=lambda *_: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A poor run and a good one, both judged by the same judge."""
    folder = tmp_path_factory.mktemp("compared")
    samples = make_samples(folder / "clips", 24)
    for name, right in (("base", 0.4), ("sft", 0.9)):
        make_run(folder / name, samples, right)
        judge(folder / name, folder / name / "judge")
    return folder / "base", folder / "sft"


def test_scores_of_the_same_judge_are_paired_clip_by_clip(runs: tuple[Path, Path]) -> None:
    ((pair,), notes) = judged_pairs(*runs)
    assert notes == []
    means = []
    for folder in runs:
        rows = Run.read(folder / "judge").records("judgements", ("id", "repeat"))
        own = [r for r in rows if r["field"] == "description" and r["control"] == "answer"]
        means.append({r["sample_id"]: r["score"] or 1 for r in own})
    step = pair.fields["description"]
    changes = [means[1][clip] - means[0][clip] for clip in means[0]]
    assert step["difference"] == pytest.approx(fmean(changes))
    assert step["win"] == sum(change > TIE for change in changes)
    assert step["loss"] == sum(change < -TIE for change in changes)
    assert step["difference_ci95"][0] > 0
    assert pair.trusted("description")


@pytest.mark.parametrize(
    "change", [{"temperature": 0.9}, {"repeats": 2}, {"decoding": "free"}, {"name": "another"}]
)
def test_another_judge_or_another_way_of_asking_is_not_compared(
    runs: tuple[Path, Path], tmp_path: Path, change: dict[str, object]
) -> None:
    base, sft = tmp_path / "base", tmp_path / "sft"
    make_run(base, make_samples(tmp_path / "clips", 6), 0.4)
    make_run(sft, make_samples(tmp_path / "clips", 6), 0.9)
    name = str(change.get("name", NAME))
    config = replace(CONFIG, **{k: v for k, v in change.items() if k != "name"})  # type: ignore[arg-type]
    judge(base, base / "judge")
    judge(sft, tmp_path / "elsewhere", config, name)
    pairs, notes = judged_pairs(base, sft, [tmp_path / "elsewhere"])
    assert pairs == []
    assert "not compared" in notes[0]
    assert name in notes[0]
    judge(sft, tmp_path / "same")
    assert judges_of(sft) == []
    ((pair,), notes) = judged_pairs(base, sft, [tmp_path / "elsewhere", tmp_path / "same"])
    assert notes == []
    assert pair.name == f"openai:{NAME}"
    with pytest.raises(UserError, match="no finished run of a judge"):
        judged_pairs(base, sft, [base])


def test_the_command_writes_a_page_and_its_figures(
    runs: tuple[Path, Path], tmp_path: Path, program: Program
) -> None:
    base, sft = runs
    target = tmp_path / "both.html"
    done = program.run("compare", base, sft, "--out", target, cwd=tmp_path)
    assert done.code == 0, done.said
    (told,) = json.loads(target.with_suffix(".json").read_text())
    page = Page(target.read_text("utf-8"))
    text = "".join(page.text)
    first, second = (read_captioned(folder, folder.name) for folder in runs)
    ((compared,), scores) = (
        found := compare_captions([first, second]),
        judge_scores(found, [first, second]),
    )
    assert told["fields"] == json.loads(json.dumps(dict(compared.fields)))
    step = told["fields"][ALL]
    assert 100 * step["difference"] in page.numbers
    assert f"{step['win']} / {step['tie']} / {step['loss']}" in text
    judged = told["judges"][0]["fields"]["description"]
    assert judged["difference"] in page.numbers
    assert judged["trusted"]
    assert "all fields" in done.out
    assert f"scores of the judge openai:{NAME}" in done.out
    data = json.loads("".join(page.json))
    assert data["orders"][0]["name"] == "most worsened by sft"
    steps = {clip["id"]: clip["sort"]["judge_step"] for clip in data["clips"]}
    for clip, change in steps.items():
        own = [scores[field][1][clip] - scores[field][0][clip] for field in scores]
        assert change == pytest.approx(fmean(own))
    assert any("(judge: " in json.dumps(clip["rows"]) for clip in data["clips"])
    assert all(clip["video"] for clip in data["clips"] if clip["id"] != "3")


def test_without_judges_the_page_says_nothing_of_them(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    samples = make_samples(tmp_path / "clips", 6)
    for name in ("base", "sft"):
        make_run(tmp_path / name, samples, 0.5)
    names = [read_captioned(tmp_path / name, name) for name in ("base", "sft")]
    (compared,) = compare_captions(names)
    assert (compared.judges, compared.notes) == ([], [])
    assert judge_scores([compared], names) == {}
    assert compared.fields[ALL]["difference"] == 0
