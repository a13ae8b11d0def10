"""Captions and their judge against a real vLLM with the built-in checkpoint, which dies in between.

The built-in model knows driving scenes from nowhere and judges texts no better: that its controls say so is
what is tested. An honest judge is in `tests/unit/judge`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from vllm_server import NAME, Server

from kairoscope.judge.questions import JUDGEMENT
from kairoscope.models.grammar import violation

DRIVES = Path(__file__).parents[2] / "examples/driving/test/clips"
NUM_CLIPS = 6
QUICK = """
import kairoscope.models.server.http as http
from kairoscope.cli import main
http.FIRST_WAIT_S = 0.01
main()
"""


def begin(server: Server, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", QUICK, *words, "--model", f"openai:{NAME}"]
    command += ["--base-url", server.url, "--no-store", "--concurrency", "4"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "150"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=surroundings)


def killed_in_between(server: Server, file: Path, rows: int, *words: str) -> str:
    """Kill the server once a run has so many rows; start it again and the run too. What was printed."""
    process = begin(server, *words)
    end = time.monotonic() + 300
    while num_rows(file) < rows and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    server.kill()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "does not answer any more" in err
    assert "only the rest is asked" in err
    kept = num_rows(file)
    assert kept >= rows
    server.start()
    process = begin(server, *words)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert num_rows(file) > kept
    return out + err


def num_rows(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def captioned(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drives captioned by the server, which was killed in the middle."""
    folder = tmp_path_factory.mktemp("captioned")
    (folder / "data").mkdir()
    labels = sorted(DRIVES.glob("*.label.json"))[:NUM_CLIPS]
    for label in labels:
        for file in DRIVES.glob(label.name.removesuffix("label.json") + "*"):
            shutil.copy(file, folder / "data")
    run = folder / "run"
    words = ["evaluate", "av-captions:driving_world", "--data", str(folder / "data")]
    words += ["--out", str(run), "--no-control"]
    killed_in_between(server, run / "records.jsonl", 2, *words)
    records = rows_of(run / "records.jsonl")
    assert len({row["sample_id"] for row in records}) == len(records) == NUM_CLIPS
    assert all(row["unparsed"] is None for row in records)  # constrained: in the grammar, always
    return run


def test_a_judge_that_knows_nothing_is_found_out_though_the_server_died(
    server: Server, captioned: Path
) -> None:
    words = ["judge", str(captioned), "--fields", "manoeuvre", "--repeats", "2"]
    words += ["--controls", "6", "--price-prompt", "1", "--price-completion", "2"]
    file = captioned / "judge" / "judgements.jsonl"
    said = killed_in_between(server, file, 6, *words)
    rows = rows_of(file)
    counts = Counter((row["id"], row["repeat"]) for row in rows)
    assert set(counts.values()) == {1}
    found = json.loads((captioned / "judge" / "judge.json").read_text())
    assert len(rows) == 2 * len({row["id"] for row in rows})
    for row in rows:
        if not row.get("missing"):
            assert violation(JUDGEMENT, row["text"]) is None, row["text"]
            assert 1 <= row["score"] <= 5
    assert found["all"]["n_failed"] == 0
    # Drawn at a temperature above 0, repeats are no copies of each other.
    assert len({row["text"] for row in rows}) > len({row["id"] for row in rows})
    assert {own["verdict"] for own in found["fields"].values()} == {"not trusted"}
    assert found["doubts"]
    assert "This judge cannot be trusted for manoeuvre: " in said
    usage = found["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["cost"] == pytest.approx(
        (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1e6
    )
    assert (captioned / "judge" / "report.html").is_file()


def test_a_killed_judge_goes_on_and_sends_no_clip(server: Server, captioned: Path) -> None:
    out = captioned.parent / "again"
    words = ["judge", str(captioned), "--fields", "weather", "--repeats", "2", "--controls", "2"]
    words += ["--out", str(out)]
    process = begin(server, *words)
    end = time.monotonic() + 120
    while num_rows(out / "judgements.jsonl") < 4 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {row["id"] for row in rows_of_whole(out / "judgements.jsonl")}
    process = begin(server, *words)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    rows = rows_of(out / "judgements.jsonl")
    assert set(Counter((row["id"], row["repeat"]) for row in rows).values()) == {1}
    assert kept < {row["id"] for row in rows}
    usage = rows_of(out / "usage.jsonl")
    assert all(row["sent"] is None for row in usage)


def rows_of_whole(file: Path) -> list[dict[str, Any]]:
    """Rows without the one that the kill may have torn."""
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
