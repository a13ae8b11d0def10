"""Pages of caption evaluations say what was measured, field by field and clip by clip."""

import io
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_checks import Page
from rich.console import Console

from kairoscope.config import EvalConfig
from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Request,
    Sample,
    Sampling,
    UserError,
)
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.fields import load_schema, render_caption
from kairoscope.fields.schema import schema_from_json
from kairoscope.metrics.caption_pairs import ALL, paired_captions
from kairoscope.recipes.av_captions import recipe_of
from kairoscope.recipes.pages import write_page
from kairoscope.report.analysis import analyse_run
from kairoscope.report.comparison_page import write_comparison_page
from kairoscope.report.console import before_after_table, metrics_table
from kairoscope.runs import Run, read_records
from kairoscope.simulate.driving.facts import caption_of, draw_drive
from kairoscope.storage import plain

RECIPE = recipe_of("driving_world")
SCHEMA = load_schema("driving_world")


def make_samples(folder: Path, count: int) -> list[Sample[Any, Any]]:
    found = []
    for number in range(count):
        caption = caption_of(draw_drive(np.random.default_rng([5, number])))
        caption["description"] = "It says </script> & <b>stops</b>."
        video = folder / f"{number}.camera_front.mp4"
        video.write_bytes(f"clip {number}".encode())
        found.append(
            Sample(
                id=f"{number}",
                video=video,
                query=tuple(caption),
                gold=caption,
                group=f"{number // 2}",
                scenario="driving_world",
                duration_s=5.0,
            )
        )
    return found


@dataclass
class Describer:
    """Sees what is shown but for some fields; cannot read one clip, writes nonsense about another."""

    samples: Sequence[Sample[Any, Any]]
    right: float
    name: str = "describer"
    identity: str = "1"

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        shown = {sample.video: sample for sample in self.samples}
        for request in requests:
            rng = random.Random(f"{request.id}/{request.video}/{self.right}")
            assert request.video is not None
            sample = shown[request.video]
            if request.id == "3":
                yield request.id, Failed(reason="cut off")
                continue
            other = rng.choice(self.samples)
            assert sample.gold is not None
            assert other.gold is not None
            said = {
                name: value if rng.random() < self.right else other.gold[name]
                for name, value in sample.gold.items()
            }
            text = render_caption(SCHEMA, sample.query, said)
            yield (
                request.id,
                (
                    Completion(
                        text="cannot say" if request.id == "4" else text,
                        trial=0,
                        frame_times_s=tuple(i / 4 for i in range(20)),
                        num_prompt_tokens=9,
                        num_vision_tokens=4,
                        num_new_tokens=3,
                        seconds=0.1,
                        finish="stop",
                    ),
                ),
            )


def make_run(folder: Path, samples: Sequence[Sample[Any, Any]], right: float) -> dict[str, Any]:
    model = Describer(samples, right)
    config = EvalConfig(bootstrap_draws=100, decoding="free")
    settings = evaluation_config(model, RECIPE.task, samples, policy=RECIPE.frames, config=config)
    with Run.open(folder, kind="evaluation", config=settings) as run:
        return evaluate(model, RECIPE.task, samples, policy=RECIPE.frames, config=config, run=run)


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
