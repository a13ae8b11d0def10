"""Which weather, which road, what happens: a driving clip described field by field.

A schema says which fields there are (`av-captions` takes the fifteen of the recipe,
`av-captions:FILE.toml` the user's own). Closed fields are judged by themselves; texts need a judge
(`kairoscope judge`), and until then only the overlap of their words is known.
"""

import zlib
from collections.abc import Sequence
from functools import partial

from kairoscope.answers.captions import parse_caption
from kairoscope.config import EvalConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, Metric, Prompt, Scores, Task, Template, Unparsed
from kairoscope.data.captions import Caption, CaptionQuery, CaptionSample, load_captions
from kairoscope.fields.normalise import allowed, normalised_label
from kairoscope.fields.schema import Field, Schema, load_schema
from kairoscope.fields.scores import caption_scores
from kairoscope.fields.writing import caption_json, caption_template, render_caption
from kairoscope.metrics.captions import summarizer
from kairoscope.storage import canonical_json, plain

NAME = "av-captions"
SCHEMA = "driving"

# --- what is asked -------------------------------------------------------------------------

CLOSING = (
    "Answer with one JSON object inside <answer></answer>, a line a field; in fields of several "
    'values, "yes" or "no" for each value.'
)


def prompt_of(schema: Schema, query: CaptionQuery) -> Prompt:
    """The fields stand before the video: a causal model then looks out for them."""
    lines = [_asked(schema.field(name)) for name in query]
    before = "\n".join([schema.opening, *lines]).strip()
    return Prompt(system=schema.system, before=before, after=CLOSING)


def _asked(field: Field) -> str:
    takes = "text" if field.kind == "text" else allowed(field)
    return f'"{field.name}" ({takes}): {field.instruction}'


# --- how it is scored ----------------------------------------------------------------------

METRICS = {
    "fields_right": Metric(
        unit="0 to 1", best=1.0, worst=0.0, title="Fields right (closed and sets)"
    )
}


# --- the task of a schema ------------------------------------------------------------------


def caption_task(schema: Schema, name: str = NAME) -> Task[CaptionQuery, Caption]:
    """The task of describing clips by the fields of a schema.

    Its version changes with everything that the schema says.
    """

    def score(answer: Caption | Unparsed, sample: CaptionSample) -> Scores:
        return caption_scores(schema, answer, sample.truth)

    def template(query: CaptionQuery, _times_s: Sequence[float]) -> Template:
        return caption_template(schema, query)

    return Task(
        name=name,
        version=zlib.crc32(canonical_json(plain(schema)).encode()),
        metrics=METRICS,
        headline="fields_right",
        prompt=partial(prompt_of, schema),
        render=partial(render_caption, schema),
        parse=partial(parse_caption, schema),
        score=score,
        template=template,
        load=partial(load_captions, schema),
        to_json=caption_json,
        from_json=lambda row: normalised_label(schema, row)[0],
        summarize=summarizer(schema),
    )


# --- what was found best -------------------------------------------------------------------


def recipe_of(schema_name: str) -> Recipe:
    """The recipe for a schema: the name of a shipped one, or the path of a file."""
    name = NAME if schema_name == SCHEMA else f"{NAME}:{schema_name}"
    return Recipe(
        name=name,
        title="Captions of driving clips",
        task=caption_task(load_schema(schema_name), name),
        # As the recipe: two frames a second, large pictures, no clock on them.
        frames=FramePolicy(fps=2.0, max_frame_pixels=16 * 9 * 28 * 28, stamp="none"),
        base_model="builtin",
        evaluation=EvalConfig(decoding="constrained"),
        sft=SFTConfig(),
        success="More fields right than the commonest answer of each field, on clips never seen.",
        targets={},
    )


RECIPE = recipe_of(SCHEMA)
