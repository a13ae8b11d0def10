"""Small LeRobot datasets of every version, written with pyarrow alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kairoscope.events import Event, Events
from kairoscope.robot.lerobot import open_lerobot

FPS = 10
LENGTHS = (20, 31, 12)
TASKS = ("put the cube in the box", "put the box on the cube")
NAMES = ("shoulder.pos", "elbow.pos", "gripper.pos")
CAMERA = "observation.images.top"
IDS = ("episode_000000", "episode_000001", "episode_000002")
OURS: Mapping[str, Events] = {
    IDS[0]: (Event("grasp", 0.0, 0.93), Event("place", 0.93, 1.71)),
    IDS[1]: (Event("grasp", 0.2, 1.1), Event("place", 1.3, 3.1)),
}
OTHERS: Mapping[str, Events] = {IDS[0]: (Event("reach", 0.0, 0.5), Event("grasp", 0.5, 1.6))}


def frames(episode: int, length: int, first: int, **columns: Any) -> dict[str, Any]:
    """Columns of an episode; `columns` replaces some, None takes one away."""
    random = np.random.default_rng(episode)
    vector = pa.list_(pa.float32(), 3)
    made: dict[str, Any] = {
        "observation.state": pa.array(random.normal(size=(length, 3)).tolist(), type=vector),
        "action": pa.array(random.normal(size=(length, 3)).tolist(), type=vector),
        "timestamp": pa.array((np.arange(length) / FPS).astype(np.float32)),
        "frame_index": pa.array(range(length), type=pa.int64()),
        "episode_index": pa.array([episode] * length, type=pa.int64()),
        "index": pa.array(range(first, first + length), type=pa.int64()),
        "task_index": pa.array([episode % 2] * length, type=pa.int64()),
    }
    made |= columns
    return {name: array for name, array in made.items() if array is not None}


def info(version: str, lengths: Sequence[int], *, video: bool) -> dict[str, Any]:
    """info.json as lerobot writes it."""
    vector = {"dtype": "float32", "shape": [3], "names": list(NAMES)}
    features: dict[str, Any] = {"observation.state": vector, "action": vector}
    if video:
        names = ["height", "width", "channels"]
        features[CAMERA] = {"dtype": "video", "shape": [32, 32, 3], "names": names}
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    is_v3 = version.startswith("v3")
    data = (
        "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        if is_v3
        else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    )
    videos = (
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        if is_v3
        else "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    )
    old = {} if is_v3 else {"total_chunks": 1, "total_videos": len(lengths) if video else 0}
    return {
        "codebase_version": version,
        "robot_type": "arm",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": 2,
        **old,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": f"0:{len(lengths)}"},
        "data_path": data,
        "video_path": videos if video else None,
        "features": features,
    }


def stats_of(column: Any) -> dict[str, list[float]]:
    """Statistics of a number, as lerobot keeps them."""
    values = np.asarray(column)
    return {
        "min": [values.min().item()],
        "max": [values.max().item()],
        "mean": [float(values.mean())],
        "std": [float(values.std())],
        "count": [len(values)],
    }


def write_info(root: Path, **changes: Any) -> None:
    """Change info.json; a value of None takes the key away."""
    path = root / "meta/info.json"
    raw = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not None}, indent=4))


def make_v2(
    root: Path, lengths: Sequence[int] = LENGTHS, version: str = "v2.1", *, video: bool = False
) -> Path:
    """A file an episode."""
    (root / "meta").mkdir(parents=True)
    (root / "data/chunk-000").mkdir(parents=True)
    first, rows, stats = 0, [], []
    for episode, length in enumerate(lengths):
        columns = frames(episode, length, first)
        pq.write_table(pa.table(columns), v2_data(root, episode))
        tasks = [TASKS[episode % 2]]
        rows.append({"episode_index": episode, "tasks": tasks, "length": length})
        numbers = {n: stats_of(columns[n].to_pylist()) for n in ("timestamp", "task_index")}
        stats.append({"episode_index": episode, "stats": numbers})
        first += length
        if video:
            make_video(root / f"videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4", length)
    texts = [{"task_index": i, "task": task} for i, task in enumerate(TASKS)]
    write_lines(root / "meta/episodes.jsonl", rows)
    write_lines(root / "meta/episodes_stats.jsonl", stats)
    write_lines(root / "meta/tasks.jsonl", texts)
    about = info(version, lengths, video=video)
    (root / "meta/info.json").write_text(json.dumps(about, indent=4))
    return root


def v2_data(root: Path, episode: int) -> Path:
    return root / f"data/chunk-000/episode_{episode:06d}.parquet"


def v3_data(root: Path, file: int = 0) -> Path:
    return root / f"data/chunk-000/file-{file:03d}.parquet"


def v3_episodes(root: Path, file: int = 0) -> Path:
    return root / f"meta/episodes/chunk-000/file-{file:03d}.parquet"


def make_v3(
    root: Path,
    lengths: Sequence[int] = LENGTHS,
    *,
    per_file: int = 2,
    rows_per_group: int | None = None,
    video: bool = False,
) -> Path:
    """`per_file` episodes in each parquet file and each video; a row group an episode, or else."""
    (root / "meta").mkdir(parents=True)
    first, rows = 0, []
    tables: dict[int, list[pa.Table]] = {}
    starts_s: dict[int, float] = {}
    for episode, length in enumerate(lengths):
        file = episode // per_file
        columns = frames(episode, length, first)
        tables.setdefault(file, []).append(pa.table(columns))
        start_s = starts_s.get(file, 0.0)
        starts_s[file] = start_s + length / FPS
        numbers = {n: stats_of(columns[n].to_pylist()) for n in ("timestamp", "task_index")}
        span = {
            f"videos/{CAMERA}/chunk_index": 0,
            f"videos/{CAMERA}/file_index": file,
            f"videos/{CAMERA}/from_timestamp": start_s,
            f"videos/{CAMERA}/to_timestamp": starts_s[file],
        }
        rows.append(
            {
                "episode_index": episode,
                "tasks": [TASKS[episode % 2]],
                "length": length,
                "data/chunk_index": 0,
                "data/file_index": file,
                "dataset_from_index": first,
                "dataset_to_index": first + length,
                **(span if video else {}),
                **{
                    f"stats/{n}/{key}": v
                    for n, found in numbers.items()
                    for key, v in found.items()
                },
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": file,
            }
        )
        first += length
    for file, parts in tables.items():
        v3_data(root, file).parent.mkdir(parents=True, exist_ok=True)
        table = pa.concat_tables(parts)
        with pq.ParquetWriter(v3_data(root, file), table.schema, compression="zstd") as writer:
            for part in parts if rows_per_group is None else [table]:
                writer.write_table(part, row_group_size=rows_per_group or part.num_rows)
        v3_episodes(root, file).parent.mkdir(parents=True, exist_ok=True)
        mine = [row for row in rows if row["data/file_index"] == file]
        pq.write_table(pa.Table.from_pylist(mine), v3_episodes(root, file))
        if video:
            length = sum(part.num_rows for part in parts)
            make_video(root / f"videos/{CAMERA}/chunk-000/file-{file:03d}.mp4", length)
    texts = {"task_index": pa.array([0, 1]), "__index_level_0__": pa.array(TASKS)}
    pq.write_table(pa.table(texts), root / "meta/tasks.parquet")
    whole = np.concatenate([table["task_index"].to_numpy() for p in tables.values() for table in p])
    (root / "meta/stats.json").write_text(json.dumps({"task_index": stats_of(whole)}))
    about = info("v3.0", lengths, video=video)
    (root / "meta/info.json").write_text(json.dumps(about, indent=4))
    return root


def write_lines(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def set_columns(path: Path, **columns: Any) -> None:
    """Replace or add columns of a parquet file; dots of the names written as `__`."""
    table = pq.read_table(path)
    for name, array in columns.items():
        name = name.replace("__", ".")
        place = table.schema.get_field_index(name)
        if place >= 0:
            table = table.remove_column(place)
        if array is not None:
            table = table.append_column(name, array)
    pq.write_table(table, path)


def make_video(path: Path, num_frames: int, fps: int = FPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            picture = np.full((32, 32, 3), number * 7 % 256, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def tree(root: Path) -> dict[str, bytes]:
    """Every file and what is in it."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def labels_of(root: Path) -> dict[str, tuple[Events, str]]:
    dataset = open_lerobot(root)
    return {n: (e.events, e.labelled_by) for n in dataset.ids for e in [dataset.episode(n)]}


def frames_of(root: Path) -> dict[int, list[str]]:
    """Text of every frame, as lerobot looks it up: row `subtask_index` of the table."""
    texts = pq.read_table(root / "meta/subtasks.parquet")["subtask"].to_pylist()
    found: dict[int, list[str]] = {}
    for path in sorted(root.glob("data/*/*.parquet")):
        table = pq.read_table(path)
        pairs = zip(table["episode_index"], table["subtask_index"], strict=True)
        for episode, number in pairs:
            assert 0 <= number.as_py() < len(texts)
            found.setdefault(episode.as_py(), []).append(texts[number.as_py()])
    return found


def states(root: Path) -> dict[str, tuple[int, int]]:
    found = {name: (root / name).stat() for name in tree(root)}
    return {name: (state.st_mtime_ns, state.st_ino) for name, state in found.items()}
