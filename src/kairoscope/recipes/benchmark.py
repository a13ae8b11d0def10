"""The first stage of a recipe: which clips it trains on, which it is judged on, and what these are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.core import Load, Sample, UserError
from kairoscope.curate import check_apart, clip_hashes
from kairoscope.data.rows import Problem
from kairoscope.data.sources import load_samples
from kairoscope.data.split import split_by_group
from kairoscope.recipes.stages import load_data
from kairoscope.train.mixing import label_counts

AnySample = Sample[Any, Any]
TEST_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Training and test samples, and what is wrong with the rest."""

    train: Sequence[AnySample]
    test: Sequence[AnySample]
    train_problems: Sequence[Problem]
    test_problems: Sequence[Problem]
    how: str
    """Where the split comes from, in words."""


def load_splits(data: Path, load: Load = load_samples) -> Splits:
    """`train` and `test` in a data folder; without them, a split by group (30 % test).

    Raises:
        UserError: no data, a group or a clip that is in both, or too few groups to split.
    """
    if (data / "train").exists() and (data / "test").exists():
        train, train_problems = load_data(data / "train", load)
        test, test_problems = load_data(data / "test", load)
        check_apart(train, test, f"{data}: train and test")
        how = "train and test are folders of their own"
    else:
        samples, problems = load_data(data, load)
        same = clip_hashes(samples)
        train, test = split_by_group(samples, holdout=TEST_SHARE, seed=0, same=same)
        train_problems, test_problems = problems, []
        how = f"{TEST_SHARE:.0%} of the groups were set aside for the test (seed 0)"
        if not test:
            raise UserError(
                f"{data}: cannot be split into training and test data (clips: {len(samples)}, groups: "
                f"{len({s.group for s in samples})}); at least 2 groups without a clip in common are "
                "needed"
            )
    return Splits(
        train=train,
        test=test,
        train_problems=train_problems,
        test_problems=test_problems,
        how=how,
    )


def describe(splits: Splits) -> dict[str, Any]:
    """What the benchmark is: clips, what is asked and durations for each scenario of the test set.

    Where answers are scores, how often each comes (`labels`), too.
    """
    scenarios = sorted({sample.scenario for sample in splits.test})
    rows = []
    for scenario in scenarios:
        samples = [sample for sample in splits.test if sample.scenario == scenario]
        durations = [s.duration_s for s in samples if s.duration_s is not None]
        rows.append(
            {
                "scenario": scenario,
                "n_clips": len(samples),
                "n_groups": len({sample.group for sample in samples}),
                "example_events": _asked(samples),
                "shortest_s": min(durations, default=None),
                "longest_s": max(durations, default=None),
            }
        )
    found: dict[str, Any] = {
        "n_train": len(splits.train),
        "n_test": len(splits.test),
        "split": splits.how,
        "scenarios": rows,
    }
    if splits.test and all(isinstance(sample.gold, int) for sample in splits.test):
        sides = {"train": splits.train, "test": splits.test}
        found["labels"] = {name: label_counts(side) for name, side in sides.items()}
    return found


def _asked(samples: Sequence[AnySample]) -> list[str]:
    """The commonest list of events or fields; of other questions there is no such list."""
    lists = Counter(s.query for s in samples if isinstance(s.query, tuple))
    return [str(name) for name in lists.most_common(1)[0][0]] if lists else []
