"""The simulated drives: labels that are true of what is shown, and clips that are made once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.data.captions import load_captions
from kairoscope.data.questions import load_questions
from kairoscope.data.rows import Problem
from kairoscope.fields import load_schema, normalised_label
from kairoscope.fields.writing import caption_json
from kairoscope.simulate.driving import generate_drives
from kairoscope.simulate.driving.camera import NEAR_M, Camera, clipped, ground
from kairoscope.simulate.driving.facts import (
    DAY,
    LEFT,
    MANOEUVRES,
    NIGHT,
    NO_JUNCTION,
    RED,
    RIGHT,
    SCHEMA,
    STOPS,
    TO_LEFT,
    TO_RIGHT,
    caption_of,
    draw_drive,
)
from kairoscope.simulate.driving.path import LANE_M, half_cross_m, junction_m, poses
from kairoscope.simulate.driving.picture import frames
from kairoscope.simulate.driving.questions import questions_of

DRIVES = [draw_drive(np.random.default_rng([7, i])) for i in range(600)]
TIMES_S = np.arange(0, 5, 0.1)


def test_every_caption_is_one_of_the_schema() -> None:
    schema = load_schema(SCHEMA)
    for drive in DRIVES:
        caption = caption_of(drive)
        assert normalised_label(schema, caption_json(caption)) == (caption, [])


def test_what_is_drawn_is_balanced_and_has_its_reasons() -> None:
    manoeuvres = Counter(drive.manoeuvre for drive in DRIVES)
    assert set(manoeuvres) == set(MANOEUVRES)
    assert min(manoeuvres.values()) > 70
    for drive in DRIVES:
        if drive.manoeuvre == STOPS:
            assert drive.traffic_light == RED or drive.has_pedestrian
        else:
            assert drive.traffic_light != RED
            assert not drive.has_pedestrian
        if drive.manoeuvre in (LEFT, RIGHT):
            assert drive.junction != NO_JUNCTION
        if drive.manoeuvre in (TO_LEFT, TO_RIGHT):
            assert drive.lanes > 1


def test_the_way_is_the_manoeuvre() -> None:
    for drive in DRIVES:
        way = poses(drive, TIMES_S)
        turned = way.heading_T[-1]
        moved = way.x_T[-1] - way.x_T[0]
        expected = {LEFT: -np.pi / 2, RIGHT: np.pi / 2}.get(drive.manoeuvre, 0.0)
        assert turned == pytest.approx(expected, abs=1e-6)
        if drive.manoeuvre in (TO_LEFT, TO_RIGHT):
            sign = 1 if drive.manoeuvre == TO_RIGHT else -1
            assert moved == pytest.approx(sign * LANE_M)
        if drive.manoeuvre == STOPS:
            assert way.z_T[-1] == pytest.approx(way.z_T[-10])
            assert way.z_T[-1] < junction_m(drive) - half_cross_m(drive)
        else:
            assert way.z_T[-1] > way.z_T[-10] or abs(moved) > 3
        # No jumps: nothing moves faster than the drive's speed, or half as fast again sideways.
        steps = np.hypot(np.diff(way.x_T), np.diff(way.z_T))
        assert steps.max() < 1.5 * drive.speed_mps * 0.1


def test_what_is_behind_the_camera_is_cut_off() -> None:
    camera = Camera(0.0, 0.0, 0.0, 100, 100)
    seen = clipped(camera.seen(ground(-1, -5, 1, 5, (0, 0, 0)).corners_N3))
    assert seen[:, 2].min() == pytest.approx(NEAR_M)
    assert len(clipped(camera.seen(ground(-1, -5, 1, -2, (0, 0, 0)).corners_N3))) == 0


def test_night_is_dark_and_left_is_left() -> None:
    def mean(lighting: str) -> float:
        drive = next(d for d in DRIVES if d.lighting == lighting and d.weather == "Overcast")
        [picture] = frames(drive, np.random.default_rng(0), times_s=np.zeros(1), size_px=(96, 96))
        return float(picture.mean())

    assert mean(NIGHT) < 0.5 * mean(DAY)
    camera = Camera(0.0, 0.0, 0.2, 100, 100)  # looks to the right
    [place] = camera.pixels(camera.seen(np.array([[0.0, 1.5, 10.0]])))
    assert place[0] < 50


def test_clips_are_made_once_and_alike_in_any_number_of_processes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    size: dict[str, Any] = {"seed": 3, "width_px": 96, "height_px": 96, "fps": 2.0}
    generate_drives(one, num_clips=2, **size)
    before = {p.name: p.stat().st_mtime_ns for p in (one / "clips").iterdir()}
    generate_drives(one, num_clips=3, **size)
    generate_drives(two, num_clips=3, workers=2, **size)
    assert {n: t for n, t in before.items() if n.endswith("mp4")}.items() <= {
        p.name: p.stat().st_mtime_ns for p in (one / "clips").iterdir()
    }.items()
    made = {p.name: p.read_bytes() for p in (one / "clips").iterdir()}
    assert made == {p.name: p.read_bytes() for p in (two / "clips").iterdir()}
    problems: list[Problem] = []
    samples = load_captions(load_schema(SCHEMA), one, problems)
    assert len(samples) == 3
    assert problems == []
    assert json.loads((one / "clips" / "drive_3_00000.label.json").read_text()) == caption_json(
        samples[0].gold or {}
    )
    assert (one / "questions.jsonl").read_bytes() == (two / "questions.jsonl").read_bytes()
    generate_drives(two, num_clips=1, **size)
    assert (one / "questions.jsonl").read_bytes() == (two / "questions.jsonl").read_bytes()
    with pytest.raises(UserError, match="fps"):
        generate_drives(one, num_clips=1, **{**size, "fps": 99.0})
    with pytest.raises(UserError, match="made with"):
        generate_drives(one, num_clips=1, **{**size, "seed": 4})


def test_every_question_about_a_drive_is_answered_by_its_caption(tmp_path: Path) -> None:
    rows, captions = [], {}
    for number in range(60):
        drive = draw_drive(np.random.default_rng([4, number]))
        captions[f"d{number}"] = caption_of(drive)
        rng = np.random.default_rng([4, number, 1])
        rows += questions_of(drive, f"d{number}", f"d{number}.mp4", rng)
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = load_questions(file)
    assert len(samples) == len(rows)
    letters: Counter[tuple[int, int]] = Counter()
    for sample in samples:
        caption = captions[sample.group]
        if not sample.query.choices:
            continue
        value = caption[sample.scenario.replace(" ", "_")]
        said = ("Yes" if value else "No") if isinstance(value, bool) else str(value)
        assert sample.gold == said
        assert sample.query.choices.count(said) == 1
        letters[sample.query.choices.index(said), len(sample.query.choices)] += 1
    stops = sum(caption["manoeuvre"] == "Stops" for caption in captions.values())
    assert sum(sample.scenario == "reason, in words" for sample in samples) == stops > 0
    words = {s.group: s.gold for s in samples if s.scenario == "drive, in words"}
    assert words == {name: caption["description"] for name, caption in captions.items()}
    # No letter says more than another: of each number of choices, within four standard deviations.
    for places in (2, 3, 4):
        counts = [letters[place, places] for place in range(places)]
        share, total = 1 / places, sum(counts)
        for count in counts:
            assert abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5
