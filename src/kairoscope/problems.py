"""What a reader of an evaluation's figures has to know: `problems.json`. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from kairoscope.core import Record, Sample
from kairoscope.data.rows import Problem

AnySample = Sample[Any, Any]
LABEL_FAULT = "label_fault"
"""Key of a record's `extra`: why its label cannot be scored against, as [kind, reason]."""
Row = dict[str, Any]


def evaluation_problems(
    records: Iterable[Record],
    samples: Sequence[AnySample],
    without_control: Sequence[AnySample],
    data_problems: Sequence[Problem],
) -> list[Row]:
    """One row a sample and kind, with its `reason`.

    Kinds: `unreadable clip` and `unparsed answer` (with the number of `trials`), `label past the
    end` of its clip, `wrong duration` (the labels are of another clip), `no gold answer`, `no wrong-video control` for `without_control`, and `label
    row` for rows that made no sample.
    """
    rows = [_row(s, "no gold answer", "it is not scored") for s in samples if s.gold is None]
    alone = "no clip of the same scenario and another group"
    rows += [_row(sample, "no wrong-video control", alone) for sample in without_control]
    rows += _unread(records)
    rows.sort(key=lambda row: (row["kind"], row["sample_id"]))
    rows += [{"kind": "label row", "where": p.where, "reason": p.what} for p in data_problems]
    return rows


def _row(sample: AnySample, kind: str, reason: str) -> Row:
    return {"sample_id": sample.id, "kind": kind, "reason": reason}


def _unread(records: Iterable[Record]) -> list[Row]:
    found: dict[str, Row] = {}
    for record in records:
        fault = record.extra.get(LABEL_FAULT)
        if record.unparsed is not None or fault is not None:
            kind, reason = (
                "unreadable clip" if record.failed else "unparsed answer",
                record.unparsed,
            )
            if fault is not None:
                kind, reason = fault[0], f"{fault[1]}; not scored"
            row: Row = {
                "sample_id": record.sample_id,
                "video": record.video,
                "kind": kind,
                "reason": reason,
                "trials": 0,
            }
            found.setdefault(record.sample_id, row)["trials"] += 1
    return list(found.values())
