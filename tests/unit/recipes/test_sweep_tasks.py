"""Sweeps of recipes that are not about times: the headline, its unit and interval are the task's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import chance, config_of

from kairoscope.cli.sweeping import is_no_recipe
from kairoscope.config import Recipe
from kairoscope.core import (
    Answer,
    Answered,
    Completion,
    Decoding,
    FramePolicy,
    Posterior,
    Request,
    Sample,
    Sampling,
)
from kairoscope.recipes import RECIPES, get_recipe
from kairoscope.recipes.sweep_cells import cells_of
from kairoscope.recipes.sweeping import divide, sweep_stage
from kairoscope.report.sweeps.headline import drawn, headline_of, words_of
from kairoscope.report.sweeps.page import verdict
from kairoscope.runs import Run, read_records

SCORES = ("1", "2", "3", "4", "5")


@dataclass
class Judge:
    """Knows every truth, and answers it the more often the nearer the frame rate is to 8."""

    recipe: Recipe
    samples: Sequence[Sample[Any, Any]]
    name: str = "judge"
    identity: str = "sha256:1"
    policy: FramePolicy | None = None

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        clips = {s.video.read_bytes(): s for s in self.samples if s.video}
        asked = {sample.id: sample for sample in self.samples}
        for request in requests:
            assert request.video is not None
            shown, query = clips[request.video.read_bytes()], asked[request.id].query
            right = chance(shown.id, "right") < 1 - 0.12 * abs(request.policy.fps - 8)
            gold = shown.gold if right else self.samples[hash_of(shown.id, len(clips))].gold
            times_s = tuple(i / 8 for i in range(round(8 * (shown.duration_s or 0))))
            yield (
                request.id,
                tuple(self.completion(query, gold, t, times_s) for t in range(sampling.trials)),
            )

    def completion(
        self, query: Any, gold: Any, trial: int, times_s: tuple[float, ...]
    ) -> Completion:
        task = self.recipe.task
        posteriors: tuple[Posterior, ...] = ()
        if isinstance(gold, int):
            near = [0.5 ** abs(gold - int(score)) for score in SCORES]
            shares = tuple(one / sum(near) for one in near)
            posteriors = (Posterior(slot="score", choices=SCORES, probabilities=shares),)
        return Completion(
            text=task.render(query, gold),
            trial=trial,
            frame_times_s=times_s,
            num_prompt_tokens=50,
            num_vision_tokens=20,
            num_new_tokens=5,
            seconds=0.1,
            finish="stop",
            posteriors=posteriors,
        )


def hash_of(name: str, count: int) -> int:
    return int(chance(name, "other") * count)


def scored(folder: Path) -> list[Sample[Any, Any]]:
    return [one_sample(folder, i, query=(), gold=1 + i % 5, scenario="falling") for i in range(60)]


def captioned(folder: Path) -> list[Sample[Any, Any]]:
    return [
        one_sample(
            folder,
            i,
            query=("road_type", "weather"),
            gold={
                "road_type": ("Country road", "Highway", "City street")[i % 3],
                "weather": ("Clear skies", "Rain")[i % 2],
            },
            scenario="drive",
        )
        for i in range(60)
    ]


def one_sample(folder: Path, i: int, **fields: Any) -> Sample[Any, Any]:
    video = folder / f"{i}.mp4"
    video.write_bytes(f"clip {i}".encode())
    return Sample(id=f"clip-{i:02d}", video=video, group=f"g{i // 5}", duration_s=2.0, **fields)


def swept(recipe: Recipe, samples: Any, out: Path, **axes: Any) -> dict[str, Any]:
    return sweep_stage(
        recipe,
        cells_of({"model": ["m"], **axes}, config=config_of(), frames={}),
        samples,
        out=out,
        open_model=lambda _: Judge(recipe, samples),
        validation=0.5,
        on_progress=lambda *_: None,
    )


PHYSICS = get_recipe("physics-score")
DRIVING = get_recipe("av-captions:driving_world")


def test_a_correlation_is_compared_over_all_answers_and_the_higher_wins(tmp_path: Path) -> None:
    samples = scored(tmp_path)
    found = swept(PHYSICS, samples, tmp_path / "out", fps=[3.0, 8.0])
    best, ids = found["cells"][1], divide(samples, 0.5).validation
    assert (found["winner"], found["headline"]["better"]) == (2, "higher")
    records = read_records(Run.read(tmp_path / "out" / "cells" / "fps-8"))
    summary = PHYSICS.task.summarize([r for r in records if r.sample_id in ids], draws=200)
    # The figure and the interval are those that the cell's own page would have of these clips.
    assert best["figures"]["value"] == pytest.approx(summary["expected"]["pearson"])
    assert best["figures"]["interval"] == pytest.approx(summary["expected"]["pearson_ci95"])
    assert found["cells"][0]["against_best"]["difference"] < 0
    assert found["cells"][0]["against_best"]["verdict"] == "worse"
    assert best["figures"]["prior"] == 0.0
    assert "Pearson" in verdict(found)
    assert "demonstration" not in (tmp_path / "out" / "sweep.html").read_text().split("<pre")[0]


def test_captions_are_compared_by_the_share_of_fields_that_are_right(tmp_path: Path) -> None:
    samples = captioned(tmp_path)
    found = swept(DRIVING, samples, tmp_path / "out", fps=[3.0, 8.0], trials=[1, 2])
    row = found["cells"][2]
    assert row["values"] == {"fps": 8.0, "trials": 1}
    assert found["winner"] == 3
    ids = divide(samples, 0.5).validation
    records = read_records(Run.read(tmp_path / "out" / "cells" / row["folder"]))
    some = [record for record in records if record.sample_id in ids]
    summary = DRIVING.task.summarize(some, draws=200)
    assert found["headline"]["suffix"] == "%"
    assert row["figures"]["value"] == pytest.approx(100 * summary["fields_right"])
    ends = [100 * end for end in summary["fields_right_ci95"]]
    assert row["figures"]["interval"] == pytest.approx(ends)
    assert row["figures"]["prior"] == pytest.approx(100 * summary["baseline"]["fields_right"])


@pytest.mark.parametrize("recipe", [*RECIPES.values(), DRIVING], ids=lambda recipe: recipe.name)
def test_every_task_says_what_its_headline_is(recipe: Recipe) -> None:
    headline = headline_of(recipe.task)
    metric = recipe.task.all_metrics[recipe.task.headline]
    assert headline.better == ("lower" if metric.best < metric.worst else "higher")
    assert drawn(recipe.task, [], 100) is None
    assert set(words_of(recipe.task.summarize((), draws=0))) == {
        "prior",
        "prior_note",
        "skill_note",
    }


def test_a_clip_drawn_twice_has_its_answers_twice(tmp_path: Path) -> None:
    samples = scored(tmp_path)
    swept(PHYSICS, samples, tmp_path / "out", fps=[6.0, 8.0])
    records = read_records(Run.read(tmp_path / "out" / "cells" / "fps-6"))
    found = drawn(PHYSICS.task, records, 3)
    answers = [
        Answered(value=r.value, expected=r.extra["expected"], gold=r.gold, group=r.group)
        for r in records
    ]
    assert found is not None
    assert found.draws_D is not None
    assert found.value == PHYSICS.task.together(answers)["expected_pearson"]
    assert PHYSICS.task.together(answers * 2)["expected_pearson"] == pytest.approx(found.value)
    assert len(set(found.draws_D.tolist())) == 3


def test_a_recipe_with_a_schema_is_no_further_model() -> None:
    assert not is_no_recipe("av-captions:driving_world")
    assert is_no_recipe("openai:av-captions")
