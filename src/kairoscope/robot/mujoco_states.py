"""Columns of recorded MuJoCo states, from the model that a demonstration was recorded with.

robosuite records `states` as (T, 1 + nq + nv): the simulation's clock, then `qpos` and `qvel`, whose
order is that of the joints in the model's XML: bodies depth first, a body's own joints before those
of its children. A free joint takes 7 of qpos (position in m, quaternion w, x, y, z) and 6 of qvel.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

_WIDTHS = {"free": (7, 6), "ball": (4, 3), "slide": (1, 1), "hinge": (1, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """A joint and the columns of `states` that hold its position."""

    name: str
    kind: str
    """`free`, `ball`, `slide` or `hinge`."""
    columns: slice


def joints(model_xml: str, num_columns: int) -> tuple[Joint, ...]:
    """Joints of a model in the order of `states`; empty where it does not explain its columns.

    Args:
        model_xml: MJCF text, as robosuite keeps it with every demonstration.
        num_columns: of `states`.
    """
    try:
        root = ElementTree.fromstring(model_xml)
    except ElementTree.ParseError:
        return ()
    found: list[Joint] = []
    position, velocity = 1, 0
    for world in root.findall("worldbody"):
        for name, kind in _joints(world):
            if kind not in _WIDTHS:
                return ()
            num_position, num_velocity = _WIDTHS[kind]
            found.append(
                Joint(name=name, kind=kind, columns=slice(position, position + num_position))
            )
            position += num_position
            velocity += num_velocity
    return tuple(found) if position + velocity == num_columns else ()


def _joints(body: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """(name, type) of the joints of a body and of all below it."""
    for element in body:
        if element.tag == "joint":
            yield element.get("name", ""), element.get("type", "hinge")
        elif element.tag == "freejoint":
            yield element.get("name", ""), "free"
    for element in body.findall("body"):
        yield from _joints(element)
