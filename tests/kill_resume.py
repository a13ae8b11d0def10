"""`kairoscope sft`, or `grpo`, killed with `kill -9` at random moments and run again.

    python tests/kill_resume.py [KILLS] [SEED] [sft | grpo]

Every run is killed once, somewhere between its start and its end, run again to the end, and compared
byte for byte with one that was left alone.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from command_line import Program, write_world

SIZES = (
    *("text_depth=2", "text_width=48", "text_heads=2", "text_kv_heads=1"),
    *("vision_depth=2", "vision_width=32", "vision_heads=2"),
)
SETTINGS = {
    "max_steps": 10,
    "epochs": 50,
    "batch_size": 3,
    "micro_batch_size": 2,
    "learning_rate": 5e-3,
    "eval_every": 4,
    "save_every": 2,
    "augment": True,
    "dense_weight": 0.5,
    "ema_decay": 0.9,
    "lora.rank": 2,
    "lora.dropout": 0.2,
}
REWARDED = {
    "max_steps": 8,
    "epochs": 50,
    "rollouts_per_step": 12,
    "group_size": 4,
    "inner_updates": 2,
    "kl_beta": 0.1,
    "learning_rate": 5e-3,
    "eval_every": 4,
    "save_every": 2,
    "ema_decay": 0.9,
    "lora.rank": 2,
}
METHODS = {"sft": SETTINGS, "grpo": REWARDED}
TIMES = ("seconds", "per_s", "mfu")


class Killing:
    """A world of clips, a run that was left alone, and others that are not."""

    def __init__(self, program: Program, folder: Path, method: str = "sft") -> None:
        """Make clips and model, and train once."""
        self.program = program
        self.method = method
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        write_world(folder / "data", 6)
        sizes = [f"--size={size}" for size in SIZES]
        frames = ["--frames=fps=4", "--frames=max_frame_pixels=12544", "--frames=stamp_place=band"]
        self._run("new-model", "model", "--data=data", *sizes, *frames)
        self._run(*self._training("straight"))
        self.num_rows = len(_read(folder / "straight"))

    def differences(self, name: str, num_rows: int, delay_s: float) -> tuple[str, list[str]]:
        """Kill a run `delay_s` after it has logged `num_rows` rows, run it again.

        Returns:
            How far it had come, and in what it differs from the one that was left alone.
        """
        pid = self.program.start(*self._training(name), cwd=self.folder)
        until = time.monotonic() + 300
        while len(_read(self.folder / name)) < num_rows and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(delay_s)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        was_killed = self.program.finish(pid).code == -signal.SIGKILL
        steps = [row for row in _read(self.folder / name) if row["kind"] == "step"]
        self._run(*self._training(name))
        found = self._differences(name)
        shutil.rmtree(self.folder / name)
        return f"{'killed' if was_killed else 'ended'} after {len(steps)} steps", found

    def _differences(self, name: str) -> list[str]:
        one, other = self.folder / "straight", self.folder / name
        files = {
            str(file.relative_to(folder))
            for folder in (one, other)
            for part in ("state", "best")
            for file in (folder / part).rglob("*")
            if file.is_file()
        }
        different = [
            file
            for file in sorted(files)
            if not (one / file).is_file()
            or not (other / file).is_file()
            or (one / file).read_bytes() != (other / file).read_bytes()
        ]
        return different + (["train.jsonl"] if _rows(one) != _rows(other) else [])

    def _training(self, name: str) -> list[str]:
        changes = [
            f"--set={key}={json.dumps(value)}" for key, value in METHODS[self.method].items()
        ]
        data = ["--data=data", "--model=model", f"--out={name}", "--device=cpu"]
        return [self.method, "subtask-times", *data, *changes]

    def _run(self, *arguments: str) -> None:
        ended = self.program.run(*arguments, cwd=self.folder)
        assert ended.code == 0, ended.said


def _read(out: Path) -> list[dict[str, Any]]:
    log = out / "train.jsonl"
    lines = log.read_bytes().split(b"\n")[:-1] if log.is_file() else []
    return [json.loads(line) for line in lines]


def _rows(out: Path) -> dict[str, Any]:
    """Logged rows without wall times. Steps that were done again must have said the same."""
    found: dict[str, Any] = {}
    for row in _read(out):
        kept = {key: value for key, value in row.items() if not key.endswith(TIMES)}
        name = f"{row['kind']} {row.get('step')}"
        if found.setdefault(name, kept) != kept:
            found[f"{name}, again"] = kept
    return found


def say(line: str) -> None:
    """A line of the result, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Kill as often as asked for and say what came of it."""
    given = [*sys.argv[1:], *("20", "0", "sft")[len(sys.argv) - 1 :]]
    kills, seed, method = int(given[0]), int(given[1]), given[2]
    rng = random.Random(seed)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        program = Program(Path(folder))
        killing = Killing(program, Path(folder) / "world", method)
        say(f"left alone: {killing.num_rows} rows")
        for number in range(kills):
            after = rng.randrange(killing.num_rows), rng.uniform(0.0, 0.5)
            came, different = killing.differences(f"run-{number}", *after)
            bad += bool(different)
            said = f"differs in {', '.join(different)}" if different else "equal to the bit"
            say(f"{number + 1}: {came}, run again: {said}")
        program.close()
    say(f"{kills - bad} of {kills} equal")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
