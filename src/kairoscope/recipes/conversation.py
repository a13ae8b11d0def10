"""Whatever a conversation about a video asks, answered as its assistant did.

For data that no other recipe knows: the words are the rows' own, the answer is free text. Scored by
whether it is the same text, and by the words that it shares; a task with a grammar and a metric of its
own (see the other recipes) says more.
"""

from kairoscope.config import EvalConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, Metric, Prompt, Sample, Scores, Task, Unparsed
from kairoscope.data.any_conversations import Words, load_any
from kairoscope.metrics.texts import summarize_texts, text_scores

END = "<|im_end|>"

# --- what is asked and answered --------------------------------------------------------------


def prompt(query: Words) -> Prompt:
    """The row's own words."""
    system, before, after = query
    return Prompt(system=system, before=before, after=after)


def render(_: Words, gold: str) -> str:
    """The assistant's text."""
    return gold


def parse(_: Words, text: str) -> str | Unparsed:
    """What a model wrote, up to the end of its turn. Never raises."""
    said = text.partition(END)[0].strip()
    return said or Unparsed("it is empty")


# --- how it is scored ------------------------------------------------------------------------

METRICS = {
    "words": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Words shared with the answer (F1)"),
    "exact": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Answers that are the same text"),
}


def score(answer: str | Unparsed, sample: Sample[Words, str]) -> Scores:
    """Scores of one answer."""
    return text_scores(answer, sample.truth)


# --- the task, and what was found best -------------------------------------------------------

TASK: Task[Words, str] = Task(
    name="conversation",
    version=1,
    metrics=METRICS,
    headline="words",
    prompt=prompt,
    render=render,
    parse=parse,
    score=score,
    load=load_any,
    summarize=summarize_texts,
)

RECIPE = Recipe(
    name="conversation",
    title="Conversations about videos",
    task=TASK,
    # No clock on the pictures: the rows' own words do not speak of one.
    frames=FramePolicy(fps=2.0, stamp="none"),
    base_model="builtin",
    evaluation=EvalConfig(decoding="free"),
    sft=SFTConfig(),
    success="Answers that are those of the data, on clips never seen.",
    targets={},
)
