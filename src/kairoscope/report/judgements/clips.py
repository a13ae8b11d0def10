"""Every pair of texts that a judge compared, as a page lists them: beside its score, with the reason."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import UserError
from kairoscope.report.clips import Cell, ClipView, Order, Tag, relative_url
from kairoscope.runs import Run, records_of

LOWEST = 1
ORDERS = (
    Order(name="lowest score", key="score"),
    Order(name="highest score", key="score", descending=True),
    Order(name="repeats furthest apart", key="spread", descending=True),
    Order(name="control furthest off", key="off", descending=True),
    Order(name="field and clip", key="place"),
)
COLUMNS = ("Compared", "First text", "Second text", "Score")
NAMES = {
    "answer": "label and answer",
    "swapped": "answer and label (order swapped)",
    "same": "label and itself",
    "other clip": "label and another clip's",
}
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is known of a judged clip besides its texts."""

    video: str | None
    duration_s: float


def shown_clips(judged: Path, folder: Path) -> dict[str, Shown]:
    """Clips of the judged run as seen from a page in `folder`; none where the run is not there any more."""
    try:
        run = Run.read(judged)
    except UserError:
        return {}
    found: dict[str, Shown] = {}
    for record in records_of(run, slim=True):
        if record.sample_id not in found:
            url = None if record.failed else relative_url(record.video, run.path, folder)
            found[record.sample_id] = Shown(video=url, duration_s=record.duration_s)
    return found


def judge_views(
    rows: Iterable[Row], fields: Sequence[str], clips: Mapping[str, Shown]
) -> list[ClipView]:
    """One entry a clip and field: the answer's pair and those of the controls."""
    groups: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row["field"], row["sample_id"]][row["id"]].append(row)
    order = {name: place for place, name in enumerate(fields)}
    return [
        _view(field, clip, list(groups[field, clip].values()), clips.get(clip))
        for field, clip in sorted(groups, key=lambda key: (order[key[0]], key[1]))
    ]


def _view(field: str, clip: str, pairs: Sequence[Sequence[Row]], shown: Shown | None) -> ClipView:
    pairs = sorted(
        pairs, key=lambda rows: (list(NAMES).index(rows[0]["control"]), rows[0]["trial"])
    )
    scores = [_counted(row) for rows in pairs if rows[0]["control"] == "answer" for row in rows]
    name = field.replace("_", " ")
    several = len({rows[0]["trial"] for rows in pairs}) > 1
    cells: list[tuple[int, *tuple[Cell, ...]]] = [
        (place, *_cells(rows)) for place, rows in enumerate(pairs)
    ]
    return ClipView(
        id=clip,
        scenario=name,
        where=name,
        video=shown.video if shown else None,
        duration_s=shown.duration_s if shown else 0.0,
        events=[_title(rows[0], several=several) for rows in pairs],
        columns=COLUMNS,
        rows=cells,
        reasons=[_reasons(rows) for rows in pairs],
        tags=_tags(pairs),
        figure=f"{fmean(scores):.1f} of 5" if scores else "",
        words=[text for rows in pairs for text in (rows[0]["first"], rows[0]["second"])],
        sort={
            "score": fmean(scores) if scores else None,
            "spread": max((_spread(rows) for rows in pairs), default=None),
            "off": max((_off(rows) for rows in pairs), default=None),
        },
    )


def _title(row: Row, *, several: bool) -> str:
    return NAMES[row["control"]] + (f", trial {row['trial']}" if several else "")


def _counted(row: Row) -> int:
    return LOWEST if row["score"] is None else int(row["score"])


def _cells(rows: Sequence[Row]) -> tuple[Cell, ...]:
    first = rows[0]
    given = ["failed" if row["score"] is None else str(row["score"]) for row in rows]
    if first.get("missing"):
        return (first["first"], ("no answer", None, "worse"), (str(LOWEST), None, "worse"))
    words = ", ".join(given)
    mean = fmean(map(_counted, rows))
    cell: Cell = (words, None, "worse") if "failed" in given or _off(rows) > 1 else words
    if len(rows) > 1:
        words = f"{mean:.1f} ({words})"
        cell = (words, None, "worse") if isinstance(cell, tuple) else words
    return (first["first"], first["second"], cell)


def _reasons(rows: Sequence[Row]) -> str:
    """What each repeat said; equal reasons once."""
    told: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        told[row["failed"] or row["reason"] or "no reason given"].append(
            "failed" if row["score"] is None else str(row["score"])
        )
    return "  ·  ".join(f"{', '.join(scores)}: {reason}" for reason, scores in told.items())


def _spread(rows: Sequence[Row]) -> float:
    given = [row["score"] for row in rows if row["score"] is not None]
    return float(max(given) - min(given)) if given else 0.0


def _off(rows: Sequence[Row]) -> float:
    """How far a control is from the score that it should have; 0 for answers."""
    mean, control = fmean(map(_counted, rows)), rows[0]["control"]
    return {"same": 5 - mean, "other clip": mean - 1}.get(control, 0.0)


def _tags(pairs: Sequence[Sequence[Row]]) -> list[Tag]:
    rows = [row for pair in pairs for row in pair]
    tags = []
    if any(row.get("missing") for row in rows):
        tags.append(Tag(words="no answer", kind="bad"))
    if any(row["score"] is None and not row.get("missing") for row in rows):
        tags.append(Tag(words="judge failed", kind="bad"))
    if any(_spread(pair) >= 2 for pair in pairs):
        tags.append(Tag(words="repeats disagree", kind="warn"))
    if any(_off(pair) > 1 for pair in pairs):
        tags.append(Tag(words="control missed", kind="bad"))
    if len(pairs) > 1 and any(pair[0]["control"] != "answer" for pair in pairs):
        tags.append(Tag(words="with controls"))
    return tags


# --- likeness without a judge ----------------------------------------------------------------

LIKENESS_ORDERS = (
    Order(name="least alike", key="score"),
    Order(name="most alike", key="score", descending=True),
    Order(name="field and clip", key="place"),
)


def likeness_views(
    rows: Iterable[Row], fields: Sequence[str], clips: Mapping[str, Shown]
) -> list[ClipView]:
    """One entry a clip and field: label, answers, and how alike they are."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["field"], row["sample_id"]].append(row)
    order = {name: place for place, name in enumerate(fields)}
    found = []
    for field, clip in sorted(groups, key=lambda key: (order[key[0]], key[1])):
        own, shown = groups[field, clip], clips.get(clip)
        mean, name = fmean(row["similarity"] for row in own), field.replace("_", " ")
        found.append(
            ClipView(
                id=clip,
                scenario=name,
                where=name,
                video=shown.video if shown else None,
                duration_s=shown.duration_s if shown else 0.0,
                events=[f"answer of trial {row['trial']}" for row in own],
                columns=("Compared", "Label", "Answer", "Likeness", "Another label"),
                rows=[(place, *_likeness_cells(row)) for place, row in enumerate(own)],
                tags=[Tag(words="no answer", kind="bad")] if any(r["missing"] for r in own) else [],
                figure=f"{mean:.2f} alike",
                words=[text for row in own for text in (row["first"], row["second"])],
                sort={"score": mean},
            )
        )
    return found


def _likeness_cells(row: Row) -> tuple[Cell, ...]:
    other = "–" if row["to_another_label"] is None else f"{row['to_another_label']:.2f}"
    answer: Cell = ("no answer", None, "worse") if row["missing"] else row["second"]
    return (row["first"], answer, f"{row['similarity']:.2f}", other)
