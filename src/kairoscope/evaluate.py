"""(model, task, samples) -> records, metrics and the list of what went wrong, in a run directory.

    records.jsonl   one row an answer: every sample asked for, in every trial; n in = n out
    unscored.jsonl  answers about clips that their label does not fit; listed, never scored
    control.jsonl   the same questions asked about another clip of the same scenario
    blind.jsonl     the same questions asked without any clip, where that is wanted
    metrics.json    what they say together
    problems.json   unreadable clips, unparsed answers, samples without gold or without control

Every answer is on disk before the next one is asked for more than the engine's own batch ahead, so
that a run may end at any time and goes on where it was.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kairoscope.asking import (
    FILE,
    UNSCORED,
    AnySample,
    AnyTask,
    Evaluation,
    Progress,
    Question,
    ask,
)
from kairoscope.config import EvalConfig
from kairoscope.core import FramePolicy, Model, UserError
from kairoscope.data.rows import Problem
from kairoscope.metrics.blind import gain_over
from kairoscope.problems import evaluation_problems
from kairoscope.runs import Run, read_records
from kairoscope.shards import Shard, take_in_records, trials_done
from kairoscope.storage import canonical_json, file_state, plain
from kairoscope.wrong_video import wrong_clips

BLIND = "blind"
ANSWERS = ("records", UNSCORED)
SHARED = (*ANSWERS, BLIND)
"""What several processes may share out."""


def evaluation_settings(config: EvalConfig) -> dict[str, Any]:
    """Settings as a run keeps them. What all older runs had, a first trial of 0 and no questions without
    a clip, goes without saying.
    """
    settings: dict[str, Any] = plain(config)
    if not settings["sampling"]["first_trial"]:
        del settings["sampling"]["first_trial"]
    if not settings["blind_control"]:
        del settings["blind_control"]
    return settings


def evaluation_config(
    model: Model,
    task: AnyTask,
    samples: Sequence[AnySample],
    *,
    policy: FramePolicy,
    config: EvalConfig,
) -> dict[str, Any]:
    """What makes an evaluation the same one: `Run.open(kind="evaluation", config=...)`."""
    return {
        "model": model.name,
        "model_identity": model.identity,
        "task": task.name,
        "task_version": task.version,
        "headline": task.headline,
        "frames": plain(policy),
        "evaluation": evaluation_settings(config),
        "samples": samples_digest(task, samples),
    }


def samples_digest(task: AnyTask, samples: Sequence[AnySample]) -> dict[str, Any]:
    """How many samples there are, and a digest of their questions and gold answers.

    The same whatever their order and wherever the clips lie.
    """
    rows = sorted(
        canonical_json(
            [s.id, s.query, None if s.gold is None else task.to_json(s.gold), s.group, s.scenario]
        )
        for s in samples
    )
    digest = hashlib.sha256("\n".join(rows).encode("utf-8")).hexdigest()
    return {"count": len(samples), "sha256": digest}


def evaluate(
    model: Model,
    task: AnyTask,
    samples: Sequence[AnySample],
    *,
    policy: FramePolicy,
    config: EvalConfig,
    run: Run,
    on_progress: Progress | None = None,
    data_problems: Sequence[Problem] = (),
) -> dict[str, Any]:
    """Ask, score and keep every sample that the run does not hold yet; return `metrics.json`.

    A clip that cannot be read is scored at the worst value in every trial and listed. Samples
    without a gold answer are listed and not asked. A label that goes on after its clip has ended, or
    says that the clip lasts much longer or less than it does, is listed and not scored: no answer
    could be right. `data_problems` (label rows that made no sample) are listed with the rest. Raises `UserError` where two samples share an id, where none
    has a gold answer, and where the run folder cannot be written.
    """
    scorable = _scorable(task, samples, config)
    job = Evaluation(
        model=model,
        task=task,
        policy=policy,
        config=config,
        run=run,
        on_progress=on_progress or (lambda *_: None),
    )
    videos = {sample.id: sample.video for sample in scorable}
    for name in SHARED:
        take_in_records(run, name, videos)
    _forget_mended(run, scorable)
    ask(job, "records", [Question(sample=s, clip=s) for s in scorable], config.sampling)
    unpaired: list[AnySample] = []
    if config.wrong_video_control:
        unpaired = _ask_control(job, scorable)
    if config.blind_control:
        _ask_blind(job, scorable)
    records, unscored = read_records(run), read_records(run, UNSCORED)
    listed = evaluation_problems([*records, *unscored], samples, unpaired, data_problems)
    run.write_json("problems.json", listed)
    if not records:
        raise UserError(f"{run.path}: no label fits its clip; see problems.json")
    metrics = _summary(run, task, scorable, config)
    run.write_json("metrics.json", metrics)
    return metrics


def evaluate_share(
    model: Model,
    task: AnyTask,
    samples: Sequence[AnySample],
    *,
    shard: Shard,
    policy: FramePolicy,
    config: EvalConfig,
    run: Run,
    out: Path,
    on_progress: Progress | None = None,
) -> bool:
    """Ask about one share of the samples in a run of its own; returns whether all are answered now.

    What another process has answered, in the folder of all or in another shard, is left out. Which clip
    is the wrong one for a question hangs on which can be read, so that control is for `evaluate`.

    Args:
        model: as for `evaluate`, as are `task`, `samples`, `policy`, `config` and `on_progress`.
        shard: which share.
        run: the shard's.
        out: folder of all.

    Raises:
        UserError: as `evaluate`.
    """
    scorable = _scorable(task, samples, config)
    job = Evaluation(
        model=model,
        task=task,
        policy=policy,
        config=config,
        run=run,
        on_progress=on_progress or (lambda *_: None),
    )
    trials = config.sampling.trials
    by_id = {sample.id: sample for sample in scorable}
    mine = [by_id[name] for name in shard.takes(sorted(by_id))]
    _forget_mended(run, mine)
    elsewhere = trials_done(out, ANSWERS, besides=run.path)
    left = [sample for sample in mine if len(elsewhere.get(sample.id, ())) < trials]
    ask(job, "records", [Question(sample=s, clip=s) for s in left], config.sampling)
    if config.blind_control:
        told = trials_done(out, [BLIND], besides=run.path)
        _ask_blind(job, [sample for sample in mine if sample.id not in told])
        if not by_id.keys() <= trials_done(out, [BLIND]).keys():
            return False
    done = trials_done(out, ANSWERS)
    return all(len(done.get(name, ())) >= trials for name in by_id)


def _scorable(
    task: AnyTask, samples: Sequence[AnySample], config: EvalConfig
) -> Sequence[AnySample]:
    """The samples with a gold answer. Raises UserError where nothing can be asked or scored."""
    _check_ids(samples)
    scorable = [sample for sample in samples if sample.gold is not None]
    if not scorable:
        raise UserError(f"none of the {len(samples)} samples has a gold answer to score against")
    if config.blind_control:
        _check_blind(task, scorable[0])
    return scorable


def _forget_mended(run: Run, samples: Sequence[AnySample]) -> None:
    """Have clips asked about again that could not be read and have been changed since.

    With one clip more to choose from, every control may ask about another clip.
    """
    videos = {sample.id: sample.video for sample in samples}

    def is_mended(row: dict[str, Any]) -> bool:
        video = videos.get(row["sample_id"])
        return row["failed"] and video is not None and row["extra"].get(FILE) != file_state(video)

    if run.forget("records", is_mended):
        run.forget("control", lambda _: True)


def _check_ids(samples: Sequence[AnySample]) -> None:
    twice = [name for name, count in Counter(s.id for s in samples).items() if count > 1]
    if twice:
        raise UserError(f"sample id {twice[0]!r} is used twice; every sample needs its own")


# --- the wrong-video control ---------------------------------------------------------------


def _ask_control(job: Evaluation, samples: Sequence[AnySample]) -> list[AnySample]:
    """Ask about the wrong clips, one trial each; returns the samples for which there is none.

    Clips that could not be read take no part. A duration that only the frames could tell is the
    one of the sample's own clip.
    """
    durations: dict[str, float] = {}
    for row in job.run.rows("records"):
        if not row["failed"]:
            durations[row["sample_id"]] = row["duration_s"]
    readable = [replace(s, duration_s=durations[s.id]) for s in samples if s.id in durations]
    pairs = wrong_clips(readable)
    questions = [Question(sample=s, clip=pairs[s.id]) for s in readable if s.id in pairs]
    ask(job, "control", questions, replace(job.config.sampling, trials=1))
    return [s for s in readable if s.id not in pairs]


def _check_blind(task: AnyTask, sample: AnySample) -> None:
    """Raise UserError for a task whose answers are times of frames: without a clip there are none."""
    try:
        task.template(sample.query, ())
    except ValueError as error:
        raise UserError(
            f"--blind: {task.name} answers with times of frames, and without a clip there are none; "
            "its no-video prior is in every table"
        ) from error


def _ask_blind(job: Evaluation, samples: Sequence[AnySample]) -> None:
    """Ask every question without a clip, one trial each."""
    questions = [Question(sample=sample, clip=None) for sample in samples]
    ask(job, BLIND, questions, replace(job.config.sampling, trials=1))


# --- summing up ----------------------------------------------------------------------------


def _summary(
    run: Run, task: AnyTask, samples: Sequence[AnySample], config: EvalConfig
) -> dict[str, Any]:
    """`metrics.json`: a function of the set of records, not of the order they were made in."""
    wanted = {sample.id for sample in samples}
    records, control, blind = (
        [r for r in read_records(run, name) if r.sample_id in wanted]
        for name in ("records", "control", BLIND)
    )
    draws = config.bootstrap_draws
    metrics = task.summarize(records, control=control, draws=draws)
    if blind:
        gain = gain_over(blind, records, task.headline, draws=draws)
        metrics[BLIND] = task.summarize(blind, draws=draws) | {"gain": gain}
    return metrics
