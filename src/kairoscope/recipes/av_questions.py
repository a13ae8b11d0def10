"""What does the light show, how many lanes are there, what does the car do? Questions about clips.

The second task of the driving recipe: multiple-choice questions are answered by a letter, open ones in
words. What is right is set beside what is right without the clip: chance, constant answers, and the same
model asked the same questions blind. Whether words mean the same is for a judge (`kairoscope judge`).

`av-questions:words` has a choice answered in its own words instead: a letter must first be looked up, which
small models hardly learn.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from kairoscope.answers.questions import parse_choice, parse_words
from kairoscope.config import EvalConfig, Recipe, SFTConfig
from kairoscope.core import (
    FramePolicy,
    Metric,
    Prompt,
    Scores,
    Slot,
    Task,
    Template,
    Text,
    Unparsed,
)
from kairoscope.data.questions import Asked, QuestionSample, load_questions, turned
from kairoscope.fields.choices import LETTERS
from kairoscope.metrics.questions import answer_figures, summarize_questions

# --- what is asked -------------------------------------------------------------------------

BY_LETTER = """\
Answer the question about the video by the letter of one choice:
<answer>
letter
</answer>"""
BY_CHOICE = """\
Answer the question about the video in the words of one choice:
<answer>
{"answer": "choice"}
</answer>"""
IN_WORDS = """\
Answer the question about the video in a few words:
<answer>
{"answer": "words"}
</answer>"""
MAX_TOKENS = 96
"""Of an open answer."""


def prompt(query: Asked) -> Prompt:
    """The question stands before the video: a causal model then looks out for the answer."""
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, query.choices, strict=False)]
    system = BY_LETTER if query.choices else IN_WORDS
    return Prompt(system=system, before="\n".join([query.question, *lines]))


# --- what is answered ----------------------------------------------------------------------


def render(query: Asked, gold: str) -> str:
    """The text a perfect model writes. Raises ValueError for an answer that is no choice."""
    if query.choices:
        return f"<answer>\n{LETTERS[query.choices.index(gold)]}\n</answer>"
    return render_in_words(query, gold)


def parse(query: Asked, text: str) -> str | Unparsed:
    """What a model really wrote -> the choice or the words, or why there are none. Never raises."""
    return parse_choice(query.choices, text) if query.choices else parse_words(text)


def template(query: Asked, _times_s: Sequence[float]) -> Template:
    """One slot of letters, or words up to a quotation mark."""
    if query.choices:
        # The letter stands on a line of its own: so it is a token of its own in every tokenizer.
        letters = tuple(LETTERS[: len(query.choices)])
        return ("<answer>\n", Slot(name="answer", choices=letters), "\n</answer>")
    return ('<answer>\n{"answer": "', Text(name="answer", max_tokens=MAX_TOKENS), ' "}\n</answer>')


def prompt_in_words(query: Asked) -> Prompt:
    """The same question with choices that have no letters."""
    lines = [f"- {choice}" for choice in query.choices]
    system = BY_CHOICE if query.choices else IN_WORDS
    return Prompt(system=system, before="\n".join([query.question, *lines]))


def render_in_words(_: Asked, gold: str) -> str:
    """The choice, or the words, as JSON. The blank keeps the quotation mark out of the words' tokens."""
    return f'<answer>\n{{"answer": {_quoted(gold)}}}\n</answer>'


def parse_in_words(query: Asked, text: str) -> str | Unparsed:
    """The choice whose words, or whose letter, a model really wrote. Never raises."""
    said = parse_words(text)
    if isinstance(said, Unparsed) or not query.choices:
        return said
    return parse_choice(query.choices, said)


def template_in_words(query: Asked, _times_s: Sequence[float]) -> Template:
    """One slot of choices, each to the end of its line, so that none is the beginning of another."""
    if not query.choices:
        return template(query, ())
    ends = tuple(_quoted(choice)[1:] + "}\n" for choice in query.choices)
    return ('<answer>\n{"answer": "', Slot(name="answer", choices=ends), "</answer>")


def _quoted(words: str) -> str:
    return json.dumps(words + " ", ensure_ascii=False)


# --- how it is scored ----------------------------------------------------------------------

METRICS = {
    "right": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Questions right"),
    "f1": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Overlap of words (choices: right)"),
}


def score(answer: str | Unparsed, sample: QuestionSample) -> Scores:
    """Scores of one answer."""
    return answer_figures(answer, sample.truth, has_choices=bool(sample.query.choices))


# --- the task, and what was found best -----------------------------------------------------

TASK: Task[Asked, str] = Task(
    name="av-questions",
    version=1,
    metrics=METRICS,
    headline="right",
    prompt=prompt,
    render=render,
    parse=parse,
    score=score,
    template=template,
    load=load_questions,
    turned=turned,
    summarize=summarize_questions,
)

WORDS = "words"
"""What stands behind `av-questions:`."""
TASK_IN_WORDS = replace(
    TASK,
    name=f"{TASK.name}:{WORDS}",
    prompt=prompt_in_words,
    render=render_in_words,
    parse=parse_in_words,
    template=template_in_words,
)

RECIPE = Recipe(
    name="av-questions",
    title="Questions about driving clips",
    task=TASK,
    # As captions of the same clips: two frames a second, large pictures, no clock on them.
    frames=FramePolicy(fps=2.0, max_frame_pixels=16 * 9 * 28 * 28, stamp="none"),
    base_model="builtin",
    evaluation=EvalConfig(decoding="constrained", blind_control=True),
    sft=SFTConfig(),
    success="More questions right than by the same model without the clip, on clips never seen.",
    targets={},
)
IN_WORDS_RECIPE = replace(RECIPE, name=TASK_IN_WORDS.name, task=TASK_IN_WORDS)
