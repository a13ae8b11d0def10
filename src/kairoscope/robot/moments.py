"""What happened in an episode, as moments: hands closing and opening, objects coming to rest. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kairoscope.robot.arm_speed import STANDS, arm_speeds, parts_of, speed_without
from kairoscope.robot.columns import Floats, Table, table_of
from kairoscope.robot.episode import Episode
from kairoscope.robot.gripper import Gripper, places_of
from kairoscope.robot.hand_moments import hand_moments
from kairoscope.robot.holds import Hold
from kairoscope.robot.moment import Moment
from kairoscope.robot.motions import motions_in
from kairoscope.robot.object_moments import object_moments


def moments(episode: Episode, grippers: Sequence[Gripper]) -> tuple[Moment, ...]:
    """Everything in an episode that may end a subtask, in order of `frame`.

    Args:
        episode: any one of the dataset.
        grippers: of the dataset, from `find_grippers`.

    Raises:
        UnreadableEpisode: where a channel has another number of rows than there are frames.
    """
    return moments_in(table_of(episode), grippers)


def moments_in(table: Table, grippers: Sequence[Gripper]) -> tuple[Moment, ...]:
    """The same of an episode whose columns stand side by side already."""
    if len(table.times_s) < 5:
        return ()
    hands = [places_of(table, gripper) for gripper in grippers]
    widths = dict(grippers[0].widths) if grippers else {}
    speeds = arm_speeds(table, hands, [gripper.arm for gripper in grippers], widths)
    found: list[Moment] = []
    all_holds: list[tuple[int, Hold]] = []
    for k, (gripper, arm_T) in enumerate(zip(grippers, speeds, strict=True)):
        own, holds = hand_moments(table, gripper, k, arm_T)
        found += own
        all_holds += [(k, hold) for hold in holds]
    found = [_with_other_hand(moment, all_holds) for moment in found]
    found += object_moments(table, [hold for _, hold in all_holds])
    everything = speed_without(parts_of(table, widths), (place for hand in hands for place in hand))
    found += pauses(table, everything)
    return tuple(sorted(found, key=lambda moment: (moment.frame, moment.kind, moment.source)))


def _with_other_hand(moment: Moment, holds: Sequence[tuple[int, Hold]]) -> Moment:
    """Say whether another hand holds something at an opening."""
    if moment.kind != "opening":
        return moment
    for k, hold in holds:
        if k == moment.gripper or hold.closing is None or hold.log_odds < 0:
            continue
        last = moment.frame + 1 if hold.opening is None else hold.opening.start
        if hold.closing.start <= moment.end_frame and last > moment.end_frame:
            return replace(moment, other_holds=True)
    return moment


def pauses(table: Table, body_T: Floats) -> list[Moment]:
    """Frames at which the arms stand still between two moves: weak evidence of anything."""
    stops = [
        motion
        for motion in motions_in(np.clip(body_T, 0.0, 1.0), table.times_s)
        if motion.travel < -0.4 and motion.after < STANDS
    ]
    return [
        Moment(
            kind="pause",
            start_frame=stop.start,
            end_frame=stop.end,
            frame=stop.end,
            log_odds=-1.0 - float(np.log(len(stops))),
            reason=f"the arm comes to a stand, one of {len(stops)} times",
            source="motion of the arm",
        )
        for stop in stops
    ]
