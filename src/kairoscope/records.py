"""A record as the JSON object in which a run keeps it. Pure."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kairoscope.core import Record, UserError
from kairoscope.storage import plain


def record_to_json(record: Record) -> dict[str, Any]:
    """A record as JSON values; probabilities keep six decimals."""
    row: dict[str, Any] = plain(record)
    for posterior in row["posteriors"]:
        posterior["probabilities"] = [round(p, 6) for p in posterior["probabilities"]]
    return row


def record_from_json(row: Mapping[str, Any]) -> Record:
    """The inverse of `record_to_json`. Raises `UserError` naming a missing or unknown field."""
    fields = {f.name: f for f in dataclasses.fields(Record)}
    unknown = sorted(row.keys() - fields.keys())
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - row.keys())
    if unknown or missing:
        raise UserError(f"not a record: unknown fields {unknown}, missing fields {missing}")
    values = dict(row)
    values["frame_times_s"] = tuple(values.get("frame_times_s", ()))
    values["posteriors"] = tuple(values.get("posteriors", ()))
    return Record(**values)
