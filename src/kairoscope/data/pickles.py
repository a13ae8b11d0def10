"""The older scripts' two kinds of pickles, read without running anything (see `unpickle`).

*Prompts and responses* (`formatted_prompts_and_responses.pkl`), in any of these forms:

    {"system_prompt": "…", "responses": {"coffee_d0_demo_2": "Event 1: <2.9> <5.5> grasping …"}}
    {"system_prompt": "…", "responses": ["Event 1: …", …]}         with `videos` in the same order
    {"a.mp4": ("prompt", "response")}                              or {"prompt": …, "response": …}
    [{"video": "a.mp4", "prompt": "…", "response": "…"}, …]

*Results* (`results_<clip>.pkl`, one a clip): the raw answers of every trial, by frame rate.

    {"video_path": "videos/a.mp4", "prompt_type": "cube", "fps8": ["answer", "answer", …]}
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeVar

from kairoscope.answers import parse_events
from kairoscope.core import Unparsed, UserError
from kairoscope.data.clips import VIDEO_SUFFIXES
from kairoscope.data.labels import LabelRow
from kairoscope.data.messages import event_names, labelled
from kairoscope.data.rows import Problem, show
from kairoscope.data.unpickle import load_plain

_EVENT = re.compile(r"^\s*Event\s+(\d{1,3})\s*:", re.IGNORECASE | re.MULTILINE)
_FPS = re.compile(r"fps(\d+(?:\.\d+)?)")

Out = TypeVar("Out")
Found = tuple[str, str | None, Any]
"""(video, prompt or None, response)."""


def read_prompts(
    path: Path, *, videos: Sequence[str] | None = None, problems: list[Problem] | None = None
) -> list[LabelRow]:
    """The labels in a pickle of prompts and responses.

    The events are those of the prompt, or of the response where the prompt lists none. A
    demonstration's name becomes that of its clip as the older script makes it:
    `coffee_d0_demo_2` -> `coffee_d0_demo2_agentview.mp4`.

    Args:
        path: the pickle.
        videos: clips in the order of the responses, where these are a list without names.
        problems: takes the entries that cannot be used; without it, the first one raises.

    Raises:
        UserError: not a pickle of plain data, none of the known forms, a bad entry and no list
            to put it in, or not one usable entry.
    """
    try:
        found = list(_prompted(load_plain(path), videos))
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    attempts = ((f"{path}: {entry[0]}", partial(_label, *entry)) for entry in found)
    rows = _collect(attempts, problems)
    if not rows:
        raise UserError(f"{path}: none of its {len(found)} entries can be used")
    twice = _repeated([row.video for row in rows])
    if twice:
        raise UserError(f"{path}: video {twice!r} has two entries; allowed: one")
    return rows


def read_results(
    path: Path,
    *,
    fps: float | None = None,
    num_trials: int | None = None,
    problems: list[Problem] | None = None,
) -> list[dict[str, Any]]:
    """Raw answers as rows for `kairoscope score`: `{"video": …, "trial": 0, "text": "…"}`.

    `video` is the file name of the pickle's `video_path`, or else the clip's name in the name of
    the pickle. An answer that is not there becomes the empty text, which scores worst.

    Args:
        path: a pickle, or a folder with `results_*.pkl`.
        fps: which of the frame rates, where a pickle has several.
        num_trials: how many trials there were: the older scripts leave out those that failed.
        problems: takes the pickles that cannot be used; without it, the first one raises.

    Raises:
        UserError: no such file, no results in the folder, a bad pickle and no list to put it in,
            or two pickles about the same clip.
    """
    files = sorted(path.glob("results_*.pkl")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no results_*.pkl in this folder")
    attempts = ((str(file), partial(_answers, file, fps, num_trials)) for file in files)
    answers = _collect(attempts, problems)
    if not answers:
        raise UserError(f"{path}: none of its {len(files)} pickles can be used")
    twice = _repeated([video for video, _ in answers])
    if twice:
        raise UserError(f"{path}: two pickles hold answers about {twice!r}; allowed: one a clip")
    return [
        {"video": video, "trial": trial, "text": text}
        for video, texts in answers
        for trial, text in enumerate(texts)
    ]


def _prompted(data: Any, videos: Sequence[str] | None) -> Iterator[Found]:
    if isinstance(data, dict) and "responses" in data:
        yield from _of_responses(data["responses"], videos)
    elif isinstance(data, dict):
        for video, entry in data.items():
            yield str(video), *_pair(video, entry)
    elif isinstance(data, list):
        for number, entry in enumerate(data, 1):
            video = entry.get("video") if isinstance(entry, dict) else None
            if not isinstance(video, str):
                raise UserError(f"entry {number} is {show(entry)}; allowed: a dict with 'video'")
            yield video, *_pair(video, entry)
    else:
        raise UserError(f"holds {show(data)}; allowed: prompts and responses")


def _of_responses(responses: Any, videos: Sequence[str] | None) -> Iterator[Found]:
    if isinstance(responses, dict):
        for name, response in responses.items():
            yield _clip_name(str(name)), None, response
    elif not isinstance(responses, list):
        raise UserError(f"'responses' is {show(responses)}; allowed: a dict or a list")
    elif videos is None or len(videos) != len(responses):
        count = "none" if videos is None else str(len(videos))
        raise UserError(
            f"its {len(responses)} responses have no names: as many videos are needed, got {count}"
        )
    else:
        for video, response in zip(videos, responses, strict=True):
            yield video, None, response


def _pair(video: Any, entry: Any) -> tuple[str | None, Any]:
    if isinstance(entry, dict) and "response" in entry:
        return entry.get("prompt"), entry["response"]
    if isinstance(entry, tuple | list) and len(entry) == 2:
        return entry[0], entry[1]
    raise UserError(f"{video!r} holds {show(entry)}; allowed: a prompt and a response")


def _clip_name(name: str) -> str:
    if PurePath(name).suffix.lower() in VIDEO_SUFFIXES:
        return name
    return name.replace("demo_", "demo") + "_agentview.mp4"


def _label(video: str, prompt: Any, response: Any) -> LabelRow:
    if not isinstance(response, str):
        raise UserError(f"the response is {show(response)}; allowed: text")
    names = event_names(prompt) if isinstance(prompt, str) else []
    return labelled(video, names or _answered_names(response), response)


def _answered_names(response: str) -> list[str]:
    """The names in a text such as `Event 1: <2.9> <5.5> grasping the pod`."""
    count = len({int(number) for number in _EVENT.findall(response)})
    places = tuple(f"unnamed {number}" for number in range(1, count + 1))
    events = parse_events(response, places)
    if isinstance(events, Unparsed):
        raise UserError(f"response {show(response)}: {events.reason}")
    names = {event.number: event.name for event in events}
    for number, place in enumerate(places, 1):
        if names.get(number, place) == place:
            lacks = "name" if number in names else "usable times"
            raise UserError(f"response {show(response)}: event {number} has no {lacks}")
    return [event.name for event in events]


def _answers(file: Path, fps: float | None, num_trials: int | None) -> tuple[str, list[str]]:
    data = load_plain(file)
    if not isinstance(data, dict):
        raise UserError(f"holds {show(data)}; allowed: a dict with 'fps8' or the like")
    rates = {float(match[1]): key for key in data if (match := _FPS.fullmatch(str(key)))}
    if fps is None and len(rates) == 1:
        [fps] = rates
    if fps not in rates:
        have = ", ".join(rates.values()) or "no answers at all"
        raise UserError(f"fps {fps} is asked for; the pickle has {have}")
    trials = data[rates[fps]]
    if not isinstance(trials, list):
        raise UserError(f"{rates[fps]!r} is {show(trials)}; allowed: a list of answers")
    texts = [_trial_text(trial) for trial in trials]
    texts += [""] * ((num_trials or 0) - len(texts))
    given = data.get("video_path")
    named = PurePath(given).name if isinstance(given, str) else ""
    return named or file.stem.removeprefix("results_"), texts


def _trial_text(trial: Any) -> str:
    """One answer: text, or the list with one text that `batch_decode` gives; None is no answer."""
    if isinstance(trial, list) and len(trial) <= 1:
        trial = trial[0] if trial else None
    if trial is not None and not isinstance(trial, str):
        raise UserError(f"a trial is {show(trial)}; allowed: text")
    return trial or ""


def _collect(
    attempts: Iterable[tuple[str, Callable[[], Out]]], problems: list[Problem] | None
) -> list[Out]:
    """The results of the calls that succeed; a failing one raises or becomes a problem."""
    results: list[Out] = []
    for where, call in attempts:
        try:
            results.append(call())
        except UserError as error:
            what = str(error).removeprefix(f"{where}: ")
            if problems is None:
                raise UserError(f"{where}: {what}") from error
            problems.append(Problem(where=where, what=what))
    return results


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
