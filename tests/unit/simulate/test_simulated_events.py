"""Event times are what the simulator's state says, for every family."""

import itertools
import re
from typing import Any

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.simulate import FAMILIES, FAMILIES_SEEN, FAMILY_UNSEEN
from kairoscope.simulate.arm import FINGER_HALF_M
from kairoscope.simulate.produce import DURATION_S, TAIL_S, Settings, Take, draw_take, label_row
from kairoscope.simulate.render import load_mujoco
from kairoscope.simulate.simulator import make_reader, observe
from kairoscope.simulate.state import PADS, Grasped, Released, Seated, State
from kairoscope.simulate.vocabulary import COLOURS

FPS = 12.0
CLIPS = 5
A = f"({'|'.join(COLOURS)})"
OBJECT = f"{A} (cube|ball|cylinder|box)"
WORDING = {
    "stack": rf"(grasping the ({A} cube);releasing the \2;){{1,2}}",
    "place": rf"grasping the ({OBJECT});placing the \1 in the {A} (tray|bowl);",
    "insert": rf"grasping the ({A} (nut|ring|peg));inserting the \1;",
    "push": rf"pushing the {A} block;(grasping the {OBJECT};)?",
    "open": r"grasping the handle;opening the drawer;(closing the drawer;)?",
    "press": rf"pressing the {A} button;grasping the ({A} lever);pulling the \2;",
}
Watched = tuple[Take, list[State]]


@pytest.fixture(scope="module")
def mujoco() -> Any:
    try:
        return load_mujoco()
    except UserError as error:
        pytest.skip(f"no simulator here: {error}")


@pytest.fixture(scope="module", params=FAMILIES)
def watched(request: pytest.FixtureRequest, mujoco: Any) -> list[Watched]:
    """Some clips of one family, with the state of every frame read again from the recorded qpos."""
    settings = Settings(seed=5, families=(request.param,), size_px=96, fps=FPS)
    return [watch(mujoco, draw_take(mujoco, settings, index)) for index in range(CLIPS)]


def watch(mujoco: Any, take: Take) -> Watched:
    data = mujoco.MjData(take.model)
    reader = make_reader(take.model, data, take.plan.scene)
    states = []
    for qpos in take.episode.qpos_TQ:
        data.qpos[:] = qpos
        states.append(observe(mujoco, take.model, data, reader))
    return take, states


def test_an_event_ends_at_the_first_frame_at_which_its_predicate_holds(
    watched: list[Watched],
) -> None:
    for take, states in watched:
        begin = 0
        for event, end in zip(take.plan.events, take.episode.end_frames, strict=True):
            held = [event.until.holds(state) for state in states[begin : end + 1]]
            assert held == [False] * (end - begin) + [True], event.name
            begin = end + 1


def test_labels_are_ordered_contiguous_and_inside_the_clip(watched: list[Watched]) -> None:
    for take, states in watched:
        settings = Settings(seed=5, families=(take.plan.family,), size_px=96, fps=FPS)
        row = label_row(settings, 0, take)
        ends = [event["end_s"] for event in row["events"]]
        assert [event["start_s"] for event in row["events"]] == [0.0, *ends[:-1]]
        assert all(a < b for a, b in itertools.pairwise([0.0, *ends, row["duration_s"]]))
        assert row["duration_s"] == pytest.approx(len(states) / FPS, abs=1e-6)
        assert DURATION_S[0] <= row["duration_s"] <= DURATION_S[1]
        assert np.allclose(np.array(ends) * FPS, take.episode.end_frames, atol=1e-4)
        assert row["duration_s"] - ends[-1] - TAIL_S[0] >= -1 / FPS
        assert row["duration_s"] - ends[-1] <= TAIL_S[1] + 2 / FPS


def test_events_and_instructions_are_worded_as_promised(watched: list[Watched]) -> None:
    for take, _ in watched:
        names = "".join(f"{event.name};" for event in take.plan.events)
        assert re.fullmatch(WORDING[take.plan.family], names), names
        colours = {word for word in names.replace(";", " ").split() if word in COLOURS}
        assert colours <= set(take.plan.instruction.split())
        assert len(set(names.split(";"))) == len(take.plan.events) + 1


def test_a_grasp_is_two_fingers_as_far_apart_as_the_object_is_wide(watched: list[Watched]) -> None:
    widths = {"handle": 0.032, "lever": 0.064}
    for take, _ in watched:
        widths |= {thing.key: 2 * thing.half_w for thing in take.plan.scene.things}
        for event, end in zip(take.plan.events, take.episode.end_frames, strict=True):
            if isinstance(event.until, Grasped):
                gaps = [finger_gap(take, frame) for frame in (end - 1, end)]
                assert abs(gaps[1] - widths[event.until.body]) < 0.0025
                assert gaps[0] > gaps[1]


def finger_gap(take: Take, frame: int) -> float:
    """Distance between the inner faces of the fingers, from the two slide joints."""
    take.data.qpos[:] = take.episode.qpos_TQ[frame]
    joints = [take.data.joint(name).qpos[0] for name in ("finger_left", "finger_right")]
    pads = [take.model.body(name).pos[0] for name in ("pad_left", "pad_right")]
    return float(sum(joints) + pads[1] - pads[0] - 2 * FINGER_HALF_M[0])


def test_what_is_released_or_inserted_rests_and_stays(watched: list[Watched]) -> None:
    for take, states in watched:
        for event, end in zip(take.plan.events, take.episode.end_frames, strict=True):
            if isinstance(event.until, Released | Seated):
                body = event.until.body
                xyz = np.array([state.positions[body] for state in states[end:]])
                assert np.ptp(xyz, axis=0).max() < 0.002
                thing = next(t for t in take.plan.scene.things if t.key == body)
                below = 0.0 if event.until.holds(states[0]) else xyz[0, 2] - thing.half_h
                assert below > 0.005  # on a tray, a post's base or another cube: off the table


def test_nothing_moves_unless_a_finger_touches_it(watched: list[Watched]) -> None:
    for take, states in watched:
        for before, after in itertools.pairwise(states):
            for thing in take.plan.scene.things:
                moved = np.subtract(after.positions[thing.key], before.positions[thing.key])
                if np.abs(moved).max() > 1e-9:
                    touched = {b for s in (before, after) for a, b in s.contacts if a in PADS}
                    assert thing.key in touched


@pytest.mark.parametrize("family", FAMILIES)
def test_times_do_not_depend_on_the_frame_rate(mujoco: Any, family: str) -> None:
    ends = []
    for fps in (10.0, 30.0):
        settings = Settings(seed=8, families=(family,), size_px=96, fps=fps)
        ends.append(np.array(draw_take(mujoco, settings, 0).episode.end_frames) / fps)
    assert (ends[0] - ends[1] >= -1e-9).all()  # the coarse clip's first frame at or after it
    assert (ends[0] - ends[1] < 0.1 + 1e-9).all()


def test_families_take_turns_and_one_is_unseen() -> None:
    assert set(FAMILIES) == {*FAMILIES_SEEN, FAMILY_UNSEEN}
    assert FAMILY_UNSEEN not in FAMILIES_SEEN
    settings = Settings(seed=0, families=FAMILIES_SEEN, size_px=96, fps=FPS)
    assert tuple(settings.family(i) for i in range(5, 10)) == FAMILIES_SEEN


def test_end_times_are_hard_to_guess_without_watching(watched: list[Watched]) -> None:
    """Even with the family's own median known: some clip is a second off at its last event."""
    ends_s = np.array([take.episode.end_frames[-1] for take, _ in watched]) / FPS
    assert np.abs(ends_s - np.median(ends_s)).max() > 1.0
