"""SARM's columns of the list of episodes, and the share of time that each subtask takes.

Names, types and the rules for them are those of lerobot 0.4.4 (`sarm_annotations`, `policies/sarm`):
times in s from the start of the episode, frames counted in it, both ends included.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kairoscope.robot.lerobot.choose import Choice, names_in_order
from kairoscope.robot.lerobot.files import rewrite, unchanged, write_bytes, write_text
from kairoscope.robot.lerobot.labels import SARM_COLUMNS, sarm_column
from kairoscope.robot.lerobot.listing import DAMAGE, EPISODES_V2, Fields, episode_files
from kairoscope.robot.lerobot.stats import Counts, keys_like, stats_of

STATS_V2 = "meta/episodes_stats.jsonl"
_TYPES = (
    pa.list_(pa.string()),
    pa.list_(pa.float64()),
    pa.list_(pa.float64()),
    pa.list_(pa.int64()),
    pa.list_(pa.int64()),
)
Values = tuple[list[str], list[float], list[float], list[int], list[int]]


def sarm_values(choice: Choice) -> Values | None:
    """The five columns of an episode; None where it has no labels."""
    if not choice.has_sarm or not choice.events:
        return None
    last = choice.num_frames - 1
    return (
        [event.name for event in choice.events],
        [float(event.start_s or 0.0) for event in choice.events],
        [float(event.end_s) for event in choice.events],
        [min(start, last) for _, start, _ in choice.frames],
        [min(end, last) for _, _, end in choice.frames],
    )


def _columns(row: Fields, prefix: str, choice: Choice | None) -> dict[str, Any]:
    """SARM's columns of an episode by name; what the source has of its own labels stays."""
    names = [sarm_column(prefix, column) for column in SARM_COLUMNS]
    has_some = row.get(names[0]) is not None
    values = None if choice is None else sarm_values(choice)
    if values is None or (choice is not None and choice.as_it_is and has_some):
        return {name: row.get(name) for name in names}
    return dict(zip(names, values, strict=True))


def _prefixes(prefix: str, known: Sequence[str]) -> tuple[str, ...]:
    """`sparse` has an older set of columns without a prefix, which is kept equal where it is."""
    has_legacy = prefix == "sparse" and SARM_COLUMNS[0] in known
    return (prefix, "legacy") if has_legacy else (prefix,)


def write_v2(
    source: Path,
    target: Path,
    prefix: str,
    choices: Mapping[int, Choice],
    counts: Mapping[int, Counts],
) -> list[str]:
    """Write the columns into `episodes.jsonl`, which lerobot's converter carries over to v3.

    Every row gets every key, null where there is no label: the converter takes the keys of the
    first row for those of all. Statistics go into `episodes_stats.jsonl` where there is one. Returns the names of
    the files that it wrote.
    """

    def labelled(row: dict[str, Any]) -> dict[str, Any]:
        for each in _prefixes(prefix, list(row)):
            row |= _columns(row, each, choices.get(_index(row)))
        return row

    def counted(row: dict[str, Any]) -> dict[str, Any]:
        found = counts.get(_index(row))
        if found is not None and isinstance(row.get("stats"), dict):
            row["stats"]["subtask_index"] = stats_of(found, keys_like(row["stats"]))
        return row

    made = [name for name in (EPISODES_V2, STATS_V2) if (source / name).is_file()]
    for name, change in zip(made, (labelled, counted), strict=False):
        _rewrite_lines(source / name, target / name, change)
    return made


def _index(row: Mapping[str, Any]) -> int:
    index = row.get("episode_index")
    return index if type(index) is int else -1


def _rewrite_lines(source: Path, target: Path, change: Any) -> None:
    """Every line that is a JSON object, changed; the others as they are."""
    lines = []
    for line in source.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            line = json.dumps(change(row), ensure_ascii=False).encode("utf-8", "backslashreplace")
        lines.append(line + b"\n")
    write_bytes(target, b"".join(lines))


def write_v3(
    source: Path,
    target: Path,
    prefix: str,
    choices: Mapping[int, Choice],
    counts: Mapping[int, Counts],
    notes: list[str],
) -> list[str]:
    """Write the columns, and statistics of each episode, into `meta/episodes`.

    Returns the names of the files that it wrote; one that cannot be read becomes a note.
    """
    made: list[str] = []
    for path in episode_files(source):
        name = path.relative_to(source).as_posix()
        try:
            columns = _new_columns(path, prefix, choices, counts)
            if not unchanged(path, columns):
                rewrite(path, target / name, columns)
                made.append(name)
        except DAMAGE as error:
            notes.append(f"{name}: cannot be read ({str(error).splitlines()[0]})")
    return made


def _new_columns(
    path: Path, prefix: str, choices: Mapping[int, Choice], counts: Mapping[int, Counts]
) -> dict[str, Any]:
    with pq.ParquetFile(path) as file:
        known = file.schema_arrow.names
        prefixes = _prefixes(prefix, known)
        wanted = [sarm_column(each, column) for each in prefixes for column in SARM_COLUMNS]
        table = file.read(columns=[n for n in known if n in {"episode_index", *wanted}])
        schema = file.schema_arrow
    rows = table.to_pylist()
    labelled = [
        {
            name: value
            for each in prefixes
            for name, value in _columns(row, each, choices.get(row["episode_index"])).items()
        }
        for row in rows
    ]
    columns = {
        sarm_column(each, column): pa.array(
            [row[sarm_column(each, column)] for row in labelled], type=kind
        )
        for each in prefixes
        for column, kind in zip(SARM_COLUMNS, _TYPES, strict=True)
    }
    if not counts:
        return columns
    return columns | _stats_columns(schema, [counts.get(row["episode_index"]) for row in rows])


def _stats_columns(schema: Any, counts: Sequence[Counts | None]) -> dict[str, Any]:
    """`stats/subtask_index/min` and so on, of the types that those of a similar number have."""
    known: dict[str, dict[str, Any]] = {}
    for field in schema:
        parts = field.name.split("/")
        if len(parts) == 3 and parts[0] == "stats":
            known.setdefault(parts[1], {})[parts[2]] = field.type
    if not known:
        return {}
    keys = keys_like(known)
    found = [None if one is None else stats_of(one, keys) for one in counts]
    columns = {}
    for key in keys:
        whole = key in ("min", "max", "count")
        values = [None if one is None else one[key] for one in found]
        kind = pa.list_(pa.int64() if whole else pa.float64())
        columns[f"stats/subtask_index/{key}"] = pa.array(values, type=kind)
    return columns


def write_proportions(
    source: Path, target: Path, prefix: str, choices: Sequence[Choice]
) -> list[str]:
    """`meta/temporal_proportions_<prefix>.json`: which share of the time each subtask takes.

    The mean over the episodes that have it, scaled to a sum of 1 (formula 1 of the SARM paper,
    arXiv 2509.25358). The order of the keys is that of SARM's stages. A file that is there already
    stays where no label is ours. Returns the names of what it wrote.
    """
    name = f"meta/temporal_proportions_{prefix}.json"
    labelled = [choice for choice in choices if choice.has_sarm and choice.events]
    are_others = all(choice.labelled_by == "unknown" for choice in labelled)
    if (source / name).is_file() and are_others:
        return []
    shares: dict[str, list[float]] = {}
    for choice in labelled:
        durations: dict[str, float] = {}
        for event in choice.events:
            lasts_s = max(0.0, event.end_s - (event.start_s or 0.0))
            durations[event.name] = durations.get(event.name, 0.0) + lasts_s
        total = sum(durations.values())
        for event_name, duration in durations.items() if total > 0 else ():
            shares.setdefault(event_name, []).append(duration / total)
    means = {event_name: sum(found) / len(found) for event_name, found in shares.items()}
    total = sum(means.values())
    order = [event_name for event_name in names_in_order(labelled) if event_name in means]
    if total <= 0:
        return []
    proportions = {event_name: means[event_name] / total for event_name in order}
    write_text(target / name, json.dumps(proportions, indent=2, ensure_ascii=False))
    return [name]
