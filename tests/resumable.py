"""Commands that can be stopped anywhere, and what they leave behind."""

from pathlib import Path

from command_line import Ended

STOPPED = "stopped. Finished work is kept: run the same command again to go on.\n"
TRAINING = [
    *("--set=max_steps=6", "--set=batch_size=2", "--set=micro_batch_size=2"),
    *("--set=eval_every=2", "--set=save_every=2", "--set=learning_rate=1e-3"),
]
COMMANDS: dict[str, list[str]] = {
    "annotate": ["annotate", "data", "--task=data/square.toml", "--model=model", "--out=out"],
    "evaluate": ["evaluate", "subtask-times", "--data=data", "--model=model", "--out=out"],
    "sft": ["sft", "subtask-times", "--data=data", "--model=model", "--out=out", *TRAINING],
    "run": ["run", "subtask-times", "--data=data", "--model=model", "--out=out", *TRAINING],
    "stamp": ["stamp", "data", "out"],
    "warm-up-vision": ["warm-up-vision", "out", "--data=data", "--model=model", *TRAINING],
    "new-model": [
        "new-model",
        "out",
        "--data=data",
        "--size=text_depth=1",
        "--size=vision_depth=1",
    ],
    "convert": ["convert", "data", "out", "--video-root=."],
}
RESULTS = {
    "annotate": ["boundaries.csv", "boundaries.jsonl", "problems.json"],
    "evaluate": ["metrics.json", "problems.json"],
    "sft": ["best/model.safetensors", "best/kairoscope.json", "result.json", "curation.json"],
    "run": [
        *("zero_shot/metrics.json", "sft/best/model.safetensors", "sft/result.json"),
        *("re_evaluation/metrics.json", "curation.json", "analysis.json"),
    ],
    "stamp": [f"{letter}.mp4" for letter in "abcdefgh"],
    "new-model": ["model.safetensors", "config.json", "kairoscope.json", "tokenizer.json"],
    "convert": ["data-00000-of-00001.arrow", "dataset_info.json"],
    "warm-up-vision": ["model.safetensors", "config.json", "kairoscope.json", "warm_up.jsonl"],
}


def world_in(folder: Path, world: Path) -> Path:
    """The world's data and model under the same names in another folder."""
    for name in ("data", "model"):
        (folder / name).symlink_to(world / name)
    return folder


def results_of(name: str, place: Path) -> dict[str, bytes]:
    return {file: (place / "out" / file).read_bytes() for file in RESULTS[name]}


def is_clean(ended: Ended) -> bool:
    return "Traceback" not in ended.err + ended.out and "a fault of kairoscope" not in ended.err
