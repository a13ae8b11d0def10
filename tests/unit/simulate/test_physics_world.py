"""The labels of the physics world are exact, and nothing but the motion tells them."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.recipes.physics_score import TASK
from kairoscope.simulate.physics import FAMILIES, VIOLATIONS, generate_physics
from kairoscope.simulate.physics.motion import FLOOR, GRAVITY
from kairoscope.simulate.physics.painter import paint
from kairoscope.simulate.physics.produce import Settings, clip_of, label_row
from kairoscope.simulate.physics.scenes import Scene, draw_scene
from kairoscope.simulate.physics.violations import score_of

SETTINGS = Settings(seed=3, size_px=96, fps=16.0)
SCENES = 6 * 5  # every family with every violation


def tracks(scene: Scene, score: int) -> np.ndarray:
    """(frames, bodies, 3): x, y and size of everything."""
    frames = scene.build(score).frames(scene.num_frames, 16.0)
    return np.array([[(b.x, b.y, b.size) for b in bodies] for bodies in frames])


def test_bands_of_a_measure_rise_and_do_not_touch() -> None:
    for kind, measure in VIOLATIONS.items():
        ends = [end for band in measure.bands for end in band]
        assert ends == sorted(ends)
        for score, (low, high) in zip((4, 3, 2, 1), measure.bands, strict=True):
            assert score_of(kind, low) == score_of(kind, high) == score
        for (_, high), (low, _) in zip(measure.bands, measure.bands[1:], strict=False):
            assert low > 1.1 * high
            with pytest.raises(ValueError, match="in no band"):
                score_of(kind, (low + high) / 2)


def test_every_label_is_the_band_of_what_is_wrong() -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    for group in range(SCENES):
        scene = draw_scene(3, group, 16.0)
        kinds[scene.family, scene.kind] += 1
        assert scene.build(5).wrong is None
        for score in (1, 2, 3, 4):
            wrong = scene.build(score).wrong
            assert wrong is not None
            assert wrong.kind == scene.kind
            assert score_of(wrong.kind, wrong.amount) == score
    assert {kind for _, kind in kinds} == set(VIOLATIONS)
    assert {family for family, _ in kinds} == set(FAMILIES)


@pytest.mark.parametrize("group", range(SCENES))
def test_the_five_clips_of_a_scene_begin_alike_and_part_by_severity(group: int) -> None:
    scene = draw_scene(3, group, 16.0)
    right = tracks(scene, 5)
    parted = []
    for score in (4, 3, 2, 1):
        wrong = tracks(scene, score)
        assert wrong.shape == right.shape
        assert np.array_equal(wrong[0], right[0])
        off = np.abs(wrong - right).max(axis=(1, 2))
        first = int(np.argmax(off > 1e-6))
        assert 2 <= first < len(off)  # never in the first frame alone, always in time to be seen
        assert off.max() > 0.01  # more than a pixel of a hundred
        parted.append(off.max())
    assert parted == sorted(parted) or scene.kind in ("gravity", "penetration", "shape")
    pictures = [next(iter(paint(scene, scene.build(s).frames(1, 16.0), 64))) for s in (1, 3, 5)]
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


@pytest.mark.parametrize("group", range(24))
def test_without_a_violation_the_laws_hold(group: int) -> None:
    """Free fall has the world's pull, energy never grows, nothing is inside the floor."""
    scene = draw_scene(3, group, 120.0)
    world = scene.build(5)
    frames = world.frames(scene.num_frames, 120.0)
    for place in range(len(frames[0])):
        path = np.array([(f[place].x, f[place].y, f[place].vx, f[place].vy) for f in frames])
        if frames[0][place].pinned:
            continue
        assert np.diff(path[:, 0]).max() < 0.02  # no jumps
        assert np.abs(np.diff(path[:, 1])).max() < 0.02
        assert (path[:, 1] - frames[0][place].half).min() > FLOOR - 1e-6
        energy = GRAVITY * path[:, 1] + (path[:, 2] ** 2 + path[:, 3] ** 2) / 2
        if scene.family in ("fall", "bounce", "slide", "pour", "stack"):
            released = round(frames[0][place].released_s * 120) + 2
            assert np.diff(energy[released:]).max(initial=0.0) < 0.012


def test_numbers_of_a_set_and_its_priors_are_at_chance(tmp_path: Path) -> None:
    """Nothing that can be known without the motion tells the score: each comes once in every scene."""
    rows = []
    for index in range(5 * SCENES):
        scene, score = clip_of(SETTINGS, index)
        rows.append((scene.family, scene.kind, scene.num_frames, scene.look, index % 5, score))
    for known in range(4):  # family, violation, length, colours
        seen: dict[object, Counter[int]] = {}
        for row in rows:
            seen.setdefault(row[known], Counter())[row[-1]] += 1
        assert all(len(set(counts.values())) == 1 and len(counts) == 5 for counts in seen.values())
    by_place = np.array([[p, s] for *_, p, s in rows], dtype=float)
    assert abs(np.corrcoef(by_place.T)[0, 1]) < 0.25  # nor does the place in the set


def test_a_set_is_made_loaded_and_gone_on_with(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate_physics(
        tmp_path / "w", num_clips=5, seed=3, size_px=96, on_progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (5, 5)
    first = {p.name: p.read_bytes() for p in (tmp_path / "w" / "clips").iterdir()}
    samples = TASK.load(tmp_path / "w")
    assert {s.gold for s in samples} == {1, 2, 3, 4, 5}
    assert len({s.group for s in samples}) == 1
    generate_physics(tmp_path / "w", num_clips=10, seed=3, size_px=96)
    generate_physics(tmp_path / "again", num_clips=10, seed=3, size_px=96)
    for file in (tmp_path / "again" / "clips").iterdir():
        assert file.read_bytes() == (tmp_path / "w" / "clips" / file.name).read_bytes()
        assert first.get(file.name, file.read_bytes()) == file.read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "w" / "labels.jsonl").read_text().splitlines()]
    assert {row["violation"] == "none" for row in rows if row["score"] == 5} == {True}
    assert len({file.read_bytes() for file in (tmp_path / "w" / "clips").iterdir()}) == 10


@pytest.mark.parametrize(
    "wrong", [{"num_clips": 7}, {"num_clips": 0}, {"size_px": 97}, {"fps": 1.0}, {"seed": -1}]
)
def test_impossible_sets_are_refused(tmp_path: Path, wrong: dict[str, float]) -> None:
    settings = {"num_clips": 5, "seed": 0, **wrong}
    with pytest.raises(UserError):
        generate_physics(tmp_path / "w", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "seed"), [("train", 201), ("test", 202)])
def test_what_ships_is_what_the_documented_command_makes(name: str, seed: int) -> None:
    folder = Path(__file__).parents[3] / "examples" / "physics" / name
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    settings = Settings(seed=seed, size_px=96, fps=12.0)
    assert rows[::7] == [label_row(settings, index) for index in range(0, len(rows), 7)]
    assert all((folder / row["video"]).is_file() for row in rows)
    assert len(list((folder / "clips").iterdir())) == len(rows)
    assert Counter(row["score"] for row in rows) == dict.fromkeys(range(1, 6), len(rows) // 5)
