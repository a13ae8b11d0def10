"""What the words of an event mean for a robot's signals: grasping, releasing, with which hand. Pure.

A small vocabulary of English verbs, listed below and nowhere else. The last known verb of a name
counts, because an event ends with what is done last: "reach for and grasp the pear" ends with a
grasp. A name without a known verb is `other`: any moment may be its end, none is likely.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Action = Literal[
    "grasp", "release", "insert", "push", "operate", "press", "touch", "handover", "other"
]
"""`operate`: something that is fixed to the world moves (drawer, lever, button)."""
Side = Literal["left", "right", "both"]

VERBS: Final[dict[Action, tuple[str, ...]]] = {
    "grasp": (
        "grasp", "grip", "grab", "pick", "take", "catch", "clutch", "seize", "pinch", "clasp",
        "clamp", "squeeze", "retrieve", "fetch", "collect", "hold", "acquire",
    ),
    "release": (
        "release", "place", "put", "drop", "set", "lay", "stack", "deposit", "let", "leave",
        "unload", "ungrasp", "ungrip", "return", "toss", "throw", "detach", "position",
    ),
    "insert": (
        "insert", "thread", "plug", "assemble", "hang", "mount", "fit", "dock", "attach", "install",
        "screw", "load",
    ),
    "push": ("push", "slide", "nudge", "shove", "sweep", "poke", "drag", "roll"),
    "operate": (
        "pull", "turn", "rotate", "twist", "flip", "pour", "wipe", "fold", "lift", "raise",
        "lower", "open", "close", "shut", "tilt", "shake", "stir", "unfold", "move",
        "carry", "transport", "bring",
    ),
    "press": ("press", "switch", "tap", "hit", "click", "strike"),
    "touch": ("touch", "contact", "reach", "approach"),
}  # fmt: skip
HANDS: Final = r"(?:hand|gripper|jaw|claw|finger|fist|end[ -]?effector|arm)s?"
_STEMS: Final = {word: action for action, words in VERBS.items() for word in words}
_HAND: Final = re.compile(rf"\b{HANDS}\b")
_SIDE: Final = re.compile(
    rf"\b(left|right|both)\b(?=[- ]{HANDS}\b|[- ]\w+(?:s|ing)\b)|\bwith the (left|right)\b"
)
_HANDOVER: Final = re.compile(r"\bhand(?:s|ed|ing)?[- ]?(?:it |.{1,40} )?over\b|\bhandover\b")
_PASS: Final = re.compile(r"\b(?:transfer|pass)(?:s|es|red|ring|ed|ing)?\b.*\b(?:hand|arm|gripper)")


@dataclass(frozen=True, slots=True)
class Meaning:
    """An event's name, understood as far as signals need it."""

    action: Action
    side: Side | None
    verb: str | None
    """The word that decided; None where none is known."""
    words: frozenset[str]
    """All words, to be compared with the names of objects."""


def meaning_of(name: str) -> Meaning:
    """Read the name of an event."""
    lower = name.lower().replace("_", " ")
    tokens = re.findall(r"[a-z]+|\d+", lower)
    verb, action = _last_verb(tokens, lower)
    if _HANDOVER.search(lower) or _PASS.search(lower):
        return Meaning("handover", None, "hand over", frozenset(tokens))
    return Meaning(action, _side_in(lower, verb), verb, frozenset(tokens))


def _last_verb(tokens: list[str], lower: str) -> tuple[str | None, Action]:
    for place in range(len(tokens) - 1, -1, -1):
        stem = stem_of(tokens[place])
        if stem is None or _is_noun(tokens, place):
            continue
        if stem in ("open", "close", "shut") and _is_of_the_hand(tokens, place, lower):
            return tokens[place], "release" if stem == "open" else "grasp"
        return tokens[place], _STEMS[stem]
    return None, "other"


def stem_of(token: str) -> str | None:
    """The verb of the vocabulary of which a word is a form; None where it is of none."""
    candidates = [token]
    for ending, instead in (
        ("ing", ""), ("ing", "e"), ("es", ""), ("es", "e"), ("s", ""), ("ed", ""), ("ed", "e"),
    ):  # fmt: skip
        if token.endswith(ending) and len(token) > len(ending) + 1:
            candidates.append(token[: -len(ending)] + instead)
    # gripping, putting, setting
    candidates += [c[:-1] for c in candidates if len(c) > 3 and c[-1] == c[-2]]
    irregular = {"took": "take", "held": "hold", "hung": "hang", "laid": "lay", "taken": "take"}
    return next(
        (_STEMS[c] and c for c in (*candidates, irregular.get(token, "")) if c in _STEMS), None
    )


def _is_noun(tokens: list[str], place: int) -> bool:
    """Whether a word that could be a verb follows an article or preposition, as nouns do."""
    before = tokens[place - 1] if place else ""
    return before in ("the", "a", "an", "in", "its", "of", "this", "that") and not tokens[
        place
    ].endswith("ing")


def _is_of_the_hand(tokens: list[str], place: int, lower: str) -> bool:
    """Whether opening or closing is said of a hand, not of a drawer."""
    after = tokens[place + 1 : place + 2]
    if after == ["on"] or after == ["around"]:
        return True
    nouns = [
        token for token in tokens[place + 1 :] if token not in ("the", "a", "an", "its", "both")
    ]
    nouns = [token for token in nouns if token not in ("left", "right", "robot", "fully")]
    if nouns:
        return bool(_HAND.fullmatch(nouns[0]))
    return bool(_HAND.search(lower))


def _side_in(lower: str, verb: str | None) -> Side | None:
    """The hand that is named nearest before the verb, or anywhere."""
    found = [(match.start(), match.group(1) or match.group(2)) for match in _SIDE.finditer(lower)]
    if not found:
        return None
    at = lower.rfind(verb) if verb and verb in lower else len(lower)
    before = [side for start, side in found if start < at]
    side = before[-1] if before else found[0][1]
    return "both" if side == "both" else "left" if side == "left" else "right"


def names_object(meaning: Meaning, subject: str) -> float:
    """0 to 1: how much of an object's name in the file the words of an event repeat."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", subject)
    parts = [
        part
        for part in re.findall(r"[a-z]+|\d+", spaced.lower())
        if part not in ("object", "pose", "poses")
    ]
    if not parts:
        return 0.0
    return sum(part in meaning.words for part in parts) / len(parts)
