"""What is judged on is never trained on, whatever the copies of a clip are called."""

import shutil
from pathlib import Path

import pytest
from command_line import Program, read_json, read_rows, write_rows

FEW = ("--set=max_steps=1", "--set=batch_size=2")


@pytest.fixture
def copies(world: Path, tmp_path: Path) -> Path:
    """Five clips, each twice under names and groups of its own, in `data`."""
    (tmp_path / "model").symlink_to(world / "model")
    (tmp_path / "data").mkdir()
    rows = []
    for row in read_rows(world / "data" / "labels.jsonl")[:5]:
        for copy in ("one", "two"):
            name = f"{copy}_{row['video']}"
            shutil.copy(world / "data" / row["video"], tmp_path / "data" / name)
            rows.append({**row, "video": name, "group": name})
    write_rows(tmp_path / "data", rows)
    return tmp_path


def test_copies_of_a_clip_fall_on_one_side(program: Program, copies: Path) -> None:
    ended = program.run(
        *("run", "subtask-times", "--data=data", "--model=model", "--out=out", *FEW),
        "--stages=benchmark,zero-shot,curation",
        cwd=copies,
    )
    assert ended.code == 0, ended.said
    tested = {row["sample_id"] for row in read_rows(copies / "out" / "zero_shot" / "records.jsonl")}
    curation = read_json(copies / "out" / "curation.json")
    trained = {row["id"] for row in curation["clips"]} | {
        drop["sample_id"] for drop in curation["drops"]
    }
    assert len(tested) + len(trained) == 10
    assert {name[4:] for name in tested}.isdisjoint(name[4:] for name in trained)


def test_copies_in_folders_of_their_own_are_refused(program: Program, copies: Path) -> None:
    rows = read_rows(copies / "data" / "labels.jsonl")
    for part in ("train", "test"):
        (copies / "both" / part).mkdir(parents=True)
        own = rows[::2] if part == "train" else rows[9:]
        for row in own:
            shutil.copy(copies / "data" / row["video"], copies / "both" / part / row["video"])
        write_rows(copies / "both" / part, own)
    ended = program.run(
        "run", "subtask-times", "--data=both", "--model=model", "--out=out", *FEW, cwd=copies
    )
    assert ended.code == 2, ended.said
    assert "both: train and test share clips: 'one_e.mp4' and 'two_e.mp4'" in ended.err
    held_out = ("--data=both/train", "--held-out=both/test", "--model=model", "--out=sft")
    ended = program.run("sft", "subtask-times", *held_out, *FEW, cwd=copies)
    assert ended.code == 2, ended.said
    assert "held-out and training data share clips: 'one_e.mp4' and 'two_e.mp4'" in ended.err
