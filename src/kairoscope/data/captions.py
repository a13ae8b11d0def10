"""Clips with labels of many fields: `<id>.label.json` and `<id>.<camera>.mp4`, or conversations.

Labels and clips may lie beside each other, or in folders of their own, such as `metas` and `videos`;
the id joins them. What is wrong with a label is a `Problem` with its file; the fields that are right
are used.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.answers.captions import parse_caption
from kairoscope.core import Sample, Unparsed, UserError
from kairoscope.data.camera_clips import clip_of, clips_by_id, is_hidden
from kairoscope.data.messages import Messages, turns, user_parts
from kairoscope.data.rows import Problem, kind_of, parse_json_line, show
from kairoscope.fields.normalise import normalised_label, unknown_keys
from kairoscope.fields.schema import Schema, Value

LABEL_SUFFIX = ".label.json"
CaptionQuery = tuple[str, ...]
"""Names of the fields that are asked for, in the schema's order."""
Caption = dict[str, Value]
CaptionSample = Sample[CaptionQuery, Caption]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionConversation:
    """One row of a dataset of conversations."""

    sample: CaptionSample
    messages: Messages


def load_captions(
    schema: Schema,
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[CaptionSample]:
    """Samples of a folder with label files, or of a dataset of conversations.

    A clip is asked about the fields that its label has. Clips are not opened. With a list of
    `problems`, what is wrong is appended to it and left out; without, the first raises, but for keys
    that the schema does not have.

    Raises:
        UserError: neither of these, a bad label and no list to put it in, or not one usable label.
    """
    if kind_of(path) != "folder":
        raise UserError(f"{path}: no such folder; expected one with {LABEL_SUFFIX} files")
    found: list[Problem] = []
    notes: list[Problem] = []
    if any(path.rglob(f"*{LABEL_SUFFIX}")):
        samples = _folder(schema, path, found, notes)
    else:
        from kairoscope.data.conversations import COLUMN, is_dataset, read_rows

        if not is_dataset(path):
            raise UserError(
                f"{path}: holds no data; expected <id>{LABEL_SUFFIX} beside <id>.<camera>.mp4, or what "
                "datasets.save_to_disk wrote"
            )
        rows = read_rows(
            path,
            column or COLUMN,
            lambda row, messages: _conversation(schema, row, messages),
            split=split,
            problems=found,
        )
        samples = [row.sample for row in rows]
    if found and problems is None:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"{found[0]}{more}")
    if problems is not None:
        problems.extend([*found, *notes])
    if not samples:
        first = f"; the first: {found[0]}" if found else ""
        raise UserError(f"{path}: not one label can be used{first}")
    return samples


def _folder(
    schema: Schema, folder: Path, problems: list[Problem], notes: list[Problem]
) -> list[CaptionSample]:
    videos = clips_by_id(folder)
    labels = sorted(p for p in folder.rglob(f"*{LABEL_SUFFIX}") if not is_hidden(p, folder))
    samples: list[CaptionSample] = []
    taken: dict[str, Path] = {}
    strangers: dict[str, int] = defaultdict(int)
    for file in labels:
        name = file.name.removesuffix(LABEL_SUFFIX)
        try:
            if name in taken:
                raise UserError(
                    f"id {name!r} is that of {taken[name]}, too; allowed: one label an id"
                )
            taken[name] = file
            raw = _read(file)
            for key in unknown_keys(schema, raw):
                strangers[key] += 1
            samples.append(_sample(schema, name, raw, clip_of(name, videos), file, problems))
        except UserError as error:
            problems.append(Problem(where=str(file), what=str(error)))
    problems.extend(_unlabelled(folder, videos, taken))
    notes.extend(
        Problem(
            where=f"{folder}",
            what=f"{count} label{'s' * (count > 1)} with a field {key!r}, which the schema {schema.name!r} has not: passed over",
            is_used=True,
        )
        for key, count in sorted(strangers.items())
    )
    return samples


def _unlabelled(
    folder: Path, videos: Mapping[str, Sequence[Path]], taken: Mapping[str, Path]
) -> list[Problem]:
    return [
        Problem(where=str(found[0]), what=f"no {name}{LABEL_SUFFIX} in {folder}")
        for name, found in sorted(videos.items())
        if name not in taken
    ]


def _read(file: Path) -> dict[str, Any]:
    try:
        raw = parse_json_line(file.read_bytes())
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from error
    if not isinstance(raw, dict):
        raise UserError(f"holds {show(raw)}; allowed: an object with a value for each field")
    return raw


def _sample(
    schema: Schema,
    name: str,
    raw: Mapping[str, Any],
    video: Path,
    file: Path,
    problems: list[Problem],
) -> CaptionSample:
    values, wrong = normalised_label(schema, raw)
    _check_scorable(schema, values, wrong)
    problems.extend(Problem(where=str(file), what=f"{what}; left out") for what in wrong)
    return Sample(
        id=name,
        video=video,
        query=tuple(values),
        gold=values,
        group=name,
        scenario=schema.name,
    )


def _check_scorable(schema: Schema, values: Mapping[str, Value], wrong: Sequence[str]) -> None:
    if not any(f.name in values for f in schema.fields if f.kind != "text"):
        first = f": {wrong[0]}" if wrong else ""
        raise UserError(f"not one field with closed values can be used{first}")


def _conversation(
    schema: Schema, row: Mapping[str, Any], messages: Messages
) -> CaptionConversation:
    """Raises UserError where the assistant's text is no caption."""
    _, user, answer = turns(messages)
    [video] = [part["video"] for part in user_parts(user) if part["type"] == "video"]
    values = parse_caption(schema, schema.names, answer)
    if isinstance(values, Unparsed):
        raise UserError(f"answer {show(answer)}: {values.reason}")
    _check_scorable(schema, values, [])

    def own(key: str) -> str | None:
        value = row.get(key)
        return value if isinstance(value, str) and value else None

    sample: CaptionSample = Sample(
        id=own("id") or video,
        video=Path(video),
        query=tuple(values),
        gold=values,
        group=own("group") or video,
        scenario=own("scenario") or schema.name,
        duration_s=row.get("duration_s"),
    )
    return CaptionConversation(sample=sample, messages=messages)
