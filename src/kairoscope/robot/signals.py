"""Boundaries from what the robot recorded of itself, and of the objects around it.

    grippers = find_grippers(some_episodes)            # once a dataset; show them to the user
    found = moments(episode, grippers)                 # once an episode
    evidence = match(found, query, episode.times_s)    # one for each event that the user names

No step knows a robot or a dataset. `docs/signals.md` says how each decides and where it fails.
"""

from kairoscope.robot.gripper import Gripper, describe
from kairoscope.robot.gripper_channels import find_grippers
from kairoscope.robot.matching import Evidence, match
from kairoscope.robot.moment import Moment
from kairoscope.robot.moments import moments

__all__ = ["Evidence", "Gripper", "Moment", "describe", "find_grippers", "match", "moments"]
