"""Questions about clips -> one record a trial in a run, each on disk before many more are asked for.

A question that has all its trials in the run is not asked again. A clip that cannot be read gives
records, too: n in = n out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
)
from kairoscope.events import past_end, wrong_duration
from kairoscope.problems import LABEL_FAULT
from kairoscope.records import record_to_json
from kairoscope.runs import Run
from kairoscope.storage import file_state, plain

AnyTask = Task[Any, Any]
AnySample = Sample[Any, Any]
UNSCORED = "unscored"
FILE = "file"
"""Key of a record's `extra`: state of the file that could not be read."""
Progress = Callable[[str, int, int], None]
"""(`records`, `control` or `blind`, samples finished, samples in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What stays the same from the first request of an evaluation to the last."""

    model: Model
    task: AnyTask
    policy: FramePolicy
    config: EvalConfig
    run: Run
    on_progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A sample's question about a clip: its own, for a control another sample's, or none at all."""

    sample: AnySample
    clip: AnySample | None


def ask(job: Evaluation, name: str, questions: Sequence[Question], sampling: Sampling) -> None:
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
        records = list(_records(job, question, answer, sampling))
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
            video=question.clip.video if question.clip else None,
            prompt=job.task.prompt(query),
            policy=job.policy,
            template=partial(job.task.template, query),
            query=query,
        )


def _records(
    job: Evaluation,
    question: Question,
    answer: tuple[Completion, ...] | Failed,
    sampling: Sampling,
) -> Iterator[Record]:
    """One record a trial, whatever became of it."""
    if isinstance(answer, Failed):
        failed = Unparsed(f"the clip could not be read: {answer.reason}")
        for trial in range(sampling.first_trial, sampling.first_trial + sampling.trials):
            yield _record(job, question, failed, trial, None)
        return
    if len(answer) != sampling.trials:
        raise RuntimeError(
            f"{job.model.name} gave {len(answer)} trials, {sampling.trials} were asked for"
        )
    for completion in answer:
        value = job.task.parse(question.sample.query, completion.text)
        yield _record(job, question, value, completion.trial, completion)


def _record(
    job: Evaluation, question: Question, value: Any, trial: int, completion: Completion | None
) -> Record:
    sample = question.sample
    times_s = completion.frame_times_s if completion else ()
    if sample.duration_s is None and question.clip is sample and times_s:
        sample = replace(sample, duration_s=times_s[-1] + _step_s(times_s))
    unparsed = value.reason if isinstance(value, Unparsed) else None
    record = Record(
        sample_id=sample.id,
        video=job.run.path_to(question.clip.video) if question.clip else "",
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
        extra=_extra(question, times_s) | _expected(job.task, completion) | _origin(completion),
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
    if question.clip is None:
        return {"blind": True}
    if question.clip is not question.sample:
        return {"asked_about": question.clip.id}
    if not times_s:
        return {FILE: file_state(question.clip.video)}
    duration_s, step_s = times_s[-1] + _step_s(times_s), _step_s(times_s)
    other = wrong_duration(question.sample.duration_s, duration_s, slack_s=step_s)
    late = past_end(question.sample.gold, duration_s)
    if other or late:
        return {LABEL_FAULT: ["wrong duration", other] if other else ["label past the end", late]}
    return {}


def _expected(task: AnyTask, completion: Completion | None) -> dict[str, float]:
    """The mean of the answer's distribution, for tasks whose answers are numbers."""
    expected = task.expected(completion.posteriors) if completion else None
    return {} if expected is None else {"expected": round(expected, 6)}


def _origin(completion: Completion | None) -> dict[str, bool]:
    """Whether the answer was there before the run: its seconds are those that it took then."""
    return {"stored": True} if completion is not None and completion.stored else {}


def _step_s(times_s: Sequence[float]) -> float:
    """Mean distance of a clip's sampled frames; the last one is shown for a step, too."""
    return (times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
