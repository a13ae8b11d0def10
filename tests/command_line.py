"""The command line under test, and a world of small clips for it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

EVENTS = ("raising the white square", "lowering the white square")
FPS = 12


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    """Negative for the signal that killed it."""
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything, for a message."""
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Program:
    """Runs commands in processes of their own, forked from one that has imported everything."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "COLUMNS": os.environ.get("COLUMNS", "100"),
        }
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(30)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def run(self, *args: str | Path, cwd: Path, **hook: Any) -> Ended:
        """Run `kairoscope` with these arguments; for the hook, see `zygote._prepare`."""
        return self.finish(self.start(*args, cwd=cwd, **hook))

    def start(self, *args: str | Path, cwd: Path, **hook: Any) -> int:
        """The id of the process that has begun."""
        request = {
            "args": [os.fspath(arg) for arg in args],
            "cwd": str(cwd),
            "stdout": str(self.scratch / "stdout"),
            "stderr": str(self.scratch / "stderr"),
            "hook": hook,
        }
        pid: int = self._ask(request)["pid"]
        return pid

    def finish(self, pid: int) -> Ended:
        """Wait for the end of a process."""
        code: int = self._ask({"wait": pid})["code"]
        out, err = ((self.scratch / name).read_text("utf-8") for name in ("stdout", "stderr"))
        return Ended(code, out, err)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer


def write_clip(path: Path, number: int, *, size: int = 84, fps: int = FPS) -> dict[str, Any]:
    """A white square that goes up and comes down again; returns the row of its label."""
    return write_tracked_clip(path, number, size=size, fps=fps)[0]


def write_tracked_clip(
    path: Path, number: int, *, size: int = 84, fps: int = FPS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`write_clip`, and the row that says where the square is, as if it were a hand."""
    random = np.random.default_rng(number)
    up, down, rest = (int(random.integers(8, 14)) for _ in range(3))
    ground = random.integers(20, 200, 3)
    side = size // 6
    heights = [*range(up), *([up] * 2), *(up * (1 - i / down) for i in range(down)), *([0] * rest)]
    left = int(random.integers(0, size - side))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path.absolute()), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        for height in heights:
            picture = np.full((size, size, 3), ground, dtype=np.uint8)
            top = size - side - round(height * (size - side) / 14)
            picture[top : top + side, left : left + side] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    middle_px = [size - side / 2 - round(height * (size - side) / 14) for height in heights]
    ends_s = (round((up + 2) / fps, 4), round((up + 2 + down) / fps, 4))
    label = {
        "video": path.name,
        "events": [
            {"name": EVENTS[0], "start_s": 0.0, "end_s": ends_s[0]},
            {"name": EVENTS[1], "start_s": ends_s[0], "end_s": ends_s[1]},
        ],
        "group": path.stem,
        "task": "square",
        "duration_s": round(len(heights) / fps, 4),
    }
    hand = {
        "hand_column": [(left + side / 2) / size] * len(heights),
        "hand_row": [middle / size for middle in middle_px],
        "opening": [0.9] * len(heights),
        "holding": [float(frame <= up) for frame in range(len(heights))],
    }
    times_s = [frame / fps for frame in range(len(heights))]
    return label, {"video": path.name, "times_s": times_s, "tracks": hand}


def write_rows(folder: Path, rows: Sequence[Any]) -> Path:
    """`labels.jsonl` in a folder; text is written as it stands."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file = folder / "labels.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def write_world(folder: Path, num_clips: int, first: int = 0) -> list[dict[str, Any]]:
    """Labelled clips `a.mp4`, `b.mp4`, … with tracks, and a task file; another `first`, other clips."""
    made = [write_tracked_clip(folder / f"{chr(97 + i)}.mp4", first + i) for i in range(num_clips)]
    rows = [label for label, _ in made]
    write_rows(folder, rows)
    tracks = "".join(f"{json.dumps(track)}\n" for _, track in made)
    (folder / "tracks.jsonl").write_text(tracks)
    names = ", ".join(json.dumps(name) for name in EVENTS)
    (folder / "square.toml").write_text(f'name = "square"\nevents = [{names}]\n')
    return rows


def read_json(file: Path) -> Any:
    """A JSON file."""
    return json.loads(file.read_text("utf-8"))


def read_rows(file: Path) -> list[dict[str, Any]]:
    """A JSON lines file."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def write_odd_clips(folder: Path, good: Path) -> tuple[list[str], list[str]]:
    """A folder of what real folders hold; returns the names of good clips (all of them like
    `good`, but for `large.mp4`) and of those that nobody can read.
    """
    folder.mkdir()
    data = good.read_bytes()
    for name in GOOD_NAMES:
        (folder / name).write_bytes(data)
    (folder / "read-only.mp4").chmod(0o444)
    (folder / "link.mp4").symlink_to(good.absolute())
    write_clip(folder / "large.mp4", 3, size=2160, fps=FPS)
    (folder / "empty.mp4").touch()
    (folder / "cut off.mp4").write_bytes(data[: len(data) * 2 // 3])
    (folder / "text.mp4").write_text("this is no video\n")
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "picture.mp4").write_bytes(PNG)
    with av.open(str(folder / "no frames.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    with av.open(str(folder / "sound only.mp4"), "w") as container:
        sound: Any = container.add_stream("aac", rate=16000)
        samples = np.zeros((1, 16000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    (folder / "notes.txt").write_text("no clip by its name")
    (folder / "a folder.mp4").mkdir()
    bad = ["cut off.mp4", "dangling.mp4", "empty.mp4", "loop.mp4", "no frames.mp4"]
    return [*GOOD_NAMES, "link.mp4", "large.mp4"], [
        *bad,
        "picture.mp4",
        "sound only.mp4",
        "text.mp4",
    ]


GOOD_NAMES = (
    *("plain.mp4", "read-only.mp4", "upper.MP4", "really an mp4.avi", "Grüße 手.mp4"),
    *(
        "[red]take[bold].mp4",
        "-dash.mp4",
        "take:1.mp4",
        "new\nline.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
    ),
)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc00000030101003d1e2f7a0000000049454e44ae426082"
)
