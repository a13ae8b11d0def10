"""The twelve real and recorded robot clips: decode, annotate, score; learn from six, test on two.

    python -m benchmarks.real_clips ../shared/data OUT

Writes label files for the clips (which are not part of this repository) into OUT and runs the
commands that a user would run. Figures go to docs/log.md by hand, whatever they are.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.clips import smoke_model

TEST_EPISODES = ("g1_bottle_030", "g1_bottle_031")


def label_rows(data: Path) -> list[dict[str, Any]]:
    """One label row a robot clip: the moments of `ground_truth.jsonl` as the ends of events."""
    rows = []
    for line in (data / "ground_truth.jsonl").read_text().splitlines():
        clip = json.loads(line)
        if clip["kind"] != "robot":
            continue
        rows.append(
            {
                "video": str((data / clip["video"]).resolve()),
                "events": [
                    {"name": boundary["name"], "end_s": boundary["nominal_s"]}
                    for boundary in clip["boundaries"]
                ],
                "group": clip["id"],
                "duration_s": clip["duration_s"],
                "task": clip["id"].rsplit("_", 1)[0] if clip["id"].startswith("g") else clip["id"],
            }
        )
    return rows


def write(rows: list[dict[str, Any]], folder: Path) -> Path:
    """A folder with these labels."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def kairoscope(*words: str) -> None:
    """Run a command as a user would."""
    print("$ kairoscope", *words, flush=True)
    subprocess.run([sys.executable, "-m", "kairoscope", *words], check=True)


def main() -> None:
    """Label, evaluate, train, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny model, two steps: does it run?"
    )
    options = parser.parse_args()
    steps = ("--set", "max_steps=2") if options.smoke else ()
    if options.smoke:
        options.model = smoke_model()
    out: Path = options.out
    rows = label_rows(options.data)
    bottles = [row for row in rows if row["group"].startswith("g1_bottle")]
    everything = write(rows, out / "all")
    train = write([r for r in bottles if r["group"] not in TEST_EPISODES], out / "g1_train")
    test = write([r for r in bottles if r["group"] in TEST_EPISODES], out / "g1_test")
    model = ("--model", options.model)
    recipe = "subtask-times"
    kairoscope(
        "evaluate", recipe, *model, "--data", str(everything), "--out", str(out / "eval_all")
    )
    kairoscope("evaluate", recipe, *model, "--data", str(test), "--out", str(out / "eval_before"))
    kairoscope("sft", recipe, *model, "--data", str(train), "--out", str(out / "sft"), *steps)
    trained = ("--model", str(out / "sft" / "best"))
    kairoscope("evaluate", recipe, *trained, "--data", str(test), "--out", str(out / "eval_after"))


if __name__ == "__main__":
    main()
