"""Laws of evaluation: every sample counts once, whatever is killed, shuffled or broken."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_runs import SeeingModel, config_of, make_samples, run_evaluation

from kairoscope.config import EvalConfig
from kairoscope.core import Answer, Decoding, Failed, Request, Sampling, UserError
from kairoscope.data.rows import Problem
from kairoscope.evaluate import evaluation_settings
from kairoscope.recipes.subtask_times import TASK
from kairoscope.runs import Run, read_records, records_of
from kairoscope.wrong_video import wrong_clips


def result(folder: Path) -> bytes:
    return (folder / "metrics.json").read_bytes()


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_a_model_that_sees_is_right_and_the_control_shows_that_it_looked(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 16)
    metrics = run_evaluation(tmp_path / "run", SeeingModel(samples), samples)
    assert metrics["n_clips"] == 16
    assert metrics["answered"] == 1.0
    assert metrics["ends"]["all"]["mae_s"] == pytest.approx(0.0)
    assert metrics["skill"] == pytest.approx(1.0)
    assert metrics["wrong_video"]["n_clips"] == 16
    assert metrics["wrong_video"]["ends"]["all"]["mae_s"] > 0.2
    assert json.loads(result(tmp_path / "run")) == metrics


def test_a_record_holds_all_that_scoring_it_again_needs(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 4)
    run_evaluation(tmp_path / "run", SeeingModel(samples, noise_s=0.5), samples)
    by_id = {sample.id: sample for sample in samples}
    records = list(records_of(Run.read(tmp_path / "run")))
    assert len(records) == 4
    for record in records:
        sample = by_id[record.sample_id]
        value = TASK.parse(tuple(record.query), record.text)
        assert TASK.score(value, replace(sample, gold=TASK.from_json(record.gold))) == record.scores
        assert TASK.from_json(record.value) == value
        assert (tmp_path / "run" / record.video).read_bytes() == sample.video.read_bytes()
        assert record.posteriors[0]["slot"] == "end 1"
        assert len(record.frame_times_s) == 65


class Stopped(Exception):
    """What ends a run in the middle, as Ctrl-C does."""


@pytest.mark.parametrize("stop_after", [1, 5, 12, 15, 23])
def test_an_interrupted_run_gives_the_bytes_of_an_uninterrupted_one(
    tmp_path: Path, stop_after: int
) -> None:
    samples = make_samples(tmp_path / "clips", 12)
    config = config_of(trials=2)
    straight = SeeingModel(samples, noise_s=0.4)
    run_evaluation(tmp_path / "straight", straight, samples, config)

    finished = 0

    def stop(stage: str, done: int, total: int) -> None:
        nonlocal finished
        finished += done > 0
        if finished > stop_after:
            raise Stopped

    first = SeeingModel(samples, noise_s=0.4)
    with pytest.raises(Stopped):
        run_evaluation(tmp_path / "stopped", first, samples, config, on_progress=stop)
    assert not (tmp_path / "stopped" / "metrics.json").exists()
    second = SeeingModel(samples, noise_s=0.4, batch=3)
    run_evaluation(tmp_path / "stopped", second, samples, config)

    assert result(tmp_path / "stopped") == result(tmp_path / "straight")
    written = len(rows(tmp_path / "stopped", "records")) + len(
        rows(tmp_path / "stopped", "control")
    )
    assert written == 12 * 2 + 12  # nothing that was finished is asked again
    assert len(first.asked) + len(second.asked) < 2 * 24


def test_a_finished_run_asks_nothing(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 6)
    run_evaluation(tmp_path / "run", SeeingModel(samples), samples)
    before = result(tmp_path / "run")
    again = SeeingModel(samples)
    run_evaluation(tmp_path / "run", again, samples)
    assert again.asked == []
    assert result(tmp_path / "run") == before


def test_a_sample_with_some_of_its_trials_is_asked_again(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 6)
    model = SeeingModel(samples, noise_s=0.3)
    config = config_of(trials=3)
    run_evaluation(tmp_path / "run", model, samples, config)
    whole = result(tmp_path / "run")
    file = tmp_path / "run" / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2]) + lines[-2][:40])  # torn inside a sample's trials
    again = SeeingModel(samples, noise_s=0.3)
    run_evaluation(tmp_path / "run", again, samples, config)
    assert len(again.asked) == 1
    assert result(tmp_path / "run") == whole


def test_the_order_of_samples_changes_nothing(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 14)
    run_evaluation(tmp_path / "a", SeeingModel(samples, noise_s=0.4), samples)
    turned = [*samples[5:], *samples[:5]][::-1]
    run_evaluation(tmp_path / "b", SeeingModel(samples, noise_s=0.4, batch=1), turned)
    assert result(tmp_path / "a") == result(tmp_path / "b")
    run_evaluation(tmp_path / "a", SeeingModel(samples), turned)  # the same run, reopened


def test_clips_that_fail_are_counted_at_their_worst_and_listed(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 12)
    samples[3].video.unlink()
    model = SeeingModel(samples, broken_text=frozenset({samples[6].id}))
    bad_row = Problem(where="labels.jsonl:3", what="end_s is NaN")
    metrics = run_evaluation(
        tmp_path / "run", model, samples, config_of(trials=2), data_problems=[bad_row]
    )
    assert metrics["n_clips"] == 12
    assert metrics["n_trials"] == 24
    assert metrics["answered"] == pytest.approx(20 / 24)
    assert metrics["ends"]["answered_only"]["mae_s"] == pytest.approx(0.0)
    assert metrics["ends"]["all"]["mae_s"] > 0.5
    failed = [r for r in read_records(Run.read(tmp_path / "run")) if r.failed]
    assert [(r.sample_id, r.trial) for r in failed] == [(samples[3].id, 0), (samples[3].id, 1)]
    assert {r["sample_id"] for r in rows(tmp_path / "run", "control")} == {
        s.id for s in samples if s is not samples[3]
    }
    problems = json.loads((tmp_path / "run" / "problems.json").read_text())
    assert len(problems) == 3
    kinds = {row["kind"]: row for row in problems}
    assert kinds["unreadable clip"]["sample_id"] == samples[3].id
    assert "no such file" in kinds["unreadable clip"]["reason"]
    assert kinds["unparsed answer"]["sample_id"] == samples[6].id
    assert kinds["unparsed answer"]["trials"] == 2
    assert kinds["label row"]["where"] == "labels.jsonl:3"


def test_all_clips_failing_is_a_result_too(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 4)
    model = SeeingModel(samples)
    shutil.rmtree(tmp_path / "clips")
    metrics = run_evaluation(tmp_path / "run", model, samples)
    assert metrics["n_clips"] == 4
    assert metrics["answered"] == 0.0


def test_samples_without_gold_are_listed_and_not_asked(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 6)
    blank = replace(samples[2], gold=None)
    given = [*samples[:2], blank, *samples[3:]]
    model = SeeingModel(samples)
    metrics = run_evaluation(tmp_path / "run", model, given)
    assert metrics["n_clips"] == 5
    assert blank.id not in model.asked
    problems = json.loads((tmp_path / "run" / "problems.json").read_text())
    assert [row["kind"] for row in problems] == ["no gold answer"]
    with pytest.raises(UserError, match="none of the 1 samples has a gold answer"):
        run_evaluation(tmp_path / "other", model, [blank])


def test_an_unknown_duration_is_taken_from_the_frames_of_its_own_clip(tmp_path: Path) -> None:
    samples = [replace(s, duration_s=None) for s in make_samples(tmp_path / "clips", 6)]
    run_evaluation(tmp_path / "run", SeeingModel(samples), samples)
    run = Run.read(tmp_path / "run")
    assert {r.duration_s for r in read_records(run)} == {8.125}
    assert {r.duration_s for r in read_records(run, "control")} == {8.125}


def test_two_samples_of_one_id_are_refused(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 2)
    with pytest.raises(UserError, match="'clip-000' is used twice"):
        run_evaluation(tmp_path / "run", SeeingModel(samples), [samples[0], samples[0]])


def test_another_model_or_other_labels_are_another_run(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 4)
    run_evaluation(tmp_path / "run", SeeingModel(samples), samples)
    with pytest.raises(UserError, match="model_identity: 'sha256:1' there, 'sha256:2' now"):
        run_evaluation(tmp_path / "run", SeeingModel(samples, identity="sha256:2"), samples)
    other = [replace(samples[0], gold=samples[2].gold), *samples[1:]]
    with pytest.raises(UserError, match=r"samples\.sha256"):
        run_evaluation(tmp_path / "run", SeeingModel(samples), other)


class Forgetful(SeeingModel):
    """Leaves the last request out."""

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        yield from super().answer(list(requests)[:-1], sampling, decoding)


class Stammering(SeeingModel):
    """Answers the first request twice."""

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        for request in requests:
            yield request.id, Failed(reason="x")
            yield request.id, Failed(reason="x")


@pytest.mark.parametrize(("kind", "words"), [(Forgetful, "unanswered"), (Stammering, "twice")])
def test_an_engine_that_breaks_the_protocol_is_found_out(
    tmp_path: Path, kind: type[SeeingModel], words: str
) -> None:
    samples = make_samples(tmp_path / "clips", 4)
    with pytest.raises(RuntimeError, match=words):
        run_evaluation(tmp_path / "run", kind(samples), samples)


def test_requests_are_made_only_as_the_model_draws_them(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 40)
    model = SeeingModel(samples, batch=4)
    on_disk: list[int] = []

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "records" and done:
            file = tmp_path / "run" / "records.jsonl"
            on_disk.append(len(file.read_bytes().splitlines()) - done)

    run_evaluation(tmp_path / "run", model, samples, on_progress=watch)
    assert set(on_disk) == {0}  # every answer is on disk before the next one comes


@pytest.mark.parametrize("group_size", [1, 2, 3, 4])
def test_wrong_clips_are_of_the_same_scenario_and_another_group(
    tmp_path: Path, group_size: int
) -> None:
    samples = make_samples(tmp_path, 24, group_size=group_size)
    pairs = wrong_clips(samples)
    assert pairs.keys() == {s.id for s in samples}
    for sample in samples:
        assert pairs[sample.id].scenario == sample.scenario
        assert pairs[sample.id].group != sample.group
    assert len({clip.id for clip in pairs.values()}) == 24  # every clip is used once
    assert wrong_clips(samples[::-1]) == pairs


def test_a_group_that_is_most_of_its_scenario_still_gets_wrong_clips(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 20)
    stack = [replace(s, group="big") for s in samples if s.scenario == "stack"]
    alone = [s for s in samples if s.scenario != "stack"][:1]
    few = [replace(stack[0], group="small"), *stack[1:], *alone]
    pairs = wrong_clips(few)
    assert pairs.keys() == {s.id for s in few} - {alone[0].id}
    assert all(pairs[s.id].group != s.group for s in few if s.id in pairs)


def test_a_first_trial_of_zero_goes_without_saying() -> None:
    """So runs from before the setting existed go on; another first trial makes another run."""
    assert "first_trial" not in evaluation_settings(EvalConfig())["sampling"]
    later = EvalConfig(sampling=Sampling(first_trial=5))
    assert evaluation_settings(later)["sampling"]["first_trial"] == 5
