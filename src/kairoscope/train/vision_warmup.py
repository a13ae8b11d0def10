"""A new vision tower learns to see the hand before the language model joins.

Pairs of frames, one temporal patch each, are shown to the vision tower alone; every vision token
is to say what the hand does in its cell, in both frames. It costs a fraction of a step of the
whole network and shows frames of as many clips as a batch has places.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.check import check_config
from kairoscope.train.clips import ClipStore
from kairoscope.train.dense import HOLDING, hand_cells
from kairoscope.train.examples import Clip, relit
from kairoscope.train.schedule import learning_rate
from kairoscope.video.frames import stamped
from kairoscope.video.patches import to_patches

NUM_STATES = HOLDING + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """A batch of frame pairs and what the hand does in them."""

    pixel_values: torch.Tensor
    """(num_pairs * patches of a pair, channels * temporal * patch * patch)."""
    grid_thw: torch.Tensor
    states_B2C: torch.Tensor
    """(num_pairs, 2 frames, picture cells) of 0 to 3."""


def warm_up_vision(
    checkpoint: Checkpoint,
    samples: Sequence[Sample[Any, Any]],
    tracks: Mapping[str, HandTrack],
    *,
    policy: FramePolicy,
    config: SFTConfig,
    log: Callable[[dict[str, Any]], None],
    on_decode: Callable[[int, int], None] | None = None,
) -> None:
    """Train the vision tower of a checkpoint in place.

    Args:
        checkpoint: its network is changed.
        samples: clips; those without a track, and those of other frame sizes than most, are
            left out.
        tracks: sample id -> what its hand does.
        policy: frames that the model sees.
        config: `batch_size` pairs a step, `max_steps`, the learning-rate schedule, decay, seed.
        log: takes one row a step.
        on_decode: progress of decoding.

    Raises:
        UserError: no sample with a track, or impossible settings.
    """
    check_config(config)
    store = ClipStore(policy, checkpoint.encoder.geometry, dense=True, tracks=tracks)
    known, _ = store.check([s for s in samples if s.id in tracks], lambda *_: None, on_decode)
    if not known:
        raise UserError("none of the clips has a row in tracks.jsonl to learn from")
    torch.manual_seed(config.seed)
    network = checkpoint.network.train()
    head = torch.nn.Linear(network.config.text_config.hidden_size, 2 * NUM_STATES)
    head.to(network.device)
    parameters = [*network.model.visual.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=config.betas,
        eps=config.epsilon,
    )
    steps = config.max_steps or 500

    def make(step: int) -> Pairs:
        rng = random.Random(f"{config.seed}/warm-up/{step}")
        chosen = [rng.choice(known) for _ in range(config.batch_size)]
        return draw_pairs(checkpoint, [store.get(sample) for sample in chosen], policy, rng)

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, 0)
        for step in range(steps):
            pairs = ahead.result()
            ahead = pool.submit(make, step + 1)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step, steps)
            loss = warm_up_loss(network, head, pairs, bfloat16=config.dtype == "bfloat16")
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            log({"kind": "warm_up", "step": step + 1, "of": steps, "loss": loss.item()})
    network.eval()


def warm_up_loss(
    network: Any, head: torch.nn.Module, pairs: Pairs, *, bfloat16: bool
) -> torch.Tensor:
    """Mean negative log-likelihood (nats) of the hand's state in every cell of both frames."""
    device = network.device
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        features = network.model.get_video_features(
            pairs.pixel_values.to(device), pairs.grid_thw.to(device)
        ).pooler_output
        num_pairs, _, cells = pairs.states_B2C.shape
        logits = head(torch.stack(list(features))[:, :cells])
    shaped = logits.float().view(num_pairs, cells, 2, NUM_STATES).transpose(1, 2)
    return cross_entropy(shaped.reshape(-1, NUM_STATES), pairs.states_B2C.to(device).reshape(-1))


def draw_pairs(
    checkpoint: Checkpoint,
    clips: Sequence[Clip],
    policy: FramePolicy,
    rng: random.Random,
) -> Pairs:
    """One random pair of frames of every clip, about a sampling step apart, relit and mirrored."""
    geometry = checkpoint.encoder.geometry
    patches, states = [], []
    size = clips[0].pictures_THWC.shape[1:3]
    rows, columns = (side // geometry.unit_px for side in size)
    for clip in clips:
        if clip.pictures_THWC.shape[1:3] != size or clip.hand is None:
            continue
        last = len(clip.times_s) - 1
        step = max(1, round((len(clip.times_s) - 1) / max(clip.times_s[-1], 0.1) / policy.fps))
        first = rng.randint(0, max(0, last - step))
        frames = [first, min(last, first + step)]
        times = tuple(clip.times_s[i] for i in frames)
        mirror = rng.random() < 0.5
        hand = clip.hand.take(frames, times)
        hand = hand.mirrored() if mirror else hand
        pictures = relit(clip.pictures_THWC[frames], rng)
        pictures = pictures.flip(2) if mirror else pictures
        values, grid = to_patches(stamped(pictures, times, policy, geometry), geometry)
        patches.append(values)
        states.append([hand_cells(hand, i, rows, columns) for i in range(2)])
    return Pairs(
        pixel_values=torch.cat(patches),
        grid_thw=torch.tensor([grid] * len(patches)),
        states_B2C=torch.tensor(states),
    )
