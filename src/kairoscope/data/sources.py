"""Whatever the user has -> samples about the times of events."""

from pathlib import Path

from kairoscope.core import UserError
from kairoscope.data.label_files import LABELS_NAME
from kairoscope.data.labels import EventSample, load_folder
from kairoscope.data.rows import Problem, kind_of


def load_samples(
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[EventSample]:
    """Samples from a folder with `labels.jsonl`, a label file, or a dataset of conversations.

    With a list of `problems`, bad rows are appended to it and left out; without, the first bad
    row raises. `column` and `split` say where a dataset has its conversations, where not as usual.

    Raises:
        UserError: none of these, or what the reader of that kind raises.
    """
    if kind_of(path) == "folder" and not (path / LABELS_NAME).is_file():
        from kairoscope.data.conversations import COLUMN, is_dataset, read_conversations

        if is_dataset(path):
            return read_conversations(path, column or COLUMN, split=split, problems=problems)
        raise UserError(
            f"{path}: holds no data; expected {LABELS_NAME}, or what datasets.save_to_disk wrote"
        )
    return load_folder(path, problems)
