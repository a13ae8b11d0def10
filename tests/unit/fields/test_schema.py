"""Schema files: what they may say, and what is said about those that say something else."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.fields import load_schema, shipped_schemas
from kairoscope.fields.schema import schema_of

FIFTEEN = (
    "weather", "lighting", "road_conditions", "traffic_light", "traffic_sign",
    "additional_traffic_rules", "road_type", "junction_type", "lane_type", "additional_map_rules",
    "interactive_expanded_metaaction", "safety_analysis", "driving_difficulty", "rule_violation",
    "interesting_scenario",
)  # fmt: skip
GOOD: dict[str, Any] = {
    "name": "mine",
    "system": "Describe.",
    "fields": [
        {"name": "weather", "kind": "choice", "values": ["dry", "wet"], "instruction": "How?"},
        {"name": "lanes", "kind": "integer", "range": [1, 4], "instruction": "How many?"},
    ],
}


def test_shipped_schemas_are_read_and_the_default_has_the_fifteen_fields() -> None:
    assert {"driving", "driving_world"} <= shipped_schemas().keys()
    assert load_schema("driving").names == FIFTEEN
    for name in shipped_schemas():
        assert load_schema(name).name == name


def test_a_schema_of_the_user_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nsystem = "Look."\n[[fields]]\nname = "wet"\nkind = "boolean"\n'
        'instruction = "Is it wet?"\n'
    )
    [field] = load_schema(str(file)).fields
    assert (field.values, field.question, field.closed) == (("False", "True"), "Is it wet?", True)


def with_field(**changes: Any) -> dict[str, Any]:
    field = {**GOOD["fields"][0], **changes}
    return {**GOOD, "fields": [{k: v for k, v in field.items() if v is not None}]}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({**GOOD, "fileds": 1}, "unknown fileds"),
        ({**GOOD, "fields": []}, "1 to 64 tables"),
        ({**GOOD, "fields": [1]}, "field 1 is 1"),
        ({**GOOD, "fields": [GOOD["fields"][0]] * 2}, "'weather' is there twice"),
        (with_field(name="Weather"), "field 'Weather': allowed: a-z"),
        (with_field(kind="enum"), "kind is 'enum'; allowed: choice"),
        (with_field(values=["dry"]), r"values is \['dry'\]; allowed: 2 to"),
        (with_field(values=["dry", "DRY"]), "there twice"),
        (with_field(values=["dry", 'so "wet"']), "quotation mark"),
        (with_field(values=None), "values is missing"),
        (with_field(range=[1, 2]), "range is not for this kind"),
        (with_field(kind="integer", values=None, range=[4, 1]), r"range is \[4, 1\]"),
        (with_field(kind="text", values=None), "at least one must be closed"),
        (with_field(instruction=""), "instruction is ''"),
        (with_field(max_words=0), "max_words is 0"),
        (with_field(nullable=1), "nullable is 1"),
    ],
)
def test_what_is_no_schema_is_named(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        schema_of(table)


def test_the_file_is_named_where_it_is_no_schema(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("name = ")
    with pytest.raises(UserError, match=r"bad\.toml: not TOML"):
        load_schema(str(bad))
    with pytest.raises(UserError, match=r"absent\.toml: No such file"):
        load_schema(str(tmp_path / "absent.toml"))
    with pytest.raises(UserError, match=r"'drivin' is not shipped.*driving"):
        load_schema("drivin")
    assert tomllib.loads(shipped_schemas()["driving"].read_text("utf-8"))["name"] == "driving"
