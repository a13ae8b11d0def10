"""The page of a reinforcement learning run: settings, curves, held-out figures, some answers. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.report.blocks import Block, Code, Heading, Number, Paragraph, Plot, Table
from kairoscope.report.curves import Series, curves
from kairoscope.report.recipe.states import command_block
from kairoscope.report.recipe.training import as_toml, lasting
from kairoscope.report.svg import short
from kairoscope.report.training import STEP_KEY
from kairoscope.runs import Run

Rows = Sequence[Mapping[str, Any]]
CURVES: tuple[tuple[str, str, str], ...] = (
    ("reward_spread", "Spread of rewards in a group", "standard deviation"),
    ("dropped_groups", "Groups whose answers all earned the same", "share of groups"),
    ("kl", "Divergence from the starting weights", "k3, nats a token"),
    ("entropy", "Entropy of a choice", "nats"),
    ("clip_share", "Choices beyond the clip", "share"),
    ("answer_tokens", "Length of an answer", "tokens"),
    ("unparsed", "Answers that could not be read", "share"),
    ("unfinished", "Answers that reached their limit", "share"),
    ("sampler_gap", "Drawn and recomputed log-probability", "mean difference, nats"),
    ("server_gap", "The server's log-probabilities of one answer", "mean difference, nats"),
    ("truncated_share", "Choices whose importance weight is at its cap", "share"),
    ("grad_norm", "Length of the gradient", "before clipping"),
    ("learning_rate", "Learning rate", "learning rate"),
)
"""(key of a step's row, title, unit) of the curves with one line."""
COLOURS = ("model", "other", "ink", "control")
MANY = 40
"""Steps from which on curves are smoothed."""
FLAT = frozenset(("kl", "clip_share", "truncated_share", "unparsed", "unfinished"))
"""Not drawn where they are 0 from beginning to end."""


def reinforcement_blocks(run: Run, targets: Mapping[str, float]) -> list[Block]:
    """What a run of kind `grpo` wrote, as the blocks of its page."""
    rows = run.records("train", key=STEP_KEY)
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    steps, held_out = kinds["step"], kinds["held_out"]
    settings: Mapping[str, Any] = run.config["grpo"]
    environment = run.read_json("environment.json") or {}
    checks = kinds["check"]
    blocks: list[Block] = [
        Heading(1, f"Reinforcement Learning of {run.config.get('model')}"),
        Paragraph(_method(settings, checks[-1]["kept"] if checks else None)),
        Heading(2, "What It Came To"),
        *_came_to(steps, held_out),
    ]
    blocks += [Heading(2, "Curves"), *reward_plots(steps, settings["rewards"])]
    blocks += held_out_plots(held_out, targets)
    for key, title, unit in CURVES:
        points = [(row["step"], row[key]) for row in steps if row.get(key) is not None]
        if points and not (key in FLAT and not any(value for _, value in points)):
            line = Series(label=title, points=points, smooth=len(points) > MANY)
            blocks.append(Plot(key, curves([line], title=title, unit=unit), title))
    blocks += [Heading(2, "Answers"), *_answers(kinds["answers"])]
    return [
        *blocks,
        Heading(2, "Settings"),
        Code(as_toml("grpo", settings), "toml"),
        Code(as_toml("frames", run.config.get("frames", {})), "toml"),
        Heading(2, "Command"),
        *command_block(environment),
    ]


def reinforcement_summary(run: Run, targets: Mapping[str, float]) -> list[Block]:
    """The same in short, for the document of a recipe: method, course, held-out figures and rewards."""
    rows = run.records("train", key=STEP_KEY)
    steps, held_out, checks = (
        [row for row in rows if row["kind"] == kind] for kind in ("step", "held_out", "check")
    )
    settings: Mapping[str, Any] = run.config["grpo"]
    return [
        Paragraph(_method(settings, checks[-1]["kept"] if checks else None)),
        *_came_to(steps, held_out),
        *(reward_plots(steps, settings["rewards"]) if steps else []),
        *held_out_plots(held_out, targets),
    ]


def _came_to(steps: Rows, held_out: Rows) -> list[Block]:
    table = [Table(*_held_out_table(held_out))] if held_out else []
    return [Paragraph(_course(steps)), *table]


KINDS = ("step", "held_out", "check", "answers")


def reward_plots(steps: Rows, rewards: Sequence[Sequence[Any]]) -> list[Plot]:
    """The reward, and its parts without their weights."""
    smooth = len(steps) > MANY

    def line(key: str, label: str, colour: str) -> Series:
        points = [(row["step"], row[key]) for row in steps]
        return Series(label=label, points=points, smooth=smooth, colour=colour)

    total = curves([line("reward", "reward", "model")], title="Reward", unit="mean of the step")
    plots = [Plot("reward", total, "Reward, its parts weighted and summed")]
    if len(rewards) > 1:
        parts = [
            line(f"reward_{name}", name, COLOURS[place % len(COLOURS)])
            for place, (name, _) in enumerate(rewards)
        ]
        markup = curves(parts, title="Parts of the reward", unit="0 to 1")
        plots.append(Plot("reward_parts", markup, "Parts of the reward, without their weights"))
    return plots


def held_out_plots(held_out: Rows, targets: Mapping[str, float]) -> list[Plot]:
    """The metrics that the recipe has targets for, or else the first there is."""
    names = [key for key in targets if held_out and key in held_out[0]] or _metrics(held_out)[:1]
    plots = []
    for key in names:
        points = [(row["step"], row[key]) for row in held_out if row.get(key) is not None]
        line = Series(label="held out", points=points, marks=True)
        markup = curves(
            [line], title=f"{_spoken(key)}, held out", unit=_spoken(key), aim=targets.get(key)
        )
        plots.append(Plot(f"held_out_{key}", markup, "The task's metric on held-out clips"))
    return plots


def _metrics(held_out: Rows) -> list[str]:
    return [key for key in held_out[0] if key not in ("kind", "step")] if held_out else []


def _held_out_table(held_out: Rows) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    names = _metrics(held_out)
    rows = [[str(row["step"]), *(Number(row.get(name)) for name in names)] for row in held_out]
    return ("Step", *map(_spoken, names)), rows


def _spoken(key: str) -> str:
    return key.replace("_", " ")


def _method(settings: Mapping[str, Any], kept: int | None) -> str:
    rewards = ", ".join(f"{short(weight)} x {name}" for name, weight in settings["rewards"])
    beta = settings["kl_beta"]
    near = f"kept near the starting weights with {short(beta)} x k3" if beta else "not held back"
    lora = settings["lora"]
    frozen = [part for part in ("vision", "language") if settings.get(f"freeze_{part}")]
    all_but = f"All weights but the {frozen[0]} model's" if frozen else "All weights"
    what = f"{all_but} are trained" if lora is None else f"LoRA of rank {lora['rank']} is trained"
    on = "" if kept is None else f" on {kept} samples"
    return (
        f"{what}{on}: {settings['group_size']} {settings['decoding']} answers to each of "
        f"{settings['rollouts_per_step'] // settings['group_size']} prompts a step, rewarded with "
        f"{rewards}; {near}."
    )


def _course(steps: Rows) -> str:
    if not steps:
        return "No step was taken."
    first, last = steps[0], steps[-1]
    seconds = sum(row["seconds"] for row in steps)
    answering = sum(row["answering_seconds"] for row in steps) / max(seconds, 1e-9)
    text = (
        f"{last['step']} of {last['of']} steps in {lasting(seconds)}, {answering:.0%} of "
        f"it spent on answering; reward {short(first['reward'])} in the first step, "
        f"{short(last['reward'])} in the last."
    )
    return text if last["step"] >= last["of"] else text + " The run is not finished."


def _answers(rows: Rows) -> list[Block]:
    """The best and the worst answer to one prompt, of the first step and of the last."""
    blocks: list[Block] = []
    for row in {row["step"]: row for row in (*rows[:1], *rows[-1:])}.values():
        for group in row["groups"]:
            blocks.append(Heading(3, f"Step {row['step']}: {group['sample_id']}"))
            for answer in group["answers"]:
                parts = ", ".join(f"{name} {short(v)}" for name, v in answer["parts"].items())
                blocks.append(Paragraph(f"Reward {short(answer['reward'])} ({parts})"))
                blocks.append(Code(answer["text"]))
    return blocks or [Paragraph("None were kept.")]
