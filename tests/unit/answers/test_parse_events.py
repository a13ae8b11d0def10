"""What models really write, and what is made of it."""

from pathlib import Path

import pytest

from kairoscope.answers import parse_events
from kairoscope.core import Unparsed
from kairoscope.events import Event, Events, Query

QUERY = ("grasping the red cube", "releasing the red cube", "grasping the green cube")
RED, RELEASE, GREEN = QUERY


def read(text: str, query: Query = QUERY) -> Events:
    events = parse_events(text, query)
    assert not isinstance(events, Unparsed), events.reason
    return events


def times(text: str, query: Query = QUERY) -> dict[int | None, tuple[float | None, float]]:
    """{place from 1: (start, end)} of what was read."""
    return {event.number: (event.start_s, event.end_s) for event in read(text, query)}


def names(text: str, query: Query = QUERY) -> list[str]:
    return [event.name for event in read(text, query)]


@pytest.mark.parametrize(
    "written",
    [
        "<2.9> <5.5>",
        "<2.9><5.5>",
        "2.9 - 5.5",
        "2.9-5.5",
        "2.9 -5.5",
        "2.9–5.5",
        "2.9 → 5.5",
        "<2.9> - <5.5>",
        "<2.9 - 5.5>",
        "[2.9, 5.5]",
        "(2.9, 5.5)",
        "2.9 5.5",
        "2.9s 5.5s",
        "from 2.9 s to 5.5 s",
        "2.9 seconds until 5.5 seconds",
        "2.90 sec to 5.50 sec",
        "<2.9s> <5.5s>",
        "start: 2.9, end: 5.5",
        "Start time: 2.9s | End time: 5.5s",
        "starts at 2.9 s and ends at 5.5 s",
        "00:02.90 - 00:05.50",
        "<00:02.9> <00:05.5>",
        "00:00:02.9 - 00:00:05.5",
        "&lt;2.9&gt; &lt;5.5&gt;",
        "**<2.9>** **<5.5>**",
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "Event 1: {} grasping the red cube",
        "Event 1: {}: grasping the red cube.",
        "Event 1: grasping the red cube: {}",
        "Event 1 - grasping the red cube ({})",
        "**Event 1:** {} grasping the red cube",
        "event 1: {} grasping the\n  red cube",
        "1. grasping the red cube {}",
        "1) {} grasping the red cube",
        "- grasping the red cube: {}",
        "grasping the red cube\n{}",
    ],
)
def test_a_start_and_an_end_are_read_however_they_are_written(line: str, written: str) -> None:
    text = line.format(written)
    assert parse_events(text, QUERY) == (Event(RED, 2.9, 5.5),)


def test_clock_times_are_minutes_and_hours() -> None:
    assert times("Event 1: 01:02.50 - 01:03.00\nEvent 2: 01:00:00 - 1:00:01.25") == {
        1: (62.5, 63.0),
        2: (3600.0, 3601.25),
    }


SEED_STYLE = """\
<think>
I will analyze the video.
Event 1: <0.0> - <1.0> - Event | reasoning
</think>

<answer>
Event 1: <2.9> - <5.5> grasping the red cube | The gripper closes at 5.4 s, in 3 steps.
Event 2: <5.5> - <6.0> releasing the red cube | The arm opens.
Event 3: <6.0> - <7.25> grasping the green cube | explained.
</answer>"""
ALL = {1: (2.9, 5.5), 2: (5.5, 6.0), 3: (6.0, 7.25)}


def test_the_answer_block_wins_over_the_reasoning() -> None:
    assert times(SEED_STYLE) == ALL
    assert names(SEED_STYLE) == list(QUERY)


@pytest.mark.parametrize(
    "text",
    [
        SEED_STYLE.replace("</answer>", ""),
        SEED_STYLE.replace("<answer>", ""),
        SEED_STYLE.replace("<answer>", "").replace("</answer>", ""),
        SEED_STYLE.replace("<think>", ""),
        SEED_STYLE.upper().replace("EVENT", "Event"),
        SEED_STYLE + "\n<answer>",
        SEED_STYLE + "<answer></answer>",
        "<answer>Event 1: <0> <1> a draft</answer>\n" + SEED_STYLE,
        "<think><answer>Event 1: <0> <1> a draft</answer></think>\n" + SEED_STYLE,
        SEED_STYLE.replace("\n", "\r\n"),
        "\x1b[0;36m(core)\x1b[0;0m " + SEED_STYLE.replace("Event", "\x1b[1mEvent\x1b[0m"),
        SEED_STYLE.replace("\nEvent", " Event"),
    ],
)
def test_the_block_may_be_open_missing_repeated_or_coloured(text: str) -> None:
    assert times(text) == ALL


def test_what_follows_the_reasoning_is_the_answer_where_there_is_no_block() -> None:
    assert times("<think>Event 1: <0> <1> x</think>\nEvent 1: <2> <3> x") == {1: (2.0, 3.0)}
    assert times("<think>so <answer>Event 1: <2> <3> x</answer></think>") == {1: (2.0, 3.0)}
    assert times("<think>\nEvent 1: <2> <3> x") == {1: (2.0, 3.0)}


@pytest.mark.parametrize(
    "text",
    [
        '```json\n[{"start": 2.9, "end": 5.5, "caption": "grasping the red cube"}]\n```',
        '```json\n[{"start": "00:02.90", "end": "00:05.50", "caption": "grasping\nthe red cube"}]',
        '[{"start": "2.9 s", "end": "5.5 s", "name": "grasping the red cube"},]',
        '{"events": [{"event": "grasping the red cube", "start_s": 2.9, "end_s": 5.5}]}',
        '{"events": [{"event": "Event 1: grasping the red cube", "startTime": 2.9, "endTime": 5.5}]}',
        '{"event": 1, "name": "grasping the red cube", "start_time": "2.9", "end_time": "5.5"}',
        '{"Event 1": {"start": 2.9, "end": 5.5}}',
        '{"grasping the red cube": {"start": 2.9, "end": 5.5}}',
        '{"grasping the red cube": [2.9, 5.5]}',
        '{"Event 1": "2.9 - 5.5"}',
        '[{"label": "grasping the red cube", "timestamp": [2.9, 5.5]}]',
        "[{'name': 'grasping the red cube', 'start': 2.9, 'end': 5.5}]",
        '[{"name": "grasping the red cube", "start": 2.9, "end": 5.5}, {"name": "releas',
        'Here it is:\n{"name": "grasping the red cube", "start": 2.9, "end": 5.5}\nGood luck!',
        '```\nno times\n```\n```json\n{"start": 2.9, "end": 5.5}\n```',
        "[[2.9, 5.5]]",
        '["Event 1: <2.9> <5.5> grasping the red cube"]',
    ],
)
def test_json_is_read_also_where_it_is_wrapped_cut_or_not_quite_json(text: str) -> None:
    assert parse_events(text, QUERY) == (Event(RED, 2.9, 5.5),)
    assert times(f"<think>The gripper closes at 1.0 - 2.0.</think>\n{text}") == {1: (2.9, 5.5)}


def test_a_table_is_read() -> None:
    table = """
| # | Event | Start | End |
|---|-------|-------|-----|
| 1 | grasping the red cube | 2.9 | 5.5 |
| 3 | grasping the green cube | 6.0 | 7.25 |"""
    assert times(table) == {1: (2.9, 5.5), 3: (6.0, 7.25)}
    assert names(table.replace("| 1 ", "").replace("| 3 ", "").replace("| # ", "")) == [RED, GREEN]


def test_a_number_finds_the_event_and_a_wrong_name_is_kept() -> None:
    text = "Event 3: <1> <2> grasping the blue cube\nEvent 1: <0> <1> releasing the red cube"
    assert parse_events(text, QUERY) == (
        Event(RELEASE, 0.0, 1.0),
        Event("grasping the blue cube", 1.0, 2.0),
    )
    assert [event.number for event in read(text)] == [1, 3]


def test_without_numbers_the_name_finds_the_event() -> None:
    text = "Grasping the green cube: 3.5 - 4.5\ngrasping red cube. 1.0 - 2.0"
    assert times(text) == {1: (1.0, 2.0), 3: (3.5, 4.5)}


def test_without_numbers_and_names_the_order_does() -> None:
    assert times("0.0 - 1.0\n1.0 - 2.5\n2.5 - 4.0") == {1: (0, 1), 2: (1, 2.5), 3: (2.5, 4)}
    assert names("<0> <1>\n<1> <2>\n<2> <3>") == list(QUERY)
    assert names("picks it up: 0.5 - 1.0\nputs it down: 1.0 - 2.5") == [
        "picks it up",
        "puts it down",
    ]


def test_events_of_the_query_may_be_missing_and_others_are_ignored() -> None:
    text = "\n".join(f"Event {i}: <{i}.0> <{i}.5> x" for i in (2, 4, 5, 999))
    assert times(text) == {2: (2.0, 2.5)}
    assert times("\n".join(f"<{i}.0> <{i}.5>" for i in range(9)))[3] == (2.0, 2.5)


def test_events_may_be_counted_from_zero() -> None:
    assert times("Event 0: <0> <1> a\nEvent 1: <1> <2> b") == {1: (0, 1), 2: (1, 2)}


def test_of_two_entries_for_one_event_the_later_usable_one_counts() -> None:
    text = "Event 1: <0> <1> x\nno, wait\nEvent 1: <2> <3> x\nEvent 1: <9> <8> x"
    assert times(text) == {1: (2.0, 3.0)}


def test_digits_in_names_are_not_times() -> None:
    query = ("moving cup 2", "2 cubes stacked")
    assert times(
        "Event 1: moving cup 2: 3.0 - 5.5\nEvent 2: 2 cubes stacked from 6 to 7", query
    ) == {
        1: (3.0, 5.5),
        2: (6.0, 7.0),
    }


def test_times_in_angle_brackets_win_over_other_numbers() -> None:
    assert times("Event 1: <2.9> lifting 3 - 4 cubes <5.5>") == {1: (2.9, 5.5)}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("<5.5> <2.9>", "ends (2.9) before it starts (5.5)"),
        ("<nan> <2.0>", "start is not a time"),
        ("<2.0> <inf>", "end is not a time"),
        ("<-1.0> <2.0>", "start is not a time"),
        ("-1.0 - 2.0", "start is not a time"),
        ("<1:75.0> <2:00.0>", "start is not a time"),
        (f"<1.0> <{'9' * 400}>", "end is not a time"),
        ("<2.9>", "does not give a start and an end"),
        ("<start time> - <end time>", "does not give a start and an end"),
        ("500 ms to 900 ms", "does not give a start and an end"),
        ('{"start": 5.5, "end": 2.9}', "ends (2.9) before it starts (5.5)"),
        ('{"start": -1, "end": 2.9}', "start is -1"),
        ('{"start": NaN, "end": 2.9}', "start is nan"),
        ('{"start": 1, "end": Infinity}', "end is not a time"),
        ('{"start": 1}', "end is not a time"),
        ('{"start": true, "end": 2}', "start is not a time"),
    ],
)
def test_times_that_cannot_be_used_make_the_event_absent_and_the_reason_says_why(
    entry: str, reason: str
) -> None:
    text = entry if entry.startswith("{") else f"Event 1: {entry} grasping the red cube"
    answer = parse_events(text, QUERY)
    assert isinstance(answer, Unparsed)
    assert reason in answer.reason
    if not entry.startswith("{"):
        assert times(f"{text}\nEvent 2: <1> <2> x") == {2: (1.0, 2.0)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("<answer></answer>", "the answer is empty"),
        ("I cannot see any cube.", "the answer begins 'I cannot see any cube.'"),
        ("Between 2 and 5 objects are on the table.", "none of them for one of the 3 events"),
        ("Event 7: <1> <2> x", "none of them for one of the 3 events"),
        ("\ud800\0", "no start and end times"),
    ],
)
def test_the_reason_says_what_was_found_instead(text: str, reason: str) -> None:
    answer = parse_events(text, QUERY)
    assert isinstance(answer, Unparsed)
    assert reason in answer.reason
    assert len(answer.reason) < 300


def test_an_end_alone_is_read_where_json_says_so() -> None:
    assert parse_events('[{"name": "grasping the red cube", "end": 2.1}]', QUERY) == (
        Event(RED, None, 2.1),
    )


def test_a_query_without_events_has_no_answer() -> None:
    assert isinstance(parse_events("Event 1: <1> <2> x", ()), Unparsed)


def test_a_console_log_of_a_real_run(shared_data: Path) -> None:
    log = (shared_data / "model_outputs" / "temporal_localization.log").read_text("utf-8")
    for text in (log, log.rsplit("Assistant:", 1)[1]):
        (event,) = read(text, ("the camera is positioned at the front",))
        assert (event.start_s, event.end_s) == (0.1, 2.1)
        assert event.name.startswith("The camera is positioned at the front of a vehicle")
        assert event.name.endswith("lined with houses and parked cars")
    caption = (shared_data / "model_outputs" / "caption.log").read_text("utf-8")
    answer = parse_events(caption, QUERY)
    assert isinstance(answer, Unparsed)
    assert "no start and end times" in answer.reason
