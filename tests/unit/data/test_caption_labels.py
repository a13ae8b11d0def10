"""Folders of clips and label files: what is joined, and what is said about the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.data.captions import load_captions
from kairoscope.data.rows import Problem
from kairoscope.fields.schema import schema_of

SCHEMA = schema_of(
    {
        "name": "s",
        "system": "x",
        "fields": [
            {"name": "wet", "kind": "boolean", "instruction": "?"},
            {"name": "said", "kind": "text", "instruction": "?"},
        ],
    }
)
GOOD = {"wet": "True", "said": "Rain."}


def write(folder: Path, labels: dict[str, Any], videos: list[str]) -> Path:
    for name, label in labels.items():
        file = folder / f"{name}.label.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(label if isinstance(label, str) else json.dumps(label))
    for name in videos:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"0")
    return folder


def test_labels_and_clips_are_joined_by_their_id_wherever_they_lie(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"metas/one": GOOD, "two": GOOD, "three": GOOD},
        ["videos/one.camera_front_wide_120fov.mp4", "two.mp4", "three.rear.mp4", "three.front.mp4"],
    )
    found = {sample.id: sample for sample in load_captions(SCHEMA, tmp_path)}
    assert {name: sample.video.name for name, sample in found.items()} == {
        "one": "one.camera_front_wide_120fov.mp4",
        "two": "two.mp4",
        "three": "three.front.mp4",
    }
    assert found["one"].gold == {"wet": True, "said": "Rain."}


def test_every_fault_is_listed_and_the_rest_is_used(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "good": {**GOOD, "critical_object": 1},
            "half": {"wet": "no", "said": 3.5, "other": 1, "critical_object": 2},
            "odd": {"wet": "perhaps", "said": "x"},
            "broken": "{",
            "list": [1],
            "unseen": GOOD,
            "twice": GOOD,
            "sub/twice": GOOD,
        },
        ["good.mp4", "half.a.mp4", "odd.mp4", "broken.mp4", "list.mp4", "alone.mp4", "twice.mp4"],
    )
    problems: list[Problem] = []
    samples = load_captions(SCHEMA, tmp_path, problems)
    assert sorted(sample.id for sample in samples) == ["good", "half", "twice"]
    said = "\n".join(map(str, problems))
    for words in (
        "odd.label.json: not one field with closed values can be used: wet is 'perhaps'",
        "broken.label.json: not JSON",
        "list.label.json: holds [1]",
        "unseen.label.json: no clip unseen.<camera>.mp4",
        "id 'twice' is that of",
        "alone.mp4: no alone.label.json",
        "2 labels with a field 'critical_object'",
        "1 label with a field 'other'",
    ):
        assert words in said
    with pytest.raises(UserError, match="and 5 more"):
        load_captions(SCHEMA, tmp_path)


def test_what_holds_no_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_captions(SCHEMA, tmp_path / "absent")
    with pytest.raises(UserError, match="holds no data"):
        load_captions(SCHEMA, tmp_path)
    write(tmp_path, {"one": GOOD}, [])
    with pytest.raises(UserError, match="not one label can be used"):
        load_captions(SCHEMA, tmp_path, [])
