"""What a training run will take, before anything is loaded: memory, steps, hours, and what to change."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import AutoConfig

from kairoscope.config import LoraConfig, Recipe, SFTConfig
from kairoscope.core import UserError
from kairoscope.models.adapters import model_policy
from kairoscope.models.checkpoint import CLASSES
from kairoscope.models.names import located, whole_folder_of
from kairoscope.recipes.machines import GIB, Machine, expected_use
from kairoscope.recipes.sizes import largest_micro_batch, measured, picture_bytes, token_counter
from kairoscope.recipes.stages import Frames, Progress, load_data, policy_for
from kairoscope.train.rehearsal import Kind, Memory, Rehearsed, Shape, geometry_of, rehearse
from kairoscope.train.schedule import num_steps

RESERVE = 0.04
"""Share of a device's memory that is not there for tensors: libraries, fragments."""

DEVICES_OF_A_MACHINE = 8
LEAN = 0.4
"""Share of the activations to keep in compiled layers where all do not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the plan says with one more change."""

    change: str
    peak_gib: float
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run takes."""

    model: str
    num_weights: int
    num_trained: int
    num_samples: int
    unusable: tuple[str, ...]
    """Clips that cannot be read, and samples longer than `max_tokens`, with reasons."""
    machine: Machine
    memory: Memory
    """Of one device."""
    tokens_per_step: float
    vision_tokens_per_step: float
    longest_tokens: int
    num_steps: int
    passes: int
    """Micro-batches a step on one device."""
    hours: float
    use: float
    """Share of the devices' best speed that `hours` takes for granted."""
    clips_gib: float
    """Host memory that all decoded clips would take."""
    fits: bool
    ways: tuple[Step, ...]
    """What to change where it does not fit, one on top of the other."""


def plan_stage(
    recipe: Recipe,
    *,
    model: str,
    data: Path,
    config: SFTConfig,
    frames: Frames,
    machine: Machine,
    on_progress: Progress,
) -> Plan:
    """Plan a fine-tuning run; reads small files of the model and the headers of the clips.

    Raises:
        UserError: no such model or data, or no sample that can be trained on.
    """
    folder = small_folder(model)
    base = whole_folder_of(folder, small=True)
    network_config = read_network_config(base)
    geometry = geometry_of(network_config)
    policy = policy_for(recipe, model_policy(folder, recipe.task.name), frames)
    samples, _ = load_data(data, recipe.task.load)
    with_answers = [sample for sample in samples if sample.gold is not None]
    count = token_counter(base)
    shapes, unusable = measured(
        recipe.task, with_answers, policy, geometry, count, config.max_tokens, on_progress
    )
    if not shapes:
        first = f", such as {unusable[0]}" if unusable else ""
        raise UserError(f"{data}: none of {len(samples)} samples can be trained on{first}")
    share = len(shapes) / (len(shapes) + len(unusable))
    usable = round(share * len(with_answers))

    def rehearsed(settings: SFTConfig, sizes: Sequence[Shape]) -> tuple[Rehearsed, Memory]:
        largest, passes = largest_micro_batch(sizes, settings, machine.count, geometry.merge)
        kind: Kind = "cuda" if machine.on_gpu else "cpu"
        found = rehearse(network_config, settings, largest, kind=kind, passes=passes)
        return found, on_each_device(found, settings, machine.count)

    on_progress("rehearsing a step", 0, 1)
    found, memory = rehearsed(config, shapes)
    on_progress("rehearsing a step", 1, 1)
    steps = num_steps(config, usable)
    use = expected_use(config, machine)
    merge = geometry.merge
    flops = fmean(
        found.arithmetic.step([s.num_tokens(merge)], s.num_answer, [s.grid_thw]) for s in shapes
    )
    seconds = flops * config.batch_size * steps / machine.count / (machine.operations_per_s * use)
    fits = memory.peak / GIB <= machine.memory_gib * (1 - RESERVE)
    ways = () if fits else tuple(_ways(config, shapes, machine, rehearsed, on_progress))
    return Plan(
        model=model,
        num_weights=found.num_weights,
        num_trained=found.num_trained,
        num_samples=usable,
        unusable=unusable,
        machine=machine,
        memory=memory,
        tokens_per_step=fmean(s.num_tokens(merge) for s in shapes) * config.batch_size,
        vision_tokens_per_step=fmean(s.num_vision(merge) for s in shapes) * config.batch_size,
        longest_tokens=max(s.num_tokens(merge) for s in shapes),
        num_steps=steps,
        passes=largest_micro_batch(shapes, config, machine.count, merge)[1],
        hours=seconds / 3600,
        use=use,
        clips_gib=fmean(picture_bytes(s, geometry) for s in shapes) * usable / GIB,
        fits=fits,
        ways=ways,
    )


def small_folder(model: str) -> Path:
    """Folder with a model's small files; its weights need not be there."""
    folder = Path(model).expanduser()
    return folder if (folder / "config.json").is_file() else located(model, small=True)


def read_network_config(folder: Path) -> Any:
    """A checkpoint's configuration. Raises UserError for architectures that are not supported."""
    try:
        found = AutoConfig.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: not a checkpoint folder: {error}") from error
    if found.model_type not in CLASSES:
        raise UserError(
            f"{folder}: architecture {found.model_type!r} is not supported; "
            f"supported: {', '.join(CLASSES)}"
        )
    return found


def on_each_device(found: Rehearsed, config: SFTConfig, devices: int) -> Memory:
    """Memory of one of several devices, from that of one alone."""
    memory = found.memory
    if devices == 1 or config.parallel == "ddp":
        return memory
    # `hsdp` shares out within a machine, which is taken to have eight devices.
    shares = min(devices, DEVICES_OF_A_MACHINE) if config.parallel == "hsdp" else devices
    shared = memory.weights - found.unshared
    largest = max(found.blocks)
    rest = shared - sum(found.blocks)
    # At most two blocks are whole at a time, and what is in no block from begin to end; the
    # gradient of one block is whole until it is shared out.
    whole = rest + 2 * largest
    trained = memory.gradients / max(1, shared)
    return replace(
        memory,
        weights=found.unshared + math.ceil(shared / shares),
        gradients=math.ceil(memory.gradients / shares),
        optimizer=math.ceil(memory.optimizer / shares),
        cache=memory.cache + shared,
        communication=math.ceil(whole + trained * (rest + largest)),
    )


def _ways(
    config: SFTConfig,
    shapes: Sequence[Shape],
    machine: Machine,
    rehearsed: Callable[[SFTConfig, Sequence[Shape]], tuple[Rehearsed, Memory]],
    on_progress: Progress,
) -> Iterator[Step]:
    """Changes on top of each other until it fits, those that cost least first."""
    changes = list(_changes(config, machine))
    settings, sizes = config, list(shapes)
    for done, (words, change, scale) in enumerate(changes, 1):
        on_progress("looking for what fits", done, len(changes))
        settings = replace(settings, **change)
        sizes = [_smaller(shape, scale) for shape in sizes] if scale != 1 else sizes
        _, memory = rehearsed(settings, sizes)
        fits = memory.peak / GIB <= machine.memory_gib * (1 - RESERVE)
        yield Step(change=words, peak_gib=memory.peak / GIB, fits=fits)
        if fits:
            return


def _changes(config: SFTConfig, machine: Machine) -> Iterator[tuple[str, dict[str, Any], float]]:
    """(what to write, the change, factor on the picture's area)."""
    if machine.on_gpu and config.dtype == "float32":
        yield '--set dtype="bfloat16"', {"dtype": "bfloat16"}, 1
    if config.compile and config.kept_activations > LEAN:
        yield f"--set kept_activations={LEAN}", {"kept_activations": LEAN}, 1
    if not config.gradient_checkpointing:
        yield "--set gradient_checkpointing=true", {"gradient_checkpointing": True}, 1
    size = config.micro_batch_size
    while size > 1 and not config.packing:
        size = max(1, size // 4)
        yield f"--set micro_batch_size={size}", {"micro_batch_size": size}, 1
    if machine.count > 1 and config.parallel == "ddp":
        yield '--set parallel="fsdp"', {"parallel": "fsdp"}, 1
    if not config.freeze_vision and config.lora is None:
        yield "--set freeze_vision=true", {"freeze_vision": True}, 1
    if config.lora is None:
        lora = {"lora": LoraConfig(), "freeze_vision": False}
        yield "--set lora.rank=16 (adapters instead of all weights)", lora, 1
    for half in (2, 4):
        yield f"--frames total_pixels: 1/{half} of now", {}, 0.5


def _smaller(shape: Shape, scale: float) -> Shape:
    frames, rows, columns = shape.grid_thw
    side = math.sqrt(scale)
    rows, columns = (max(2, round(n * side / 2) * 2) for n in (rows, columns))
    return replace(shape, grid_thw=(frames, rows, columns))
