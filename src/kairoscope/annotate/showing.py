"""Clips for the page of what has pictures and no video: the doubtful ones, which a person will look at."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kairoscope.annotate.clips import FOLDER, clip_of, view_of
from kairoscope.annotate.evidence import KEY, ROWS
from kairoscope.core import UserError
from kairoscope.robot.episode import Dataset
from kairoscope.runs import Run

MOST = 24
"""Clips take a few tenths of a second and some hundred kB each. `kairoscope review` shows them all."""
MOST_DRAWN = 3
"""Of pictures that are drawn from states first: that takes the better part of a minute each."""


def make_clips(
    dataset: Dataset,
    run: Run,
    camera: str | None,
    on_clip: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Make clips of the most doubtful episodes whose pictures lie in the dataset's own files.

    Args:
        dataset: opened.
        run: where `clips.jsonl` is; clips go into its folder, where the page looks for them.
        camera: as the user named it; None: the first that does not move with a hand.
        on_clip: told (clips done, clips in all).
    """
    most = MOST_DRAWN if getattr(dataset, "draws", False) else MOST
    order = sorted(_unseen(run), key=_doubt)[:most]
    wanted = {row["clip"] for row in order}
    done = 0
    for row in run.rows(ROWS, KEY) if wanted else ():
        if row["clip"] not in wanted:
            continue
        with suppress(UserError):  # its boundaries stand; the page says that there is no clip
            view = view_of(row, camera)
            if view is not None and view.span is None:
                clip_of(dataset, row, view, run.path / FOLDER)
        done += 1
        on_clip(done, len(wanted))


def _unseen(run: Run) -> Iterator[dict[str, Any]]:
    for row in run.rows("clips", KEY):
        if row["video"] is None and row.get("num_frames"):
            yield {"clip": row["clip"], "events": row["events"]}


def _doubt(row: Mapping[str, Any]) -> float:
    """The smaller, the more doubtful."""
    known = [e["confidence"] for e in row["events"] if e["confidence"] is not None]
    flagged = any(event["flags"] for event in row["events"])
    return min(known, default=-1.0 if not row["events"] else 2.0) - flagged
