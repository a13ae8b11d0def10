"""A caption as text: one JSON object in a fixed layout, so that a grammar can follow it exactly.

<answer>
{
"weather": "Light rain ",
"behaviours": {"Vehicle following": "yes ", "Overtaking": "no "},
"driving_difficulty": "2 "
}
</answer>

The blank before a closing quotation mark keeps it out of the tokens of the value: tokenizers join
punctuation, so `tree.",` would be other tokens as a whole than as a value and what follows it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.core import Slot, Template, Text
from kairoscope.fields.schema import NO, YES, Field, Schema, Value

NOTHING = "none"
"""How an empty field is written."""
TOKENS_PER_WORD = 3


def render_caption(schema: Schema, query: Sequence[str], caption: Mapping[str, Value]) -> str:
    """The text that a perfect model writes about the fields of `query`.

    Raises KeyError for a field without a value in the caption.
    """
    lines = [f'"{name}": {_written(schema.field(name), caption[name])}' for name in query]
    return "<answer>\n{\n" + ",\n".join(lines) + "\n}\n</answer>"


def caption_template(schema: Schema, query: Sequence[str]) -> Template:
    """The grammar of `render_caption`: closed fields take their values only, texts have no quotes."""
    parts: list[str | Slot | Text] = ["<answer>\n{\n"]
    for place, name in enumerate(query, 1):
        parts.append(f'"{name}": ')
        parts.extend(_parts(schema.field(name), ",\n" if place < len(query) else "\n"))
    return (*parts, "}\n</answer>")


def caption_json(caption: Mapping[str, Value]) -> dict[str, Any]:
    """A caption as JSON values, in the form of the recipe's label files."""
    return {name: _labelled(value) for name, value in caption.items()}


def _labelled(value: Value) -> Any:
    if isinstance(value, bool):
        return YES if value else NO
    return list(value) if isinstance(value, tuple) else value


def plain_text(text: str) -> str:
    """A text without what the grammar has no room for: quotes, backslashes and line breaks."""
    swapped = text.replace('"', "'").replace("\\", "/")
    return " ".join("".join(c if c.isprintable() else " " for c in swapped).split())


# --- writing -----------------------------------------------------------------------------------


def _written(field: Field, value: Value) -> str:
    if field.kind == "set":
        assert isinstance(value, tuple)
        says = (f'"{v}": "{"yes" if v in value else "no"} "' for v in field.values)
        return "{" + ", ".join(says) + "}"
    if value is None:
        return f'"{NOTHING} "'
    if isinstance(value, bool):
        return f'"{YES if value else NO} "'
    return f'"{plain_text(str(value))} "'


def _parts(field: Field, after: str) -> list[str | Slot | Text]:
    """A value and what ends its line."""
    if field.kind == "set":
        parts: list[str | Slot | Text] = []
        for place, value in enumerate(field.values):
            parts.append(("{" if place == 0 else ' ", ') + f'"{value}": "')
            parts.append(Slot(name=f"{field.name}: {value}", choices=("no", "yes")))
        return [*parts, ' "}' + after]
    end = ' "' + after
    if field.kind == "text":
        return ['"', Text(name=field.name, max_tokens=TOKENS_PER_WORD * field.max_words), end]
    choices = (*field.values, NOTHING) if field.nullable else field.values
    # The end of the line ends each value, so that none is the beginning of another.
    return ['"', Slot(name=field.name, choices=tuple(choice + end for choice in choices))]
