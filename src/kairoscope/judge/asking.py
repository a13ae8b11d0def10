"""Asking a judge: every question once, every answer on disk before many more are asked for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kairoscope.core import (
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Model,
    Request,
    Sampling,
    Unparsed,
)
from kairoscope.judge.questions import JUDGEMENT, JudgeQuestion, judge_prompt
from kairoscope.judge.reading import read_judgement
from kairoscope.runs import Run

FILE = "judgements"
"""`judgements.jsonl`: a row for each question and repeat."""
KEY = ("id", "repeat")
NO_ANSWER = "there is no answer to judge"
Row = dict[str, Any]


def judge_request(asked: JudgeQuestion) -> Request:
    """A question as models are asked it: words alone."""
    return Request(
        id=asked.id,
        video=None,
        prompt=judge_prompt(asked),
        policy=FramePolicy(),
        template=lambda _: JUDGEMENT,
    )


def ask_judge(
    model: Model,
    questions: Sequence[JudgeQuestion],
    sampling: Sampling,
    decoding: Decoding,
    run: Run,
    on_progress: Callable[[int, int], None],
) -> None:
    """Have every question judged `sampling.trials` times that the run does not hold yet.

    All repeats of a question are written at once: a kill loses what was being asked, and nothing else. A
    question that the judge fails at is kept as such; it counts as the lowest score.
    """
    done = run.done_keys(FILE, KEY)
    todo = [
        q for q in questions if any((q.id, repeat) not in done for repeat in range(sampling.trials))
    ]
    nothing = [
        row for q in todo if q.missing for row in _failed(q, sampling, NO_ANSWER, missing=True)
    ]
    if nothing:
        run.append_all(FILE, nothing)
    open_questions = {q.id: q for q in todo if not q.missing}
    num_done = len(questions) - len(open_questions)
    on_progress(num_done, len(questions))
    requests = map(judge_request, tuple(open_questions.values()))
    if not open_questions:
        return
    for name, answer in model.answer(requests, sampling, decoding):
        asked = open_questions.pop(name)
        run.append_all(FILE, list(_rows(asked, answer, sampling)))
        num_done += 1
        on_progress(num_done, len(questions))
    if open_questions:
        first = next(iter(open_questions))
        raise RuntimeError(f"{model.name} left {len(open_questions)} unanswered, as {first!r}")


def _rows(
    asked: JudgeQuestion, answer: tuple[Completion, ...] | Failed, sampling: Sampling
) -> Iterator[Row]:
    if isinstance(answer, Failed):
        yield from _failed(asked, sampling, answer.reason)
        return
    for completion in answer:
        yield _row(asked, completion.trial) | {
            **_read(completion.text),
            "text": completion.text,
            "prompt_tokens": completion.num_prompt_tokens,
            "new_tokens": completion.num_new_tokens,
            "seconds": round(completion.seconds, 6),
            **({"stored": True} if completion.stored else {}),
        }


def _read(text: str) -> Row:
    found = read_judgement(text)
    if isinstance(found, Unparsed):
        return {"score": None, "reason": "", "failed": found.reason}
    return {"score": found.score, "reason": found.reason, "failed": None}


def _failed(
    asked: JudgeQuestion, sampling: Sampling, reason: str, *, missing: bool = False
) -> Iterator[Row]:
    for repeat in range(sampling.trials):
        row = _row(asked, repeat) | {"score": None, "reason": "", "failed": reason, "text": ""}
        yield row | ({"missing": True} if missing else {})


def _row(asked: JudgeQuestion, repeat: int) -> Row:
    return {
        "id": asked.id,
        "sample_id": asked.sample_id,
        "group": asked.group,
        "trial": asked.trial,
        "field": asked.field,
        "control": asked.control,
        "repeat": repeat,
        "first": asked.first,
        "second": asked.second,
    }
