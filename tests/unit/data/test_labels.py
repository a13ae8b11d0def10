"""Label files: what is read comes back, and every bad row says where and what it is."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import Sample, UserError
from kairoscope.data.labels import (
    EventSample,
    Problem,
    list_videos,
    load_folder,
    read_labels,
    scenario_of,
    write_labels,
)
from kairoscope.events import Event, normalised

GOOD = '{"video": "good.mp4", "events": [{"name": "grasping the pod", "end_s": 2.1}]}'


def write(folder: Path, *lines: str | bytes) -> Path:
    file = folder / "labels.jsonl"
    file.write_bytes(
        b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    )
    return file


def row(**changes: Any) -> str:
    """A good row with some keys changed; a value of `...` takes the key out."""
    table: dict[str, Any] = {
        "video": "a.mp4",
        "events": [
            {"name": "grasping the pod", "start_s": 0.5, "end_s": 2.1},
            {"name": "placing the pod", "end_s": 5.5},
        ],
        "duration_s": 7.9,
    } | changes
    return json.dumps({key: value for key, value in table.items() if value is not ...})


def events(*changes: dict[str, Any]) -> str:
    base = [{"name": "one", "start_s": 0.0, "end_s": 1.0}, {"name": "two", "end_s": 2.0}]
    return row(events=[event | change for event, change in zip(base, changes, strict=False)])


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    write(tmp_path, row(group="demo_7", task="coffee", instruction="make coffee"), "", GOOD)
    first, second = load_folder(tmp_path)
    assert first == Sample(
        id="a.mp4",
        video=tmp_path / "a.mp4",
        query=("grasping the pod", "placing the pod"),
        gold=(Event("grasping the pod", 0.5, 2.1), Event("placing the pod", None, 5.5)),
        group="demo_7",
        scenario="coffee",
        duration_s=7.9,
    )
    assert (second.group, second.scenario) == ("good.mp4", "grasping the pod")
    assert second.duration_s is None
    assert load_folder(tmp_path / "labels.jsonl") == [first, second]


def test_null_is_absent_and_blanks_are_folded(tmp_path: Path) -> None:
    text = row(
        group=None, duration_s=None, events=[{"name": " a \t b ", "start_s": None, "end_s": 1}]
    )
    write(tmp_path, "\ufeff" + text + "\r")
    [sample] = load_folder(tmp_path)
    assert sample.gold == (Event("a b", None, 1.0),)
    assert sample.duration_s is None


BAD_ROWS: dict[str, tuple[str | bytes, list[str]]] = {
    "not json": ("{nope", ["not JSON"]),
    "cut off": (row()[:-9], ["not JSON"]),
    "deeply nested": ("[" * 100_000, ["not JSON"]),
    "not utf-8": (b'{"video": "\xff.mp4"}', ["not UTF-8", "byte 12"]),
    "not an object": ("[1, 2]", ["[1, 2]", "an object with video"]),
    "key twice": ('{"video": "a.mp4", "video": "b.mp4"}', ["'video' is given twice"]),
    "no video": (row(video=...), ["'video' is missing"]),
    "no events": (row(events=...), ["'events' is missing"]),
    "empty video": (row(video=" "), ["video is ", "allowed: text"]),
    "video is a number": (row(video=3), ["video is 3", "allowed: text"]),
    "NUL in video": (row(video="a\0.mp4"), ["video is", "allowed: text"]),
    "half a character": (row(video="\ud800.mp4"), ["video is", "allowed: text"]),
    "unknown key": (row(evnts=[]), ["unknown key 'evnts'", "video, events, group"]),
    "group is a number": (row(group=4), ["group is 4"]),
    "duration zero": (row(duration_s=0), ["duration_s is 0"]),
    "duration negative": (row(duration_s=-1), ["duration_s is -1", "from 0 up"]),
    "events is text": (row(events="grasp"), ['events is "grasp"', "a list of events"]),
    "events empty": (row(events=[]), ["events is empty", "one event or more"]),
    "event is text": (row(events=["grasp"]), ["event 1", '"grasp" is not an event']),
    "event without end": (row(events=[{"name": "x"}]), ["event 1", "'end_s' is missing"]),
    "event without name": (row(events=[{"end_s": 1}]), ["event 1", "'name' is missing"]),
    "unknown event key": (events({"stop": 1}), ["event 1", "unknown key 'stop'", "start_s"]),
    "name of two lines": (events({"name": "a\nb"}), ["event 1", "'a\\nb'", "one line"]),
    "negative end": (events({"end_s": -1.0}), ["event 1", "end_s is -1.0", "from 0 up"]),
    "negative start": (events({"start_s": -0.5}), ["event 1", "start_s is -0.5"]),
    "nan": (events({}, {"end_s": float("nan")}), ["event 2", "end_s is NaN", "finite"]),
    "inf": (events({"start_s": float("inf")}), ["event 1", "start_s is Infinity", "finite"]),
    "overflow": (row().replace("5.5", "1e999"), ["event 2", "end_s is Infinity"]),
    "huge integer": (row().replace("5.5", "9" * 400), ["event 2", "end_s is 9999", "finite"]),
    "text for a time": (events({"end_s": "1.0"}), ["event 1", 'end_s is "1.0"']),
    "true for a time": (events({"end_s": True}), ["event 1", "end_s is true"]),
    "end at 0": (events({"end_s": 0}), ["event 1", "end_s is 0", "after 0"]),
    "reversed": (events({"start_s": 1.5}), ["event 1", "start_s 1.5 is after its end_s 1"]),
    "out of order": (events({"end_s": 3.0}, {}), ["event 2", "end_s is 2", "after 3"]),
    "two at once": (events({}, {"end_s": 1.0}), ["event 2", "end_s is 1", "after 1"]),
    "past the end": (events({}, {"end_s": 8.0}), ["event 2", "end_s 8 is past the end", "7.9"]),
    "same name": (events({}, {"name": "One"}), ["event 2", "'One' is also event 1"]),
    "same but an article": (events({}, {"name": "the  one"}), ["event 2", "also event 1"]),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_says_where_and_what(tmp_path: Path, name: str) -> None:
    line, parts = BAD_ROWS[name]
    file = write(tmp_path, GOOD, "", line)
    rows, [problem] = read_labels(file)
    assert [row.video for row in rows] == ["good.mp4"]
    assert problem.where == f"{file}:3"
    for part in parts:
        assert part in problem.what
    with pytest.raises(UserError) as caught:
        load_folder(tmp_path)
    assert str(caught.value) == f"{file}:3: {problem.what}"
    problems: list[Problem] = []
    assert [sample.id for sample in load_folder(tmp_path, problems)] == ["good.mp4"]
    assert problems == [problem]


def test_every_bad_row_has_its_own_message(tmp_path: Path) -> None:
    lines = [line for line, _ in BAD_ROWS.values()]
    rows, problems = read_labels(write(tmp_path, *lines))
    assert (len(rows), len(problems)) == (0, len(lines))
    assert len({problem.what for problem in problems}) >= len(lines) - 1  # two are "not JSON"


@pytest.mark.parametrize("again", ["good.mp4", "./good.mp4", "sub/../good.mp4"])
def test_a_clip_twice_names_both_lines(tmp_path: Path, again: str) -> None:
    file = write(tmp_path, "", GOOD, row(), row(video=again))
    rows, [problem] = read_labels(file)
    assert [row.line for row in rows] == [2, 3]
    assert problem.where == f"{file}:4"
    assert "already on line 2" in problem.what


def test_a_tenth_of_rounding_is_not_past_the_end(tmp_path: Path) -> None:
    write(tmp_path, events({}, {"end_s": 7.94}))
    assert load_folder(tmp_path)[0].query == ("one", "two")


def test_nothing_usable_raises_even_with_a_list(tmp_path: Path) -> None:
    write(tmp_path, "{", "[]")
    with pytest.raises(
        UserError, match=r"none of its 2 rows is valid; first: .*labels\.jsonl:1: not"
    ):
        load_folder(tmp_path, [])
    write(tmp_path, "", "  ")
    with pytest.raises(UserError, match="it is empty"):
        load_folder(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent: no such file or folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(UserError, match=r"has no labels\.jsonl"):
        load_folder(tmp_path)
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(UserError, match="no such file or folder"):
            load_folder(tmp_path / name)
        with pytest.raises(UserError, match="no such file or folder"):
            list_videos(tmp_path / name)
    (tmp_path / "labels.csv").write_text("video\n")
    with pytest.raises(UserError, match=r"ends in \.jsonl, not '\.csv'"):
        load_folder(tmp_path / "labels.csv")


names = st.lists(
    st.text(string.ascii_letters + "äß字, ", min_size=1, max_size=20).filter(normalised),
    min_size=1,
    max_size=5,
    unique_by=normalised,
)


@st.composite
def samples(draw: st.DrawFn) -> EventSample:
    query = [" ".join(name.split()) for name in draw(names)]
    steps = st.floats(0.001, 1e4, allow_nan=False)
    end_s, gold = 0.0, []
    for name in query:
        start_s = draw(st.none() | st.just(end_s))
        end_s += draw(steps)
        gold.append(Event(name, start_s, end_s))
    folder = Path("/anywhere")
    clip = draw(st.sampled_from(["a.mp4", "sub/b b.mp4", "ü字.mov"]))
    return Sample(
        id=clip,
        video=folder / clip,
        query=tuple(query),
        gold=tuple(gold),
        group=draw(st.sampled_from(["g", clip])),
        scenario=draw(st.sampled_from(["coffee", scenario_of(query)])),
        duration_s=draw(st.none() | st.just(end_s + 1)),
    )


@given(sample=samples())
def test_written_labels_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, sample: EventSample
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    moved = Sample(
        **{key: getattr(sample, key) for key in Sample.__dataclass_fields__ if key != "video"},
        video=folder / sample.id,
    )
    write_labels([moved], folder / "labels.jsonl")
    assert load_folder(folder) == [moved]


@given(first=names, second=names)
def test_scenarios_differ_where_the_events_differ(first: list[str], second: list[str]) -> None:
    assert (scenario_of(first) == scenario_of(second)) == (first == second)
    assert len(scenario_of(first)) <= 64
