"""How well does a video keep to the laws of physics, from 1 to 5?

For filtering generated videos: a person, or a simulator that knows what it did, has scored each
clip. The answer is one digit; the distribution over the five digits says more than the likeliest
of them, and is read as its mean, too.
"""

from collections.abc import Sequence

from kairoscope.answers.scores import parse_score
from kairoscope.config import EvalConfig, GRPOConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, Metric, Prompt, Scores, Slot, Task, Template, Unparsed
from kairoscope.data.scores import Question, ScoreSample, load_scored
from kairoscope.metrics.scores import one_score, summarize_scores, together
from kairoscope.scale import SCORES, SLOT, expected_score

# --- what is asked -------------------------------------------------------------------------

SYSTEM = """\
Score the physics seen in the video from 1, impossible, to 5, no violation at all. \
Answer with <answer>score</answer>."""
"""Short, because a small model pays for every word; examples/physics/prompt.yaml has a longer one."""


def prompt(_: Question) -> Prompt:
    """The same for every clip: what it shows, or was meant to show, is not told."""
    return Prompt(system=SYSTEM)


# --- what is answered ----------------------------------------------------------------------


def render(_: Question, gold: int) -> str:
    """The text a perfect model writes."""
    return f"<answer>{gold}</answer>"


def parse(_: Question, text: str) -> int | Unparsed:
    """What a model really wrote -> its score, or why there is none. Never raises."""
    return parse_score(text)


def template(_: Question, _times_s: Sequence[float]) -> Template:
    """One slot of five digits, each a single token in every tokenizer that is used here."""
    return ("<answer>", Slot(name=SLOT, choices=tuple(map(str, SCORES))), "</answer>")


# --- how it is scored ----------------------------------------------------------------------

METRICS = {
    "mae": Metric(unit="of 4", best=0.0, worst=4.0, title="Mean absolute error"),
    "exact": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Exact scores"),
    "within_one": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Scores within one"),
}
TOGETHER = {
    "pearson": Metric(unit="-1 to 1", best=1.0, worst=-1.0, title="Pearson correlation"),
    "spearman": Metric(unit="-1 to 1", best=1.0, worst=-1.0, title="Spearman correlation"),
    "kappa": Metric(unit="-1 to 1", best=1.0, worst=-1.0, title="Quadratic-weighted kappa"),
    "expected_pearson": Metric(
        unit="-1 to 1", best=1.0, worst=-1.0, title="Pearson correlation of the expected score"
    ),
    "expected_spearman": Metric(
        unit="-1 to 1", best=1.0, worst=-1.0, title="Spearman correlation of the expected score"
    ),
    "expected_kappa": Metric(
        unit="-1 to 1", best=1.0, worst=-1.0, title="Kappa of the rounded expected score"
    ),
    "expected_mae": Metric(
        unit="of 4", best=0.0, worst=4.0, title="Mean absolute error of the expected score"
    ),
}


def score(answer: int | Unparsed, sample: ScoreSample) -> Scores:
    """Scores of one answer; one that failed counts as the score farthest from the truth."""
    return one_score(answer, sample.truth)


# --- the task, and what was found best -----------------------------------------------------

TASK: Task[Question, int] = Task(
    name="physics-score",
    version=1,
    metrics=METRICS,
    headline="expected_pearson",
    prompt=prompt,
    render=render,
    parse=parse,
    score=score,
    template=template,
    load=load_scored,
    summarize=summarize_scores,
    together=together,
    together_metrics=TOGETHER,
    expected=expected_score,
)

RECIPE = Recipe(
    name="physics-score",
    title="Physical plausibility of videos",
    task=TASK,
    # Motion is what is judged: more frames than for captions, no clock on the picture.
    frames=FramePolicy(fps=8.0, max_frames=96, stamp="none"),
    base_model="builtin",
    evaluation=EvalConfig(),
    sft=SFTConfig(balance="up"),
    grpo=GRPOConfig(
        balance="up",
        decoding="constrained",
        rewards=(("score", 1.0), ("format", 0.1)),
        kl_beta=0.05,
        max_new_tokens=64,
    ),
    success=(
        "Pearson correlation of the expected score with the true one of 0.6 or more, "
        "counting every clip."
    ),
    targets={"expected_pearson": 0.6},
)
