"""Tables of labels become sets: everything that does not fit is listed, and nothing is guessed."""

import csv
import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import openpyxl
import pytest
from clip_server import served

from kairoscope.core import Sample, UserError
from kairoscope.data.score_sets import Columns, balanced, labelled_rows, split_stratified
from kairoscope.data.sheets import read_sheet
from kairoscope.recipes.benchmark import load_splits
from kairoscope.recipes.physics_score import TASK
from kairoscope.recipes.score_sets import Asked, prepare
from kairoscope.simulate.render import encode_mp4

HEADINGS = ["output_link", "Action alignment", "Physical common sense"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty different clips, v0.mp4 to v19.mp4."""
    place = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(20):
        pictures = rng.integers(0, 255, size=(4, 32, 32, 3), dtype=np.uint8)
        (place / f"v{i}.mp4").write_bytes(encode_mp4(pictures, size_px=32, fps=8.0))
    return place


def table(file: Path, rows: Sequence[Sequence[Any]], headings: Sequence[str] = HEADINGS) -> Path:
    if file.suffix == ".xlsx":
        book = openpyxl.Workbook()
        sheet: Any = book.active
        for row in [headings, *rows]:
            sheet.append(list(row))
        book.save(file)
    else:
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=";" if "semicolon" in file.name else ",").writerows(
                [headings, *rows]
            )
    return file


def link(i: int) -> str:
    return f"https://example.com/videos/v{i}.mp4?sig=a/b"


def asked(source: Path, out: Path, clips: Path | None, **more: Any) -> Asked:
    return Asked(source=str(source), out=out, videos=clips, **{"eval_size": 0.25, **more})


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.csv", "semicolon.csv"])
def test_a_table_becomes_a_set_that_the_recipe_takes(
    name: str, clips: Path, tmp_path: Path
) -> None:
    rows = [[link(i), 3, 1 + i % 5] for i in range(20)]
    done = prepare(asked(table(tmp_path / name, rows), tmp_path / "set", clips), lambda *_: None)
    assert (done.train, done.test) == (15, 5)
    assert not done.problems
    assert done.labels["test"] == {str(score): 1 for score in range(1, 6)}
    splits = load_splits(tmp_path / "set", TASK.load)
    assert len(splits.train) == 15
    by_name = {sample.video.name: sample.gold for sample in [*splits.train, *splits.test]}
    assert by_name == {f"v{i}.mp4": 1 + i % 5 for i in range(20)}
    assert all(sample.video.is_file() for sample in splits.train)
    again = TASK.load(tmp_path / "set" / "train" / "conversations")
    assert {(s.id, s.gold, s.group) for s in again} == {
        (s.video.name, s.gold, s.group) for s in splits.train
    }


def test_everything_that_does_not_fit_is_listed(clips: Path, tmp_path: Path) -> None:
    file = table(
        tmp_path / "labels.xlsx",
        [
            [link(0), 1, 1],
            [link(1), 1, 2],
            [link(1), 1, 2],  # 4: said twice
            [link(2), 1, 3],
            [link(2), 1, 4],  # 6: contradicts the row above
            [link(77), 1, 3],  # 7: no such clip
            [link(3), 1, 6],
            [link(4), 1, 3.5],
            [link(5), 1, None],
            [None, 1, 3],
            [link(6), 1, "good"],
            [link(7), 1, "=1+3"],
            [link(8), 1, 5],  # 14: merged with the next
            [link(9), 1, None],
            [link(10), 1, 4],
        ],
    )
    book = openpyxl.load_workbook(file)
    sheet: Any = book.active
    sheet.merge_cells("C14:C15")
    book.save(file)
    done = prepare(asked(file, tmp_path / "set", clips), lambda *_: None)
    assert done.train + done.test == 3
    said = {int(p.where.rsplit(":", 1)[1]): p.what for p in done.problems if ".xlsx:" in p.where}
    for row, words in {
        4: "already in",
        5: "several scores: 3, 4",
        6: "several scores: 3, 4",
        7: "has no clip",
        8: "allowed: whole, 1 to 5",
        9: "is 3.5; allowed: whole",
        10: "is empty; allowed",
        11: "output_link is empty",
        12: "good",
        13: "a formula (=1+3)",
        14: "merged cells (C14:C15)",
        15: "merged cells (C14:C15)",
    }.items():
        assert words in said.pop(row)
    assert not said
    unlabelled = [p.where for p in done.problems if p.what == "a clip without a row"]
    assert str(clips / "v3.mp4") in unlabelled
    assert str(clips / "v2.mp4") not in unlabelled
    report = json.loads((tmp_path / "set" / "prepared.json").read_text())
    assert len(report["problems"]) == len(done.problems)
    with pytest.raises(UserError, match="holds a prepared set already"):
        prepare(asked(file, tmp_path / "set", clips), lambda *_: None)


def test_labels_of_nothing_or_all_are_scaled_only_when_asked(clips: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "labels.csv", [[link(i), 0, i % 2] for i in range(20)])
    with pytest.raises(UserError, match="--scale-labels makes them scores 1 and 5"):
        prepare(asked(file, tmp_path / "no", clips), lambda *_: None)
    done = prepare(asked(file, tmp_path / "set", clips, scale_labels=True), lambda *_: None)
    assert set(done.labels["train"]) == {"1", "5"}
    rows = [[link(0), 0, 0.5], [link(1), 0, 0.25], [link(2), 0, 2], [link(3), 0, 0.3]]
    mixed = table(tmp_path / "mixed.csv", rows)
    found, problems = labelled_rows(read_sheet(mixed), mixed, Columns(), scale_labels=True)
    assert [row.score for row in found] == [3, 2]
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("headings", "message"),
    [
        (["link", "x", "Physical common sense"], "no column 'output_link'"),
        (["output_link", "x", "Quality"], "no column 'Physical common sense'"),
        (["output_link", "x", "x"], "heading 'x' is there twice"),
        (["output_link", "video_url", "pc"], "several columns for the clip"),
        (["output_link", "", "pc"], "allowed: text in each column"),
    ],
)
def test_columns_are_not_guessed(
    headings: list[str], message: str, clips: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "labels.csv", [[link(0), 1, 4]], headings)
    with pytest.raises(UserError, match=message):
        prepare(asked(file, tmp_path / "set", clips), lambda *_: None)
    if headings[0] == "link":
        named = asked(file, tmp_path / "set", clips, columns=Columns(link="link"), eval_size=0)
        assert prepare(named, lambda *_: None).train == 1


def test_broken_tables_are_refused(tmp_path: Path) -> None:
    for name, content in {
        "broken.xlsx": b"PK\x03\x04 no workbook",
        "empty.csv": b"",
        "latin.csv": "output_link,pc\n\xe9,1\n".encode("latin-1"),
        "quotes.csv": b'output_link,pc\n"a"b,1\n',
        "table.ods": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            read_sheet(tmp_path / name)
    (tmp_path / "wide.csv").write_text("a,b\n1,2,3\n1,2\n=A1,2\n")
    wide = read_sheet(tmp_path / "wide.csv")
    assert [problem.where.rsplit(":", 1)[1] for problem in wide.problems] == ["2"]
    assert "formula" in wide.rows[1].cells["a"].what
    book = openpyxl.Workbook()
    book.create_sheet("second")
    book.save(tmp_path / "two.xlsx")
    with pytest.raises(UserError, match="choose one with --sheet: Sheet, second"):
        read_sheet(tmp_path / "two.xlsx")


def test_clips_of_one_prompt_and_copies_of_a_clip_stay_together(
    clips: Path, tmp_path: Path
) -> None:
    videos, prompts = tmp_path / "videos", tmp_path / "prompts"
    shutil.copytree(clips, videos)
    prompts.mkdir()
    for i in range(20):
        (prompts / f"v{i}_prompt.txt").write_text(f"A  ball {i // 4} falls\n")
    (prompts / "other.txt").write_text("nothing")
    (prompts / "v0_prompt.txt").write_text("")
    shutil.copy(videos / "v4.mp4", videos / "v20.mp4")  # a copy under another name, another prompt
    rows = [[link(i), 0, 1 + i % 5] for i in range(21)]
    file = table(tmp_path / "labels.csv", rows)
    done = prepare(
        asked(file, tmp_path / "set", videos, prompts=prompts, eval_size=0.4), lambda *_: None
    )
    assert {p.what for p in done.problems} == {"a prompt without a clip", "an empty prompt"}
    splits = load_splits(tmp_path / "set", TASK.load)
    sides = [{s.group for s in side} for side in (splits.train, splits.test)]
    assert not sides[0] & sides[1]
    names = [{s.video.name for s in side} for side in (splits.train, splits.test)]
    assert sum("v20.mp4" in side and "v4.mp4" in side for side in names) == 1


def sample(i: int, score: int, group: str) -> Sample[tuple[()], int]:
    return Sample(
        id=f"{i}", video=Path(f"{i}.mp4"), query=(), gold=score, group=group, scenario="videos"
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_have_the_same_shares_on_both_sides(seed: int) -> None:
    rng = random.Random(seed)
    samples = [
        sample(i, rng.choice((1, 2, 3, 4, 4, 4, 4, 5)), f"g{i // rng.choice((1, 2, 3))}")
        for i in range(400)
    ]
    train, test = split_stratified(samples, share=0.2, seed=seed)
    assert not {s.group for s in train} & {s.group for s in test}
    assert len(train) + len(test) == 400
    everything, held = Counter(s.gold for s in samples), Counter(s.gold for s in test)
    for score, count in everything.items():
        assert held[score] == pytest.approx(0.2 * count, abs=2)
    again = split_stratified(samples[::-1], share=0.2, seed=seed)
    assert again == (train, test)
    other = split_stratified(samples, share=0.2, seed=seed + 1)
    assert other != (train, test)
    assert split_stratified(samples, share=0, seed=0)[1] == []


def test_balancing_takes_as_many_of_each_as_of_the_rarest() -> None:
    samples = [sample(i, 4 if i % 10 else 1, f"{i}") for i in range(100)]
    kept, out = balanced(samples, seed=0)
    assert Counter(s.gold for s in kept) == {4: 10, 1: 10}
    assert len(kept) + len(out) == 100
    assert balanced(samples[::-1], seed=0) == (kept, out)


def test_the_clips_with_labels_of_people(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "videophy" / "examples"
    if not folder.is_dir():
        pytest.skip("the VideoPhy clips of ../shared/data are not on this machine")
    done = prepare(
        asked(folder / "train_example.csv", tmp_path / "set", folder, scale_labels=True),
        lambda *_: None,
    )
    assert done.train + done.test == 7
    assert not done.problems
    splits = load_splits(tmp_path / "set", TASK.load)
    everything = [*splits.train, *splits.test]
    assert Counter(s.gold for s in everything) == {1: 3, 5: 4}
    apple = next(s for s in everything if "apple" in s.id)
    assert apple.gold == 5
    assert not {s.group for s in splits.train} & {s.group for s in splits.test}


def test_a_dataset_of_links_is_downloaded_and_paired_by_link(clips: Path, tmp_path: Path) -> None:
    """In the form of VideoPhy-2: a URL and a score `pc` a row."""
    files = {f"v{i}": (clips / f"v{i}.mp4").read_bytes() for i in range(10)}
    with served(files) as web:
        rows = [
            {"caption": f"a ball {i // 2}", "video_url": f"{web.address}/v{i}.mp4", "pc": 1 + i % 5}
            for i in range(10)
        ]
        rows += [
            {"caption": "gone", "video_url": f"{web.address}/gone.mp4", "pc": 3},
            {"caption": "page", "video_url": f"{web.address}/page.mp4", "pc": 3},
            {"caption": "bad", "video_url": f"{web.address}/v0.mp4", "pc": 0},
            {"caption": "a ball 0", "video_url": f"{web.address}/v0.mp4", "pc": 1},
        ]
        for name, order in (("first", rows), ("second", rows[::-1])):
            datasets.Dataset.from_list(order).save_to_disk(str(tmp_path / name))
            done = prepare(asked(tmp_path / name, tmp_path / f"{name} set", None), lambda *_: None)
            assert done.train + done.test == 10
            said = " ".join(problem.what for problem in done.problems)
            for words in ("dead link", "web page", "pc is 0", "the same link as"):
                assert words in said
            splits = load_splits(tmp_path / f"{name} set", TASK.load)
            for sample in [*splits.train, *splits.test]:
                i = int(sample.video.name[1:].split("-")[0])
                assert sample.gold == 1 + i % 5
                assert sample.video.read_bytes() == files[f"v{i}"]
            groups = [{s.group for s in side} for side in (splits.train, splits.test)]
            assert not groups[0] & groups[1]
