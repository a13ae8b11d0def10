"""From the rewards of a group of answers to what each of them is worth learning from. Pure."""

from collections.abc import Sequence
from statistics import fmean, pstdev

ALIKE = 1e-9
"""Rewards that are nearer than this are equal: sums of the same parts differ by rounding."""
TINY = 1e-6
"""Added to the standard deviation."""


def group_advantages(rewards: Sequence[float], *, scale: bool = True) -> tuple[float, ...] | None:
    """Advantages of the answers to one prompt: rewards less their mean, over their deviation.

    Shao et al. 2024, DeepSeekMath (arXiv:2402.03300), eq. 3 with outcome rewards: the group's mean
    stands in the place of a learned value. Without `scale` they are not divided: easy and hard prompts
    then weigh the same (Liu et al. 2025, arXiv:2503.20783, section 3.2).

    Returns:
        One number for each reward, of mean 0; None where all rewards are equal and nothing can be
        learned from the group.
    """
    if max(rewards) - min(rewards) < ALIKE:
        return None
    mean = fmean(rewards)
    if not scale:
        return tuple(reward - mean for reward in rewards)
    deviation = pstdev(rewards) + TINY
    return tuple((reward - mean) / deviation for reward in rewards)


def shared_prefixes(
    answers: Sequence[Sequence[int]], rewards: Sequence[float], least: int
) -> tuple[int, ...]:
    """How many tokens of each answer are not learned from, because others share them.

    An answer's longest prefix that another one has, too, is set aside where it has `least` tokens or
    more, its sharers part from each other right after it, and their rewards differ: it then earned both.
    """
    count = len(answers)
    common = [[_common(one, other) for other in answers] for one in answers]
    longest = [max(common[i][j] for j in range(count) if j != i) for i in range(count)]
    ignored = [0] * count
    for i in range(count):
        length = longest[i]
        sharers = [j for j in range(count) if j == i or common[i][j] >= length]
        differ = max(rewards[j] for j in sharers) - min(rewards[j] for j in sharers) >= ALIKE
        if length >= max(1, least) and differ and all(longest[j] == length for j in sharers):
            ignored[i] = length
    return tuple(ignored)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that two answers begin with alike."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
