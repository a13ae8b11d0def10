"""Why a moment was taken for an event, or none, in words for the person who checks it. Pure."""

from collections.abc import Sequence

from kairoscope.robot.columns import Floats
from kairoscope.robot.moment import Moment
from kairoscope.robot.wording import Meaning

MOST_OTHERS = 2
_KINDS = {
    "closing": "closing of `{}`",
    "opening": "opening of `{}`",
    "contact": "first move of {}",
    "rest": "{} coming to rest",
    "pause": "pause in the {}",
}
_WANTED = {
    "grasp": "closing of a hand",
    "release": "opening of a hand",
    "insert": "carried object coming to rest, nor opening of a hand",
    "push": "object coming to rest",
    "operate": "object coming to rest, nor pause of the arm",
    "press": "object coming to rest",
    "touch": "object beginning to move",
    "handover": "opening of one hand while another holds",
    "other": "moment that stands out",
}


def title_of(moment: Moment, times_s: Floats) -> str:
    """A moment in words, such as "closing of `action[29]` at frames 71-78 (2.37-2.60 s)"."""
    what = _KINDS[moment.kind].format(moment.source)
    first, last = moment.start_frame, moment.end_frame
    if first == last:
        return f"{what} at frame {last} ({times_s[last]:.2f} s)"
    return f"{what} at frames {first}-{last} ({times_s[first]:.2f}-{times_s[last]:.2f} s)"


def why_this(meaning: Meaning, moment: Moment, usable: Sequence[Moment], times_s: Floats) -> str:
    """The moment that was taken, and the nearest others that were not."""
    text = f"{title_of(moment, times_s)}: {moment.reason}"
    alike = [other for other in usable if other is not moment and other.kind == moment.kind]
    alike.sort(key=lambda other: abs(other.frame - moment.frame))
    for other in sorted(alike[:MOST_OTHERS], key=lambda other: other.frame):
        when = "earlier" if other.frame < moment.frame else "later"
        first, last = other.start_frame, other.end_frame
        text += f"; {when} {other.kind} at {first}-{last}: {other.reason}"
    if meaning.verb is None:
        text += "; no verb of this event is known, so any moment might be its end"
    return text


def why_none(meaning: Meaning, usable: Sequence[Moment], times_s: Floats) -> str:
    """Why no moment was taken."""
    if meaning.verb is None:
        return "no verb of this event is known to the signals"
    if not usable:
        return f"no {_WANTED[meaning.action]} was found"
    likeliest = max(usable, key=lambda moment: moment.log_odds)
    return (
        f"nothing fits “{meaning.verb}” in this place; the likeliest candidate was the "
        f"{title_of(likeliest, times_s)}: {likeliest.reason}"
    )
