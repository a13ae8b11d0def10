"""A network's forward pass in two parts: what the vision tower sees, what the language model makes of it.

Apart, because features of a frozen tower can be kept, and because samples can share a sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kairoscope.models.chat import Film, film_inputs
from kairoscope.video.sampling import PatchGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a vision tower says of videos, one behind the other."""

    features_ND: torch.Tensor
    """(vision tokens, width of the language model)."""
    deep_KND: tuple[torch.Tensor, ...] = ()
    """Qwen3-VL: what is added to the outputs of the language model's first layers."""


def joined(parts: Sequence[Seen]) -> Seen:
    """What was seen of one prompt after the other, as of all of them together."""
    if len(parts) == 1:
        return parts[0]
    deep = zip(*(part.deep_KND for part in parts), strict=True)
    return Seen(
        features_ND=torch.cat([part.features_ND for part in parts]),
        deep_KND=tuple(torch.cat(layer) for layer in deep),
    )


def look(network: Any, shown: Sequence[Film], geometry: PatchGeometry) -> Seen:
    """Run the vision tower on films."""
    inputs = film_inputs(shown, geometry, network.device)
    out = network.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"])
    deep = getattr(out, "deepstack_features", None) or ()
    return Seen(
        features_ND=_whole(out.pooler_output), deep_KND=tuple(_whole(layer) for layer in deep)
    )


def _whole(parts: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """transformers hands features over in one tensor or in one for each video."""
    return parts if isinstance(parts, torch.Tensor) else torch.cat(list(parts))


def read(
    network: Any,
    ids_BL: torch.Tensor,
    positions_3BL: torch.Tensor,
    seen: Seen,
    lengths: Sequence[int] = (),
    mask_BLL: torch.Tensor | None = None,
    num_prompt: int | None = None,
) -> torch.Tensor:
    """Run the language model.

    Args:
        network: a `...ForConditionalGeneration` model of transformers.
        ids_BL: int64 token ids; the places of the video token take the features, in order.
        positions_3BL: temporal, row and column positions.
        seen: as many vision tokens as there are places.
        lengths: tokens of each sample, where several lie one behind the other in a single
            sequence; each then sees itself alone.
        mask_BLL: bool, which token (second axis) sees which (third); None: all before it.
        num_prompt: tokens from there on are a model's own, and a video token that it wrote is a token
            like any other; None: there are none of that kind.

    Returns:
        (batch, length, width) after the last norm.

    Raises:
        ValueError: another number of vision tokens than places, or of tokens than `lengths` says.
    """
    if lengths and (len(ids_BL) != 1 or sum(lengths) != ids_BL.shape[1]):
        raise ValueError(f"samples of {sum(lengths)} tokens in a sequence of {ids_BL.shape[1]}")
    device = network.device
    embeds, more = embedded(network, ids_BL, seen, num_prompt)
    if mask_BLL is not None:
        more |= {"attention_mask": mask_BLL[:, None].to(device, non_blocking=True)}
    if len(lengths) > 1:
        borders = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
        more |= {"cu_seq_lens_q": borders.to(device, non_blocking=True)}
        more |= {"max_length_q": max(lengths)}
    hidden: torch.Tensor = network.model.language_model(
        inputs_embeds=embeds,
        position_ids=positions_3BL.to(device, non_blocking=True),
        use_cache=False,
        **more,
    ).last_hidden_state
    return hidden


def embedded(
    network: Any, ids_BL: torch.Tensor, seen: Seen, num_prompt: int | None = None
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Input of the language model: embeddings with features in their places, and what goes with them.

    `num_prompt`: see `read`.

    Raises:
        ValueError: another number of vision tokens than places.
    """
    video = ids_BL == network.config.video_token_id
    if num_prompt is not None:
        video[:, num_prompt:] = False
    # Counted before it goes to the GPU, where asking would wait.
    if int(video.sum()) != len(seen.features_ND):
        raise ValueError(f"{len(seen.features_ND)} vision tokens for {int(video.sum())} places")
    device = network.device
    video = video.to(device, non_blocking=True)
    embeds = network.get_input_embeddings()(ids_BL.to(device, non_blocking=True))
    if torch.is_autocast_enabled(device.type):
        # Else the sums of all layers would be in float32: twice the memory traffic.
        embeds = embeds.to(torch.get_autocast_dtype(device.type))
    features = seen.features_ND.to(device, embeds.dtype, non_blocking=True)
    embeds = embeds.masked_scatter(video[..., None], features)
    more: dict[str, Any] = {}
    if seen.deep_KND:
        deep = [layer.to(device, embeds.dtype, non_blocking=True) for layer in seen.deep_KND]
        more = {"visual_pos_masks": video, "deepstack_visual_embeds": deep}
    return embeds, more
