"""Records of an evaluation, clip by clip. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from kairoscope.core import Record


def records_by_clip(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Clip -> its records, for those with a gold answer, both in order.

    Raises ValueError for two records of one clip and trial.
    """
    clips: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.sample_id, r.trial)):
        if record.gold is not None:
            clips[record.sample_id].append(record)
    for name, rows in clips.items():
        if len({row.trial for row in rows}) < len(rows):
            raise ValueError(f"clip {name!r} has two records of one trial")
    return dict(clips)


def by_scenario(clips: dict[str, list[Record]]) -> dict[str, dict[str, list[Record]]]:
    """Scenario -> its clips, scenarios sorted."""
    found: dict[str, dict[str, list[Record]]] = defaultdict(dict)
    for name, rows in clips.items():
        found[rows[0].scenario][name] = rows
    return {name: found[name] for name in sorted(found)}
