"""(model, task, samples) -> records, metrics and the list of what went wrong, in a run directory.

    records.jsonl   one row an answer: every sample asked for, in every trial; n in = n out
    unscored.jsonl  answers about clips that end before their label does; listed, never scored
    control.jsonl   the same questions asked about another clip of the same scenario
    metrics.json    what the two say together
    problems.json   unreadable clips, unparsed answers, samples without gold or without control

Every answer is on disk before the next one is asked for more than the engine's own batch ahead, so
that a run may end at any time and goes on where it was.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os.path import relpath
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig
from kairoscope.core import (
    Completion,
    Failed,
    FramePolicy,
    Model,
    Record,
    Request,
    Sample,
    Sampling,
    Task,
    Unparsed,
    UserError,
)
from kairoscope.data.rows import Problem
from kairoscope.events import past_end
from kairoscope.metrics import summarize
from kairoscope.problems import LABEL_FAULT, evaluation_problems
from kairoscope.runs import Run, read_records, record_to_json
from kairoscope.storage import canonical_json, file_state, plain
from kairoscope.wrong_video import wrong_clips

AnyTask = Task[Any, Any]
AnySample = Sample[Any, Any]
UNSCORED = "unscored"
FILE = "file"
"""Key of a record's `extra`: state of the file that could not be read."""
Progress = Callable[[str, int, int], None]
"""(`records` or `control`, samples finished, samples in all)."""


def evaluation_config(
    model: Model,
    task: AnyTask,
    samples: Sequence[AnySample],
    *,
    policy: FramePolicy,
    config: EvalConfig,
) -> dict[str, Any]:
    """What makes an evaluation the same one: `Run.open(kind="evaluation", config=...)`.

    The samples stand for themselves by a digest of their questions and gold answers, whatever
    their order and wherever the clips lie.
    """
    rows = sorted(
        canonical_json(
            [s.id, s.query, None if s.gold is None else task.to_json(s.gold), s.group, s.scenario]
        )
        for s in samples
    )
    digest = hashlib.sha256("\n".join(rows).encode("utf-8")).hexdigest()
    settings: dict[str, Any] = plain(config)
    return {
        "model": model.name,
        "model_identity": model.identity,
        "task": task.name,
        "task_version": task.version,
        "headline": task.headline,
        "frames": plain(policy),
        "evaluation": settings,
        "samples": {"count": len(samples), "sha256": digest},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What stays the same from the first request of an evaluation to the last."""

    model: Model
    task: AnyTask
    policy: FramePolicy
    config: EvalConfig
    run: Run
    on_progress: Progress


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
    without a gold answer are listed and not asked. A label that goes on after its clip has ended
    is listed and not scored: no answer could be right. `data_problems` (label rows that made no
    sample) are listed with the rest. Raises `UserError` where two samples share an id, where none
    has a gold answer, and where the run folder cannot be written.
    """
    _check_ids(samples)
    scorable = [sample for sample in samples if sample.gold is not None]
    if not scorable:
        raise UserError(f"none of the {len(samples)} samples has a gold answer to score against")
    job = Evaluation(
        model=model,
        task=task,
        policy=policy,
        config=config,
        run=run,
        on_progress=on_progress or (lambda *_: None),
    )
    _forget_mended(run, scorable)
    _ask(job, "records", [Question(sample=s, clip=s) for s in scorable], config.sampling)
    unpaired: list[AnySample] = []
    if config.wrong_video_control:
        unpaired = _ask_control(job, scorable)
    records, unscored = read_records(run), read_records(run, UNSCORED)
    listed = evaluation_problems([*records, *unscored], samples, unpaired, data_problems)
    run.write_json("problems.json", listed)
    if not records:
        raise UserError(f"{run.path}: no label fits its clip; see problems.json")
    metrics = _summary(run, scorable, config)
    run.write_json("metrics.json", metrics)
    return metrics


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


# --- asking --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A sample's question about a clip: its own, or for the control another sample's."""

    sample: AnySample
    clip: AnySample


def _ask(job: Evaluation, name: str, questions: Sequence[Question], sampling: Sampling) -> None:
    """Answer what has not all its trials on disk, and append each answer as it comes."""
    done_keys = job.run.done_keys(name) | (
        job.run.done_keys(UNSCORED) if name == "records" else set()
    )
    trials = Counter(sample_id for sample_id, _ in done_keys)
    open_questions = {q.sample.id: q for q in questions if trials[q.sample.id] < sampling.trials}
    done = len(questions) - len(open_questions)
    job.on_progress(name, done, len(questions))
    if not open_questions:
        return
    requests = _requests(job, tuple(open_questions.values()))
    for request_id, answer in job.model.answer(requests, sampling, job.config.decoding):
        if request_id not in open_questions:
            raise RuntimeError(
                f"{job.model.name} answered {request_id!r} twice or without a request"
            )
        question = open_questions.pop(request_id)
        records = list(_records(job, question, answer, sampling.trials))
        file = UNSCORED if any(LABEL_FAULT in record.extra for record in records) else name
        job.run.append_all(file, [record_to_json(record) for record in records])
        done += 1
        job.on_progress(name, done, len(questions))
    if open_questions:
        first = next(iter(open_questions))
        raise RuntimeError(f"{job.model.name} left {len(open_questions)} unanswered, as {first!r}")


def _requests(job: Evaluation, questions: Iterable[Question]) -> Iterator[Request]:
    for question in questions:
        query = question.sample.query
        yield Request(
            id=question.sample.id,
            video=question.clip.video,
            prompt=job.task.prompt(query),
            policy=job.policy,
            template=partial(job.task.template, query),
        )


def _records(
    job: Evaluation, question: Question, answer: tuple[Completion, ...] | Failed, trials: int
) -> Iterator[Record]:
    """One record a trial, whatever became of it."""
    if isinstance(answer, Failed):
        failed = Unparsed(f"the clip could not be read: {answer.reason}")
        for trial in range(trials):
            yield _record(job, question, failed, trial, None)
        return
    if len(answer) != trials:
        raise RuntimeError(f"{job.model.name} gave {len(answer)} trials, {trials} were asked for")
    for completion in answer:
        value = job.task.parse(question.sample.query, completion.text)
        yield _record(job, question, value, completion.trial, completion)


def _record(
    job: Evaluation, question: Question, value: Any, trial: int, completion: Completion | None
) -> Record:
    sample = question.sample
    times_s = completion.frame_times_s if completion else ()
    if sample.duration_s is None and question.clip is sample and times_s:
        sample = replace(sample, duration_s=_duration_s(times_s))
    unparsed = value.reason if isinstance(value, Unparsed) else None
    record = Record(
        sample_id=sample.id,
        video=_from_run(question.clip.video, job.run),
        group=sample.group,
        scenario=sample.scenario,
        trial=trial,
        text=completion.text if completion else "",
        value=None if unparsed is not None else plain(job.task.to_json(value)),
        unparsed=unparsed,
        gold=plain(job.task.to_json(sample.gold)),
        query=plain(sample.query),
        scores=job.task.score(value, sample),
        duration_s=sample.duration_s or 0.0,
        failed=completion is None,
        extra=_extra(question, times_s),
    )
    if completion is None:
        return record
    return replace(
        record,
        frame_times_s=times_s,
        posteriors=tuple(plain(posterior) for posterior in completion.posteriors),
        num_prompt_tokens=completion.num_prompt_tokens,
        num_vision_tokens=completion.num_vision_tokens,
        num_new_tokens=completion.num_new_tokens,
        seconds=completion.seconds,
    )


def _extra(question: Question, times_s: Sequence[float]) -> dict[str, Any]:
    """What else a record keeps: whose clip was shown, the unreadable file, the label's fault."""
    if question.clip is not question.sample:
        return {"asked_about": question.clip.id}
    if not times_s:
        return {FILE: file_state(question.clip.video)}
    fault = past_end(question.sample.gold, _duration_s(times_s))
    return {} if fault is None else {LABEL_FAULT: fault}


def _duration_s(times_s: Sequence[float]) -> float:
    """Length of a clip from its sampled frames: the last one is shown for a step, too."""
    step_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
    return times_s[-1] + step_s


def _from_run(video: Path, run: Run) -> str:
    """Path of a clip as seen from the run folder, so that both can be moved together."""
    absolute = video.parent.resolve() / video.name
    return Path(relpath(absolute, run.path.resolve())).as_posix()


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
    _ask(job, "control", questions, replace(job.config.sampling, trials=1))
    return [s for s in readable if s.id not in pairs]


# --- summing up ----------------------------------------------------------------------------


def _summary(run: Run, samples: Sequence[AnySample], config: EvalConfig) -> dict[str, Any]:
    """`metrics.json`: a function of the set of records, not of the order they were made in."""
    wanted = {sample.id for sample in samples}
    records, control = (
        [r for r in read_records(run, name) if r.sample_id in wanted]
        for name in ("records", "control")
    )
    return summarize(records, control=control, draws=config.bootstrap_draws)
