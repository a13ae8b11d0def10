"""What the columns of a feature are: which are a gripper's or a hand's, which an end effector's.

Names come from info.json and from GR00T's `meta/modality.json`, which cuts a feature into named
ranges. A column whose name says nothing stays with its feature; what it does is found elsewhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kairoscope.core import UserError
from kairoscope.robot.episode import Kind
from kairoscope.storage import read_json

MODALITY = "meta/modality.json"
_FEATURE_OF = {"state": "observation.state", "action": "action"}
_FINGERS = {"finger", "fingers", "thumb", "pinky", "jaw", "jaws", "claw", "grip", "suction"}
_GRIPPERS = {"gripper", "grippers", "effector"} | _FINGERS
_HANDS = {"hand", "hands"}
_AXES = {"x", "y", "z"}
_TURNS = {"qw", "qx", "qy", "qz", "quat", "quaternion", "roll", "pitch", "yaw", "orientation"}
_POSES = {"pose", "eef", "ee", "tcp"}
_RATES = {"vel", "velocity", "effort", "torque", "force", "current", "acc", "acceleration"}
_CHANGES = {"relative", "delta", "rel", "rotation", "rot"}
_PLACES = {"pos", "position", "pose", "xyz", "translation"}


@dataclass(frozen=True, slots=True)
class Range:
    """A named run of columns of a feature, as `modality.json` gives it."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Columns of a feature that belong together."""

    name: str
    kind: Kind
    places: tuple[int, ...]
    """Which columns of the feature."""
    columns: tuple[str, ...] = ()
    subject: str | None = None


@lru_cache(maxsize=4096)
def words(name: str) -> frozenset[str]:
    """`kLeftHandPinky`, `left_gripper.pos` -> their words, in lower case, without digits."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return frozenset(re.findall(r"[a-z]+", split.lower()))


def side(name: str) -> str | None:
    """`left` or `right` where the name says so."""
    found = words(name) & {"left", "right"}
    return next(iter(found)) if len(found) == 1 else None


def is_gripper(name: str) -> bool:
    """Whether a name is that of a gripper's or hand's opening: not of its pose, speed or force."""
    said = words(name)
    if said & _RATES or ({"end", "effector"} <= said and not said & (_GRIPPERS - {"effector"})):
        return False
    if said & _FINGERS:
        return True
    return bool(said & (_GRIPPERS | _HANDS)) and not said & (_AXES | _TURNS | {"pose", "wrist"})


def is_position(name: str, width: int) -> bool:
    """Whether a name is that of an end effector's position or pose of this many numbers."""
    said = words(name)
    is_effector = bool(said & _POSES) or {"end", "effector"} <= said or {"end", "position"} <= said
    fits = width in (3, 7, 16) and bool(said & _PLACES)
    return is_effector and fits and not said & (_CHANGES | _RATES)


def read_modality(root: Path, notes: list[str]) -> dict[str, tuple[Range, ...]]:
    """`meta/modality.json` -> the ranges of each feature; empty where there is none.

    A file that is not JSON, and ranges that are not two whole numbers, become notes.
    """
    path = root / MODALITY
    try:
        raw = read_json(path) if path.is_file() else {}
    except UserError as error:
        raw = {}
        notes.append(str(error))
    ranges: dict[str, list[Range]] = {}
    for group, feature in _FEATURE_OF.items():
        entries = raw.get(group) if isinstance(raw, dict) else None
        for name, what in entries.items() if isinstance(entries, dict) else ():
            entry = what if isinstance(what, dict) else {}
            start, stop = entry.get("start"), entry.get("end")
            if type(start) is int and type(stop) is int and 0 <= start < stop:
                key = str(entry.get("original_key") or feature)
                ranges.setdefault(key, []).append(Range(str(name), start, stop))
            else:
                notes.append(f"{MODALITY}: {group}.{name} is {what!r}, without a start and an end")
    return {feature: tuple(found) for feature, found in ranges.items()}


def split_feature(
    name: str, width: int, columns: Sequence[str], ranges: Sequence[Range]
) -> tuple[Part, ...]:
    """The parts of a feature of `width` columns: disjoint, and together all of them.

    Grippers, hands and end-effector positions come out as parts of their own; the rest keeps the
    feature's name and order.
    """
    kind = _kind_of_feature(name, width)
    names = tuple(columns) if len(columns) == width else ()
    if kind in ("gripper", "eef_pose", "object_pose", "other"):
        every = tuple(range(width))
        return (Part(name=name, kind=kind, places=every, columns=names, subject=side(name)),)
    fitting = [r for r in ranges if r.stop <= width]
    if fitting:
        names = _names_from_ranges(width, names, fitting)
        found = _parts_of_ranges(name, kind, fitting)
    else:
        found = _parts_of_names(name, kind, names)
    taken = {place for part in found for place in part.places}
    rest = tuple(place for place in range(width) if place not in taken)
    whole = [Part(name=name, kind=kind, places=rest)] if rest else []
    return tuple(
        Part(
            name=part.name,
            kind=part.kind,
            places=part.places,
            columns=tuple(names[place] for place in part.places) if names else (),
            subject=part.subject,
        )
        for part in [*whole, *found]
    )


def _kind_of_feature(name: str, width: int) -> Kind:
    said = words(name)
    if "object" in said and said & _PLACES and width in (3, 7, 16):
        return "object_pose"
    is_action = bool(said & {"action", "actions"})
    if is_gripper(name):
        return "gripper"
    if is_action:
        return "action"
    if is_position(name, width):
        return "eef_pose"
    is_state = bool(said & {"state", "states", "observation", "observations", "obs", "qpos"})
    return "state" if is_state and "environment" not in said else "other"


def _parts_of_ranges(feature: str, kind: Kind, ranges: Sequence[Range]) -> list[Part]:
    """Ranges that are grippers, or positions of an end effector; of two that overlap, the first."""
    found: list[Part] = []
    taken: set[int] = set()
    for run in ranges:
        places = tuple(range(run.start, run.stop))
        part_kind: Kind | None = "gripper" if is_gripper(run.name) else None
        if part_kind is None and kind == "state" and is_position(run.name, len(places)):
            part_kind = "eef_pose"
        if part_kind and not taken.intersection(places):
            taken.update(places)
            name = f"{feature}.{run.name}"
            found.append(Part(name=name, kind=part_kind, places=places, subject=side(run.name)))
    return found


def _names_from_ranges(
    width: int, names: Sequence[str], ranges: Sequence[Range]
) -> tuple[str, ...]:
    """`left_arm[2]` where a range names the column, else the name that info.json gives."""
    better = list(names) or [""] * width
    for run in reversed(ranges):
        for place in range(run.start, run.stop):
            better[place] = f"{run.name}[{place - run.start}]"
    return tuple(name or f"[{place}]" for place, name in enumerate(better))


def _parts_of_names(feature: str, kind: Kind, names: Sequence[str]) -> list[Part]:
    """Columns whose names are a gripper's, by side; and x, y, z of an end effector, by side."""
    grippers: dict[str, list[int]] = {}
    axes: dict[str | None, dict[str, int]] = {}
    for place, name in enumerate(names):
        if is_gripper(name):
            what = "gripper" if words(name) & _GRIPPERS - _FINGERS else "hand"
            grippers.setdefault("_".join(filter(None, (side(name), what))), []).append(place)
        elif kind == "state" and (axis := _axis(name)):
            axes.setdefault(side(name), {}).setdefault(axis, place)
    found = [
        Part(name=f"{feature}.{part}", kind="gripper", places=tuple(places), subject=side(part))
        for part, places in grippers.items()
    ]
    for hand, by_axis in axes.items():
        if set(by_axis) == _AXES:
            name = ".".join(filter(None, (feature, hand, "position")))
            places = tuple(by_axis[axis] for axis in "xyz")
            found.append(Part(name=name, kind="eef_pose", places=places, subject=hand))
    return found


def _axis(name: str) -> str | None:
    """x, y or z where a name says only that and whose it is."""
    said = words(name)
    found = said & _AXES
    about = (
        {"left", "right", "pos", "position", "end", "arm", "state"} | _POSES | _GRIPPERS | _HANDS
    )
    return next(iter(found)) if len(found) == 1 and said - found <= about else None
