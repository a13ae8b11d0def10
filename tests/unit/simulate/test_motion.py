"""The hand's motion: exact inverse kinematics, smooth segments, no gaps between them."""

from typing import Any

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.simulate.arm import FINGER_HALF_M, JOINTS, Base, solve
from kairoscope.simulate.motion import Segment
from kairoscope.simulate.planner import Planner, spread
from kairoscope.simulate.render import load_mujoco
from kairoscope.simulate.scene import Fixture, Geom, Scene, draw_look, scene_xml


@pytest.fixture(scope="module")
def mujoco() -> Any:
    try:
        return load_mujoco()
    except UserError as error:
        pytest.skip(f"no simulator here: {error}")


def test_forward_kinematics_undo_the_inverse(mujoco: Any) -> None:
    rng = np.random.default_rng(0)
    dot = Geom(type="sphere", size=(0.01,), rgb=(1, 0, 0))
    mark = Fixture(name="mark", geoms=(dot,), x=0.0, y=0.0)
    for _ in range(40):
        base = Base(rng.uniform(-0.22, 0.22), rng.uniform(0.40, 0.46))
        scene = Scene(things=(), fixtures=(mark,), base=base)
        xml = scene_xml(scene, draw_look(rng, scene, []), 96)
        model = mujoco.MjModel.from_xml_string(xml)
        data = mujoco.MjData(model)
        hand = rng.uniform((-0.22, -0.16, 0.01, -1, 0), (0.22, 0.16, 0.26, 1, 0.13))
        for name, value in zip(JOINTS, solve(base, hand), strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        left, right = data.body("pad_left"), data.body("pad_right")
        tips = (left.xpos + right.xpos) / 2 - (0, 0, FINGER_HALF_M[2])
        across = right.xpos - left.xpos
        np.testing.assert_allclose(tips, hand[:3], atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(across) - 2 * FINGER_HALF_M[0], hand[4])
        np.testing.assert_allclose(np.arctan2(across[1], across[0]), hand[3], atol=1e-9)
        np.testing.assert_allclose(left.xmat[8], 1.0)  # upright: the fingers point down


def test_a_segment_starts_and_ends_at_rest_where_it_should() -> None:
    start, end = np.zeros(5), np.array([0.1, 0.2, 0.3, 0.4, 0.05])
    segment = Segment(start, end, 2.0, arc_m=0.05)
    tiny = 1e-4
    np.testing.assert_array_equal(segment.at(0.0), start)
    np.testing.assert_allclose(segment.at(2.0), end)
    assert np.abs(segment.at(tiny) - start).max() < tiny * tiny
    assert np.abs(segment.at(2.0 - tiny) - end).max() < tiny * tiny


def test_a_planned_timeline_has_no_jumps() -> None:
    planner = Planner(np.random.default_rng(3), np.array([0.0, 0.0, 0.2, 0.0, 0.05]), pace=1.0)
    planner.wait(0.1, 0.5)
    planner.wander(0.0)
    planner.grasp((0.1, 0.05), 0.012, yaw=0.2, half_w=0.03, top=0.06)
    planner.lift()
    planner.release(0.03)
    planner.leave(0.0)
    timeline = planner.timeline()
    times_s = np.arange(0.0, timeline.duration_s + 1.0, 1e-3)
    steps = np.diff([timeline.at(t) for t in times_s], axis=0)
    assert np.abs(steps[:, :3]).max() < 0.005  # five metres a second would be a jump
    np.testing.assert_array_equal(timeline.at(timeline.duration_s + 9.0), planner.hand)


def test_spread_keeps_circles_apart_or_says_that_there_is_no_room() -> None:
    rng = np.random.default_rng(0)
    radii, taken = [0.06, 0.07, 0.06], [(0.0, 0.0, 0.1)]
    for _ in range(50):
        places = spread(rng, radii, taken)
        if places is None:
            continue
        circles = [*taken, *[(*p, r) for p, r in zip(places, radii, strict=True)]]
        for i, (x, y, r) in enumerate(circles):
            for u, v, s in circles[:i]:
                assert np.hypot(x - u, y - v) > r + s
    assert spread(rng, [0.5], taken) is None
