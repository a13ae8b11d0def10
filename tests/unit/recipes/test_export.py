"""What is written for cosmos-rl: read back it is the same training; its entry script runs."""

import importlib.util
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import make_samples

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl.keys import HEAD, KNOWN, PIN, PIN_ONLY
from kairoscope.cosmos_rl.mapping import read_cosmos_rl
from kairoscope.cosmos_rl.reading import flattened
from kairoscope.cosmos_rl.writing import Job, config_tables, config_text
from kairoscope.data.conversations import read_conversations
from kairoscope.recipes.export import export_cosmos_rl, script_text
from kairoscope.recipes.subtask_times import RECIPE
from kairoscope.settings import changed
from kairoscope.video.frames import load_frames

FRAMES = FramePolicy(fps=4.0, max_frame_pixels=100_000)
JOB = Job(dataset="d", num_held_out=3, model="m", out="o")
SAME = (
    *("epochs", "batch_size", "learning_rate", "vision_learning_rate", "projector_learning_rate"),
    *("weight_decay", "betas", "epsilon", "warmup_steps", "max_grad_norm", "max_steps", "schedule"),
    *("dtype", "gradient_checkpointing", "save_every", "keep_checkpoints", "eval_every"),
    *("feed_workers", "max_tokens", "lora", "freeze_vision", "freeze_language", "epoch_steps"),
)
"""Settings that a configuration of cosmos-rl carries."""

rates = st.floats(1e-7, 1e-2)
configs = st.builds(
    SFTConfig,
    epochs=st.integers(1, 200).map(float),
    batch_size=st.integers(1, 512),
    epoch_steps=st.sampled_from(["up", "down"]),
    learning_rate=rates,
    vision_learning_rate=rates,
    projector_learning_rate=rates,
    weight_decay=st.floats(0, 1),
    betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.999)),
    epsilon=st.floats(1e-10, 1e-3),
    warmup_steps=st.integers(0, 100),
    max_grad_norm=st.floats(0.1, 10),
    max_steps=st.none() | st.integers(1, 1000),
    schedule=st.sampled_from(["constant", "cosine", "linear", "sqrt"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    gradient_checkpointing=st.booleans(),
    save_every=st.integers(1, 100),
    keep_checkpoints=st.integers(1, 9),
    eval_every=st.integers(1, 100),
    feed_workers=st.integers(0, 4),
    max_tokens=st.integers(100, 20_000),
    lora=st.none() | st.builds(LoraConfig, rank=st.integers(1, 64), alpha=st.integers(1, 64)),
    freeze_vision=st.booleans(),
)


@given(configs, st.integers(1, 16))
def test_a_configuration_read_back_is_the_same_training(config: SFTConfig, gpus: int) -> None:
    job = Job(dataset="d", num_held_out=3, model="m", out="o", gpus=gpus)
    text = config_text(job, config, FRAMES)
    found = read_cosmos_rl(tomllib.loads(text), "t", evaluation=FRAMES)
    found.check()
    assert not found.with_outcome("warning")
    assert found.version == HEAD
    again = changed(SFTConfig(), found.settings, "t")
    assert {name: getattr(again, name) for name in SAME} == {
        name: getattr(config, name) for name in SAME
    }
    assert config.batch_size % again.micro_batch_size == 0
    assert found.frames == FRAMES
    assert (found.data, found.model, found.out, found.holdout) == ("d", "m", "o", 3)


def test_the_older_release_has_its_own_keys_and_limits() -> None:
    job = Job(dataset="d", num_held_out=3, model="m", out="o", version=PIN)
    plain = SFTConfig(schedule="constant", warmup_steps=5)
    keys = {key for key, _ in flattened(config_tables(job, plain, FRAMES))}
    assert keys & PIN_ONLY
    assert keys <= KNOWN
    found = read_cosmos_rl(tomllib.loads(config_text(job, plain, FRAMES)), "t", evaluation=FRAMES)
    found.check()
    assert found.version == PIN
    for config in (SFTConfig(), SFTConfig(schedule="constant", lora=LoraConfig())):
        with pytest.raises(UserError, match=r"0\.2\.6"):
            config_text(job, config, FRAMES)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    samples = make_samples(folder / "clips", 5)
    done = export_cosmos_rl(
        RECIPE,
        samples,
        [],
        folder / "out",
        config=SFTConfig(batch_size=4, schedule="constant", warmup_steps=1),
        frames=FRAMES,
        model="m",
        holdout=0.25,
        gpus=2,
        on_progress=lambda _what, _done, _of: None,
    )
    assert (done.num_train, done.num_held_out, done.left_out) == (4, 1, ())
    assert done.num_stamped == 5
    return folder / "out"


def script(exported: Path) -> ModuleType:
    """The entry script as it was written, loaded by itself."""
    spec = importlib.util.spec_from_file_location("custom_sft", exported / "custom_sft.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_entry_scripts_dataset_gives_the_conversations(exported: Path) -> None:
    tables = tomllib.loads((exported / "sft.toml").read_text())
    policy = SimpleNamespace(**tables["train"]["train_policy"])
    config = SimpleNamespace(custom=tables["custom"], train=SimpleNamespace(train_policy=policy))
    found: Any = script(exported).conversations_of(config)
    assert issubclass(type(found), torch.utils.data.Dataset)
    rows = datasets.load_from_disk(str(exported / "dataset"))
    assert len(found) == len(rows) == 5
    for index in range(len(found)):
        messages = found[index]
        plain: list[dict[str, Any]] = json.loads(rows[index]["conversations"])
        [video] = [
            p for m in messages for p in m["content"] if isinstance(p, dict) and "video" in p
        ]
        assert (video["fps"], video["max_pixels"], video["total_pixels"]) == (
            4.0,
            100_000,
            6_422_528,
        )
        assert Path(video["video"]).is_file()
        for part in (video,):
            for key in tables["custom"]["vision"]:
                part.pop(key)
        assert messages == plain


def test_clips_carry_the_stamps_that_training_here_draws(exported: Path) -> None:
    """Within what encoding loses: the frames cosmos-rl takes are those a model here is shown."""
    plain = read_conversations(exported / "dataset")
    originals = {clip.stem: clip for clip in (exported.parent / "clips").glob("*.mp4")}
    assert len({sample.video for sample in plain}) == 5
    for sample in plain:
        assert sample.video.parent == exported / "videos"
        original = originals[sample.video.stem.partition("_")[2]]
        ours = load_frames(original, FRAMES)
        theirs = load_frames(sample.video, replace(FRAMES, stamp="none"))
        bare = load_frames(original, replace(FRAMES, stamp="none"))
        assert ours.times_s == pytest.approx(theirs.times_s, abs=1e-3)
        apart = (ours.pixels_THWC.float() - theirs.pixels_THWC.float()).abs().mean()
        without = (ours.pixels_THWC.float() - bare.pixels_THWC.float()).abs().mean()
        assert apart < 0.8 * without  # at 84 pixels a label is all but its encoding


def test_without_stamps_clips_stay_where_they_are(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 3)
    done = export_cosmos_rl(
        RECIPE, samples, [], tmp_path / "out", config=SFTConfig(schedule="constant"),
        frames=replace(FRAMES, stamp="none"), model="m", holdout=0.4, gpus=1,
        on_progress=lambda _what, _done, _of: None,
    )  # fmt: skip
    assert done.num_stamped == 0
    assert not (tmp_path / "out" / "videos").exists()
    found = {sample.video for sample in read_conversations(tmp_path / "out" / "dataset")}
    assert found == {sample.video for sample in samples}


def test_the_held_out_groups_come_first(exported: Path) -> None:
    held_out = tomllib.loads((exported / "sft.toml").read_text())["train"]["train_policy"][
        "dataset"
    ]["test_size"]
    samples = read_conversations(exported / "dataset")
    assert held_out == 1
    assert not {s.group for s in samples[:held_out]} & {s.group for s in samples[held_out:]}


def test_the_script_needs_nothing_of_this_package() -> None:
    assert "kairoscope import" not in script_text()
    assert "type: ignore" not in script_text()


def test_a_folder_with_something_in_it_is_refused(exported: Path) -> None:
    with pytest.raises(UserError, match="already there"):
        export_cosmos_rl(
            RECIPE,
            [],
            [],
            exported,
            config=SFTConfig(),
            frames=FRAMES,
            model="m",
            holdout=0.1,
            gpus=8,
            on_progress=lambda _what, _done, _of: None,
        )
