"""Structured captions: which fields a clip is described by, how a description is written and read.

A schema (a TOML file) says everything: prompts, grammar, parsing, scores and reports follow from it.
"""

from kairoscope.fields.normalise import normalised_label
from kairoscope.fields.schema import Field, Schema, Value, load_schema, shipped_schemas
from kairoscope.fields.writing import caption_json, caption_template, render_caption

__all__ = [
    "Field",
    "Schema",
    "Value",
    "caption_json",
    "caption_template",
    "load_schema",
    "normalised_label",
    "render_caption",
    "shipped_schemas",
]
