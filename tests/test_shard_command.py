"""Shares as commands: killed, run again, put together by the last one; of clips and of a dataset."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import Program, read_json, read_rows, write_rows
from resumable import is_clean

ASK = ["annotate", "data", "--task=data/square.toml", "--model=model", "--no-store"]
RESULTS = ("boundaries.csv", "boundaries.jsonl", "problems.json", "annotations.html")


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    """The world, in which three of eight clips are labelled."""
    shutil.copytree(world / "data", tmp_path / "data")
    (tmp_path / "model").symlink_to(world / "model")
    write_rows(tmp_path / "data", read_rows(world / "data" / "labels.jsonl")[:3])
    return tmp_path


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    """Without how long they took, and the checksum over that."""
    found = read_rows(out / f"{name}.jsonl")
    kept = [{k: v for k, v in row.items() if k not in ("seconds", "seal")} for row in found]
    return sorted(kept, key=lambda row: str(row["clip"]))


@pytest.mark.parametrize("options", [[], ["--examples=1"]], ids=["clips", "dataset"])
def test_killed_shares_run_again_are_what_one_process_makes(
    options: list[str], program: Program, place: Path
) -> None:
    ended = program.run(*ASK, *options, "--out=plain", cwd=place)
    assert ended.code == 0, ended.said
    # A dataset's signals are rows, too: eight of them come before the first answer.
    after = 10 if options else 2
    kill = {"send": signal.SIGKILL, "after": after}
    ended = program.run(*ASK, *options, "--out=out", "--shard=1/2", cwd=place, **kill)
    assert ended.code == -signal.SIGKILL
    for shard, said in (("1/2", "others are not"), ("2/2", "8 ")):
        ended = program.run(*ASK, *options, "--out=out", f"--shard={shard}", cwd=place)
        assert ended.code == 0, ended.said
        assert is_clean(ended)
        assert said in ended.out, ended.said
    for name in RESULTS:
        assert (place / "out" / name).read_bytes() == (place / "plain" / name).read_bytes(), name
    for name in ("clips", "answers") if options else ("clips",):
        assert rows(place / "out", name) == rows(place / "plain", name)
    before = {file: file.read_bytes() for file in place.glob("out/shards/*/*.jsonl")}
    ended = program.run(*ASK, *options, "--out=out", cwd=place)
    assert ended.code == 0, ended.said
    assert "loading model" not in ended.err
    assert {file: file.read_bytes() for file in place.glob("out/shards/*/*.jsonl")} == before


def records(out: Path, name: str) -> list[dict[str, Any]]:
    found = read_rows(out / f"{name}.jsonl")
    kept = [{k: v for k, v in row.items() if k != "seconds"} for row in found]
    return sorted(kept, key=lambda row: (row["sample_id"], row["trial"]))


EVALUATE = ["evaluate", "subtask-times", "--data=data", "--model=model", "--no-store"]
DRAWN = ["--decoding=constrained", "--trials=2", "--temperature=0.8"]


def test_an_evaluation_in_shares_is_what_one_process_makes(
    program: Program, world: Path, tmp_path: Path
) -> None:
    asked = [*EVALUATE, *DRAWN]
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    ended = program.run(*asked, "--out=plain", cwd=tmp_path)
    assert ended.code == 0, ended.said
    kill = {"send": signal.SIGKILL, "after": 2}
    ended = program.run(*asked, "--out=out", "--shard=1/2", cwd=tmp_path, **kill)
    assert ended.code == -signal.SIGKILL
    for shard, said in (("1/2", "others are not"), ("2/2", "report: ")):
        ended = program.run(*asked, "--out=out", f"--shard={shard}", cwd=tmp_path)
        assert ended.code == 0, ended.said
        assert is_clean(ended)
        assert said in ended.out, ended.said
    for name in ("metrics.json", "problems.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    for name in ("records", "control"):
        assert records(tmp_path / "out", name) == records(tmp_path / "plain", name)
    ended = program.run(*asked, "--out=out", cwd=tmp_path)
    assert ended.code == 0, ended.said
    assert "loading model" not in ended.err
    ended = program.run(*asked, "--seed=4", "--out=out", "--shard=2/2", cwd=tmp_path)
    assert ended.code == 2
    assert "seed" in ended.err


def test_a_sweep_in_shares_has_the_table_of_one_process(
    program: Program, world: Path, tmp_path: Path
) -> None:
    asked = [*EVALUATE, "--fps", "2", "4", "--no-control"]
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(world / name)
    tables = []
    for out, shards in (("plain", [[]]), ("out", [["--shard=2/2"], ["--shard=1/2"]])):
        for shard in shards:
            ended = program.run(*asked, f"--out={out}", *shard, cwd=tmp_path)
            assert ended.code == 0, ended.said
            assert ("others are not" in ended.out) == (shard == ["--shard=2/2"])
        table = read_json(tmp_path / out / "sweep.json")
        for row in table["cells"]:
            assert row.pop("seconds") > 0
        tables.append(table)
    assert tables[0] == tables[1]


def test_what_cannot_be_shared_out_is_refused(program: Program, place: Path) -> None:
    for options, words in (
        (["--shard=3/2"], "allowed: 1/n to n/n"),
        (["--shard=1/2", "--signals-only"], "none is asked"),
        (["--ray-workers=2"], "is for --ray"),
    ):
        ended = program.run(*ASK, *options, "--out=none", cwd=place)
        assert ended.code == 2, ended.said
        assert words in ended.err, ended.said
