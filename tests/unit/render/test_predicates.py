"""Ends of subtasks from recorded states: what counts, and what does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_worlds import (
    CLOSED_M,
    CUBES,
    NQ,
    OPEN_M,
    TABLE_M,
    model_xml,
    stacking,
    step_signal,
    write_recordings,
)

from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile
from kairoscope.render.assets import assets_in
from kairoscope.render.picture import compiled
from kairoscope.render.predicates import PREDICATES, signals
from kairoscope.render.recording import open_recordings, read_recording
from kairoscope.render.truth import Truth, UnknownTruth, plan_for, task_for, truth
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.legality import SPECS
from kairoscope.simulate.render import load_mujoco

try:
    mujoco = load_mujoco()  # headless also for the tests that draw
except UserError as error:
    pytest.skip(f"no simulator here: {error}", allow_module_level=True)
NAMES = SPECS["stack_three"].signals


def model_of(assets: Path, extra: str = "", xml: str | None = None) -> Any:
    text = assets_in([assets]).at_home(xml or model_xml(extra), "here")
    return compiled(mujoco, text, "here")


def test_predicates_know_the_signals_of_their_tasks(assets: Path) -> None:
    assert set(PREDICATES) == set(SPECS) - {
        *("pick_place", "coffee_preparation", "hammer_cleanup", "mug_cleanup", "stack_cube")
    }
    qpos = stacking()[0][:1, 1 : 1 + NQ]
    for task in ("stack", "stack_three"):
        assert tuple(signals(mujoco, model_of(assets), qpos, task, "here")) == SPECS[task].signals


@pytest.mark.parametrize("pauses", [(6, 5, 4), (1, 1, 1), (11, 2, 7)])
def test_every_signal_rises_on_the_frame_on_which_it_is_done(
    assets: Path, pauses: tuple[int, int, int]
) -> None:
    states, ends = stacking(pauses)
    found = signals(mujoco, model_of(assets), states[:, 1 : 1 + NQ], "stack_three", "here")
    assert [int(np.flatnonzero(found[name])[0]) for name in NAMES] == ends
    # A is held until it is let go; stacked it stays.
    assert found["grasp_1"][ends[0] : ends[1]].all()
    assert not found["grasp_1"][ends[1] :].any()
    assert found["stack_1"][ends[1] :].all()


def one_state(**changed: Any) -> np.ndarray:
    """(1, NQ): every cube on the table, the hand around A; changed: a cube's place, or a width."""
    where = {"cubeA": (0.0, 0.0), "cubeB": (0.0, 0.2), "cubeC": (0.2, 0.0)}
    at = {name: np.array([*xy, TABLE_M + CUBES[name][0]]) for name, xy in where.items()}
    at |= {name: np.asarray(place) for name, place in changed.items() if name in at}
    left, right = changed.get("widths", (CLOSED_M, CLOSED_M))
    hand = changed.get("hand", at["cubeA"])
    free = [np.r_[at[name], 1, 0, 0, 0] for name in CUBES]
    return np.concatenate([hand, [left, -right], *free])[None]


@pytest.mark.parametrize(
    ("widths", "is_held"),
    [
        ((CLOSED_M, CLOSED_M), True),
        ((CLOSED_M, OPEN_M), False),
        ((OPEN_M, CLOSED_M), False),
        ((OPEN_M, OPEN_M), False),
    ],
)
def test_a_grasp_needs_both_pads(assets: Path, widths: Any, is_held: Any) -> None:
    found = signals(mujoco, model_of(assets), one_state(widths=widths), "stack", "here")
    assert bool(found["grasp"][0]) is is_held


def test_holding_another_thing_is_no_grasp_of_this_one(assets: Path) -> None:
    state = one_state(hand=np.array([0.2, 0.0, TABLE_M + 0.02]))
    found = signals(mujoco, model_of(assets), state, "stack_three", "here")
    assert not found["grasp_1"][0]
    assert found["grasp_2"][0]


ON_B = (0.0, 0.2, TABLE_M + 0.05 + 0.02 - 0.0002)


@pytest.mark.parametrize(
    ("changed", "is_stacked"),
    [
        ({"cubeA": ON_B, "widths": (OPEN_M, OPEN_M)}, True),
        ({"cubeA": ON_B, "widths": (CLOSED_M, CLOSED_M)}, False),  # still held
        ({"cubeA": (0.0, 0.2, TABLE_M + 0.08), "widths": (OPEN_M, OPEN_M)}, False),  # above it
        ({"cubeA": (0.0, 0.1552, TABLE_M + 0.02), "widths": (OPEN_M, OPEN_M)}, False),  # beside
    ],
)
def test_stacked_is_up_there_touching_and_let_go(
    assets: Path, changed: Any, is_stacked: Any
) -> None:
    found = signals(mujoco, model_of(assets), one_state(**changed), "stack_three", "here")
    assert bool(found["stack_1"][0]) is is_stacked


def body(name: str, half: str, suffix: str = "_main") -> str:
    return (
        f'<body name="{name}{suffix}"><joint type="free"/>'
        f'<body name="{name}_part"><geom type="box" size="{half}" mass=".1"/></body></body>'
    )


NUTS = body("SquareNut", ".02 .02 .01") + body("RoundNut", ".02 .02 .01")
NUTS += '<body name="peg1" pos=".2 .1 .85"/><body name="peg2" pos=".2 -.1 .85"/>'


def with_nut(place: tuple[float, float, float], hand: tuple[float, float, float]) -> np.ndarray:
    away = [np.r_[0.3, y, 0.9, 1, 0, 0, 0] for y in (0.3, -0.3)]
    rest = one_state(hand=np.array(hand), widths=(OPEN_M, OPEN_M))
    state: np.ndarray = np.r_[rest[0], [*place, 1, 0, 0, 0], away[1]][None]
    return state


@pytest.mark.parametrize(
    ("place", "hand", "is_on"),
    [
        ((0.2, 0.1, 0.84), (0.2, 0.1, 0.9), True),
        ((0.229, 0.071, 0.84), (0.229, 0.071, 0.9), True),
        ((0.2, 0.1, 0.84), (0.2, 0.1, 0.883), True),  # hand 43 mm away: tanh(0.43) > 0.4
        ((0.2, 0.1, 0.84), (0.2, 0.1, 0.882), False),  # 42 mm
        ((0.231, 0.1, 0.84), (0.231, 0.1, 0.9), False),
        ((0.2, 0.069, 0.84), (0.2, 0.069, 0.9), False),
        ((0.2, 0.1, 0.851), (0.2, 0.1, 0.92), False),  # not down yet
        ((0.2, -0.1, 0.84), (0.2, -0.1, 0.9), False),  # the other peg
    ],
)
def test_a_nut_is_on_its_peg(assets: Path, place: Any, hand: Any, is_on: Any) -> None:
    found = signals(mujoco, model_of(assets, NUTS), with_nut(place, hand), "nut_assembly", "here")
    assert bool(found["insert_square_nut"][0]) is is_on


def test_names_of_bodies_and_grippers_may_differ(assets: Path) -> None:
    xml = model_xml().replace("cubeA_main", "cubeA_root").replace("gripper0_", "gripper0_right_")
    xml = xml.replace("finger1_pad_collision", "left_fingerpad_collision")
    xml = xml.replace("finger2_pad_collision", "right_fingerpad_collision")
    found = signals(mujoco, model_of(assets, xml=xml), one_state(), "stack", "here")
    assert found["grasp"][0]


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("cubeA_main", "apple_main", "no body 'cubeA'"),
        ("_pad_collision", "_tip", "gripper is none of robosuite's"),
    ],
)
def test_what_a_model_lacks_is_named(assets: Path, was: str, becomes: str, said: str) -> None:
    model = model_of(assets, xml=model_xml().replace(was, becomes))
    with pytest.raises(UnreadableEpisode, match=f"here: its .*{said}"):
        signals(mujoco, model, one_state(), "stack", "here")


def found_in(path: Path, assets: Path, task: TaskFile | None = None) -> Truth:
    dataset = open_recordings(path)
    asked = task_for(dataset, task)
    assert asked is not None
    recording = read_recording(path, "demo_0")
    text = assets_in([assets]).at_home(recording.model_xml, recording.where)
    model = compiled(mujoco, text, recording.where)
    return truth(mujoco, model, recording, plan_for(dataset, asked), dataset.fps)


def test_events_end_at_the_time_of_their_frame(assets: Path, tmp_path: Path) -> None:
    states, ends = stacking()
    found = found_in(write_recordings(tmp_path / "a.hdf5", {"demo_0": states}), assets)
    assert [event.end_s for event in found.events] == [end / 20 for end in ends]
    assert [event.name for event in found.events][::2] == [
        "grasping the red cube",
        "grasping the blue cube",
    ]
    assert (found.recorded, list(found.computed.values())) == ({}, ends)


def test_recorded_signals_count_and_are_compared(assets: Path, tmp_path: Path) -> None:
    states, ends = stacking()
    shifted = [ends[0], ends[1] - 2, ends[2] + 1]
    signals = {n: step_signal(len(states), end) for n, end in zip(NAMES, shifted, strict=True)}
    path = write_recordings(tmp_path / "a.hdf5", {"demo_0": states}, signals={"demo_0": signals})
    found = found_in(path, assets)
    assert [event.end_s for event in found.events] == [end / 20 for end in shifted]
    assert found.differences == {"grasp_1": 0, "stack_1": 2, "grasp_2": -1}


def test_what_kairoscope_wrote_is_not_the_truth(assets: Path, tmp_path: Path) -> None:
    import h5py

    states, ends = stacking()
    signals = {name: step_signal(len(states), 3 + i) for i, name in enumerate(NAMES)}
    path = write_recordings(tmp_path / "a.hdf5", {"demo_0": states}, signals={"demo_0": signals})
    with h5py.File(path, "r+") as file:
        for signal in file["data/demo_0/datagen_info/subtask_term_signals"].values():
            signal.attrs["kairoscope_labelled_by"] = "kairoscope"
    assert [event.end_s for event in found_in(path, assets).events] == [end / 20 for end in ends]


def test_an_event_that_never_happens_is_named(assets: Path, tmp_path: Path) -> None:
    states, ends = stacking()
    path = write_recordings(tmp_path / "a.hdf5", {"demo_0": states[: ends[1]]})
    with pytest.raises(
        UnreadableEpisode, match=r"never happens: stacking the red cube .*, grasping"
    ):
        found_in(path, assets)


def test_an_unknown_environment_needs_signals_of_its_own(assets: Path, tmp_path: Path) -> None:
    states, _ = stacking()
    task = TaskFile(name="lift", events=("lifting it",), signals=("lift",))
    path = write_recordings(tmp_path / "a.hdf5", {"demo_0": states}, env_name="Lift")
    assert task_for(open_recordings(path), None) is None
    with pytest.raises(UnknownTruth, match="nothing says when lift ends"):
        found_in(path, assets, task)
    lift = {"demo_0": {"lift": step_signal(len(states), 7)}}
    path = write_recordings(tmp_path / "b.hdf5", {"demo_0": states}, env_name="Lift", signals=lift)
    assert [event.end_s for event in found_in(path, assets, task).events] == [7 / 20]
