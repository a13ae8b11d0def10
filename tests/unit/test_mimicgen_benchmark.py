"""What the MimicGen benchmark computes without MimicGen: intervals, ratios, errors, files, its page."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.append(str(REPOSITORY))  # `benchmarks` is not installed with the package

from benchmarks.harness import Unavailable  # noqa: E402
from benchmarks.mimicgen import __main__ as command  # noqa: E402
from benchmarks.mimicgen.annotations import (  # noqa: E402
    Workplace,
    from_shifts,
    label_rows,
    read_ends,
    strip,
)
from benchmarks.mimicgen.measures import (  # noqa: E402
    boundary_errors,
    paired_ratio,
    shifted,
    wilson,
)
from benchmarks.mimicgen.report import Outcome, TaskOutcome, result  # noqa: E402
from benchmarks.mimicgen.tasks import CASES  # noqa: E402

from kairoscope.robot.legality import SPECS, violations  # noqa: E402


def test_wilson_is_the_published_interval() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    estimate = wilson(81, 263)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.2553, 0.3662)
    nothing = wilson(0, 20)
    assert (nothing.low, round(nothing.high, 4)) == (0.0, 0.1611)


@pytest.mark.parametrize(("good", "tried"), [(1, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(good: int, tried: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(good, tried)


def test_the_ratio_of_pairs_has_the_published_interval() -> None:
    # Fagerland, Lydersen and Laake (2014): 1 both, 1 and 7 one alone, 12 neither.
    ours = [True, True, *[False] * 7, *[False] * 12]
    true = [True, False, *[True] * 7, *[False] * 12]
    ratio = paired_ratio(ours, true)
    assert ratio is not None
    assert ratio.value == 0.25
    assert (round(ratio.low, 3), round(ratio.high, 3)) == (0.068, 0.923)


def test_agreement_is_worth_as_much_as_there_are_attempts() -> None:
    lows = []
    for count in (6, 30, 100, 400):
        outcomes = [True] * count
        ratio = paired_ratio(outcomes, outcomes)
        assert ratio is not None
        assert ratio.value == 1.0
        assert ratio.low < 1.0 < ratio.high
        lows.append(ratio.low)
    assert lows == sorted(lows)
    assert lows[0] < 0.8
    assert lows[-1] > 0.99


def test_pairing_narrows_the_interval() -> None:
    # The same rates; attempts that agree scene by scene, and attempts that have nothing in common.
    true = [True, False] * 100
    alike = [True, False] * 95 + [False, False] * 5
    unlike = [False, True] * 95 + [False, False] * 5
    near, far = paired_ratio(alike, true), paired_ratio(unlike, true)
    assert near is not None
    assert far is not None
    assert near.value == far.value == 0.95
    assert far.high - far.low > 2 * (near.high - near.low)
    assert near.low < 0.95 < near.high


def test_a_ratio_needs_pairs_and_a_success() -> None:
    assert paired_ratio([True, True], [False, False]) is None
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([True], [True, False])


def test_errors_are_of_each_subtask_and_count_what_is_missing() -> None:
    true = {"demo_0": (40, 100), "demo_1": (20, 60), "demo_2": (10, 50)}
    errors = boundary_errors({"demo_0": (44, 94), "demo_1": (20, 60), "demo_2": None}, true, 20.0)
    assert (errors.num_boundaries, errors.num_missing) == (4, 2)
    assert errors.mean_s == pytest.approx((0.2 + 0.3) / 4)
    assert errors.worst_s == pytest.approx(0.3)
    assert errors.mean_share == pytest.approx((4 / 40 + 6 / 60) / 4)
    assert errors.bias_s == pytest.approx((0.2 - 0.3) / 4)


def test_shifts_are_a_share_of_the_subtask() -> None:
    rng = np.random.default_rng(3)
    moves = {
        (moved[0] - 50, moved[1] - 150)
        for moved in (shifted((50, 150), 0.2, rng) for _ in range(50))
    }
    assert moves == {(a, b) for a in (-10, 10) for b in (-20, 20)}


def recording(path: Path, ends: Sequence[Sequence[int]], num_frames: int = 120) -> Path:
    """A file as `record` and MimicGen leave it, of the task with three cubes."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": "StackThree_D1", "type": 1})
        for number, own in enumerate(ends):
            demo = data.create_group(f"demo_{number}")
            demo.create_dataset("actions", data=np.zeros((num_frames, 7)))
            for name in ("eef_pose", "target_pose", "object_poses/cubeA"):
                poses = np.tile(np.eye(4), (num_frames, 1, 1))
                demo.create_dataset(f"datagen_info/{name}", data=poses)
            demo.create_dataset("datagen_info/gripper_action", data=np.zeros((num_frames, 1)))
            info = demo["datagen_info"]
            info.attrs["env_interface_name"] = "MG_StackThree"
            info.attrs["env_interface_type"] = "robosuite"
            for signal, end in zip(SPECS["stack_three"].signals, own, strict=True):
                values = (np.arange(num_frames) >= end - 1).astype(np.int64)
                info.create_dataset(f"subtask_term_signals/{signal}", data=values)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    recording(tmp_path / "demos.hdf5", [(20, 50, 80), (25, 60, 90)])
    return Workplace(case=CASES["stack_three"], folder=tmp_path)


def test_ends_are_read_as_mimicgen_reads_them(place: Workplace) -> None:
    signals = place.case.signals
    assert read_ends(place.demos, signals) == {"demo_0": (20, 50, 80), "demo_1": (25, 60, 90)}
    with h5py.File(place.demos, "a") as file:
        # Let go and taken again: the first rise counts; what comes before the subtask does not.
        info = file["data/demo_0/datagen_info/subtask_term_signals"]
        info["grasp_1"][30:40] = 0
        info["grasp_2"][5:10] = 1
    assert read_ends(place.demos, signals)["demo_0"] == (20, 50, 80)


def test_stripping_leaves_the_examples_and_the_source(place: Workplace, tmp_path: Path) -> None:
    stripped = strip(place.demos, tmp_path / "stripped.hdf5", keep=["demo_1"])
    assert read_ends(stripped, place.case.signals) == {"demo_0": None, "demo_1": (25, 60, 90)}
    assert None not in read_ends(place.demos, place.case.signals).values()


def test_shifted_ends_are_written_and_legal(place: Workplace, tmp_path: Path) -> None:
    true = {"demo_0": (20, 50, 80), "demo_1": (25, 60, 90)}
    file = from_shifts(place, true, tmp_path / "shifted")
    found = read_ends(file, place.case.signals)
    assert set(found) == set(true)
    for name, ends in found.items():
        assert ends is not None
        assert ends != true[name]
        assert not violations(ends, SPECS["stack_three"], 120)


def test_labels_say_when_an_event_is_first_done(place: Workplace) -> None:
    (row,) = label_rows(place, ["demo_1"], {"demo_1": (25, 60, 90)})
    assert [event["end_s"] for event in row["events"]] == [1.2, 2.95, 4.45]
    assert row["duration_s"] == 6.0


def test_every_case_is_a_task_that_generation_knows() -> None:
    for case in CASES.values():
        spec = SPECS[case.key]
        assert case.signals == spec.signals
        assert set(spec.offsets) == {case.offsets}
        assert len(case.events) == len(case.signals)


def attempts(outcomes: str) -> tuple[dict[str, Any], ...]:
    return tuple({"attempt": i, "success": mark == "+"} for i, mark in enumerate(outcomes))


def test_the_page_has_rates_errors_and_goals() -> None:
    true = {"demo_0": (40,), "demo_1": (50,)}
    task = TaskOutcome(
        case=CASES["stack"],
        fps=20.0,
        true=true,
        num_frames={"demo_0": 100, "demo_1": 120, "demo_2": 110},
        examples=("demo_2",),
        outcomes=(
            Outcome(key="true", ends=true, rows=attempts("+++-")),
            Outcome(
                key="signals",
                ends={"demo_0": (42,), "demo_1": (51,)},
                rows=attempts("+++-"),
            ),
            Outcome(key="video", ends={"demo_0": None, "demo_1": None}, rows=()),
        ),
    )
    page = result([task])
    rates, errors = page.tables
    assert [row[1:3] for row in rates.rows] == [
        ("2 of 2", "3 of 4"),
        ("2 of 2", "3 of 4"),
        ("not annotated", "0 of 0"),
    ]
    assert rates.rows[1][-1].startswith("1.000 (0.")
    assert [row[0] for row in errors.rows] == ["robot signals alone, no label"]
    json.dumps(page.data)
    assert {goal.met for goal in page.goals} == {None}  # too few attempts


@pytest.mark.parametrize(("lost", "met"), [(0, True), (2, True), (3, False)])
def test_goals_are_judged_on_a_hundred_attempts(lost: int, met: bool) -> None:  # noqa: FBT001
    ends = {"demo_0": (40,)}
    ours = "-" * lost + "+" * (100 - lost)
    task = TaskOutcome(
        case=CASES["stack"],
        fps=20.0,
        true=ends,
        num_frames={"demo_0": 100},
        examples=(),
        outcomes=(
            Outcome(key="true", ends=ends, rows=attempts("+" * 100)),
            Outcome(key="fused", ends=ends, rows=attempts(ours)),
        ),
    )
    (goal,) = result([task]).goals
    assert goal.met is met


def test_without_mimicgen_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIMICGEN_PYTHON", raising=False)
    with pytest.raises(Unavailable, match="--mimicgen-python"):
        command.checked_python(None)
    with pytest.raises(Unavailable, match="cannot import MimicGen"):
        command.checked_python(sys.executable)
