"""Shares of a list of clips: put together, they are what one process makes, and nothing is asked twice."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tiny_models import POLICY, QUERY, make_checkpoint, make_samples

from kairoscope.core import Answer, Decoding, FramePolicy, Request, Sampling, UserError
from kairoscope.data.taskfiles import TaskFile
from kairoscope.models.in_process import InProcessModel
from kairoscope.recipes.sharding import annotate_shard_stage
from kairoscope.recipes.stages import annotate_stage
from kairoscope.recipes.subtask_times import RECIPE
from kairoscope.runs import Run
from kairoscope.shards import Shard, shard_folders

CLIPS = 7
BAD = 3
RESULTS = ("boundaries.csv", "boundaries.jsonl", "problems.json")
Clips = list[tuple[str, Path]]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Seven clips, one of them cut off."""
    folder = tmp_path_factory.mktemp("shards")
    made = [(f"{s.id}.mp4", s.video) for s in make_samples(folder, CLIPS)]
    whole = made[BAD][1].read_bytes()
    made[BAD][1].write_bytes(whole[: len(whole) // 3])
    return made


@dataclass
class Counting:
    """A model that notes what it is asked, and may be stopped after so many answers."""

    inner: InProcessModel
    name: str = "counting"
    identity: str = "x"
    policy: FramePolicy | None = POLICY
    stop_after: int = 10**9
    asked: list[str] = field(default_factory=list)

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        def noted() -> Iterator[Request]:
            for request in requests:
                self.asked.append(request.id)
                yield request

        for count, answer in enumerate(self.inner.answer(noted(), sampling, decoding)):
            if count == self.stop_after:
                raise KeyboardInterrupt
            yield answer


@pytest.fixture(scope="module")
def inner(tokenizer: Any) -> InProcessModel:
    return InProcessModel(make_checkpoint(tokenizer))


@pytest.fixture
def model(inner: InProcessModel) -> Counting:
    return Counting(inner)


def asked_in(out: Path, model: Any, clips: Clips, shard: str | None = None, **other: Any) -> Any:
    options: dict[str, Any] = {
        "source": clips[0][1].parent,
        "out": out,
        "decoding": "posterior",
        "frames": {},
        "on_progress": lambda *_: None,
        **other,
    }
    task = TaskFile(name="three things", events=QUERY)
    if shard is None:
        return annotate_stage(RECIPE, model, clips, task, **options)
    return annotate_shard_stage(RECIPE, model, clips, task, shard=Shard.parse(shard), **options)


def rows(out: Path) -> list[dict[str, Any]]:
    """Without how long they took, and the checksum over that."""
    found = [json.loads(line) for line in (out / "clips.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "seal")} for row in found]


def same(one: Path, other: Path) -> bool:
    files = all((one / name).read_bytes() == (other / name).read_bytes() for name in RESULTS)
    return files and rows(one) == rows(other)


@pytest.fixture(scope="module")
def plain(inner: InProcessModel, clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes; as deep in the file system as the others, because links are relative."""
    out = tmp_path_factory.mktemp("plain") / "out"
    asked_in(out, Counting(inner), clips)
    return out


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="allowed"):
        Shard.parse(text)


def test_shares_are_apart_and_together_all() -> None:
    names = [f"{i}" for i in range(11)]
    for count in (1, 2, 3, 11, 12):
        parts = [Shard(i + 1, count).takes(names) for i in range(count)]
        assert sorted(name for part in parts for name in part) == sorted(names)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "order", ["1/1", "1/2 2/2", "3/3 1/3 2/3", "8/9 9/9 5/9 2/9 3/9 4/9 1/9 6/9 7/9"]
)
def test_whatever_the_shares_the_records_are_those_of_one_process(
    order: str, model: Counting, clips: Clips, plain: Path, tmp_path: Path
) -> None:
    ended = [asked_in(tmp_path / "out", model, clips, shard) for shard in order.split()]
    assert [tally is None for tally in ended] == [True] * (len(ended) - 1) + [False]
    assert sorted(model.asked) == sorted(name for name, _ in clips)
    assert same(tmp_path / "out", plain)
    assert (tmp_path / "out" / "annotations.html").is_file()


def test_a_share_that_was_stopped_goes_on_and_so_does_one_process_in_its_place(
    inner: InProcessModel, clips: Clips, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = Counting(inner, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        asked_in(out, first, clips, "1/2")
    again = Counting(inner)
    assert asked_in(out, again, clips, "1/2") is None
    share = Shard(1, 2).takes([name for name, _ in clips])
    assert again.asked == share[2:]
    rest = Counting(inner)
    asked_in(out, rest, clips)
    assert sorted(rest.asked) == sorted(Shard(2, 2).takes([name for name, _ in clips]))
    assert same(out, plain)


def test_what_another_process_answered_is_not_asked_again(
    model: Counting, clips: Clips, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked_in(out, model, clips, "1/2")
    asked_in(out, model, clips, "1/3")
    asked_in(out, model, clips, "2/3")
    assert asked_in(out, model, clips, "3/3") is not None
    assert sorted(model.asked) == sorted(name for name, _ in clips)
    assert same(out, plain)


def test_one_process_at_a_time_has_a_share(model: Counting, clips: Clips, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked_in(out, model, clips, "1/2")
    config = json.loads((out / "shards" / "1-of-2" / "config.json").read_text())
    with (
        Run.open(out / "shards" / "1-of-2", kind=config["kind"], config=config["config"]),
        pytest.raises(UserError, match="another process"),
    ):
        asked_in(out, model, clips, "1/2")
    config = json.loads((out / "config.json").read_text())
    with Run.open(out, kind="annotation", config=config["config"]):
        # Whoever has the folder puts it together; the last share has nothing to wait for.
        assert asked_in(out, model, clips, "2/2") is None


def test_shares_of_machines_with_other_paths_are_copied_into_one_folder(
    model: Counting, clips: Clips, plain: Path, tmp_path: Path
) -> None:
    for number, machine in enumerate(("a", "b"), 1):
        (tmp_path / machine).mkdir()
        own = [(name, tmp_path / machine / name) for name, _ in clips]
        for (_, path), (_, copy) in zip(clips, own, strict=True):
            shutil.copyfile(path, copy)
            os.utime(copy, (number, number))
        asked_in(tmp_path / machine / "out", model, own, f"{number}/2")
    out = tmp_path / "out"
    for machine in ("a", "b"):
        shutil.copytree(tmp_path / machine / "out" / "shards", out / "shards", dirs_exist_ok=True)
    assert len(shard_folders(out)) == 2
    model.asked.clear()
    asked_in(out, model, clips)
    # The one that nobody could read has no answer to take over.
    assert model.asked == [clips[BAD][0]]
    assert same(out, plain)


def test_a_clip_that_is_another_by_now_and_a_damaged_answer_are_asked_again(
    model: Counting, clips: Clips, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    own = [(name, folder / name) for name, _ in clips]
    for (_, path), (_, copy) in zip(clips, own, strict=True):
        shutil.copyfile(path, copy)
    out = tmp_path / "out"
    asked_in(out, model, own, "1/2")
    shutil.copyfile(clips[4][1], own[0][1])
    file = out / "shards" / "1-of-2" / "clips.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(
        "".join([*lines[:1], lines[1].replace('"start_s":', '"start_s":1'), *lines[2:]])
    )
    own[4][1].unlink()
    model.asked.clear()
    tally = asked_in(out, model, own)
    # 0 is another clip, 2 is damaged, 4 is gone and its answer stands; 1, 3 and 5 are the other share.
    assert sorted(model.asked) == sorted(own[i][0] for i in (0, 1, 2, 3, 5))
    assert [clip for clip, _ in tally.problems] == [own[BAD][0]]


def test_answers_to_another_question_are_refused(
    model: Counting, clips: Clips, tmp_path: Path
) -> None:
    asked_in(tmp_path / "a", model, clips, "1/2")
    with pytest.raises(UserError, match="decoding"):
        asked_in(tmp_path / "a", model, clips, "2/2", decoding="constrained")
    shutil.copytree(tmp_path / "a" / "shards", tmp_path / "b" / "shards")
    with pytest.raises(UserError, match=r"another question[\s\S]*decoding"):
        asked_in(tmp_path / "b", model, clips, decoding="constrained")
