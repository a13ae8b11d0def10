"""Sweeps: chosen on one part of the clips, measured on the other, the same after any interruption."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_runs import SeeingModel, config_of, make_samples

from kairoscope.core import Answer, Completion, Decoding, FramePolicy, Request, Sampling, UserError
from kairoscope.metrics import summarize
from kairoscope.recipes.subtask_times import RECIPE
from kairoscope.recipes.sweep_cells import Cell, alike, cells_of
from kairoscope.recipes.sweeping import divide, sweep_stage
from kairoscope.report.comparison.paired import clip_scores, differences
from kairoscope.report.sweeps.headline import drawn, step_between
from kairoscope.report.sweeps.page import verdict
from kairoscope.runs import Run, read_records


@dataclass
class Tuned(SeeingModel):
    """Errs the less the nearer the frame rate is to 8, and ends after so many answers."""

    policy: FramePolicy | None = None
    answers_left: int = 10**9

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        for request in requests:
            self.noise_s = 0.2 + 0.1 * abs(request.policy.fps - 8)
            for name, found in super().answer([request], sampling, decoding):
                if not self.answers_left:
                    raise KeyboardInterrupt
                self.answers_left -= 1
                yield name, found


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_samples(tmp_path_factory.mktemp("clips"), 24, group_size=1)


def cells(**axes: Any) -> tuple[Cell, ...]:
    return cells_of({"model": ["m"], **axes}, config=config_of(), frames={})


def swept(out: Path, samples: Any, some: Any, **options: Any) -> dict[str, Any]:
    options = {"open_model": lambda _: Tuned(samples), **options}
    return sweep_stage(
        RECIPE, some, samples, out=out, validation=0.5, on_progress=lambda *_: None, **options
    )


def test_every_combination_once_with_the_models_together() -> None:
    found = cells_of(
        {"fps": [4.0, 8.0], "model": ["a", "b/c"], "trials": [1, 2]}, config=config_of(), frames={}
    )
    assert len({cell.folder for cell in found}) == len(found) == 8
    assert [cell.model for cell in found] == ["a"] * 4 + ["b/c"] * 4
    assert found[0].name == "fps 4, model a, trials 1"
    assert found[-1].frames == {"fps": 8.0}
    assert found[-1].config.sampling.trials == 2


@pytest.mark.parametrize(
    "axes",
    [{"fps": [4.0, 4.0]}, {"fps": [4.0, -1.0]}, {"nonsense": [1]}, {"decoding": ["x", "free"]}],
)
def test_what_cannot_be_a_setting_is_refused(axes: Any) -> None:
    with pytest.raises(UserError, match=r"twice|allowed"):
        cells(**axes)


def test_refining_is_a_setting_like_others() -> None:
    off, on = cells(refine=[False, True])
    assert (off.refine, on.refine, on.folder) == (False, True, "refine-on")
    with pytest.raises(UserError, match="true or false"):
        cells(refine=["yes", "no"])


def test_medians_that_no_drawing_changes_are_pointed_out() -> None:
    assert alike(cells(temperature=[0.0, 0.6])) == ("temperature",)
    assert alike(cells(temperature=[0.0, 0.6], decoding=["free", "constrained"])) == ()


def test_the_winner_is_the_best_of_validation_and_its_test_figure_stands_beside_it(
    samples: Any, tmp_path: Path
) -> None:
    found = swept(tmp_path / "out", samples, cells(fps=[2.0, 8.0, 12.0]))
    part = divide(samples, 0.5)
    groups = {sample.id: sample.group for sample in samples}
    assert not {groups[i] for i in part.validation} & {groups[i] for i in part.test}
    assert sorted([*part.validation, *part.test]) == sorted(groups)
    value = {}
    for row in found["cells"]:
        records = read_records(Run.read(tmp_path / "out" / "cells" / row["folder"]))
        for name, ids in (("validation", part.validation), ("test", part.test)):
            own = [record for record in records if record.sample_id in ids]
            value[row["name"], name] = summarize(own, draws=200)["ends"]["all"]["mre_percent"]
        assert row["figures"]["value"] == pytest.approx(value[row["name"], "validation"])
    best = min(("fps 2", "fps 8", "fps 12"), key=lambda name: value[name, "validation"])
    assert best == "fps 8"
    assert found["cells"][found["winner"] - 1]["name"] == best
    assert found["test"]["value"] == pytest.approx(value[best, "test"])
    assert f"{value[best, 'test']:.1f}%" in verdict(found)


def test_differences_are_taken_clip_by_clip_against_the_best(samples: Any, tmp_path: Path) -> None:
    found = swept(tmp_path / "out", samples, cells(fps=[2.0, 8.0]))
    wanted = set(divide(samples, 0.5).validation)
    best, worse = (
        [
            record
            for record in read_records(Run.read(tmp_path / "out" / "cells" / folder))
            if record.sample_id in wanted
        ]
        for folder in ("fps-8", "fps-2")
    )
    step = differences(clip_scores(best), clip_scores(worse))[0]
    against = found["cells"][0]["against_best"]
    assert against["difference"] == pytest.approx(step.difference)
    assert step.difference > 0
    assert against["verdict"] == step.verdict
    sides = [drawn(RECIPE.task, records, 2000) for records in (best, worse)]
    assert sides[0] is not None
    assert sides[1] is not None
    assert step_between(sides[0], sides[1], "lower")["interval"] == pytest.approx(step.interval)
    assert found["cells"][1]["against_best"] is None


def test_of_equals_the_one_that_reads_less_wins(samples: Any, tmp_path: Path) -> None:
    some = cells(trials=[3, 1])

    class Same(Tuned):
        def _completion(self, request: Any, shown: Any, query: Any, trial: int) -> Completion:
            return replace(super()._completion(request, shown, query, 0), trial=trial)

    found = swept(tmp_path / "out", samples, some, open_model=lambda _: Same(samples))
    assert found["cells"][0]["figures"]["value"] == found["cells"][1]["figures"]["value"]
    assert found["winner"] == 2


def test_a_cell_that_fails_is_listed_and_the_rest_goes_on(samples: Any, tmp_path: Path) -> None:
    some = cells_of({"model": ["good", "gone"]}, config=config_of(), frames={})

    def open_model(name: str) -> Tuned:
        if name == "gone":
            raise UserError("the server does not answer")
        return Tuned(samples)

    found = swept(tmp_path / "out", samples, some, open_model=open_model)
    assert [row["problem"] for row in found["cells"]] == [None, "the server does not answer"]
    assert found["winner"] == 1
    assert "the server does not answer" in (tmp_path / "out" / "sweep.html").read_text()
    # It goes on where it was once the server is back, and a fault of the program is none of a cell.
    again = swept(tmp_path / "out", samples, some)
    assert [row["problem"] for row in again["cells"]] == [None, None]

    def broken(_: str) -> Tuned:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        swept(tmp_path / "other", samples, some, open_model=broken)
    with pytest.raises(UserError, match="not one cell has figures"):
        swept(tmp_path / "none", samples, some[1:], open_model=open_model)


def test_stopped_anywhere_and_run_again_is_the_same_table(samples: Any, tmp_path: Path) -> None:
    some = cells(fps=[4.0, 8.0])
    straight = swept(tmp_path / "straight", samples, some)
    for answers in (0, 1, 30, 49, 95):
        out = tmp_path / str(answers)
        first, second = Tuned(samples, answers_left=answers), Tuned(samples)
        with pytest.raises(KeyboardInterrupt):
            swept(out, samples, some, open_model=lambda _, model=first: model)
        assert swept(out, samples, some, open_model=lambda _, model=second: model) == straight
        assert len(second.asked) == 96 - answers
    assert json.loads((tmp_path / "straight" / "sweep.json").read_text()) == json.loads(
        (tmp_path / "95" / "sweep.json").read_text()
    )


def test_values_may_be_added_and_nothing_finished_is_asked_again(
    samples: Any, tmp_path: Path
) -> None:
    swept(tmp_path / "out", samples, cells(fps=[4.0, 8.0]))
    model = Tuned(samples)
    more = swept(tmp_path / "out", samples, cells(fps=[4.0, 8.0, 12.0]), open_model=lambda _: model)
    assert len(model.asked) == 48
    assert more == swept(tmp_path / "at once", samples, cells(fps=[4.0, 8.0, 12.0]))
    with pytest.raises(UserError, match="varied"):
        swept(tmp_path / "out", samples, cells(fps=[4.0, 8.0], trials=[1, 2]))


def test_too_few_groups_are_said_and_not_split(tmp_path: Path) -> None:
    few = make_samples(tmp_path / "clips", 6, group_size=2)
    assert len({sample.group for sample in few}) < 6
    three = [sample for sample in few if sample.scenario == "stack"]
    found = swept(tmp_path / "out", three, cells(fps=[4.0, 8.0]))
    assert found["test"] is None
    assert "too few" in found["split"]["how"]
    assert "flattering" in verdict(found)
