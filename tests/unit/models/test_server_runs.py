"""`kairoscope evaluate` and `annotate` with a server: what is kept, what a key leaves behind, going on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from small_server import NAME, Reply, Small, serving

KEY = "sk-thisisthekey-0123456789"
PRESS = Path(__file__).parents[3] / "examples/press"
QUICK = """
import kairoscope.models.server.http as http
from kairoscope.cli import main
http.FIRST_WAIT_S = 0.01
main()
"""
"""The program, with waits of milliseconds before it asks again."""
ANSWER = "<answer>\nEvent 1: <0.00> <1.00> pressing the button\n</answer>"


def run(url: str, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """A command against a server, with a key in its surroundings."""
    command = [sys.executable, "-c", QUICK, *words, "--model", f"openai:{NAME}"]
    command += ["--base-url", url, "--no-store", "--concurrency", "1"]
    surroundings = {**os.environ, "OPENAI_API_KEY": KEY, "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)


def files_with_the_key(*folders: Path) -> list[Path]:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if KEY.encode() in file.read_bytes()]


def test_an_evaluation_goes_on_where_the_server_died_and_keeps_no_key(tmp_path: Path) -> None:
    out, temporary = tmp_path / "run", tmp_path / "tmp"
    temporary.mkdir()
    words = ["evaluate", "subtask-times", "--data", str(PRESS / "test"), "--out", str(out)]
    words += [
        "--decoding",
        "free",
        "--no-control",
        "--price-prompt",
        "2",
        "--price-completion",
        "10",
    ]
    alive = 5
    dead = Reply(status=500, words=f"no engine for {KEY}")

    def reply(_: Any, number: int) -> Reply:
        return Reply(text=ANSWER) if number < alive else dead

    with serving(Small(reply=reply, text_only=lambda _: dead)) as small:
        ended = run(small.url, *words, TMPDIR=str(temporary))
        assert ended.returncode == 2, ended.stderr
        assert "5 questions were answered in this session" in ended.stderr
        assert KEY not in ended.stdout + ended.stderr
        records = (out / "records.jsonl").read_text().splitlines()
        assert len(records) == 5
        alive, first = 10_000, len(small.asked)
        ended = run(small.url, *words, TMPDIR=str(temporary))
        assert ended.returncode == 0, ended.stderr
        assert len(small.asked) - first == 16 - 5
    (out / "anything.txt").write_text("so that there is a file")
    assert files_with_the_key(tmp_path) == []
    rows = [json.loads(line) for line in (out / "usage.jsonl").read_text().splitlines()]
    assert [row["prompt_tokens"] for row in rows] == [45_000, 99_000]
    assert round(sum(row["cost"] for row in rows), 6) == 0.2896
    assert "144000 tokens asked, 160 answered, cost 0.2896" in ended.stderr
    config = json.loads((out / "config.json").read_text())
    assert "usage" not in json.dumps(config)
    assert small.url not in json.dumps(config)


def test_annotating_with_a_server_that_keeps_no_constraint_is_allowed_by_name(
    tmp_path: Path,
) -> None:
    words = ["annotate", str(PRESS / "unlabelled"), "--task", str(PRESS / "task.toml")]
    words += ["--out", str(tmp_path / "run"), "--decoding", "constrained", "--allow-unconstrained"]
    with serving(Small(reply=lambda *_: Reply(text=ANSWER), keeps_constraint=False)) as small:
        ended = run(small.url, *words)
        assert not any("structured_outputs" in body for body in small.asked)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "annotations.html").is_file()
