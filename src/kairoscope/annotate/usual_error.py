"""How far boundaries that are right are usually off, by what ends there: learned on held-out clips.

Nobody's distribution tells a release, which fingers take a while for, from a grasp, which they stop
at: both look equally sharp, and one is off by four times as much.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from kairoscope.pool_fitting import DEFAULTS
from kairoscope.robot.wording import meaning_of

KEY = "usual_error_s"


@cache
def learned() -> Mapping[str, float]:
    """Action, as `robot.wording` understands names -> mean error in s of those within 0.25 s."""
    found = json.loads(files("kairoscope").joinpath(DEFAULTS).read_text("utf-8"))[KEY]
    return {str(action): float(error_s) for action, error_s in found.items()}


def usual_error_s(event: str) -> float:
    """Of an event by its name; of a kind that was not learned, the mean of those that were."""
    known = learned()
    return known.get(meaning_of(event).action, sum(known.values()) / len(known))
