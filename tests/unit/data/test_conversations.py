"""Datasets of conversations: the recipes' own load, ours come back, bad rows are told apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from kairoscope.core import Prompt, Sample, UserError
from kairoscope.data.conversations import (
    is_dataset,
    read_conversations,
    read_dataset,
    read_messages,
    write_conversations,
)
from kairoscope.data.labels import EventSample, Problem
from kairoscope.data.sources import load_samples
from kairoscope.events import Event, starts_s
from kairoscope.recipes.subtask_times import TASK

SYSTEM = "You are a specialized behavior analyst."


@pytest.fixture(autouse=True)
def _no_bars() -> None:
    datasets.disable_progress_bars()


def conversation(
    video: str = "videos_ts/coffee_d0_demo2_agentview.mp4",
    asked: str = "Event 1: grasping the pod",
    answer: str = "<answer>\nEvent 1: <2.9> <5.5> grasping the pod\n\n</answer>",
) -> list[dict[str, Any]]:
    """The form of the recipe's dataset."""
    content = [{"type": "video", "video": video}, {"type": "text", "text": asked}]
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": content},
        {"role": "assistant", "content": answer},
    ]


def save(path: Path, *rows: Any, column: str = "conversations", **more: list[Any]) -> Path:
    cells = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    datasets.Dataset.from_dict({column: cells} | more).save_to_disk(str(path))
    return path


def test_a_dataset_of_the_recipe_loads(tmp_path: Path) -> None:
    path = save(tmp_path / "set", conversation())
    [row] = read_dataset(path)
    video = "videos_ts/coffee_d0_demo2_agentview.mp4"
    assert row.sample == Sample(
        id=video,
        video=Path(video),
        query=("grasping the pod",),
        gold=(Event("grasping the pod", 2.9, 5.5),),
        group="videos_ts/coffee_d0_demo2",
        scenario="grasping the pod",
    )
    assert row.prompt == Prompt(system=SYSTEM, after="Event 1: grasping the pod")
    assert row.answer == conversation()[2]["content"]
    assert row.messages == conversation()
    assert read_messages(path) == [conversation()]
    assert load_samples(path) == read_conversations(path) == [row.sample]


@pytest.mark.parametrize(
    ("video", "group"),
    [
        ("v/coffee_d0_demo2_agentview.mp4", "v/coffee_d0_demo2"),
        ("v/coffee_d0_demo2_eye_in_hand.mp4", "v/coffee_d0_demo2"),
        ("v/coffee_d0_demo_21.mp4", "v/coffee_d0_demo_21"),
        ("v/Demo-3-front.mp4", "v/Demo-3"),
        ("demo_1/clip.mp4", "demo_1/clip.mp4"),
        ("v/video_7.mp4", "v/video_7.mp4"),
    ],
)
def test_clips_of_one_demonstration_share_a_group(tmp_path: Path, video: str, group: str) -> None:
    [found] = read_conversations(save(tmp_path / "set", conversation(video)))
    assert found.group == group


def samples(folder: Path) -> list[EventSample]:
    def sample(name: str, start_s: float | None, **more: Any) -> EventSample:
        gold = (Event("grasping the pod", start_s, 2.25), Event("Öffnen | weit", 2.25, 7.333))
        return Sample(
            id=name,
            video=folder / name,
            query=tuple(event.name for event in gold),
            gold=gold,
            scenario="coffee",
            **more,
        )

    return [
        sample("b b.mp4", 0.0, group="demo 7", duration_s=9.125),
        sample("sub/a.mp4", None, group="sub/a.mp4"),
    ]


def with_starts(sample: EventSample) -> EventSample:
    """As a rendered answer has it: a start that is not known is the end of the event before."""
    assert sample.gold is not None
    starts = starts_s(sample.gold)
    gold = tuple(replace(e, start_s=s) for e, s in zip(sample.gold, starts, strict=True))
    return replace(sample, gold=gold)


def test_written_samples_come_back(tmp_path: Path) -> None:
    given = samples(tmp_path / "clips")
    write_conversations(given, tmp_path / "sets" / "set", TASK)
    found = read_dataset(tmp_path / "sets" / "set")
    assert [row.sample for row in found] == [with_starts(sample) for sample in given]
    assert [row.prompt for row in found] == [TASK.prompt(sample.query) for sample in given]
    assert [row.answer for row in found] == [
        TASK.render(sample.query, sample.gold) for sample in given if sample.gold
    ]


def test_what_is_written_is_what_cosmos_rl_reads(tmp_path: Path) -> None:
    """Its adapter takes `json.loads(dataset[i]["conversations"])` and looks at these keys."""
    [sample, _] = samples(tmp_path)
    write_conversations([sample], tmp_path / "set", TASK)
    messages = json.loads(datasets.load_from_disk(str(tmp_path / "set"))[0]["conversations"])
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert all(isinstance(messages[i]["content"], str) for i in (0, 2))
    parts = messages[1]["content"]
    assert {"type": "video", "video": str(sample.video)} in parts
    assert all(set(part) == {"type", part["type"]} for part in parts)


def test_relative_paths_make_a_dataset_that_can_be_moved(tmp_path: Path) -> None:
    clips = tmp_path / "here" / "clips"
    (clips / "sub").mkdir(parents=True)
    for sample in samples(clips):
        sample.video.touch()
    write_conversations(samples(clips), tmp_path / "here" / "set", TASK, video_root=clips.parent)
    (tmp_path / "here").rename(tmp_path / "there")
    clips = tmp_path / "there" / "clips"
    wanted = [with_starts(sample) for sample in samples(clips)]
    path = tmp_path / "there" / "set"
    assert read_conversations(path) == wanted  # found beside the dataset
    assert read_conversations(path, video_root=clips.parent) == wanted
    elsewhere = read_conversations(path, video_root=Path("/elsewhere"))
    assert elsewhere[0].video == Path("/elsewhere/clips/b b.mp4")


def test_other_forms_of_the_same_are_read(tmp_path: Path) -> None:
    plain = conversation()
    texts = [{"type": "text", "text": plain[2]["content"]}]
    listed = [*plain[:2], {"role": "assistant", "content": texts}]
    kwargs = conversation()
    kwargs[1]["content"][0] |= {"fps": 8, "max_pixels": 81920}
    path = save(tmp_path / "set", plain, plain[1:], {"messages": plain}, listed, kwargs)
    found = read_conversations(path)
    assert {sample.gold for sample in found} == {(Event("grasping the pod", 2.9, 5.5),)}
    ids = [sample.id for sample in found]
    assert ids == [ids[0], *(f"{ids[0]}#{row}" for row in range(2, 6))]
    assert len({sample.group for sample in found}) == 1


def test_a_column_of_lists_and_of_another_name(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"talk": [[json.dumps(m) for m in conversation()]]}).save_to_disk(
        str(tmp_path / "odd")
    )
    with pytest.raises(UserError, match=r"row 1: the conversation is \[.*a list of messages"):
        read_conversations(tmp_path / "odd", "talk")
    path = save(tmp_path / "set", conversation(), column="talk")
    assert len(read_conversations(path, "talk")) == 1
    with pytest.raises(UserError, match="no column 'conversations'; the dataset has talk"):
        read_conversations(path)


def test_splits(tmp_path: Path) -> None:
    one = datasets.Dataset.from_dict({"conversations": [json.dumps(conversation())]})
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / "two"))
    assert len(read_conversations(tmp_path / "two", split="test")) == 1
    with pytest.raises(UserError, match="split None is not one of its train, test"):
        read_conversations(tmp_path / "two")
    datasets.DatasetDict({"only": one}).save_to_disk(str(tmp_path / "one"))
    assert len(load_samples(tmp_path / "one")) == 1
    with pytest.raises(UserError, match="split 'test' is asked for, but the dataset has no splits"):
        read_conversations(save(tmp_path / "set", conversation()), split="test")


def user(*content: Any) -> list[dict[str, Any]]:
    talk = conversation()
    talk[1]["content"] = list(content)
    return talk


VIDEO = {"type": "video", "video": "a.mp4"}
TEXT = {"type": "text", "text": "Event 1: grasping the pod"}
BAD: dict[str, tuple[Any, str]] = {
    "not json": ("{", "the conversation is not JSON"),
    "deep": ("[" * 100_000, "the conversation is not JSON"),
    "number": ("3", "the conversation is 3; allowed: a list of messages"),
    "no messages": ("{}", "the conversation is {}; allowed"),
    "roles": (conversation()[:2], r'roles are \["system", "user"\]; allowed: system'),
    "system": ([{"role": "system"}, *conversation()[1:]], "the system content is null"),
    "assistant": ([*conversation()[:2], {"role": "assistant", "content": 3}], "assistant .* is 3"),
    "user text": (user() and [*conversation()[:1], {"role": "user", "content": "x"},
                  conversation()[2]], "the user's content is \"x\"; allowed: a list with a video"),
    "no video": (user(TEXT), "holds 0 videos; allowed: one"),
    "two videos": (user(VIDEO, VIDEO, TEXT), "holds 2 videos; allowed: one"),
    "image": (user({"type": "image", "image": "a.png"}, TEXT), '"image": "a.png".*allowed: one v'),
    "frames": (user({"type": "video", "video": ["1.png"]}, TEXT), r'"1.png".*allowed: one video'),
    "no events": (user(VIDEO, {"type": "text", "text": "Describe."}), "no line `Event 1: name`"),
    "example only": (
        user(VIDEO, {"type": "text", "text": "Event 1: <start time> - <end time> Event"}),
        "no line `Event 1: name`",
    ),
    "event twice": (conversation(asked="Event 1: a b\nEvent 2: A b."), "'A b.' is also event 1"),
    "no answer": (conversation(answer="I see a robot."), 'answer "I see a robot."'),
    "not all": (
        conversation(asked="Event 1: grasping the pod\nEvent 2: placing it"),
        "event 2: 'placing it' has no times in the answer",
    ),
    "another": (
        conversation(asked="Event 1: placing the pod"),
        "event 1: asked for 'placing the pod', the answer is about 'grasping the pod'",
    ),
    "reversed": (conversation(answer="Event 1: <5.5> <2.9> grasping the pod"), "5.5"),
    "at zero": (conversation(answer="Event 1: <0> <0> grasping the pod"), "event 1: end_s is 0; allowed"),
    "no clip": (conversation(video=" "), 'video is " "; allowed: text'),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_says_which_and_what(tmp_path: Path, name: str) -> None:
    row, message = BAD[name]
    path = save(tmp_path / "set", conversation("good.mp4"), row)
    with pytest.raises(UserError, match=rf"set: row 2: .*{message}"):
        read_conversations(path)
    problems: list[Problem] = []
    assert [sample.id for sample in read_conversations(path, problems=problems)] == ["good.mp4"]
    assert [problem.where for problem in problems] == [f"{path}: row 2"]
    only = save(tmp_path / "only", row)
    with pytest.raises(UserError, match=r"row 1: .*\(1 of 1 rows cannot be used\)"):
        read_conversations(only, problems=[])


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent: no such folder"):
        read_conversations(tmp_path / "absent")
    with pytest.raises(UserError, match="not a dataset on disk"):
        read_conversations(tmp_path)
    with pytest.raises(UserError, match=r"holds no data; expected labels\.jsonl, or what"):
        load_samples(tmp_path)
    path = save(tmp_path / "set", conversation())
    (path / "data-00000-of-00001.arrow").write_bytes(b"torn")
    assert is_dataset(path)
    with pytest.raises(UserError, match="set: the dataset cannot be loaded"):
        read_conversations(path)
    for file, content in (("state.json", "{"), ("dataset_info.json", "5")):
        path = save(tmp_path / file, conversation())
        (path / file).write_text(content)
        with pytest.raises(UserError, match=f"{file}: the dataset cannot be loaded"):
            read_conversations(path)
    empty = tmp_path / "empty"
    datasets.Dataset.from_dict({"conversations": []}).save_to_disk(str(empty))
    with pytest.raises(
        UserError, match=r"empty: the dataset cannot be loaded \(broken, or no rows\)"
    ):
        read_conversations(empty)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    [sample, _] = samples(tmp_path / "clips")
    with pytest.raises(UserError, match="no samples to write"):
        write_conversations([], tmp_path / "set", TASK)
    with pytest.raises(UserError, match=r"'b b\.mp4' has no answer to write"):
        write_conversations([replace(sample, gold=None)], tmp_path / "set", TASK)
    with pytest.raises(UserError, match=r"b b\.mp4: outside the video root"):
        write_conversations([sample], tmp_path / "set", TASK, video_root=tmp_path / "other")
    (tmp_path / "set").mkdir()
    write_conversations([sample], tmp_path / "set", TASK)
    with pytest.raises(UserError, match="set: already there"):
        write_conversations([sample], tmp_path / "set", TASK)
    assert {path.name for path in tmp_path.iterdir()} == {"set"}
