"""When does each subtask of a robot demonstration start and end?

The subtasks are named by the user, in order; the answer is one line an event. Their ends are
where MimicGen cuts a demonstration into segments, and the recipe's goal is an error below 30 %
of the time since the boundary before, with every event identified.
"""

from collections.abc import Sequence

from kairoscope.answers import parse_events
from kairoscope.config import EvalConfig, GRPOConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, Metric, Prompt, Scores, Slot, Task, Template, Unparsed
from kairoscope.data.labels import EventSample
from kairoscope.data.sources import load_samples
from kairoscope.events import (
    Event,
    Events,
    Query,
    events_from_json,
    events_to_json,
    gold_places,
    listed,
    nearest,
    one_line,
    seconds_text,
    starts_s,
    time_grid,
)
from kairoscope.metrics import answer_scores, event_errors, summarize

# --- what is asked -------------------------------------------------------------------------

SYSTEM = """\
The time in seconds is printed at the bottom of the pictures. Find when each of the listed \
events starts and ends. Answer with one line an event inside <answer></answer>:
Event 1: <start> <end> name"""
CLOSING = "Give the time of every event."


def prompt(query: Query) -> Prompt:
    """The list of events stands before the video: a causal model then watches out for them."""
    return Prompt(system=SYSTEM, before=listed(query), after=CLOSING)


# --- what is answered ----------------------------------------------------------------------


def render(query: Query, gold: Events) -> str:
    """The text a perfect model writes. A start that is not known is the end of the event before.

    Raises ValueError for a gold event that the query does not ask for.
    """
    places = gold_places(gold, query)
    starts = iter(starts_s([event for event in places if event is not None]))
    lines = [
        f"Event {i}: <{seconds_text(next(starts))}> <{seconds_text(event.end_s)}> {one_line(name)}"
        for i, (name, event) in enumerate(zip(query, places, strict=True), 1)
        if event is not None
    ]
    return "\n".join(["<answer>", *lines, "</answer>"])


def parse(query: Query, text: str) -> Events | Unparsed:
    """What a model really wrote -> its events, or why there are none. Never raises."""
    return parse_events(text, query)


def template(query: Query, times_s: Sequence[float]) -> Template:
    """Every text that `render` can write for these frame times, as a grammar.

    Slots `start 1`, `end 1`, `start 2`, ...: an end does not come before its start, nor a start
    before the start of the event before it.
    """
    choices = time_grid(times_s)
    parts: list[str | Slot] = []
    for i, name in enumerate(query, 1):
        opening = "<answer>\n" if i == 1 else "\n"
        start = 2 * (i - 1)  # index among the slots
        parts += [
            f"{opening}Event {i}: <",
            Slot(name=f"start {i}", choices=choices, not_before=start - 2 if i > 1 else None),
            "> <",
            Slot(name=f"end {i}", choices=choices, not_before=start),
            f"> {one_line(name)}",
        ]
    return (*parts, "\n</answer>")


def snap(gold: Events, times_s: Sequence[float]) -> Events:
    """The gold events on the grid of the frames: the best that `template` can say.

    Starts that are not known are written out, as `render` does. Of two frames equally near, the
    earlier; ends stay at or after their starts, and starts in order.
    """
    grid = [float(t) for t in time_grid(times_s)]
    snapped: list[Event] = []
    first = 0
    for event, start_s in zip(gold, starts_s(gold), strict=True):
        first = max(first, nearest(grid, start_s))
        last = max(first, nearest(grid, event.end_s))
        snapped.append(Event(event.name, grid[first], grid[last], event.number))
    return tuple(snapped)


# --- how it is scored ----------------------------------------------------------------------

METRICS = {
    "mae_s": Metric(unit="s", best=0.0, worst=float("inf"), title="Mean absolute error of ends"),
    "mre_percent": Metric(
        unit="%", best=0.0, worst=float("inf"), title="Mean relative error of ends"
    ),
    "tiou": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Temporal IoU"),
    "hit": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Ends within 30 % of their subtask"),
    "events_found": Metric(unit="0 to 1", best=1.0, worst=0.0, title="Events found and named"),
}


def score(answer: Events | Unparsed, sample: EventSample) -> Scores:
    """Scores of one answer; an event without one gets the worst value possible in the clip."""
    return answer_scores(event_errors(answer, sample.truth, sample.query, sample.duration_s))


# --- the task, and what was found best -----------------------------------------------------

TASK: Task[Query, Events] = Task(
    name="subtask-times",
    version=1,
    metrics=METRICS,
    headline="mre_percent",
    prompt=prompt,
    render=render,
    parse=parse,
    score=score,
    template=template,
    snap=snap,
    load=load_samples,
    to_json=events_to_json,
    from_json=events_from_json,
    summarize=summarize,
)

RECIPE = Recipe(
    name="subtask-times",
    title="Temporal localisation of robot subtasks",
    task=TASK,
    frames=FramePolicy(fps=8.0),  # the recipe tried 4, 8 and 12; 8 was best
    base_model="builtin",
    evaluation=EvalConfig(),
    sft=SFTConfig(),
    grpo=GRPOConfig(
        decoding="constrained",
        rewards=(("tiou", 1.0), ("boundary", 1.0), ("format", 0.1)),
        max_new_tokens=256,
    ),
    success=(
        "Mean relative error of the ends below 30 %, counting every clip; "
        "all user-defined events found and named."
    ),
    targets={"mre_percent": 30.0},
)
