"""Loading and saving checkpoints: what is loaded is what was saved, or a clear error."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import POLICY, SIZE, encode_noise, make_checkpoint, make_samples, plain_forward
from transformers import (
    AutoTokenizer,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from kairoscope.core import FramePolicy, UserError
from kairoscope.models.checkpoint import (
    load_checkpoint,
    read_policy,
    read_settings,
    save_checkpoint,
    weights_identity,
)
from kairoscope.models.frame_input import frame_input
from kairoscope.models.scratch import Size
from kairoscope.models.scratch import make_checkpoint as new_checkpoint
from kairoscope.models.session import Session
from kairoscope.recipes.subtask_times import TASK
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY

CLASSES: dict[str, Any] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}


@pytest.fixture(scope="module", params=sorted(CLASSES))
def saved(request: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(checkpoint in memory, its folder)."""
    checkpoint = make_checkpoint(tokenizer, request.param)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    save_checkpoint(checkpoint.network, tokenizer, POLICY, folder, notes={"sft": {"epochs": 2.0}})
    return checkpoint, folder


@pytest.fixture
def copied(saved: Any, tmp_path: Path) -> Path:
    """A copy of the folder, to be damaged."""
    return Path(shutil.copytree(saved[1], tmp_path / "copy"))


@torch.inference_mode()
def test_what_was_saved_is_loaded_by_us_and_by_transformers(saved: Any) -> None:
    checkpoint, folder = saved
    ours = load_checkpoint(folder, device="cpu")
    assert (ours.policy, ours.encoder.family) == (POLICY, checkpoint.encoder.family)
    assert read_settings(folder, "sft") == {"epochs": 2.0}
    assert read_settings(folder, "nothing") == {}
    prompt = encode_noise(ours, 5, seed=4)
    theirs = CLASSES[ours.encoder.family].from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.encode("grasping 12.50>") == ours.encoder.tokenizer.encode("grasping 12.50>")
    [logits] = plain_forward(theirs, [prompt])
    session = Session(ours.network, ours.encoder, [prompt])
    torch.testing.assert_close(session.last_BV[0], logits[-1], rtol=1e-4, atol=1e-4)
    before = Session(checkpoint.network, checkpoint.encoder, [prompt])
    assert torch.equal(session.last_BV, before.last_BV)


def test_the_files_can_be_read_by_others_as_well(saved: Any) -> None:
    modes = {file.stat().st_mode & 0o777 for file in saved[1].iterdir()}
    assert len(modes) == 1


def test_identity_follows_the_weights(saved: Any, copied: Path) -> None:
    before = weights_identity(saved[1])
    assert before == weights_identity(copied) == load_checkpoint(copied).identity
    change_weights(copied, lambda weights: weights.update(extra=torch.zeros(1)))
    assert weights_identity(copied) != before
    assert weights_identity(copied.parent) is None


def test_half_precision_becomes_float32_on_a_cpu(saved: Any, copied: Path) -> None:
    change_weights(copied, lambda w: w.update({k: v.half() for k, v in w.items()}))
    edit_json(copied / "config.json", lambda config: config.update(dtype="float16"))
    loaded = load_checkpoint(copied, device="cpu")
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}
    for ours, original in zip(
        loaded.network.parameters(), saved[0].network.parameters(), strict=True
    ):
        assert torch.equal(ours, original.half().float())


def change_weights(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def edit_json(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def drop_a_weight(folder: Path) -> None:
    change_weights(folder, lambda w: w.pop(next(k for k in w if "layers.1.mlp" in k)))


def cut_a_weight(folder: Path) -> None:
    def cut(weights: dict[str, Any]) -> None:
        name = next(k for k in weights if "layers.1.mlp" in k)
        weights[name] = weights[name][:3].clone()

    change_weights(folder, cut)


def without(*names: str) -> Callable[[Path], Any]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def written(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (without("tokenizer.json", "tokenizer_config.json"), "tokenizer"),
    (without("tokenizer.json"), "tokenizer cannot be loaded"),
    (without("model.safetensors"), "weights cannot be loaded"),
    (without("config.json"), "no config.json"),
    (written("model.safetensors", b""), "weights cannot be loaded"),
    (
        lambda folder: written(
            "model.safetensors", (folder / "model.safetensors").read_bytes()[:9000]
        )(folder),
        "weights cannot be loaded",
    ),
    (written("config.json", b"{"), "not a checkpoint folder"),
    (drop_a_weight, "1 weights are missing, such as model.language_model.layers.1.mlp"),
    (cut_a_weight, "layers.1.mlp.*has shape .*config.json says"),
    (
        lambda folder: edit_json(folder / "config.json", lambda c: c.update(video_token_id=9)),
        "id 6, config.json says 9",
    ),
    (
        lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
        "architecture 'bert' is not supported; supported: qwen2_5_vl, qwen3_vl",
    ),
    (written("kairoscope.json", b"{"), "kairoscope.json: is not JSON"),
    (written("kairoscope.json", b"[1]"), "kairoscope.json: must be a JSON object"),
    (
        written("kairoscope.json", b'{"frames": {"fps": "8"}}'),
        "kairoscope.json: frames: fps is '8'; allowed: a number",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[m[:24] for _, m in DAMAGES])
def test_a_damaged_checkpoint_is_an_error_that_names_it(
    copied: Path, damage: Callable[[Path], Any], message: str
) -> None:
    damage(copied)
    with pytest.raises(UserError, match=message) as caught:
        load_checkpoint(copied, device="cpu")
    assert str(copied) in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_a_device_that_is_not_there_is_refused(saved: Any, device: str) -> None:
    with pytest.raises(UserError, match="this machine has: cpu"):
        load_checkpoint(saved[1], device=device)


@pytest.mark.parametrize("own", [None, "7"])
def test_cpu_kernels_do_not_pile_up(saved: Any, monkeypatch: Any, own: str | None) -> None:
    names = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    for name in names:
        monkeypatch.setenv(name, own or "")
        if own is None:
            monkeypatch.delenv(name)
    load_checkpoint(saved[1], device="cpu")
    assert [os.environ[name] for name in names] == [own or "64"] * 2


def test_nothing_is_written_to_the_screen(
    saved: Any, copied: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bars, verbosity = (
        transformers_logging.is_progress_bar_enabled(),
        transformers_logging.get_verbosity(),
    )
    loaded = load_checkpoint(saved[1])
    save_checkpoint(loaded.network, loaded.encoder.tokenizer, POLICY, tmp_path / "x", notes={})
    drop_a_weight(copied)
    with pytest.raises(UserError):
        load_checkpoint(copied)
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.is_progress_bar_enabled() == bars
    assert transformers_logging.get_verbosity() == verbosity


def test_frames_are_known_without_loading_weights(saved: Any, copied: Path) -> None:
    checkpoint, _ = saved
    geometry = {"qwen2_5_vl": QWEN25_GEOMETRY, "qwen3_vl": QWEN3_GEOMETRY}
    family = checkpoint.encoder.family
    assert frame_input(str(copied)) == (POLICY, geometry[family])
    (copied / "kairoscope.json").unlink()
    assert frame_input(str(copied)) == (None, geometry[family])
    assert read_policy(copied) is None


def test_a_policy_keeps_what_it_does_not_name(copied: Path) -> None:
    (copied / "kairoscope.json").write_text('{"frames": {"fps": 2, "stamp": "none"}}')
    assert read_policy(copied) == FramePolicy(fps=2.0, stamp="none")


def test_a_new_checkpoint_is_a_function_of_its_seed(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "clips", 2)
    numbers = [
        new_checkpoint(tmp_path / name, TASK, samples, POLICY, SIZE, seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    loaded = load_checkpoint(tmp_path / "a", device="cpu")
    assert numbers == [sum(p.numel() for p in loaded.network.parameters())] * 3
    assert loaded.policy == POLICY
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c
    tokenizer = loaded.encoder.tokenizer
    for text in ("grasping the red cube", "日本 12.34\n\tφ", "<answer>\nEvent 1: <0.25> <1.50> x"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert all(len(tokenizer.encode(digit)) == 1 for digit in "0123456789")
    alone = [tokenizer.encode(digit)[0] for digit in "1234567890"]
    assert tokenizer.encode("1234567890") == alone


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Size(text_width=50), "text_width is 50"),
        (Size(vision_width=40, vision_heads=4), "vision_width is 40"),
        (Size(text_kv_heads=3), "text_kv_heads is 3"),
        (Size(text_depth=0), "text_depth is 0"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path: Path, size: Size, message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_checkpoint(tmp_path / "x", TASK, make_samples(tmp_path, 1), POLICY, size, 0)


def test_a_checkpoint_needs_labelled_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the 0 samples"):
        new_checkpoint(tmp_path / "x", TASK, [], POLICY, SIZE, 0)


def test_frames_and_settings_are_for_the_task_that_they_were_found_for(tmp_path: Path) -> None:
    notes = {
        "task": "one",
        "frames": {"fps": 4.0},
        "sft": {"epochs": 2.0},
        "tasks": {"two": {"frames": {"fps": 8.0}}},
    }
    (tmp_path / "kairoscope.json").write_text(json.dumps(notes))
    policies = {task: read_policy(tmp_path, task) for task in ("", "one", "two", "three")}
    assert policies["one"] == policies[""] == FramePolicy(fps=4.0)
    assert policies["two"] == FramePolicy(fps=8.0)
    assert policies["three"] is None
    assert read_settings(tmp_path, "sft", "one") == {"epochs": 2.0}
    assert read_settings(tmp_path, "sft", "two") == read_settings(tmp_path, "sft", "three") == {}
    # One that does not say what it was trained for is taken at its word.
    (tmp_path / "kairoscope.json").write_text('{"frames": {"fps": 4.0}}')
    assert read_policy(tmp_path, "three") == FramePolicy(fps=4.0)
    (tmp_path / "kairoscope.json").write_text('{"tasks": {"two": 3}}')
    with pytest.raises(UserError, match="tasks must be a table of tables"):
        read_policy(tmp_path, "two")
