"""Split samples by group, so that no recording is on both sides. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeVar

from kairoscope.core import Sample

AnySample = TypeVar("AnySample", bound=Sample[Any, Any])


def split_by_group(
    samples: Iterable[AnySample],
    *,
    holdout: float,
    seed: int,
    same: Mapping[str, str] | None = None,
) -> tuple[list[AnySample], list[AnySample]]:
    """(train, held out), each sorted by id; no group is in both.

    Groups are stratified by scenario: `holdout` of each scenario's groups is held out, rounded, at
    least 1 and never all. Scenarios with fewer than three groups are taken together as if they
    were one. A group with several scenarios counts for its most frequent one.

    Args:
        samples: any, in any order.
        holdout: share of the groups, 0 to below 1; 0 holds nothing out.
        seed: of the choice.
        same: id -> what a sample shares with others, such as its clip's checksum: samples that
            share it are never split either.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    component = _joined_groups(ordered, same or {})
    members: dict[str, list[AnySample]] = defaultdict(list)
    for sample in ordered:
        members[component[sample.group]].append(sample)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, inside in members.items():
        counts = Counter(sample.scenario for sample in inside)
        strata[min(counts, key=lambda scenario: (-counts[scenario], scenario))].append(group)
    small = [group for groups in strata.values() if len(groups) < 3 for group in groups]
    held: set[str] = set()
    for groups in [*(groups for groups in strata.values() if len(groups) >= 3), small]:
        drawn = sorted(groups, key=lambda group: (draw(seed, group), group))
        held.update(drawn[: _num_held(len(groups), holdout)])
    train = [sample for sample in ordered if component[sample.group] not in held]
    return train, [sample for sample in ordered if component[sample.group] in held]


def _num_held(num_groups: int, holdout: float) -> int:
    if holdout == 0 or num_groups < 2:
        return 0
    at_least = 1 if num_groups >= 3 else 0
    return min(num_groups - 1, max(at_least, int(holdout * num_groups + 0.5)))


def _joined_groups(samples: Sequence[AnySample], same: Mapping[str, str]) -> dict[str, str]:
    """Group -> the first name among all groups that are tied to it by something shared."""
    component = {sample.group: sample.group for sample in samples}
    tied: dict[str, str] = {}
    for sample in samples:
        other = tied.setdefault(same.get(sample.id, f"\0{sample.id}"), sample.group)
        first, last = sorted((component[other], component[sample.group]))
        if first != last:
            component = {g: first if name == last else name for g, name in component.items()}
    return component


def draw(seed: int, name: str) -> str:
    """A hash to sort names by: chance that depends on nothing but the seed and the name."""
    return sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()
