"""Pages of score evaluations say what was measured, clip by clip."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kairoscope.config import EvalConfig
from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Posterior,
    Request,
    Sample,
    Sampling,
    UserError,
)
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.recipes.benchmark import Splits, describe
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.physics_score import RECIPE, TASK
from kairoscope.report.analysis import analyse_run, write_analysis
from kairoscope.report.comparison.page import write_comparison_page
from kairoscope.report.console import before_after_table, metrics_table
from kairoscope.report.recipe.document import write_recipe_document
from kairoscope.runs import Run


@dataclass
class Judge:
    """Sees the score but for some noise; cannot read one clip, and writes nonsense about another."""

    samples: Sequence[Sample[Any, Any]]
    noise: float
    name: str = "judge"
    identity: str = "1"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        shown = {sample.video: sample for sample in self.samples}
        for request in requests:
            rng = random.Random(f"{request.id}/{request.video}")
            if request.id.startswith("g0/1"):
                yield request.id, Failed(reason="cut off")
                continue
            assert request.video is not None
            seen = int(shown[request.video].gold or 0) + rng.gauss(0, self.noise)
            weights = [2.0 ** -((seen - score) ** 2) for score in range(1, 6)]
            shares = tuple(w / sum(weights) for w in weights)
            digit = 1 + max(range(5), key=lambda place: shares[place])
            why = "<think>It </script> <b>floats</b> & stays.</think>\n" * (
                request.id == "g0/3.mp4"
            )
            text = "hard to say" if request.id == "g0/0.mp4" else f"{why}<answer>{digit}</answer>"
            yield (
                request.id,
                (
                    Completion(
                        text=text,
                        trial=0,
                        frame_times_s=(0.0, 0.5, 1.0),
                        num_prompt_tokens=9,
                        num_vision_tokens=4,
                        num_new_tokens=3,
                        seconds=0.1,
                        finish="stop",
                        posteriors=(
                            Posterior(slot="score", choices=tuple("12345"), probabilities=shares),
                        ),
                    ),
                ),
            )


def samples_in(folder: Path) -> list[Sample[Any, Any]]:
    return [
        Sample(
            id=f"g{i // 5}/{i}.mp4",
            video=folder / f"{i}.mp4",
            query=(),
            gold=1 + (i * 7 + i // 5) % 5,
            group=f"g{i // 5}",
            scenario=("fall", "pour")[i // 5 % 2],
        )
        for i in range(50)
    ]


def run_of(folder: Path, noise: float) -> dict[str, Any]:
    samples = samples_in(folder.parent)
    model = Judge(samples, noise, name=folder.name)
    config = EvalConfig(bootstrap_draws=100)
    settings = evaluation_config(model, TASK, samples, policy=RECIPE.frames, config=config)
    with Run.open(folder, kind="evaluation", config=settings) as run:
        return evaluate(model, TASK, samples, policy=RECIPE.frames, config=config, run=run)


def payload_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8").split('id="clips-data">')[1]
    found: dict[str, Any] = json.loads(text.split("</script>")[0])
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scores")
    run_of(place / "before", 2.5)
    run_of(place / "after", 0.4)
    return place


def test_the_figures_count_failures_and_show_that_it_looked(runs: Path) -> None:
    metrics = json.loads((runs / "after" / "metrics.json").read_text())
    assert metrics["kind"] == "score"
    assert metrics["n_clips"] == 50
    assert metrics["answered"] < 1
    assert sum(row[-1] for row in metrics["confusion"]) == pytest.approx(
        50 * (1 - metrics["answered"])
    )
    assert metrics["expected"]["pearson"] > 0.8
    assert metrics["wrong_video"]["expected"]["pearson"] < 0.5
    assert metrics["baselines"]["majority"]["pearson"] == 0


def test_the_page_lists_every_clip_with_its_label_and_words(runs: Path) -> None:
    page = write_page(runs / "after")
    text = page.read_text(encoding="utf-8")
    assert "</script> <b>" not in text
    payload = payload_of(page)
    assert len(payload["clips"]) == 50
    marks = set(payload["statuses"])
    assert {"exact", "unparsed answer", "unreadable clip"} <= marks
    by_id = {clip["id"]: clip for clip in payload["clips"]}
    reasoned = by_id["g0/3.mp4"]
    assert reasoned["open"]
    assert "floats" in reasoned["texts"][0][1]
    assert "open" not in by_id["g1/5.mp4"]
    assert by_id["g1/5.mp4"]["video"] == "../5.mp4"
    for name in ("error", "spread", "gold", "given"):
        assert all(clip["sort"][name] is not None for clip in payload["clips"])
    results = json.loads((runs / "after" / "evaluation_results.json").read_text())
    assert len(results["results"]) == 50
    assert results["metrics"]["n_clips"] == 50


def test_two_runs_stand_side_by_side(runs: Path) -> None:
    page = write_comparison_page(
        [runs / "before", runs / "after"], runs / "page.html", RECIPE.targets
    )
    payload = payload_of(page)
    clip = next(c for c in payload["clips"] if c["id"] == "g1/5.mp4")
    assert list(clip["events"]) == ["before", "after"]
    assert {"better"} <= set(payload["statuses"])
    assert "most improved by after" in page.read_text(encoding="utf-8")
    assert ">better<" in page.read_text(encoding="utf-8")


def test_runs_of_other_tasks_are_not_compared(runs: Path, tmp_path: Path) -> None:
    with Run.open(tmp_path / "times", kind="evaluation", config={"model": "m"}) as run:
        run.write_json("metrics.json", {"n_clips": 1, "ends": {}})
    with pytest.raises(UserError, match="different tasks"):
        write_comparison_page([tmp_path / "times", runs / "after"], tmp_path / "page.html")


def test_findings_speak_of_scores(runs: Path) -> None:
    found = analyse_run(Run.read(runs / "after"), RECIPE.targets)
    titles = " ".join(finding.title for finding in found)
    assert "goal of 0.60 is reached" in titles
    assert "The scores come from the video" in titles
    assert "could not be read" in titles


def test_tables_for_the_terminal_show_both_readings(runs: Path) -> None:
    before, after = (
        json.loads((runs / name / "metrics.json").read_text()) for name in ("before", "after")
    )
    table = metrics_table(after, title="after")
    assert [str(column.header) for column in table.columns][1:3] == ["expected score", "digit"]
    assert table.row_count == 10
    assert before_after_table(before, after).row_count == 20


def test_the_recipe_document_speaks_of_scores(tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    config = {
        "recipe": RECIPE.name,
        "title": RECIPE.title,
        "model": "judge",
        "success": RECIPE.success,
        "targets": dict(RECIPE.targets),
    }
    samples = samples_in(folder)
    with Run.open(folder, kind="recipe", config=config) as run:
        splits = Splits(
            train=samples[:5], test=samples, train_problems=(), test_problems=(), how="by hand"
        )
        run.write_json("benchmark.json", describe(splits))
    before = write_recipe_document(folder).with_suffix(".md").read_text(encoding="utf-8")
    assert "Clips by their true score" in before
    run_of(folder / "zero_shot", 2.5)
    write_analysis(Run.read(folder / "zero_shot"), folder / "analysis.json", RECIPE.targets)
    run_of(folder / "re_evaluation", 0.4)
    text = write_recipe_document(folder).with_suffix(".md").read_text(encoding="utf-8")
    for words in (
        "Training raised the correlation",
        "The clip that gained most",
        "Quadratic-weighted kappa",
        "Gain of expected",
        "The goal, 0.60 or more, is reached",
    ):
        assert words in text
    assert "relative error" not in text
