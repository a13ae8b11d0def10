"""Runs in a Python that has lerobot 0.4.4: makes, converts and loads datasets with lerobot's own code.

`python lerobot_side.py VERB ROOT` prints one line of JSON about what lerobot saw. Nothing of
Kairoscope is imported here.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

FPS = 10
TASKS = ("put the cube in the box", "put the box on the cube")
LENGTHS = (24, 30, 19)


def create(root: Path) -> dict[str, Any]:
    """A v3.0 dataset of three episodes with a camera, recorded with lerobot."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # type: ignore[import-not-found]

    names = ["shoulder_pan.pos", "elbow_flex.pos", "gripper.pos"]
    vector = {"dtype": "float32", "shape": (3,), "names": names}
    camera = {"dtype": "video", "shape": (64, 96, 3), "names": ["height", "width", "channels"]}
    dataset = LeRobotDataset.create(
        repo_id=f"test/{root.name}",
        fps=FPS,
        root=root,
        features={
            "observation.state": vector,
            "action": vector,
            "observation.images.top": camera,
        },
        vcodec="h264",
    )
    random = np.random.default_rng(0)
    for episode, length in enumerate(LENGTHS):
        for frame in range(length):
            picture = np.full((64, 96, 3), 40 * episode, dtype=np.uint8)
            picture[:, : 4 * frame] = 255
            dataset.add_frame(
                {
                    "observation.state": random.normal(size=3).astype(np.float32),
                    "action": np.array([frame, episode, frame % 7], dtype=np.float32),
                    "observation.images.top": picture,
                    "task": TASKS[episode % 2],
                }
            )
        dataset.save_episode()
    dataset.finalize()
    return {"features": list(dataset.features)}


def convert(root: Path) -> dict[str, Any]:
    """A v2.1 dataset turned into v3.0 by lerobot's converter, in its place."""
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import (  # type: ignore[import-not-found]
        convert_dataset,
    )

    convert_dataset(repo_id=root.name, root=root.parent, push_to_hub=False)
    return {"files": sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())}


def load(root: Path) -> dict[str, Any]:
    """Every frame of a dataset as `LeRobotDataset` gives it, and a batch of a `DataLoader`."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(f"test/{root.name}", root=root, video_backend="pyav")
    cameras = dataset.meta.video_keys
    step = max(10, len(dataset) // 16)  # pictures of some frames: decoding takes the time
    frames = []
    for place in range(len(dataset)):
        item = dataset[place] if place % step == 0 else dataset.hf_dataset[place]
        row = {name: item[name].tolist() for name in item if torch.is_tensor(item[name])}
        row = {name: value for name, value in row.items() if name not in cameras}
        if place % step == 0:
            row |= {"task": item["task"], "subtask": item.get("subtask")}
            row["shapes"] = {name: list(item[name].shape) for name in cameras}
        frames.append(row)
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4)))
    episodes = dataset.meta.episodes.to_pandas()
    sarm = [name for name in episodes.columns if "subtask" in name]
    stats = dataset.meta.stats or {}
    subtasks = dataset.meta.subtasks
    return {
        "num_frames": dataset.num_frames,
        "features": list(dataset.features),
        "frames": frames,
        "batch": {"subtask": batch.get("subtask"), "subtask_index": _plain(batch["subtask_index"])},
        "subtasks": None if subtasks is None else list(subtasks.index),
        "sarm": {name: [_plain(value) for value in episodes[name]] for name in sarm},
        "stats": {key: _plain(v) for key, v in stats.get("subtask_index", {}).items()},
    }


def sarm(root: Path) -> dict[str, Any]:
    """What SARM's own code makes of the labels: its stages, and stage + progress of every frame.

    Its model reads the shares of time; its processor reads the columns. The parts of the processor
    that need downloaded weights are left out.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
    from lerobot.policies.sarm.configuration_sarm import (  # type: ignore[import-not-found]
        SARMConfig,
    )
    from lerobot.policies.sarm.modeling_sarm import (  # type: ignore[import-not-found]
        SARMRewardModel,
    )
    from lerobot.policies.sarm.processor_sarm import (  # type: ignore[import-not-found]
        SARMEncodingProcessorStep,
    )
    from lerobot.policies.sarm.sarm_utils import (  # type: ignore[import-not-found]
        find_stage_and_tau,
    )

    meta = LeRobotDatasetMetadata(f"test/{root.name}", root=root)
    config = SARMConfig(annotation_mode="dense_only", device="cpu", hidden_dim=16, num_heads=2)
    SARMRewardModel(config, dataset_meta=meta)
    step = SARMEncodingProcessorStep.__new__(SARMEncodingProcessorStep)
    names = config.dense_subtask_names
    shares = dict(zip(names, config.dense_temporal_proportions, strict=True))
    table = meta.episodes.to_pandas()
    progress = []
    for index in range(meta.total_episodes):
        labels = step._load_episode_annotations(index, table, "dense", names)
        length = int(table.loc[index, "length"])
        progress.append(
            [
                find_stage_and_tau(frame, length, *labels, names, shares, return_combined=True)
                for frame in range(length)
            ]
        )
    return {"stages": names, "shares": shares, "progress": progress}


def annotations(root: Path) -> dict[str, Any]:
    """What lerobot's annotation tool finds in the columns: whole seconds, as it keeps them."""
    from lerobot.data_processing.sarm_annotations.subtask_annotation import (  # type: ignore[import-not-found]
        load_annotations_from_dataset,
    )

    found = load_annotations_from_dataset(root, prefix="dense")
    return {str(index): [s.model_dump() for s in one.subtasks] for index, one in found.items()}


def drop_first(root: Path) -> dict[str, Any]:
    """A copy without the first episode, by lerobot's editing tool, which sums statistics again."""
    from lerobot.datasets.dataset_tools import delete_episodes  # type: ignore[import-not-found]
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(f"test/{root.name}", root=root, video_backend="pyav")
    less = delete_episodes(dataset, [0], output_dir=root.parent / f"{root.name}_less")
    stats = less.meta.stats["subtask_index"]
    return {"num_frames": less.num_frames, "stats": {key: _plain(v) for key, v in stats.items()}}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


VERBS = {verb.__name__: verb for verb in (create, convert, load, sarm, annotations, drop_first)}

if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # lerobot prints
        answer = VERBS[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.write(json.dumps(answer) + "\n")
