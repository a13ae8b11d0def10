"""When a hand closes and opens, from what its fingers did and from what they were told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.robot.arm_speed import STANDS
from kairoscope.robot.columns import Floats, Table
from kairoscope.robot.gripper import Gripper, closedness, columns_title
from kairoscope.robot.holds import Hold, clipped, holds_of, standing
from kairoscope.robot.moment import Moment
from kairoscope.robot.motions import Motion, motions_in
from kairoscope.robot.object_motion import moved_in

ACTUATION_S = 0.5
"""Where only a command of two values is recorded, fingers are taken to need at most this long."""
USUAL_ACTUATION_S = 0.3
SHUT = 0.97
"""Closedness from which on there is hardly anything between the fingers."""
ANSWER_S = 0.8
"""Fingers answer a command within this time."""


@dataclass(frozen=True, slots=True)
class _Move:
    """A motion of a hand, from what was measured, or from the command alone."""

    motion: Motion
    told: Motion | None
    is_measured: bool


def hand_moments(
    table: Table, gripper: Gripper, place: int, body_T: Floats
) -> tuple[list[Moment], tuple[Hold, ...]]:
    """Closings and openings of one hand, and its holds."""
    moves = _moves(table, gripper)
    told = [move.told is not None for move in moves] if gripper.commanded else None
    holds = holds_of([move.motion for move in moves], table.times_s, body_T, told)
    closings = {id(hold.closing): hold for hold in holds}
    openings = {id(hold.opening): hold for hold in holds}
    title = columns_title([finger.column for finger in gripper.fingers])
    found = []
    for move in moves:
        closes = move.motion.travel > 0
        hold = (closings if closes else openings).get(id(move.motion))
        start, end, frame = _frames(move, table, moves)
        log_odds, reason = _judged(move, hold, table, body_T, gripper)
        subject = None if hold is None else _held_object(table, hold)
        parts = subject is not None and move.is_measured and not closes
        found.append(
            Moment(
                kind="closing" if closes else "opening",
                start_frame=start,
                end_frame=end,
                frame=frame,
                log_odds=log_odds,
                reason=reason,
                source=title,
                gripper=place,
                arm=gripper.arm,
                arm_is_named=gripper.arm_reason == "the file says so",
                subject=subject,
                arrival=None if closes else _arrival(start, body_T),
                trust=1.0 / (1.0 + float(np.exp(-gripper.polarity))),
                parted=move.motion.begun if parts else None,
            )
        )
    return found, holds


def _moves(table: Table, gripper: Gripper) -> list[_Move]:
    """Motions of the fingers, and those that they were told and could not make."""
    done_T = closedness(table, gripper.measured)
    told_T = closedness(table, gripper.commanded)
    done = () if done_T is None else motions_in(done_T, table.times_s)
    told = () if told_T is None else motions_in(told_T, table.times_s)
    if done_T is None:
        return [_Move(motion, motion, is_measured=False) for motion in told]
    moves = []
    answered: set[int] = set()
    for motion in done:
        cause = _cause(motion, told, table.times_s)
        if cause is not None:
            answered.add(id(cause))
        moves.append(_Move(motion, cause, is_measured=True))
    blocked = False
    for motion in told:
        if id(motion) in answered or any(_is_near(motion, move.motion, table) for move in moves):
            blocked = False
        elif motion.travel > 0 or blocked:
            # The thing between the fingers is as wide as they were apart.
            moves.append(_Move(motion, motion, is_measured=False))
            blocked = motion.travel > 0
    return sorted(moves, key=lambda move: move.motion.start)


def _cause(motion: Motion, told: Sequence[Motion], times_s: Floats) -> Motion | None:
    """The command that a measured motion answers."""
    for command in told:
        same_way = command.travel * motion.travel > 0
        late = times_s[motion.start] - times_s[command.start]
        if same_way and command.start <= motion.end and -0.2 <= late <= ANSWER_S:
            return command
        if same_way and command.start <= motion.start <= command.end:
            return command
        # What the fingers touched may have pushed them a little before they were told.
        if same_way and motion.start <= command.start < motion.end and late > -ANSWER_S:
            return command
    return None


def _is_near(command: Motion, motion: Motion, table: Table) -> bool:
    """Whether fingers moved the way of a command about when it was given."""
    first, last = table.times_s[command.start] - 0.2, table.times_s[command.end] + ANSWER_S
    begins, ends = table.times_s[motion.start], table.times_s[motion.end]
    return bool(command.travel * motion.travel > 0 and begins <= last and ends >= first)


def _frames(move: _Move, table: Table, moves: Sequence[_Move]) -> tuple[int, int, int]:
    """(first, last frame, moment) of a motion."""
    start, end = move.motion.start, move.motion.end
    times_s = table.times_s
    if move.is_measured or times_s[end] - times_s[start] > USUAL_ACTUATION_S:
        return start, end, move.motion.settled
    following = [other.motion.start for other in moves if other.motion.start > start]
    latest = min([len(times_s) - 1, *following])
    last = int(np.searchsorted(times_s, times_s[start] + ACTUATION_S))
    usual = int(np.searchsorted(times_s, times_s[start] + USUAL_ACTUATION_S))
    return start, max(end, min(last, latest)), max(end, min(usual, latest))


def _judged(
    move: _Move, hold: Hold | None, table: Table, body_T: Floats, gripper: Gripper
) -> tuple[float, str]:
    """(log-odds that a motion matters, why)."""
    closes = move.motion.travel > 0
    travel = abs(move.motion.travel)
    told = 0.0 if move.told is None else abs(move.told.travel)
    log_odds = clipped(2.0 * float(np.log2(max(travel, told, 1e-6) / 0.3)), -2.0, 0.5)
    if hold is None:
        still = float(body_T[move.motion.start : move.motion.end + 1].min())
        reason = "nothing was held after it" if closes else "nothing was held before it"
        return log_odds - 2.5 + 0.5 * standing(still), reason
    log_odds += hold.log_odds
    parts = [_hold_in_words(hold, closes=closes)]
    if gripper.measured and gripper.commanded and move.told is None:
        log_odds -= 1.5
        parts.append("no command asked for it")
    elif closes and move.told is not None and (not move.is_measured or told > travel + 0.3):
        log_odds += 1.5
        parts.append("something stopped the fingers")
    if gripper.measured and hold.closing is not None and hold.closing.after > SHUT:
        log_odds -= 1.0
        parts.append("the fingers closed as far as they ever do")
    subject = _held_object(table, hold)
    if table.objects_T3:
        log_odds += 3.0 if subject else -1.5
        parts.append(f"{subject} moved with it" if subject else "no recorded object moved")
    return log_odds, ", ".join(parts)


def _hold_in_words(hold: Hold, *, closes: bool) -> str:
    end = " until the end of the recording" if hold.opening is None and closes else ""
    held = f"held for {hold.duration_s:.2f} s{end}"
    if hold.closing is None:
        held = f"shut from the first frame, for {hold.duration_s:.2f} s"
    speed = hold.arm_at_closing if closes else hold.arm_at_opening
    stands = "standing still" if speed < 0.4 else "moving"
    return f"{held}, arm {stands} and then {hold.carried:.0%} of its way" if closes else held


def _held_object(table: Table, hold: Hold) -> str | None:
    """The recorded object that moves most during a hold; None where none does."""
    first = 0 if hold.closing is None else hold.closing.start
    last = len(table.times_s) - 1 if hold.opening is None else hold.opening.end
    return moved_in(table, first, last)


def _arrival(frame: int, body_T: Floats) -> int:
    """The frame at which an arm came to where it stands at a frame; that frame if it moves."""
    moving = np.flatnonzero(body_T[: frame + 1] > STANDS)
    return min(frame, int(moving[-1]) + 1) if len(moving) else 0
