"""Labels and captions: read in every form, written in one, judged field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.answers.captions import parse_caption
from kairoscope.core import Unparsed
from kairoscope.fields import (
    Field,
    Schema,
    Value,
    caption_json,
    load_schema,
    normalised_label,
    render_caption,
)
from kairoscope.fields.normalise import NoValue, is_empty, normalised_value
from kairoscope.fields.scores import caption_scores, word_overlap
from kairoscope.fields.writing import plain_text

DRIVING = load_schema("driving")
ROW: dict[str, Any] = {
    "weather": "light  rain",
    "lighting": "Daytime (low‑contrast daylight)",
    "road_conditions": "Wet",
    "traffic_light": "N/A",
    "traffic_sign": "One.\nTwo.\n",
    "additional_traffic_rules": None,
    "road_type": "Collector road",
    "junction_type": "Straight",
    "lane_type": "One lane",
    "additional_map_rules": "none",
    "interactive_expanded_metaaction": ["Vehicle following", "yield to VRUs"],
    "safety_analysis": 'It says "stop".',
    "driving_difficulty": "3",
    "rule_violation": "False",
    "interesting_scenario": True,
    "critical_object": "car",
}


def test_a_label_in_the_recipes_form_is_read_whole() -> None:
    values, wrong = normalised_label(DRIVING, ROW)
    assert values["weather"] == "Light rain"
    assert values["lighting"] == "Daytime (low-contrast daylight)"
    assert values["additional_map_rules"] is None
    assert values["interactive_expanded_metaaction"] == ("Yield to VRUs", "Vehicle following")
    assert (values["driving_difficulty"], values["rule_violation"]) == (3, False)
    assert values["traffic_sign"] == "One. Two."
    assert values["traffic_light"] is None
    assert wrong == []


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("boolean", "true", True), ("boolean", 0, False), ("boolean", "No", False),
        ("integer", 2.0, 2), ("integer", " 3 ", 3),
        ("set", "a; B", ("a", "b")), ("set", None, ()), ("set", {"a": "no", "b": True}, ("b",)),
        ("choice", ["B"], "b"),
    ],
)  # fmt: skip
def test_mixed_types_say_the_same(kind: Any, raw: Any, value: Value) -> None:
    values = {"integer": ("1", "2", "3"), "boolean": ("False", "True")}.get(kind, ("a", "b"))
    field = Field(name="f", kind=kind, instruction="i", question="q", values=values)
    assert normalised_value(field, raw) == value
    with pytest.raises(NoValue, match="allowed"):
        normalised_value(field, "something else")
    with pytest.raises(NoValue):
        normalised_value(field, 17)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every value that a label may have."""
    if field.kind == "text":
        return st.text(max_size=30).filter(lambda t: plain_text(t) == t and not is_empty(t))
    if field.kind == "set":
        chosen = st.sets(st.sampled_from(field.values))
        return chosen.map(lambda some: tuple(v for v in field.values if v in some))
    if field.kind == "boolean":
        return st.booleans()
    return st.sampled_from([int(v) if field.kind == "integer" else v for v in field.values])


captions = st.fixed_dictionaries(
    {f.name: values_of(f) for f in load_schema("driving_world").fields}
)


@given(caption=captions, indent=st.sampled_from([None, 2]))
def test_what_is_written_is_read_and_scores_best(caption: Any, indent: int | None) -> None:
    schema = load_schema("driving_world")
    text = render_caption(schema, schema.names, caption)
    assert json.loads(text.removeprefix("<answer>").removesuffix("</answer>"))
    ours = parse_caption(schema, schema.names, text)
    recipes = "```json\n" + json.dumps(caption_json(caption), indent=indent) + "\n```"
    theirs = parse_caption(schema, schema.names, recipes)
    assert not isinstance(ours, Unparsed)
    assert not isinstance(theirs, Unparsed)
    assert theirs == caption
    assert ours == caption
    assert caption_scores(schema, ours, caption) == {"fields_right": 1.0}


@given(text=st.text())
def test_reading_is_total(text: str) -> None:
    parse_caption(DRIVING, DRIVING.names, text)
    parse_caption(DRIVING, DRIVING.names, '{"weather": ' + text)


def test_nearly_json_is_read_and_the_rest_of_the_fields_is_kept() -> None:
    text = (
        "{'weather': 'Overcast', lighting: None, 'driving_difficulty': 9, \"rule_violation\": Tru"
    )
    assert parse_caption(DRIVING, DRIVING.names, text) == {"weather": "Overcast"}
    cut = '{"rule_violation": "True", "safety_analysis": "A car'
    assert parse_caption(DRIVING, DRIVING.names, cut) == {
        "rule_violation": True,
        "safety_analysis": "A car",
    }
    later = '{"weather": "Overcast"} no: {"weather": "Dense fog"}'
    assert parse_caption(DRIVING, ("weather",), later) == {"weather": "Dense fog"}


def test_a_caption_counts_what_it_gets_right() -> None:
    schema = Schema(
        name="s",
        system="x",
        fields=(
            Field(name="a", kind="choice", instruction="", question="", values=("x", "y")),
            Field(name="b", kind="set", instruction="", question="", values=("p", "q")),
            Field(name="c", kind="text", instruction="", question=""),
        ),
    )
    gold: dict[str, Value] = {"a": "x", "b": ("p",), "c": "words"}
    assert caption_scores(schema, {"a": "x", "b": ("p", "q")}, gold)["fields_right"] == (
        pytest.approx((1 + 2 / 3) / 2)
    )
    assert caption_scores(schema, Unparsed("no"), gold)["fields_right"] == 0
    assert word_overlap("A red car, a bus.", "a bus") == pytest.approx(2 * 2 / (5 + 2))
