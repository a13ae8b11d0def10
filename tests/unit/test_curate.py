"""Curation: every drop has its reason, totals add up, and the order of files is no matter."""

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import Sample, UnreadableClip, UserError
from kairoscope.curate import curate, decoded
from kairoscope.curation import Curation, Drop
from kairoscope.data.labels import EventSample
from kairoscope.data.rows import Problem
from kairoscope.events import Event, Events, Query


@dataclass(frozen=True)
class Facts:
    duration_s: float = 10.0
    num_frames: int = 300
    width: int = 64
    height: int = 48
    codec: str = "h264"


class Clips:
    """Clips that are short texts on disk; `broken` ones do not decode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checked: list[str] = []

    def sample(self, name: str, content: str | None = None, **more: Any) -> EventSample:
        video = self.folder / name
        video.write_text(name if content is None else content)
        gold: Events = (Event("grasp", 0.0, 2.0), Event("place", None, 5.5))
        table: dict[str, Any] = {
            "id": name,
            "video": video,
            "query": tuple(event.name for event in more.get("gold") or gold),
            "gold": gold,
            "group": name,
            "scenario": "stack",
        }
        return Sample(**table | more)

    def check(self, video: Path) -> Facts:
        self.checked.append(video.name)
        if "broken" in video.read_text():
            raise UnreadableClip(f"{video}: broken or cut off at 1.00 s")
        return Facts()


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(tmp_path)


def dropped(curation: Curation[EventSample]) -> dict[str, str]:
    return {drop.sample_id: f"{drop.reason}: {drop.detail}" for drop in curation.drops}


def events(*times: tuple[float | None, float]) -> Events:
    return tuple(Event(f"event {i}", start, end) for i, (start, end) in enumerate(times))


def test_every_kind_of_drop_is_counted_and_listed(clips: Clips) -> None:
    samples = [
        clips.sample("good.mp4"),
        clips.sample("broken.mp4", "broken"),
        clips.sample("unlabelled.mp4", gold=None),
        clips.sample("swapped.mp4", duration_s=7.9),
        clips.sample("outside.mp4", gold=events((0, 2), (2, 10.1))),
        clips.sample("flash.mp4", gold=events((1.99, 2))),
        clips.sample("crowded.mp4", gold=events((0, 2), (0, 2.01))),
        clips.sample("copy.mp4", "good.mp4"),
        clips.sample("one.mp4", "same bytes"),
        clips.sample("other.mp4", "same bytes", gold=(Event("grasp", 0, 3), Event("place", 3, 6))),
        clips.sample("long.mp4"),
    ]
    samples.append(replace(samples[0], id="absent.mp4", video=clips.folder / "absent.mp4"))
    curation = curate(
        samples,
        problems=[Problem(where="labels.jsonl:3", what="not JSON")],
        check_clip=lambda video: Facts() if "absent" in video.name else clips.check(video),
        count_tokens=lambda sample, clip: 5000 if sample.id == "long.mp4" else 100,
        max_tokens=4096,
    )
    assert dropped(curation) == {
        "labels.jsonl:3": "bad label: not JSON",
        "absent.mp4": f"unreadable clip: {clips.folder}/absent.mp4: cannot be read: "
        "No such file or directory",
        "broken.mp4": f"unreadable clip: {clips.folder}/broken.mp4: broken or cut off at 1.00 s",
        "unlabelled.mp4": "no answer: it has no gold answer",
        "swapped.mp4": "wrong duration: labels say 7.9 s, the clip lasts 10.000 s",
        "outside.mp4": "outside the clip: 'event 1' ends at 10.1 s, the clip at 10.000 s",
        "flash.mp4": "too short: 'event 0' lasts 0.010 s, a frame 0.033 s",
        "crowded.mp4": "too short: 'event 1' lasts 0.010 s, a frame 0.033 s",
        "good.mp4": "duplicate: the same clip and answer as copy.mp4",
        "one.mp4": "conflict: another answer about the same clip: other.mp4",
        "other.mp4": "conflict: another answer about the same clip: one.mp4",
        "long.mp4": "too long: 5000 tokens, allowed 4096",
    }
    assert [sample.id for sample in curation.kept] == ["copy.mp4"]
    assert curation.n_in == len(samples) + 1 == len(curation.kept) + len(curation.drops)


def test_a_remark_on_a_row_that_is_used_counts_as_no_drop(clips: Clips) -> None:
    remark = Problem(where="labels", what="2 labels with a field 'mood': passed over", is_used=True)
    curation = curate([clips.sample("good.mp4")], problems=[remark], check_clip=clips.check)
    assert curation.drops == ()
    assert curation.n_in == len(curation.kept) == 1
    assert curation.manifest()["remarks"] == [str(remark)]


def test_edges_that_are_kept(clips: Clips) -> None:
    frame = 10 / 300
    samples = [
        clips.sample("rounded.mp4", gold=events((0, 10.05)), duration_s=10.2),
        clips.sample("one frame.mp4", gold=events((1, 1 + frame), (None, 1 + 2 * frame))),
        clips.sample("unstated.mp4"),
    ]
    curation = curate(samples, check_clip=clips.check, holdout=0)
    assert curation.drops == ()
    assert {sample.duration_s for sample in curation.kept} == {10.0}
    assert curation.held_out == ()


def test_two_questions_about_one_clip_stay_on_one_side(clips: Clips) -> None:
    query: Query = ("grasp",)
    samples = [clips.sample(f"{n}.mp4", group=f"g{n}") for n in range(12)]
    samples += [
        clips.sample(f"{n}b.mp4", f"{n}.mp4", query=query, gold=(Event("grasp", 0.0, 2.0),))
        for n in range(12)
    ]
    curation = curate(samples, check_clip=clips.check, holdout=0.4, seed=1)
    assert len(curation.kept) == 24
    sides = [{s.video.read_text() for s in side} for side in (curation.train, curation.held_out)]
    assert not sides[0] & sides[1]
    assert all(sides)


def many(clips: Clips, count: int) -> list[EventSample]:
    return [
        clips.sample(
            f"{n:03}.mp4",
            "broken" if n % 11 == 0 else f"clip {n // 2 if n % 7 == 0 else n}",
            scenario=("stack", "coffee", "nut")[n % 3 if n < 30 else 0],
            group=f"g{n // 3}",
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_files_does_not_matter(clips: Clips, seed: int) -> None:
    samples = many(clips, 60)
    wanted = curate(samples, check_clip=clips.check, max_per_scenario=12, holdout=0.2, seed=seed)
    assert wanted.n_in == 60 == len(wanted.kept) + len(wanted.drops)
    reasons = {drop.reason for drop in wanted.drops}
    assert reasons == {"unreadable clip", "duplicate", "over the cap"}
    for order in range(3):
        random.Random(order).shuffle(samples)
        again = curate(samples, check_clip=clips.check, max_per_scenario=12, holdout=0.2, seed=seed)
        assert again.manifest() == wanted.manifest()
        assert again.train == wanted.train


def test_the_cap_is_per_scenario_and_chosen_by_the_seed(clips: Clips) -> None:
    samples = [clips.sample(f"{n}.mp4", scenario="stack") for n in range(20)]
    samples += [clips.sample(f"{n}c.mp4", scenario="coffee") for n in range(5)]
    chosen = [
        curate(samples, check_clip=clips.check, max_per_scenario=8, seed=seed) for seed in (0, 1)
    ]
    for curation in chosen:
        assert Counter(s.scenario for s in curation.kept) == {"stack": 8, "coffee": 5}
        assert {drop.detail for drop in curation.drops} == {"stack: 8 of 20"}
    assert chosen[0].drops != chosen[1].drops


def test_the_manifest_is_json_with_every_checksum(clips: Clips) -> None:
    samples = [clips.sample(f"{n}.mp4") for n in range(10)]
    samples.append(clips.sample("x.mp4", "broken"))
    told: list[str] = []
    curation = curate(samples, check_clip=clips.check, on_clip=told.append)
    manifest = json.loads(json.dumps(curation.manifest()))
    assert [manifest[key] for key in ("n_in", "n_train", "n_held_out", "n_dropped")] == [
        11,
        9,
        1,
        1,
    ]
    assert manifest["dropped"] == {"unreadable clip": 1}
    assert [Drop(**drop) for drop in manifest["drops"]] == list(curation.drops)
    assert {row["id"]: row["sha256"] for row in manifest["clips"]} == {
        f"{n}.mp4": sha256(f"{n}.mp4".encode()).hexdigest() for n in range(10)
    }
    splits = Counter(row["split"] for row in manifest["clips"])
    assert splits == {"train": 9, "held_out": 1}
    assert manifest["clips"][0]["duration_s"] == 10.0
    assert sorted(told) == sorted(clips.checked) == sorted(sample.id for sample in samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"holdout": 1.0}, "holdout is 1.0; allowed: a share from 0 to below 1"),
        ({"holdout": float("nan")}, "holdout is nan; allowed"),
        ({"max_per_scenario": 0}, "max_per_scenario is 0; allowed: 1 or more"),
    ],
)
def test_settings_out_of_range(clips: Clips, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        curate([clips.sample("a.mp4")], check_clip=clips.check, **settings)
    assert clips.checked == []


def test_ids_must_be_unique(clips: Clips) -> None:
    with pytest.raises(UserError, match=r"sample 'a\.mp4' is there twice"):
        curate([clips.sample("a.mp4")] * 2, check_clip=clips.check)


def test_no_samples_at_all() -> None:
    curation: Curation[EventSample] = curate([])
    assert (curation.n_in, curation.kept, curation.drops) == (0, (), ())


def test_real_clips_are_decoded_to_the_end(shared_data: Path, tmp_path: Path) -> None:
    [clip, *_] = sorted((shared_data / "gr1_pick_place").rglob("*.mp4"))
    facts = decoded(clip)
    assert facts.num_frames > 20
    whole = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(
        whole[: len(whole) // 3] + bytes(len(whole) // 3) + whole[2 * len(whole) // 3 :]
    )
    with pytest.raises(UnreadableClip, match=r"cut\.mp4"):
        decoded(cut)
