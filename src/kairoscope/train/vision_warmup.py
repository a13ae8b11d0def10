"""A new vision tower learns to see the hand before the language model joins.

Pairs of frames, one temporal patch each, are shown to the vision tower alone; every vision token
is to say what the hand does in its cell, in both frames. It costs a fraction of a step of the
whole network and shows frames of as many clips as a batch has places.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
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
from kairoscope.train.state import TrainState, load_latest, save_state
from kairoscope.train.survey import Rejected, survey
from kairoscope.train.trainable import Trained
from kairoscope.video.frames import stamped
from kairoscope.video.patches import to_patches

NUM_STATES = HOLDING + 1
DEFAULT_STEPS = 500
NO_TRACK = "no row in tracks.jsonl"


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
    out: Path,
    log: Callable[[dict[str, Any]], None],
    on_decode: Callable[[int, int], None] | None = None,
) -> list[Rejected]:
    """Train the vision tower of a checkpoint in place; run again after a kill to go on.

    Args:
        checkpoint: its network is changed.
        samples: clips; of a batch's clips, those of another size than its first are left out.
        tracks: sample id -> what its hand does.
        policy: frames that the model sees.
        config: `batch_size` pairs a step, `max_steps`, the learning-rate schedule, decay, seed,
            `save_every`.
        out: folder for `state/`.
        log: takes one row a step. After a kill the steps since the last saved state are done, and
            logged, again.
        on_decode: progress of decoding.

    Returns:
        The samples that nothing can be learned from, with reasons.

    Raises:
        UserError: no sample with a track, impossible settings, numbers that diverge, a full disk.
    """
    check_config(config)
    store = ClipStore(policy, checkpoint.encoder.geometry, dense=True, tracks=tracks)
    known, unread = survey(
        store, [s for s in samples if s.id in tracks], lambda *_: None, on_decode
    )
    if not known:
        first = f", such as {unread[0].reason}" if unread else ""
        raise UserError(f"none of the clips has a row in tracks.jsonl to learn from{first}")
    steps = config.max_steps or DEFAULT_STEPS
    head, trained = _prepare(checkpoint.network, config)
    state = load_latest(out, trained) or TrainState()

    def make(step: int) -> Pairs:
        rng = random.Random(f"{config.seed}/warm-up/{step}")
        chosen = [rng.choice(known) for _ in range(config.batch_size)]
        return draw_pairs(checkpoint, [store.get(sample) for sample in chosen], policy, rng)

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, state.step)
        for step in range(state.step, steps):
            pairs = ahead.result()
            ahead = pool.submit(make, step + 1)
            loss = _optimise(trained, head, pairs, config, learning_rate(config, step, steps))
            state.step = step + 1
            log({"kind": "warm_up", "step": state.step, "of": steps, "loss": loss})
            if state.step % config.save_every == 0 or state.step == steps:
                save_state(out, trained, state, config.keep_checkpoints)
    checkpoint.network.eval()
    return [
        *unread,
        *(Rejected(sample_id=s.id, reason=NO_TRACK) for s in samples if s.id not in tracks),
    ]


def _prepare(network: Any, config: SFTConfig) -> tuple[torch.nn.Module, Trained]:
    """The question about the cells, and an optimiser for it and the vision tower."""
    torch.manual_seed(config.seed)
    network.train()
    head = torch.nn.Linear(network.config.text_config.hidden_size, 2 * NUM_STATES)
    head.to(network.device)
    named = [(f"visual.{name}", p) for name, p in network.model.visual.named_parameters()]
    named += [(f"head.{name}", p) for name, p in head.named_parameters()]
    parameters = tuple(parameter for _, parameter in named)
    optimizer = torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=config.betas,
        eps=config.epsilon,
    )
    names = tuple(name for name, _ in named)
    return head, Trained(network=network, names=names, parameters=parameters, optimizer=optimizer)


def _optimise(
    trained: Trained, head: torch.nn.Module, pairs: Pairs, config: SFTConfig, rate: float
) -> float:
    """One optimiser step; returns its loss (nats). Raises UserError where it is not a number."""
    for group in trained.optimizer.param_groups:
        group["lr"] = rate
    loss = warm_up_loss(trained.network, head, pairs, bfloat16=config.dtype == "bfloat16")
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(trained.parameters, config.max_grad_norm).item()
    if not math.isfinite(norm):
        raise UserError(
            f"training has diverged: loss {loss.item()}, gradient norm {norm}; choose a smaller "
            "learning_rate or max_grad_norm and another folder"
        )
    trained.optimizer.step()
    trained.optimizer.zero_grad(set_to_none=True)
    return loss.item()


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
