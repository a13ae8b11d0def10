"""What does the light show, how many lanes are there, what does the car do? Questions about clips.

The second task of the driving recipe: multiple-choice questions are answered by a letter, open ones in
words. What is right is set beside what is right without the clip: chance, constant answers, and the same
model asked the same questions blind. Whether words mean the same is for a judge (`kairoscope judge`).
"""

import json
from collections.abc import Sequence

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
    return f'<answer>\n{{"answer": {json.dumps(gold + " ", ensure_ascii=False)}}}\n</answer>'


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
