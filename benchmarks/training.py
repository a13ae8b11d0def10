"""Fine-tuning on a CPU beside `transformers`' Trainer, and what the cache on disk saves."""

import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.clips import Clip, clips_for, model_name, smoke_model
from benchmarks.harness import Facts, Job, Runs, Way, interleaved
from benchmarks.results import (
    WORK,
    Goal,
    Result,
    Table,
    announce,
    arguments,
    missing_notes,
    number,
    span,
    write,
)

EPOCHS = 2
BATCH, MICRO = 8, 4
LORA_RANK = 16
PACK_TOKENS = 1024
"""About what a micro-batch holds."""
WAYS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("trainer", "Trainer, adapters", "trainer_epochs", {}),
    ("ours", "ours, adapters", "our_epochs", {}),
    ("packed", "ours, adapters, packed", "our_epochs", {"packing": True}),
    ("cached", "ours, adapters, features cached", "our_epochs", {"cache": True}),
    (
        "cached_packed",
        "ours, adapters, features cached, packed",
        "our_epochs",
        {"cache": True, "packing": True},
    ),
    ("trainer_full", "Trainer, all weights", "trainer_epochs", {"lora": False}),
    ("full", "ours, all weights", "our_epochs", {"lora": False}),
    (
        "full_decoding",
        "ours, all weights, nothing kept in memory",
        "our_epochs",
        {"lora": False, "clips_gib": 0.0},
    ),
    (
        "full_cached",
        "ours, all weights, nothing in memory, pictures on disk",
        "our_epochs",
        {"lora": False, "clips_gib": 0.0, "cache": True},
    ),
)
"""(key, title, function, what differs)."""


def samples_for(clips: Sequence[Sequence[Any]]) -> list[Any]:
    """Labelled samples: the clips' events, one after the other in equal parts."""
    from kairoscope.core import Sample
    from kairoscope.events import Event
    from kairoscope.video.clip import probe

    samples = []
    for index, (path, names) in enumerate(clips):
        length_s = probe(path).duration_s
        step_s = length_s / (len(names) + 1)
        gold = tuple(Event(name, i * step_s, (i + 1) * step_s) for i, name in enumerate(names))
        samples.append(
            Sample(
                id=f"clip-{index}",
                video=Path(path),
                query=tuple(names),
                gold=gold,
                group=f"group-{index}",
                scenario="benchmark",
                duration_s=length_s,
            )
        )
    return samples


def our_epochs(model: str, clips: list[list[Any]], epochs: int, **changes: Any) -> Job:
    """`kairoscope sft`'s own loop, from the first look at the clips to the last step."""
    import torch

    from kairoscope.config import LoraConfig, SFTConfig
    from kairoscope.models.load import load_weights
    from kairoscope.recipes.subtask_times import RECIPE, TASK
    from kairoscope.train.sft import sft

    torch.set_num_threads(1)
    samples = samples_for(clips)
    adapters = changes.pop("lora", True)
    config = SFTConfig(
        epochs=epochs,
        batch_size=BATCH,
        micro_batch_size=MICRO,
        warmup_steps=0,
        lora=LoraConfig(rank=LORA_RANK) if adapters else None,
        pack_tokens=PACK_TOKENS,
        eval_every=10**6,
        save_every=10**6,
        **changes,
    )

    def job() -> Facts:
        checkpoint = load_weights(model, device="cpu", training=True)
        rows: list[tuple[tuple[float, float], dict[str, Any]]] = []
        with tempfile.TemporaryDirectory(dir=WORK) as out:
            started = clocks()
            sft(
                checkpoint,
                TASK,
                samples,
                [],
                policy=checkpoint.policy or RECIPE.frames,
                config=config,
                out=Path(out),
                log=lambda row: rows.append((since(started), row)),
            )
        steps = [(ended, row) for ended, row in rows if row["kind"] == "step"]
        return epochs_of([ended for ended, _ in steps], len(samples), epochs) | {
            "loss": steps[0][1]["loss"]
        }

    return job


def trainer_epochs(model: str, clips: list[list[Any]], epochs: int, *, lora: bool = True) -> Job:
    """transformers' Trainer; a collator decodes the clips of a batch, as video collators do."""
    import torch

    from benchmarks.hf_trainer import VideoCollator, trainer_for, with_adapters
    from kairoscope.models.load import load_weights
    from kairoscope.recipes.subtask_times import RECIPE, TASK
    from kairoscope.train.clips import ClipStore
    from kairoscope.train.examples import plain_example
    from kairoscope.train.trainable import LORA_TARGETS

    torch.set_num_threads(1)
    samples = samples_for(clips)

    def job() -> Facts:
        checkpoint = load_weights(model, device="cpu", training=True)
        network, encoder = checkpoint.network, checkpoint.encoder
        for part in (network.model.visual, network.model.language_model):
            part.config._attn_implementation = "sdpa"
        policy = checkpoint.policy or RECIPE.frames
        store = ClipStore(policy, encoder.geometry, dense=False, limit_bytes=0)
        collate = VideoCollator(network, encoder.geometry, encoder.geometry.temporal / policy.fps)

        def decoded(batch: Sequence[Any]) -> dict[str, torch.Tensor]:
            return collate(
                [plain_example(encoder, TASK, s, store.decode(s), policy) for s in batch]
            )

        clock = _epoch_clock()
        trained = (
            with_adapters(network, LORA_RANK, 2 * LORA_RANK, LORA_TARGETS) if lora else network
        )
        with tempfile.TemporaryDirectory(dir=WORK) as out:
            trainer = trainer_for(
                trained,
                samples,
                decoded,
                out=Path(out),
                steps=epochs * len(samples) // BATCH,
                batch_size=BATCH,
                micro=MICRO,
                learning_rate=2e-5,
                bfloat16=False,
                checkpointing=False,
                workers=0,
                callbacks=[clock],
            )
            started = clocks()
            trainer.train()
        ends = [since(started, ended) for ended in clock.ends]
        return epochs_of(ends, len(samples), epochs)

    return job


def clocks() -> tuple[float, float]:
    """Wall time, and CPU time of all threads of this process."""
    return time.perf_counter(), time.process_time()


def since(
    start: tuple[float, float], now: tuple[float, float] | None = None
) -> tuple[float, float]:
    """What both clocks have gone on by."""
    wall_s, cpu_s = now or clocks()
    return wall_s - start[0], cpu_s - start[1]


def _epoch_clock() -> Any:
    from transformers import TrainerCallback

    class EpochClock(TrainerCallback):
        """Both clocks at the end of every optimiser step."""

        def __init__(self) -> None:
            self.ends: list[tuple[float, float]] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(clocks())

    return EpochClock()


def epochs_of(ends: Sequence[tuple[float, float]], num_samples: int, epochs: int) -> dict[str, Any]:
    """Seconds of the first and of a later epoch, from when steps ended, and samples a second."""
    each = num_samples // BATCH
    assert len(ends) == each * epochs
    borders = [(0.0, 0.0), *(ends[each * (i + 1) - 1] for i in range(epochs))]
    row: dict[str, Any] = {}
    for name, column in (("wall", 0), ("cpu", 1)):
        lengths = [b[column] - a[column] for a, b in itertools.pairwise(borders)]
        row[f"first_{name}_s"] = lengths[0]
        row[f"later_{name}_s"] = sum(lengths[1:]) / max(1, epochs - 1)
        row[f"samples_per_{name}_s"] = num_samples * epochs / borders[-1][column]
        row[f"later_per_{name}_s"] = num_samples / row[f"later_{name}_s"]
    return row


def mixed(clips: Sequence[Clip], folder: Path, *, smoke: bool) -> list[Clip]:
    """The clips cut to lengths from 2 s to 10 s."""
    from kairoscope.video.cutting import cut_clip

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index, clip in enumerate(clips):
        length_s = 0.5 + index * 5 % 7 / 5 if smoke else 2 + index * 5 % 17 / 2
        target = folder / f"{index:04d}.mp4"
        if not target.exists():
            cut_clip(Path(clip.path), 0.0, length_s, target)
        made.append(Clip(str(target), clip.events))
    return made


def measured(model: str, clips: list[Clip], rounds: int, *, fresh: bool) -> Runs:
    """All ways in turns."""
    ways = [
        Way(
            key=key,
            title=title,
            function=f"benchmarks.training:{function}",
            arguments={
                "model": model,
                "clips": [[clip.path, list(clip.events)] for clip in clips],
                "epochs": EPOCHS,
                **changes,
            },
            units=len(clips) * EPOCHS,
        )
        for key, title, function, changes in WAYS
    ]
    return interleaved(ways, rounds, announce, fresh=fresh)


TOTAL, LATER = "samples_per_cpu_s", "later_per_cpu_s"
FIGURES = (
    ("first_wall_s", "s, epoch 1"),
    ("later_wall_s", "s, epoch 2"),
    ("first_cpu_s", "CPU s, epoch 1"),
    ("later_cpu_s", "CPU s, epoch 2"),
    ("peak_mib", "peak MiB"),
)


def result(runs: Runs, model: str, num_clips: int) -> Result:
    """Tables and goals."""
    rows = []
    for way in runs.ways:
        if way.key in runs.unavailable:
            continue
        reference = "trainer_full" if way.key.startswith(("full", "trainer_full")) else "trainer"
        ratios = [
            span(runs.ratio(way.key, reference, figure))
            for figure in ("samples_per_wall_s", TOTAL, LATER)
        ]
        figures = [number(runs.spread(way.key, figure).median) for figure, _ in FIGURES]
        rows.append((way.title, *figures, *ratios))
    ratios_of = ("samples/s over Trainer", "samples per CPU s over Trainer", "the same, epoch 2")
    columns = ("way", *(name for _, name in FIGURES), *ratios_of)
    goals = [
        Goal(text=text, limit=1.0, value=_median(runs, *ways, figure), at_least=True)
        for text, ways, figure in (
            ("samples per CPU s over Trainer, adapters", ("ours", "trainer"), TOTAL),
            ("samples per CPU s over Trainer, all weights", ("full", "trainer_full"), TOTAL),
            (
                "samples per CPU s in epoch 2, features cached over not",
                ("cached", "ours"),
                LATER,
            ),
            (
                "samples per CPU s in epoch 2, pictures on disk over decoding",
                ("full_cached", "full_decoding"),
                LATER,
            ),
        )
    ]
    return Result(
        name="training",
        title="Fine-tuning on one core, beside transformers' Trainer",
        what=(
            f"{num_clips} clips of 2 s to 10 s, {EPOCHS} epochs, steps of {BATCH} samples in "
            f"micro-batches of {MICRO}, float32, one thread, model `{model}`; the vision tower is "
            "frozen with adapters. Time is from the start of the command's work to the end of an epoch's "
            "last step; CPU time is what a loaded machine does not change. The Trainer's collator decodes the clips of a batch with our "
            "decoder and pads them; its attention is SDPA. Ours looks at every clip before the "
            "first step, which is part of the first epoch, as filling the cache is, and keeps "
            "pictures in memory unless it says otherwise."
        ),
        tables=(Table(title="Epochs", columns=columns, rows=tuple(rows)),),
        goals=tuple(goals),
        notes=missing_notes(runs),
        data=runs.to_json(),
        packages=("peft", "accelerate"),
    )


def _median(runs: Runs, above: str, below: str, figure: str) -> float | None:
    ratio = runs.ratio(above, below, figure)
    return ratio.median if ratio else None


def main(argv: list[str]) -> None:
    """Measure and write."""
    model: dict[str, Any] = {"help": "as kairoscope's --model (default: builtin)"}
    options = arguments("training", __doc__, argv, default_rounds=3, model=model)
    spec = options.model or (smoke_model() if options.smoke else "builtin")
    number_of = 8 if options.smoke else 16
    clips = clips_for(number_of, 256, smoke=options.smoke)
    clips = mixed(clips, WORK / ("smoke-mixed" if options.smoke else "mixed"), smoke=options.smoke)
    runs = measured(spec, clips, options.rounds, fresh=not options.smoke)
    write(result(runs, model_name(spec), len(clips)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
