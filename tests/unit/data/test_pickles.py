"""The older scripts' pickles become labels and predictions; what does not is told apart."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import UserError
from kairoscope.data.labels import LabelRow, Problem, load_folder, write_labels
from kairoscope.data.pickles import read_prompts, read_results
from kairoscope.events import Event

RESPONSE = "Event 1: <2.7> <5.5> grasping the square nut\nEvent 2: <5.5> <8.1> inserting it\n"
EVENTS = (Event("grasping the square nut", 2.7, 5.5), Event("inserting it", 5.5, 8.1))
PROMPT = "Event 1: grasping the square nut\nEvent 2: inserting it"


def dump(folder: Path, value: Any, name: str = "prompts.pkl") -> Path:
    (folder / name).write_bytes(pickle.dumps(value))
    return folder / name


def row(video: str) -> LabelRow:
    task = "grasping the square nut, inserting it"
    return LabelRow(video=video, events=EVENTS, group=video, task=task, duration_s=None, line=0)


@pytest.mark.parametrize(
    ("value", "video"),
    [
        (
            {"system_prompt": "You …", "responses": {"nut_assembly_d0_demo_12": RESPONSE}},
            "nut_assembly_d0_demo12_agentview.mp4",
        ),
        ({"system_prompt": "", "user_prompt": "", "responses": {"a.MP4": RESPONSE}}, "a.MP4"),
        ({"a.mp4": (PROMPT, RESPONSE)}, "a.mp4"),
        ({"a.mp4": [None, f"<answer>\n{RESPONSE}</answer>"]}, "a.mp4"),
        ({"a.mp4": {"prompt": PROMPT, "response": RESPONSE}}, "a.mp4"),
        ({"a.mp4": {"response": RESPONSE}}, "a.mp4"),
        ([{"video": "a.mp4", "prompt": PROMPT, "response": RESPONSE}], "a.mp4"),
    ],
)
def test_every_form_of_prompts_becomes_labels(tmp_path: Path, value: Any, video: str) -> None:
    assert read_prompts(dump(tmp_path, value)) == [row(video)]


def test_responses_without_names_need_the_videos(tmp_path: Path) -> None:
    path = dump(tmp_path, {"system_prompt": "", "responses": [RESPONSE, RESPONSE]})
    assert read_prompts(path, videos=["b.mp4", "a.mp4"]) == [row("b.mp4"), row("a.mp4")]
    for videos, got in ((None, "none"), (["a.mp4"], "1")):
        with pytest.raises(UserError, match=rf"its 2 responses have no names: .* got {got}"):
            read_prompts(path, videos=videos)


def test_labels_from_a_pickle_are_written_and_read(tmp_path: Path) -> None:
    rows = read_prompts(dump(tmp_path, {"a.mp4": (PROMPT, RESPONSE), "b.mp4": (None, RESPONSE)}))
    given = [label.sample(tmp_path) for label in rows]
    write_labels(given, tmp_path / "labels.jsonl")
    assert load_folder(tmp_path) == given


BAD_ENTRIES = {
    "no text": (3, "the response is 3; allowed: text"),
    "no events": ("The robot moves.", 'answer "The robot moves."|response "The robot moves."'),
    "no name": ("Event 1: <2.7> <5.5>", "event 1 has no name"),
    "reversed last": (RESPONSE.replace("8.1", "1.1"), "event 2 has no usable times"),
    "out of order": ("Event 1: <1> <5> a\nEvent 2: <1> <4> b", "event 2: end_s is 4; allowed"),
    "one name twice": ("Event 1: <1> <2> a b\nEvent 2: <2> <3> a b", "'a b' is also event 1"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_a_bad_entry_says_which_and_what(tmp_path: Path, name: str) -> None:
    response, message = BAD_ENTRIES[name]
    path = dump(tmp_path, {"good.mp4": (None, RESPONSE), "bad.mp4": (None, response)})
    with pytest.raises(UserError, match=rf"prompts\.pkl: bad\.mp4: .*({message})"):
        read_prompts(path)
    problems: list[Problem] = []
    assert read_prompts(path, problems=problems) == [row("good.mp4")]
    assert [problem.where for problem in problems] == [f"{path}: bad.mp4"]
    only = dump(tmp_path, {"bad.mp4": (None, response)}, "only.pkl")
    with pytest.raises(UserError, match="none of its 1 entries can be used"):
        read_prompts(only, problems=[])


def test_the_prompt_decides_what_was_asked(tmp_path: Path) -> None:
    path = dump(tmp_path, {"a.mp4": (PROMPT + "\nEvent 3: grasping the round nut", RESPONSE)})
    with pytest.raises(UserError, match="event 3: 'grasping the round nut' has no times"):
        read_prompts(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "holds 3; allowed: prompts and responses"),
        ({"responses": 3}, "'responses' is 3; allowed: a dict or a list"),
        ({"a.mp4": "text"}, "'a.mp4' holds \"text\"; allowed: a prompt and a response"),
        ({"a.mp4": ("a", "b", "c")}, "allowed: a prompt and a response"),
        ([RESPONSE], "entry 1 is .*; allowed: a dict with 'video'"),
        ({}, "none of its 0 entries"),
        ([{"video": "a.mp4", "response": RESPONSE}] * 2, "video 'a.mp4' has two entries"),
        ({"a.mp4": os.system}, r"wants to load (posix|nt)\.system"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    path = dump(tmp_path, value)
    with pytest.raises(UserError, match=rf"^{path}: .*{message}"):
        read_prompts(path)


def test_results_become_predictions(tmp_path: Path) -> None:
    dump(tmp_path, {"video_path": "/mnt/b.mp4", "prompt_type": "cube", "fps8": ["x", ["y"]]},
         "results_b.pkl")  # fmt: skip
    dump(tmp_path, {"fps4": ["q"], "fps8": [None, [], ""]}, "results_cut_7.pkl")
    wanted = [("b.mp4", ["x", "y"]), ("cut_7", ["", "", ""])]
    assert read_results(tmp_path, fps=8) == [
        {"video": video, "trial": trial, "text": text}
        for video, texts in wanted
        for trial, text in enumerate(texts)
    ]
    only = read_results(tmp_path / "results_b.pkl")
    assert [item["text"] for item in only] == ["x", "y"]


def test_trials_that_failed_are_empty_answers(tmp_path: Path) -> None:
    path = dump(tmp_path, {"fps8": ["x"]}, "results_a.pkl")
    rows = read_results(path, num_trials=3)
    assert [(item["trial"], item["text"]) for item in rows] == [(0, "x"), (1, ""), (2, "")]
    assert len(read_results(dump(tmp_path, {"fps8": ["x", "y"]}), num_trials=1)) == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"holds \[1\]; allowed: a dict with 'fps8' or the like"),
        ({"video_path": "a.mp4"}, "fps None is asked for; the pickle has no answers at all"),
        ({"fps4": [], "fps12": []}, "fps None is asked for; the pickle has fps4, fps12"),
        ({"fps8": "x"}, "'fps8' is \"x\"; allowed: a list of answers"),
        ({"fps8": [["x", "y"]]}, r'a trial is \["x", "y"\]; allowed: text'),
        ({"fps8": [3]}, "a trial is 3; allowed: text"),
        ({"fps8": [os.system]}, r"wants to load (posix|nt)\.system"),
    ],
)
def test_bad_results_are_told_apart(tmp_path: Path, value: Any, message: str) -> None:
    path = dump(tmp_path, value, "results_bad.pkl")
    with pytest.raises(UserError, match=rf"^{path}: (the pickle )?{message}"):
        read_results(path)
    with pytest.raises(UserError, match="none of its 1 pickles can be used"):
        read_results(path, problems=[])
    dump(tmp_path, {"fps8": ["x"]}, "results_good.pkl")
    problems: list[Problem] = []
    assert [item["video"] for item in read_results(tmp_path, problems=problems)] == ["good"]
    assert [problem.where for problem in problems] == [str(path)]


def test_folders_without_results_and_clips_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no results_\*\.pkl in this folder"):
        read_results(tmp_path)
    for name in ("a", "b"):
        dump(tmp_path, {"video_path": "x/c.mp4", "fps8": ["x"]}, f"results_{name}.pkl")
    with pytest.raises(UserError, match=r"two pickles hold answers about 'c\.mp4'"):
        read_results(tmp_path)
    with pytest.raises(UserError, match=r"absent\.pkl: cannot be read"):
        read_results(tmp_path / "absent.pkl")
