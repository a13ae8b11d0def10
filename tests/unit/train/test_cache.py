"""What is kept on disk is what would be computed, and nothing is computed twice."""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import getnode

import pytest
import torch
from safetensors.torch import load, load_file
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train import clips as clips_module
from kairoscope.train.disk_cache import DiskCache, weights_digest
from kairoscope.train.examples import plain_example
from kairoscope.train.filling import ready_clips, see
from kairoscope.train.sft import sft

CONFIG = SFTConfig(
    epochs=50,
    max_steps=4,
    batch_size=3,
    micro_batch_size=2,
    learning_rate=3e-3,
    warmup_steps=0,
    dense_weight=0.5,
    eval_every=99,
    save_every=99,
    freeze_vision=True,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Counted:
    """Clips that were decoded, and calls of the vision tower."""

    decoded = 0
    looks = 0


@pytest.fixture
def counted(monkeypatch: Any) -> Counted:
    count = Counted()
    real: Any = vars(clips_module)["load_frames"]

    def load_frames(*arguments: Any) -> Any:
        count.decoded += 1
        return real(*arguments)

    monkeypatch.setattr(clips_module, "load_frames", load_frames)
    return count


def run(
    tokenizer: Any,
    samples: Any,
    out: Path,
    config: SFTConfig = CONFIG,
    *,
    family: Any = "qwen2_5_vl",
    count: Counted | None = None,
    said: list[str] | None = None,
) -> list[dict[str, Any]]:
    checkpoint = make_checkpoint(tokenizer, family)
    if count is not None:

        def looked(*_: Any) -> None:
            count.looks += 1

        checkpoint.network.model.visual.register_forward_hook(looked)
    rows: list[dict[str, Any]] = []
    sft(
        checkpoint,
        TASK,
        samples[:5],
        [],
        policy=POLICY,
        config=config,
        out=out,
        log=rows.append,
        on_plan=None if said is None else said.append,
    )
    return [row for row in rows if row["kind"] == "step"]


def assert_same_curve(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for key in ("loss", "dense_loss", "grad_norm", "tokens"):
            assert a[key] == pytest.approx(b[key], rel=1e-3), (a["step"], key)
    assert one[-1]["loss"] < one[0]["loss"]


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("qwen2_5_vl", {}),
        (
            "qwen3_vl",
            {"lora": LoraConfig(rank=2, alpha=4), "packing": True, "dtype": "bfloat16"},
        ),
    ],
    ids=["frozen-tower", "adapters-packed-bfloat16"],
)
def test_cached_features_train_as_the_tower_does(
    tokenizer: Any, samples: Any, tmp_path: Path, counted: Counted, family: Any, changes: Any
) -> None:
    plain = replace(CONFIG, **changes)
    cached = replace(plain, cache=True, cache_folder=str(tmp_path / "kept"))
    said: list[str] = []
    straight = run(tokenizer, samples, tmp_path / "plain", plain, family=family)
    counted.decoded = 0
    first = run(
        tokenizer, samples, tmp_path / "first", cached, family=family, count=counted, said=said
    )
    assert_same_curve(first, straight)
    assert (counted.decoded, counted.looks) == (5, 5)  # once a clip, four epochs and more
    [words] = said
    assert "5 clips, 0 of them in" in words
    assert "GB (free: " in words
    assert "minutes" in words
    second = run(tokenizer, samples, tmp_path / "second", cached, family=family, count=counted)
    assert [r["loss"] for r in second] == [r["loss"] for r in first]
    assert (counted.decoded, counted.looks) == (5, 5)


@pytest.mark.parametrize("fps", [4.0, 5.0, 8.0])
def test_what_is_kept_is_what_the_tower_says_of_the_frames_that_are_trained_on(
    tokenizer: Any, samples: Any, tmp_path: Path, fps: float
) -> None:
    """Also at rates that the clips' 12 frames a second are no multiple of."""
    policy = replace(POLICY, fps=fps)
    checkpoint = make_checkpoint(tokenizer)
    kept, plain = (
        ready_clips(checkpoint, TASK, samples[:5], policy=policy, config=config, out=tmp_path)[0]
        for config in (replace(CONFIG, cache=True), CONFIG)
    )
    for sample in samples[:5]:
        ours, theirs = (
            plain_example(checkpoint.encoder, TASK, sample, store.get(sample), policy)
            for store in (kept, plain)
        )
        assert ours.seen is not None
        assert theirs.seen is None
        assert ours.encoded.token_ids == theirs.encoded.token_ids
        seen = see(checkpoint, theirs, CONFIG)
        torch.testing.assert_close(ours.seen.features_ND, seen.features_ND)


def test_processes_that_make_batches_read_the_same(
    tokenizer: Any, samples: Any, filled: Any, tmp_path: Path
) -> None:
    cached = replace(CONFIG, cache=True, cache_folder=str(filled[0]), max_steps=2)
    rows = run(tokenizer, samples, tmp_path, replace(cached, feed_workers=1))
    assert [r["loss"] for r in rows] == filled[1]


def test_the_plan_is_what_the_disk_then_holds(tokenizer: Any, samples: Any, tmp_path: Path) -> None:
    from kairoscope.train.filling import plan
    from kairoscope.train.kept_clips import store_for

    for config in (replace(CONFIG, cache=True), replace(CONFIG, cache=True, freeze_vision=False)):
        out = tmp_path / str(config.freeze_vision)
        checkpoint = make_checkpoint(tokenizer)
        store = store_for(checkpoint, POLICY, config, out, limit_bytes=0)
        planned = plan(store, samples[:5], checkpoint.network)
        assert planned is not None
        run(tokenizer, samples, out, config)
        held = 0
        for file in (out / "cache").rglob("*.safetensors"):
            held += sum(t.numel() * t.element_size() for t in load_file(file).values())
        assert planned.new_bytes == held > 0


def test_with_a_trained_tower_nothing_is_decoded_twice(
    tokenizer: Any, samples: Any, tmp_path: Path, counted: Counted
) -> None:
    plain = replace(CONFIG, freeze_vision=False, clips_gib=0.0)
    cached = replace(plain, cache=True, cache_folder=str(tmp_path / "kept"))
    straight = run(tokenizer, samples, tmp_path / "plain", plain)
    assert counted.decoded > 10
    counted.decoded = 0
    first = run(tokenizer, samples, tmp_path / "first", cached)
    assert [r["loss"] for r in first] == [r["loss"] for r in straight]
    assert counted.decoded == 5
    run(tokenizer, samples, tmp_path / "second", cached)
    assert counted.decoded == 5


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.fixture(scope="module")
def filled(tokenizer: Any, samples: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with the entries of five clips, and the losses of the run that made them."""
    folder = tmp_path_factory.mktemp("filled")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    config = replace(CONFIG, cache=True, cache_folder=str(folder / "kept"), max_steps=2)
    rows = run(tokenizer, samples, folder / "run", config)
    torch.set_num_threads(before)
    return folder / "kept", [row["loss"] for row in rows]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_a_damaged_entry_is_made_anew(
    tokenizer: Any, samples: Any, filled: Any, tmp_path: Path, counted: Counted, damage: str
) -> None:
    shutil.copytree(filled[0], tmp_path / "kept")
    cached = replace(CONFIG, cache=True, cache_folder=str(tmp_path / "kept"), max_steps=2)
    file = entries(tmp_path / "kept")[2]
    whole = file.read_bytes()
    kept = load(whole)
    if damage == "gone":
        file.unlink()
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes({"cut": whole[:middle], "flipped": changed, "empty": b""}[damage])
    second = run(tokenizer, samples, tmp_path / "second", cached)
    assert counted.decoded == 1
    assert [r["loss"] for r in second] == filled[1]
    made = load(file.read_bytes())
    assert made.keys() == kept.keys()
    assert all(torch.equal(made[name], kept[name]) for name in kept)


def test_other_weights_frames_and_precision_are_other_entries(
    tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    from kairoscope.train.kept_clips import KeptFeatures, store_for

    def key(config: SFTConfig, policy: Any = POLICY, seed: int = 0) -> str:
        checkpoint = make_checkpoint(tokenizer, seed=seed)
        store = store_for(checkpoint, policy, config, tmp_path, limit_bytes=0)
        assert isinstance(store, KeptFeatures)
        return store.key(samples[0])

    config = replace(CONFIG, cache=True)
    keys = [
        key(config),
        key(config, seed=1),
        key(replace(config, dtype="bfloat16")),
        key(config, replace(POLICY, fps=2.0)),
    ]
    assert len(set(keys)) == 4
    assert key(replace(config, learning_rate=0.5)) == keys[0]
    towers = [make_checkpoint(tokenizer, seed=seed).network.model.visual for seed in (0, 0, 1)]
    digests = [
        weights_digest(tower.bfloat16() if i == 1 else tower) for i, tower in enumerate(towers)
    ]
    assert digests[2] != digests[0] != digests[1]


def test_a_disk_that_becomes_full_is_said_and_what_is_there_stays(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "kept")
    cache.put("aa00", {"features": torch.arange(10.0)}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="space"):
            cache.put("aa01", {"features": torch.zeros(4096)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in (tmp_path / "kept").rglob("*") if p.is_file()] == ["aa00.safetensors"]
    found = DiskCache(tmp_path / "kept").get("aa00")
    assert found is not None
    assert torch.equal(found.tensors["features"], torch.arange(10.0))


def test_too_little_space_is_said_before_anything_is_decoded(
    tokenizer: Any, samples: Any, tmp_path: Path, counted: Counted, monkeypatch: Any
) -> None:
    monkeypatch.setattr(DiskCache, "free_bytes", lambda _: 10**9)
    with pytest.raises(UserError, match=r"cache_folder, or set cache = false"):
        run(tokenizer, samples, tmp_path, replace(CONFIG, cache=True))
    assert counted.decoded == 0


def test_a_run_goes_on_with_what_a_killed_one_has_kept(
    tokenizer: Any, samples: Any, filled: Any, tmp_path: Path, counted: Counted
) -> None:
    """What `kill -9` leaves: entries so far, and one that is half written beside its place."""
    shutil.copytree(filled[0], tmp_path / "kept")
    cached = replace(CONFIG, cache=True, cache_folder=str(tmp_path / "kept"), max_steps=2)
    for file in entries(tmp_path / "kept")[3:]:
        half = file.with_name(f".{file.stem}.{getnode():x}.{2**22 + 1}.part")
        shutil.move(file, half)
        half.write_bytes(half.read_bytes()[:100])
    second = run(tokenizer, samples, tmp_path / "second", cached)
    assert counted.decoded == 2
    assert [r["loss"] for r in second] == filled[1]
    assert not list((tmp_path / "kept").rglob("*.part"))


WRITER = """
import sys, torch
from pathlib import Path
from kairoscope.train.disk_cache import DiskCache
cache = DiskCache(Path(sys.argv[1]))
for number in range(10**6):
    cache.put(f"{number:06d}", {"features": torch.full((100_000,), float(number))}, {})
"""


def test_kill_9_leaves_whole_entries_only(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)])
    deadline = time.monotonic() + 60
    while len(entries(folder)) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    writer.kill()
    writer.wait()
    cache = DiskCache(folder)
    found = entries(folder)
    assert len(found) >= 20
    for file in found:
        entry = cache.get(file.stem)
        assert entry is not None
        assert set(entry.tensors["features"].tolist()) == {float(file.stem)}
    cache.clear_leftovers()
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} == {".safetensors"}
