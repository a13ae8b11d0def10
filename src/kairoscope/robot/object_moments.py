"""When recorded objects begin to move and come to rest, carried or pushed. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kairoscope.robot.columns import Table
from kairoscope.robot.holds import Hold, clipped
from kairoscope.robot.moment import Moment
from kairoscope.robot.object_motion import bouts_of


def object_moments(table: Table, holds: Sequence[Hold]) -> list[Moment]:
    """Objects that begin to move, and that come to rest."""
    found = []
    bouts = bouts_of(table)
    for bout in bouts:
        hold = _hold_at(holds, (bout.start + bout.end) // 2, len(table.times_s))
        until = len(table.times_s) if hold is None or hold.opening is None else hold.opening.end
        later = [b for b in bouts if b.name == bout.name and bout.end < b.start < until]
        goes_on = bool(later) and float(np.dot(bout.heading, later[0].heading)) > 0
        how = "carried" if hold is not None else "pushed" if holds else "no hand is seen"
        begins = Moment(
            kind="contact",
            start_frame=bout.start,
            end_frame=bout.start,
            frame=bout.start,
            log_odds=clipped(1.0 + float(np.log2(max(bout.share, 1e-3) / 0.1)), -2.0, 2.5),
            reason=f"{bout.name} begins to move, {how}",
            source=bout.name,
            subject=bout.name,
            carried=hold is not None,
            is_last=not later,
            goes_on=goes_on,
        )
        far = f"{bout.share:.0%} of the way that objects go"
        rests = replace(
            begins,
            kind="rest",
            start_frame=max(bout.start, bout.settled - max(1, round(0.3 / table.step_s))),
            end_frame=bout.end,
            frame=bout.settled,
            reason=f"{bout.name} comes to rest, {how}, after {far}",
        )
        found += [begins, rests]
    return found


def _hold_at(holds: Sequence[Hold], frame: int, num_frames: int) -> Hold | None:
    """The likely hold that covers a frame."""
    return next((hold for hold in holds if _covers(hold, frame, num_frames)), None)


def _covers(hold: Hold, frame: int, num_frames: int) -> bool:
    first = 0 if hold.closing is None else hold.closing.start
    last = num_frames if hold.opening is None else hold.opening.end
    return hold.log_odds > -1.0 and first <= frame <= last
