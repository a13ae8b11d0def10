"""Adapters as files of their own: what is merged later is what training merged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny_models import POLICY, SIZE, make_samples
from transformers import Qwen2_5_VLForConditionalGeneration

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.models.adapters import FOLDER, merge, read_adapter
from kairoscope.models.checkpoint import Checkpoint, load_checkpoint
from kairoscope.models.load import described, load_weights
from kairoscope.models.names import located, resolve, whole_folder_of
from kairoscope.models.scratch import make_checkpoint
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.state import TrainState, save_best
from kairoscope.train.trainable import prepare


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base`, `other`, and two runs with adapters of `base`: `one`, `two`."""
    folder = tmp_path_factory.mktemp("adapters")
    samples = make_samples(folder / "clips", 2)
    for seed, name in enumerate(("base", "other")):
        make_checkpoint(folder / name, TASK, samples, POLICY, SIZE, seed)
    for number, name in enumerate(("one", "two"), 1):
        trained_in(folder / name, load(folder / "base"), rank=1 + number, seed=number)
    return folder


def load(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, device="cpu", dtype="float32")


def trained_in(out: Path, checkpoint: Checkpoint, rank: int, seed: int) -> None:
    """A run folder's `best` with adapters that have moved."""
    config = SFTConfig(lora=LoraConfig(rank=rank, alpha=4))
    trained = prepare(checkpoint.network, config)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in trained.parameters:
            parameter.add_(torch.randn_like(parameter) * 0.05)
    save_best(out, trained, checkpoint, POLICY, TrainState(step=1), config)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_one_adapter_merged_later_is_the_checkpoint_that_training_wrote(
    place: Path, tmp_path: Path
) -> None:
    adapter = read_adapter(place / "one" / "best")
    assert adapter.folder == place / "one" / "best" / FOLDER
    merge(load(place / "base"), [(adapter, 1.0)], tmp_path / "merged", "float32")
    ours, theirs, base = (
        weights(f) for f in (tmp_path / "merged", place / "one" / "best", place / "base")
    )
    assert ours.keys() == theirs.keys() == base.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-6, atol=1e-7)
    assert any(not torch.equal(ours[name], base[name]) for name in ours)
    assert load(tmp_path / "merged").policy == POLICY


def test_two_adapters_are_added_each_times_its_factor(place: Path, tmp_path: Path) -> None:
    one, two = (read_adapter(place / name / "best" / FOLDER) for name in ("one", "two"))
    merge(load(place / "base"), [(one, 0.5), (two, -2.0)], tmp_path / "both", "float32")
    both, base = weights(tmp_path / "both"), weights(place / "base")
    changes = [weights(place / name / "best") for name in ("one", "two")]
    for name, value in both.items():
        expected = (
            base[name] + 0.5 * (changes[0][name] - base[name]) - 2 * (changes[1][name] - base[name])
        )
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_peft_loads_the_adapter_on_the_base_model(place: Path) -> None:
    base: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(place / "base")
    model = PeftModel.from_pretrained(base, str(place / "two" / "best" / FOLDER))
    merged = model.merge_and_unload()
    expected = load(place / "two" / "best").network.state_dict()
    found = merged.state_dict()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7)


def test_merged_weights_are_written_in_the_type_that_was_asked_for(
    place: Path, tmp_path: Path
) -> None:
    adapter = read_adapter(place / "one" / "best")
    merge(load(place / "base"), [(adapter, 1.0)], tmp_path / "half", "bfloat16")
    assert {value.dtype for value in weights(tmp_path / "half").values()} == {torch.bfloat16}


def test_an_adapter_of_another_model_is_refused(place: Path, tmp_path: Path) -> None:
    adapter = read_adapter(place / "one" / "best")
    with pytest.raises(UserError, match=r"one/best/adapter: was trained on sha256:\w+"):
        merge(load(place / "other"), [(adapter, 1.0)], tmp_path / "no", "float32")
    assert not (tmp_path / "no").exists()


def test_what_is_no_adapter_is_said(place: Path) -> None:
    with pytest.raises(UserError, match=r"base: no adapter: it has no adapter_config\.json"):
        read_adapter(place / "base")


def test_an_adapter_folder_is_a_model(place: Path) -> None:
    """Weights to the bit those that training merged, and the frames it was trained on."""
    spec = str(place / "one" / "best" / FOLDER)
    ours, theirs = (
        load_weights(name, device="cpu") for name in (spec, str(place / "one" / "best"))
    )
    assert ours.policy == theirs.policy == POLICY
    for name, value in ours.network.state_dict().items():
        assert torch.equal(value, theirs.network.state_dict()[name]), name
    identity, policy = described(located(spec))
    assert (identity, policy) == (ours.identity, POLICY)
    others = {described(place / n)[0] for n in ("base", "one/best", "one/best/adapter")}
    assert len({*others, described(place / "two" / "best" / FOLDER)[0]}) == 4


def test_an_adapter_can_stand_on_an_adapter(place: Path, tmp_path: Path) -> None:
    first = str(place / "one" / "best" / FOLDER)
    trained_in(tmp_path / "second", load_weights(first, device="cpu"), rank=2, seed=9)
    whole = load(tmp_path / "second" / "best").network.state_dict()
    found = load_weights(str(tmp_path / "second" / "best" / FOLDER), device="cpu")
    for name, value in found.network.state_dict().items():
        assert torch.equal(value, whole[name]), name
    assert whole_folder_of(tmp_path / "second" / "best" / FOLDER) == place / "base"


def broken(place: Path, tmp_path: Path, **settings: Any) -> str:
    """A copy of an adapter folder with other settings."""
    folder = tmp_path / "copy"
    shutil.copytree(place / "one" / "best" / FOLDER, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return str(folder)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"base_model_name_or_path": "gone/away/x"},
            r"is an adapter of 'gone/away/x', which is not",
        ),
        ({"base_model_name_or_path": None}, r"base_model_name_or_path is None; allowed: a folder"),
        ({"base_model_name_or_path": "{other}"}, r"was trained on sha256:\w+, .*other is sha256:"),
        ({"base_model_name_or_path": "{itself}"}, r"is in the end an adapter of itself"),
        ({"use_dora": True}, r"use_dora is True; only plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save is \['lm_head'\]; only plain LoRA"),
    ],
)
def test_an_adapter_that_cannot_be_added_is_refused(
    place: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    places = {"{other}": str(place / "other"), "{itself}": str(tmp_path / "copy")}
    changed = {key: places.get(str(value), value) for key, value in settings.items()}
    spec = broken(place, tmp_path, **changed)
    with pytest.raises(UserError, match=words):
        load_weights(spec, device="cpu")


def test_an_adapter_without_its_weights_is_refused_before_anything_is_loaded(
    place: Path, tmp_path: Path
) -> None:
    spec = broken(place, tmp_path)
    (Path(spec) / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors in"):
        resolve(spec)


def test_another_factor_is_another_model(place: Path, tmp_path: Path) -> None:
    one = place / "one" / "best" / FOLDER
    stronger = Path(broken(place, tmp_path, lora_alpha=8))
    assert described(stronger)[0] != described(one)[0]


def test_the_scaling_of_rank_stabilised_adapters_is_theirs(place: Path, tmp_path: Path) -> None:
    plain, other = (
        read_adapter(Path(broken(place, tmp_path / str(flag), use_rslora=flag)))
        for flag in (False, True)
    )
    assert other.scaling == pytest.approx(plain.scaling * 2**0.5)  # of rank 2
