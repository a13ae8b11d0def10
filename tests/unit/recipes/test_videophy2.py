"""VideoPhy-2 in the columns of the hub, through `datasets`; its clips from a server on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from clip_server import Web, served

from kairoscope.core import UserError
from kairoscope.data.downloads import MANIFEST, clip_name
from kairoscope.json_lines import read_lines
from kairoscope.recipes.physics_score import TASK
from kairoscope.recipes.score_sets import CLIPS, Asked, prepare
from kairoscope.recipes.score_tables import read_table
from kairoscope.simulate.render import encode_mp4

COUNT = 10
FAULTS = {
    "gone": "dead link (HTTP 404",
    "page": "a web page instead of a video",
    "hidden": "a web page instead of a video",
    "text": "not a video",
    "empty": "an empty file",
}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Names as the dataset's links have them: words, commas, semicolons."""
    rng = np.random.default_rng(3)
    made = {}
    for i in range(COUNT):
        pictures = rng.integers(0, 255, size=(4, 32, 32, 3), dtype=np.uint8)
        made[f"A_ball,_{i},_falls;_it_bounces"] = encode_mp4(pictures, size_px=32, fps=8.0)
    return made


@pytest.fixture
def web(files: dict[str, bytes]) -> Iterator[Web]:
    with served(files) as found:
        yield found


def hub_row(web: Web, name: str, pc: Any, caption: str = "A ball falls.") -> dict[str, Any]:
    """All columns that the dataset's card names, in their types."""
    return {
        "caption": caption,
        "video_url": f"{web.address}/{name}.mp4",
        "sa": 4,
        "pc": pc,
        "joint": 0,
        "physics_rules_followed": "['Gravity pulls the ball down.']",
        "physics_rules_unfollowed": "[]",
        "physics_rules_cannot_be_determined": "[]",
        "human_violated_rules": "[]",
        "action": "falling",
        "category": "object interactions",
        "is_hard": 0,
        "metadata_rules": "{'Gravity pulls the ball down.': 'Gravity'}",
        "upsampled_caption": f"In a bright room, {caption}",
    }


def good_rows(web: Web, files: dict[str, bytes]) -> Rows:
    return [hub_row(web, name, 1 + i % 5, f"Ball {i}.") for i, name in enumerate(files)]


def in_form(rows: Rows, form: str, folder: Path) -> str:
    """The dataset as it may lie on a disk."""
    made = datasets.Dataset.from_list(rows)
    if form == "saved":
        datasets.DatasetDict({"train": made}).save_to_disk(str(folder))
        return str(folder)
    folder.mkdir()
    if form == "parquet":
        made.to_parquet(str(folder / "train.parquet"))
        return str(folder / "train.parquet")
    if form == "jsonl":
        made.to_json(str(folder / "train.jsonl"))
        return str(folder / "train.jsonl")
    if form == "csv":
        made.to_csv(str(folder / "videophy2_training.csv"))
        return str(folder / "videophy2_training.csv")
    (folder / "data").mkdir()
    made.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    return str(folder)


def asked(source: str, out: Path) -> Asked:
    return Asked(source=source, out=out, eval_size=0.0)


@pytest.mark.parametrize("form", ["saved", "parquet", "folder of parquet", "jsonl", "csv"])
def test_every_form_of_it_gives_the_same_set(
    web: Web, files: dict[str, bytes], form: str, tmp_path: Path
) -> None:
    rows = good_rows(web, files)
    done = prepare(asked(in_form(rows, form, tmp_path / "rows"), tmp_path / "set"), lambda *_: None)
    assert (done.train, done.test, done.problems) == (COUNT, 0, ())
    samples = TASK.load(tmp_path / "set" / "train")
    by_name = {sample.video.name: sample for sample in samples}
    for row, content in zip(rows, files.values(), strict=True):
        sample = by_name[clip_name(row["video_url"])]
        assert sample.gold == row["pc"]
        assert sample.video.read_bytes() == content
    assert len({sample.group for sample in samples}) == COUNT


def test_what_cannot_be_used_is_counted_and_listed(
    web: Web, files: dict[str, bytes], tmp_path: Path
) -> None:
    rows = good_rows(web, files)
    again, other = rows[0]["video_url"], rows[1]["video_url"]
    rows += [hub_row(web, name, 3) for name in FAULTS]
    rows += [
        hub_row(web, "unseen", 0),
        hub_row(web, "unseen", None),
        {**hub_row(web, "same", 1), "video_url": again},
        {**hub_row(web, "same", 5), "video_url": other},  # row 2 says 2
        {**hub_row(web, "same", 3), "video_url": None},
        {**hub_row(web, "same", 3), "video_url": "clip.mp4"},
    ]
    source = in_form(rows, "saved", tmp_path / "rows")
    done = prepare(asked(source, tmp_path / "set"), lambda *_: None)
    said = [str(problem) for problem in done.problems]
    for name, words in FAULTS.items():
        assert sum(f"/{name}.mp4: {words}" in line for line in said) == 1, name
    for words, count in {
        "pc is 0": 1,
        "pc is empty": 1,
        "the same link as": 1,
        "another score for the same link": 2,
        "video_url is empty": 1,
        "not a web address": 1,
    }.items():
        assert sum(words in line for line in said) == count, words
    assert len(said) == len(FAULTS) + 7
    assert done.train == COUNT - 1  # all but the contradicted one
    assert web.asked["/unseen.mp4"] == 0
    report = json.loads((tmp_path / "set" / "prepared.json").read_text())
    assert len(report["problems"]) == len(said)


def test_killed_while_it_fetches_and_run_again(files: dict[str, bytes], tmp_path: Path) -> None:
    """No clip is fetched twice but those that were under way, and one that was damaged since."""
    out, workers = tmp_path / "set", 2
    with served(files, wait_s=0.3) as web:
        rows = good_rows(web, files)
        source = in_form(rows, "parquet", tmp_path / "rows")
        words = ["prepare", source, "--eval-size", "0", "--out", str(out)]
        command = [sys.executable, "-m", "kairoscope", *words, "--workers", str(workers)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        manifest = out / CLIPS / MANIFEST
        while time.monotonic() < end and len(list(read_lines(manifest))) < 4:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = Counter(web.asked)
        assert 4 <= len(list(read_lines(manifest))) < COUNT
        first = next(iter(read_lines(manifest)))
        (out / CLIPS / first["name"]).write_bytes(b"spoiled since")
        subprocess.run(command, check=True, capture_output=True)
        asked_for = Counter(web.asked) - before
    assert sum(before.values()) + sum(asked_for.values()) <= COUNT + workers + 1
    assert asked_for[first["url"].removeprefix(web.address)] == 1
    rows_kept = {row["url"]: row for row in read_lines(manifest)}
    assert len(rows_kept) == COUNT
    for row, content in zip(rows, files.values(), strict=True):
        kept = rows_kept[row["video_url"]]
        assert kept["sha256"] == f"sha256:{sha256(content).hexdigest()}"[-len(kept["sha256"]) :]
        assert (out / CLIPS / kept["name"]).read_bytes() == content
    assert len(TASK.load(out / "train")) == COUNT


def test_a_hub_that_cannot_be_reached_is_called_that(tmp_path: Path) -> None:
    words = ["prepare", "videophysics/videophy2_train", "--out", str(tmp_path / "set")]
    ended = subprocess.run(
        [sys.executable, "-m", "kairoscope", *words],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(ended.stderr.split())
    assert ended.returncode == 2
    assert "is not on this disk, and the hub cannot be reached" in said
    assert "give its file (.csv, .parquet, .jsonl), the folder of its files" in said
    assert not (tmp_path / "set").exists()


def test_files_that_are_no_dataset_are_called_that(tmp_path: Path) -> None:
    broken = tmp_path / "rows.parquet"
    broken.write_bytes(b"PAR1 and nothing more")
    for source, why in (
        (broken, "holds no dataset that can be read"),
        (tmp_path / "missing.parquet", "no such file"),
        (tmp_path, "holds no dataset that can be read"),
    ):
        with pytest.raises(UserError, match=why):
            read_table(str(source))
    two = {name: datasets.Dataset.from_list([{"pc": 1}]) for name in ("train", "test")}
    datasets.DatasetDict(two).save_to_disk(str(tmp_path / "two"))
    with pytest.raises(UserError, match="--split None; it has train, test"):
        read_table(str(tmp_path / "two"))
    assert len(read_table(str(tmp_path / "two"), split="test").rows) == 1
