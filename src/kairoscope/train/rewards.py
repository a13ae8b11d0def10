"""What an answer is worth in reinforcement learning: plain functions of the answer and the truth.

A reward is a number from 0 to 1; a training sums several with weights (`GRPOConfig.rewards`).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from kairoscope.core import Sample, Task, Unparsed, UserError
from kairoscope.events import Event
from kairoscope.metrics.errors import HIT_SHARE, EventErrors, event_errors

_THOUGHT = re.compile(r"\s*<think>(?P<thought>.*?)</think>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer beside what was asked."""

    task: Task[Any, Any]
    sample: Sample[Any, Any]
    """With a gold answer."""
    text: str
    value: Any
    """The parsed answer, or `Unparsed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A function of an answer, and the gold answers that it can be asked about."""

    of: Callable[[Answered], float]
    """0 (worthless) to 1 (perfect)."""
    fits: Callable[[Any], bool]
    needs: str
    """The gold answers that fit, in words."""


def score_reward(answered: Answered) -> float:
    """1 for the right score, 0.5 for one that is off by one, else 0 (the recipe's dense reward).

    Partial credit lets a group of answers differ where none is right.
    """
    value = _number(answered.value)
    if value is None:
        return 0.0
    gold: Any = answered.sample.gold
    off = abs(value - gold)
    return 1.0 if off < 1e-9 else 0.5 if off < 1 + 1e-9 else 0.0


def format_reward(answered: Answered) -> float:
    """1 where the answer reads as the task itself would write it, white space at its ends aside.

    Thoughts in `<think>…</think>` may stand before it.
    """
    if isinstance(answered.value, Unparsed):
        return 0.0
    thought = _THOUGHT.match(answered.text)
    said = answered.text[thought.end() if thought else 0 :].strip()
    try:
        wanted = answered.task.render(answered.sample.query, answered.value)
    except ValueError:
        return 0.0
    return float(said == wanted.strip())


def thinking_reward(answered: Answered) -> float:
    """1 where the answer begins with thoughts in `<think>…</think>` that are not empty."""
    thought = _THOUGHT.match(answered.text)
    return float(bool(thought and thought["thought"].strip()))


def tiou_reward(answered: Answered) -> float:
    """Mean temporal intersection over union of the gold events; 0 for one that is missing.

    As in Time-R1 (arXiv:2503.13377), over several events.
    """
    return fmean(error.tiou for error in _errors(answered))


def boundary_reward(answered: Answered) -> float:
    """Mean over the gold events of exp(-e / 0.3), e the error of the end relative to the time since
    the boundary before; 0 for an event that is missing.

    1 for exact ends, 0.37 for ends that are just not counted as hits. Unlike tIoU it says which of
    two answers without overlap is nearer.
    """
    return fmean(_closeness(error) for error in _errors(answered))


def _closeness(error: EventErrors) -> float:
    off_s = error.end.answered_error_s
    if off_s is None:
        return 0.0
    relative = error.end.answered_relative_percent
    return float(off_s == 0) if relative is None else math.exp(-relative / 100 / HIT_SHARE)


def _errors(answered: Answered) -> tuple[EventErrors, ...]:
    sample, gold = answered.sample, answered.sample.gold
    assert gold is not None
    return event_errors(answered.value, gold, sample.query, sample.duration_s)


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _is_number(gold: Any) -> bool:
    return _number(gold) is not None


def _has_events(gold: Any) -> bool:
    return isinstance(gold, tuple) and bool(gold) and all(isinstance(e, Event) for e in gold)


def _is_anything(gold: Any) -> bool:
    return gold is not None


REWARDS: Mapping[str, Reward] = {
    "score": Reward(of=score_reward, fits=_is_number, needs="a score"),
    "tiou": Reward(of=tiou_reward, fits=_has_events, needs="one event or more"),
    "boundary": Reward(of=boundary_reward, fits=_has_events, needs="one event or more"),
    "format": Reward(of=format_reward, fits=_is_anything, needs="an answer"),
    "thinking": Reward(of=thinking_reward, fits=_is_anything, needs="an answer"),
}

Weights = Sequence[tuple[str, float]]
"""(name of a reward, its weight)."""


def check_rewards(weights: Weights) -> None:
    """Raise UserError for names that are no rewards, and weights with which nothing is learned."""
    for name, weight in weights:
        if name not in REWARDS:
            raise UserError(f"rewards: no reward {name!r}; allowed: {', '.join(REWARDS)}")
        if not math.isfinite(weight):
            raise UserError(f"rewards: the weight of {name} is {weight}; allowed: any number")
    names = [name for name, _ in weights]
    if len(set(names)) < len(names):
        raise UserError(f"rewards: a name comes twice in {', '.join(names)}")
    if not any(weight for _, weight in weights):
        raise UserError(
            f"rewards: every weight is 0; allowed: at least one of {', '.join(REWARDS)}"
        )


def why_unrewarded(gold: Any, weights: Weights) -> str | None:
    """Why no answer to a sample could be rewarded, or None where it can."""
    for name, _ in weights:
        if not REWARDS[name].fits(gold):
            return f"the reward {name!r} needs {REWARDS[name].needs} as gold answer"
    return None


def reward_parts(answered: Answered, weights: Weights) -> dict[str, float]:
    """Every reward of an answer, without its weight."""
    return {name: REWARDS[name].of(answered) for name, _ in weights}


def total_reward(parts: Mapping[str, float], weights: Weights) -> float:
    """The weighted sum that is learned from."""
    return sum(weight * parts[name] for name, weight in weights)
