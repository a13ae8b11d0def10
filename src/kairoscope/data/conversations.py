"""Hugging Face datasets on disk in the conversation form of the recipes and of cosmos-rl.

A dataset has one column, `conversations`, whose value is a JSON *text*: a list of messages

    {"role": "system", "content": "…"}
    {"role": "user", "content": [{"type": "video", "video": "videos/a.mp4"},
                                 {"type": "text", "text": "Event 1: grasping the pod"}]}
    {"role": "assistant", "content": "<answer>\\nEvent 1: <2.9> <5.5> grasping the pod\\n</answer>"}

Datasets written here carry `id`, `group`, `scenario` and `duration_s` as further columns, which
other readers ignore. `datasets` is imported only when a dataset is opened.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kairoscope.core import Prompt, Sample, Task, UserError
from kairoscope.data.labels import EventSample
from kairoscope.data.messages import (
    Messages,
    event_names,
    labelled,
    parse_messages,
    prompt_of,
    turns,
    user_parts,
)
from kairoscope.data.rows import Problem, kind_of
from kairoscope.storage import whole_folder

COLUMN = "conversations"
_DEMONSTRATION = re.compile(r"(.*demo[-_]?[0-9]+)[-_.][^/]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One row of a dataset: the sample, and the very words that its authors used."""

    sample: EventSample
    prompt: Prompt
    """Its own system text, and its texts before and after the video."""
    answer: str
    """The assistant's text as it stands in the dataset."""
    messages: Messages


def is_dataset(path: Path) -> bool:
    """Whether a folder holds what `datasets.save_to_disk` writes."""
    names = ("dataset_info.json", "dataset_dict.json")
    return any(kind_of(path / name) == "file" for name in names)


def read_conversations(
    path: Path,
    column: str = COLUMN,
    *,
    split: str | None = None,
    video_root: Path | None = None,
    problems: list[Problem] | None = None,
) -> list[EventSample]:
    """The samples of a dataset; arguments and errors as in `read_dataset`."""
    rows = read_dataset(path, column, split=split, video_root=video_root, problems=problems)
    return [row.sample for row in rows]


def read_messages(path: Path, column: str = COLUMN, *, split: str | None = None) -> list[Messages]:
    """The messages of every row, as they are.

    Raises:
        UserError: no dataset, no such column or split, or the first row that holds no messages.
    """
    try:
        return [parse_messages(row[column]) for row in _open(path, column, split)]
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_dataset(
    path: Path,
    column: str = COLUMN,
    *,
    split: str | None = None,
    video_root: Path | None = None,
    problems: list[Problem] | None = None,
) -> list[Conversation]:
    """Every usable row of a dataset about the times of events.

    The events asked for are the lines `Event N: name` of the user's text, the gold answer is the
    assistant's. Labels obey the rules of label files.

    Args:
        path: what `datasets.save_to_disk` wrote.
        column: the column with the conversations.
        split: which split, where the dataset has several.
        video_root: where relative paths of videos begin. Without it: the working folder, the
            dataset's folder or the one above it, whichever first has the first row's video.
        problems: takes the rows that cannot be used; without it, the first one raises.

    Raises:
        UserError: no dataset, no such column or split, a bad row and no list to put it in, or
            not one usable row.
    """
    return read_rows(
        path, column, _conversation, split=split, video_root=video_root, problems=problems
    )


class HasSample(Protocol):
    """A frozen dataclass with the sample of a row."""

    @property
    def sample(self) -> Sample[Any, Any]: ...  # noqa: D102


Row = TypeVar("Row", bound=HasSample)


def read_rows(
    path: Path,
    column: str,
    read: Callable[[Mapping[str, Any], Messages], Row],
    *,
    split: str | None = None,
    video_root: Path | None = None,
    problems: list[Problem] | None = None,
) -> list[Row]:
    """`read_dataset` for any task: `read` makes a row's sample, with `sample.video` as it is written,
    or raises UserError for one that cannot be used.
    """
    rows = _open(path, column, split)
    found: list[Problem] = []
    usable: list[Any] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        try:
            conversation: Any = read(row, parse_messages(row[column]))
        except UserError as error:
            found.append(Problem(where=f"{path}: row {number}", what=str(error)))
            continue
        if conversation.sample.id in seen:  # another question about the same clip
            name = f"{conversation.sample.id}#{number}"
            conversation = replace(conversation, sample=replace(conversation.sample, id=name))
        seen.add(conversation.sample.id)
        usable.append(conversation)
    if problems is not None:
        problems.extend(found)
    if found and (problems is None or not usable):
        raise UserError(f"{found[0]} ({len(found)} of {len(rows)} rows cannot be used)")
    if not usable:
        raise UserError(f"{path}: the dataset has no rows")
    root = video_root or _video_root(path, usable[0].sample.video)
    return [
        replace(item, sample=replace(item.sample, video=root / item.sample.video))
        for item in usable
    ]


def write_conversations(
    samples: Sequence[Sample[Any, Any]],
    path: Path,
    task: Task[Any, Any],
    *,
    video_root: Path | None = None,
) -> None:
    """Write samples as a dataset that `read_conversations` and cosmos-rl load.

    Args:
        samples: all with gold answers.
        path: a folder that does not exist yet, or is empty.
        task: gives the prompt and renders the gold answer.
        video_root: store paths of videos relative to this folder; absolute without it.

    Raises:
        UserError: the folder is not empty, there are no samples, one has no gold answer, or a
            clip lies outside `video_root`.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: already there; choose a new folder for the dataset")
    if not samples:
        raise UserError(f"{path}: no samples to write")
    import datasets

    rows = [_row(sample, task, video_root) for sample in samples]
    with whole_folder(path) as part, _quiet(datasets):
        datasets.Dataset.from_list(rows).save_to_disk(str(part.absolute()))


def _conversation(row: Mapping[str, Any], messages: Messages) -> Conversation:
    _, user, answer = turns(messages)
    parts = user_parts(user)
    [video] = [part["video"] for part in parts if part["type"] == "video"]
    names = event_names("\n".join(part["text"] for part in parts if part["type"] == "text"))
    if not names:
        raise UserError("the user's text has no line `Event 1: name`")
    label = labelled(
        video,
        names,
        answer,
        group=_own(row, "group") or demonstration_of(video),
        task=_own(row, "scenario"),
        duration_s=row.get("duration_s"),
    )
    sample = replace(label.sample(Path()), id=_own(row, "id") or label.video)
    return Conversation(sample=sample, prompt=prompt_of(messages), answer=answer, messages=messages)


def demonstration_of(video: str) -> str | None:
    """The demonstration that a clip shows, by names such as `coffee_d0_demo2_agentview.mp4`, or None.

    Clips of several cameras then share a group, as the recording that they are of.
    """
    found = _DEMONSTRATION.match(video)
    return found[1] if found else None


def _own(row: Mapping[str, Any], key: str) -> str | None:
    """A column that datasets written here have; one of another kind means something else."""
    value = row.get(key)
    return value if isinstance(value, str) and value else None


def _row(sample: Sample[Any, Any], task: Task[Any, Any], video_root: Path | None) -> dict[str, Any]:
    if sample.gold is None:
        raise UserError(f"sample {sample.id!r} has no answer to write")
    video = sample.video.absolute()
    if video_root is not None:
        if not video.is_relative_to(video_root.absolute()):
            raise UserError(f"{video}: outside the video root {video_root.absolute()}")
        video = video.relative_to(video_root.absolute())
    prompt = task.prompt(sample.query)
    content = [
        *([{"type": "text", "text": prompt.before}] if prompt.before else []),
        {"type": "video", "video": video.as_posix()},
        *([{"type": "text", "text": prompt.after}] if prompt.after else []),
    ]
    messages = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": content},
        {"role": "assistant", "content": task.render(sample.query, sample.gold)},
    ]
    return {
        COLUMN: json.dumps(messages, ensure_ascii=False),
        "id": sample.id,
        "group": sample.group,
        "scenario": sample.scenario,
        "duration_s": sample.duration_s,
    }


def _open(path: Path, column: str, split: str | None) -> Any:
    """The `datasets.Dataset` with that column."""
    if not is_dataset(path):
        what = "no such folder" if kind_of(path) == "nothing" else "not a dataset on disk"
        raise UserError(f"{path}: {what}; expected what datasets.save_to_disk wrote")
    import datasets
    import pyarrow

    try:
        loaded = datasets.load_from_disk(str(path.absolute()))
    except (
        *(OSError, ValueError, LookupError, TypeError, AttributeError),
        pyarrow.ArrowException,
    ) as error:
        raise UserError(
            f"{path}: the dataset cannot be loaded (broken, or no rows): {error}"
        ) from error
    if isinstance(loaded, datasets.DatasetDict):
        splits = list(loaded)
        if split is None and len(splits) == 1:
            split = splits[0]
        if split not in splits:
            raise UserError(f"{path}: split {split!r} is not one of its {', '.join(splits)}")
        loaded = loaded[split]
    elif split is not None:
        raise UserError(f"{path}: split {split!r} is asked for, but the dataset has no splits")
    if column not in loaded.column_names:
        raise UserError(
            f"{path}: no column {column!r}; the dataset has {', '.join(loaded.column_names)}"
        )
    return loaded


def _video_root(path: Path, video: Path) -> Path:
    roots = (Path(), path, path.parent)
    return next((root for root in roots if (root / video).exists()), Path())


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without the library's own progress bars, which would tear up the command's."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
