"""Boundaries from robot signals: seconds and memory for a thousand episodes of 400 frames."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Facts, Job, Runs, Way, interleaved, status_mib
from benchmarks.results import (
    WORK,
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    write,
)
from kairoscope.robot.episode import Channel, Episode

NUM_EPISODES, NUM_FRAMES, FPS = 1000, 400, 30.0
ARM, FINGERS = 20, 6
"""Columns of both arms and of the one hand: as wide as a humanoid's vector."""
MARKS = (0.25, 0.5, 1.0)
"""Shares of the episodes at which resident memory is compared."""
LIMIT_S, FLAT = 30.0, 1.02
QUERY = ("grasping the thing", "releasing the thing", "grasping the other", "releasing the other")
LOOKED_AT = 32
"""Episodes from which the hand is found."""
Floats = NDArray[np.float64]


def drawn(index: int) -> tuple[Floats, Floats]:
    """(state, action) of episode `index`: (T, 26) each, two things carried with the right hand."""
    rng = np.random.default_rng([3, index])
    times_s = np.arange(NUM_FRAMES) / FPS
    starts_s = np.cumsum(rng.uniform(1.8, 2.5, 5)) - 1.5
    arm, closed = np.zeros((NUM_FRAMES, ARM)), np.zeros(NUM_FRAMES)
    for turn, start_s in enumerate(starts_s):
        u = np.clip((times_s - start_s) / 0.9, 0.0, 1.0)
        smooth = u * u * (3.0 - 2.0 * u)
        arm += smooth[:, None] * rng.normal(size=ARM) * (np.arange(ARM) >= ARM // 2)
        v = np.clip((times_s - start_s - 1.0) / 0.4, 0.0, 1.0)
        if turn < len(QUERY):
            closed += (1.0 if turn % 2 == 0 else -1.0) * 0.8 * v * v * (3.0 - 2.0 * v)
    fingers = closed[:, None] * rng.uniform(0.8, 1.0, FINGERS)
    state = np.hstack([arm, fingers]) + 0.003 * rng.normal(size=(NUM_FRAMES, ARM + FINGERS))
    action = np.concatenate([state[3:], np.repeat(state[-1:], 3, axis=0)])
    return state, action


def made(index: int) -> Episode:
    """Episode `index` in memory, its columns without names."""
    state, action = drawn(index)
    return Episode(
        id=f"episode_{index:06d}",
        times_s=np.arange(NUM_FRAMES) / FPS,
        channels=(
            Channel(name="observation.state", kind="state", values_TD=state),
            Channel(name="action", kind="action", values_TD=action),
        ),
    )


def lerobot_folder(num_episodes: int) -> Path:
    """The same episodes as a LeRobot dataset v2.1 without videos, made on first use."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = WORK / f"signals_{num_episodes}"
    if (folder / "meta/tasks.jsonl").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "meta").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    width = ARM + FINGERS
    vector = {"dtype": "float32", "shape": [width], "names": None}
    scalar = {"dtype": "float32", "shape": [1], "names": None}
    info = {
        "codebase_version": "v2.1",
        "total_episodes": num_episodes,
        "total_frames": num_episodes * NUM_FRAMES,
        "chunks_size": num_episodes,
        "fps": FPS,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": None,
        "features": {"observation.state": vector, "action": vector, "timestamp": scalar},
    }
    (folder / "meta/info.json").write_text(json.dumps(info))
    lines = []
    for index in range(num_episodes):
        state, action = drawn(index)
        columns = {
            "observation.state": pa.array(state.astype(np.float32).tolist()),
            "action": pa.array(action.astype(np.float32).tolist()),
            "timestamp": pa.array(np.arange(NUM_FRAMES, dtype=np.float32) / FPS),
            "frame_index": pa.array(np.arange(NUM_FRAMES)),
            "episode_index": pa.array(np.full(NUM_FRAMES, index)),
            "task_index": pa.array(np.zeros(NUM_FRAMES, dtype=np.int64)),
        }
        pq.write_table(pa.table(columns), folder / f"data/chunk-000/episode_{index:06d}.parquet")
        row = {"episode_index": index, "tasks": ["carry"], "length": NUM_FRAMES}
        lines.append(json.dumps(row) + "\n")
    (folder / "meta/episodes.jsonl").write_text("".join(lines))
    (folder / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "carry"}\n')
    return folder


def in_memory(num_episodes: int) -> Job:
    """Episodes that are drawn as they are needed; drawing them is not counted."""
    return lambda: boundaries(num_episodes, made)


def from_files(num_episodes: int) -> Job:
    """Episodes read from a LeRobot dataset."""
    from kairoscope.robot.opening import open_dataset

    folder = lerobot_folder(num_episodes)

    def job() -> Facts:
        dataset = open_dataset(folder)
        return boundaries(num_episodes, lambda index: dataset.episode(f"episode_{index:06d}"))

    return job


def boundaries(num_episodes: int, episode: Callable[[int], Episode]) -> Facts:
    """Find the hand, then the boundaries of every episode: what it took, and what came of it."""
    import time

    from kairoscope.robot.signals import find_grippers, match, moments

    spread = np.linspace(0, num_episodes - 1, min(LOOKED_AT, num_episodes)).astype(int)
    drawing_s, found, resident = 0.0, 0, []
    marks = {max(1, round(share * num_episodes)) for share in MARKS}

    def drawn_ones(indices: Iterator[int]) -> Iterator[Episode]:
        nonlocal drawing_s
        for index in indices:
            start = time.process_time()
            one = episode(index)
            drawing_s += time.process_time() - start
            yield one

    grippers = find_grippers(drawn_ones(map(int, spread)), QUERY)
    for done, one in enumerate(drawn_ones(iter(range(num_episodes))), 1):
        evidence = match(moments(one, grippers), QUERY, one.times_s)
        found += sum(event.frame is not None for event in evidence)
        if done in marks:
            resident.append(status_mib(Path("/proc/self/status").read_text(), "VmRSS"))
    return {
        "reading_s": drawing_s,
        "found_share": found / (num_episodes * len(QUERY)),
        "hands": len(grippers),
        "resident_mib": resident,
        "growth": resident[-1] / resident[0] if resident and resident[0] else 1.0,
    }


def measured(num_episodes: int, rounds: int, *, fresh: bool) -> Runs:
    """Both ways in turns."""
    ways = [
        Way(
            key=key,
            title=title,
            function=f"benchmarks.signals:{function}",
            arguments={"num_episodes": num_episodes},
        )
        for key, title, function in (
            ("memory", "signals in memory (drawing them included)", "in_memory"),
            ("lerobot", "read from a LeRobot dataset v2.1", "from_files"),
        )
    ]
    return interleaved(ways, rounds, announce, fresh=fresh)


def result(runs: Runs, num_episodes: int) -> Result:
    """Tables and goals."""
    rows = tuple(
        (
            way.title,
            number(runs.spread(way.key, "reading_s").median),
            number(runs.spread(way.key, "found_share").median),
            " / ".join(number(mib) for mib in runs.measured[way.key][-1].facts["resident_mib"]),
            number(runs.spread(way.key, "growth").high),
        )
        for way in runs.ways
        if way.key not in runs.unavailable
    )
    columns = (
        "way",
        "of it drawing or reading, CPU s",
        "share of events with a boundary",
        "resident MiB at 25 / 50 / 100 % of the episodes",
        "last over first, greatest",
    )
    goals = []
    for way in runs.ways:
        if way.key in runs.unavailable:
            continue
        goals += [
            Goal(
                text=f"{num_episodes} episodes, {way.title}: wall time on one core",
                limit=LIMIT_S,
                value=runs.spread(way.key, "wall_s").median,
                unit=" s",
            ),
            Goal(
                text=f"{way.title}: memory at the last episode over that at a quarter of them",
                limit=FLAT,
                value=runs.spread(way.key, "growth").high,
            ),
        ]
    return Result(
        name="signals",
        title="Boundaries from robot signals",
        what=(
            f"{num_episodes} synthetic episodes of {NUM_FRAMES} frames with {ARM + FINGERS} columns of "
            f"state and as many of action, four events each. The hand's columns are not named: they "
            f"are found from {LOOKED_AT} episodes, then every episode's moments are found and "
            "assigned. One process, one thread."
        ),
        tables=(
            cost_table(
                "Time and memory of all episodes", runs, "memory", f"{num_episodes} episodes"
            ),
            Table(title="What came of it", columns=columns, rows=rows),
        ),
        goals=tuple(goals),
        notes=missing_notes(runs),
        data=runs.to_json(),
        packages=("pyarrow",),
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments("signals", __doc__, argv, default_rounds=3)
    num_episodes = 24 if options.smoke else NUM_EPISODES
    runs = measured(num_episodes, options.rounds, fresh=not options.smoke)
    write(result(runs, num_episodes), options)


if __name__ == "__main__":
    main(sys.argv[1:])
