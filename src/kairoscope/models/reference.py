"""What a model must be fed, told without loading its weights."""

from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from kairoscope.core import FramePolicy, Prompt
from kairoscope.models.chat import Encoded, Encoder, encode
from kairoscope.models.checkpoint import load_tokenizer_and_config, make_encoder
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry


@lru_cache(maxsize=8)
def load_encoder(folder: Path) -> Encoder:
    """Tokenizer, family and geometry of a checkpoint folder; its weights need not be there.

    Raises:
        UserError: no such folder, no tokenizer, or an architecture that is not supported.
    """
    config, tokenizer = load_tokenizer_and_config(folder)
    return make_encoder(SimpleNamespace(config=config), tokenizer)


def expected_input(
    encoder: Encoder, prompt: Prompt, frames: ClipFrames, policy: FramePolicy
) -> Encoded:
    """A prompt with the frames of a clip, as an engine must feed it."""
    return encode(encoder, prompt, frames.pixels_THWC, frames.times_s, policy)


def vision_tokens(frames: ClipFrames, geometry: PatchGeometry) -> tuple[int, int]:
    """(temporal patches, vision tokens of each) that frames make, whatever is written around them."""
    num_frames, height, width, _ = frames.pixels_THWC.shape
    of_each = (height // geometry.unit_px) * (width // geometry.unit_px)
    return -(-num_frames // geometry.temporal), int(of_each)
