"""What a server answered -> completions, as every engine gives them."""

from collections.abc import Sequence

from kairoscope.core import Completion, Sampling
from kairoscope.models.reference import vision_tokens
from kairoscope.models.server.wire import Choice, Reply
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry


def completions(
    choices: Sequence[Choice],
    reply: Reply,
    frames: ClipFrames,
    geometry: PatchGeometry,
    sampling: Sampling,
    seconds: float,
) -> tuple[Completion, ...]:
    """One completion a trial, of `choices` about these frames that took `seconds` together."""
    trials = sampling.trials
    # One answer stands for all trials where they cannot differ.
    all_of_them = list(choices) * (trials // len(choices))
    num_patches, of_each = vision_tokens(frames, geometry)
    return tuple(
        Completion(
            text=choice.text,
            trial=trial,
            frame_times_s=frames.times_s,
            num_prompt_tokens=reply.num_prompt_tokens,
            num_vision_tokens=num_patches * of_each,
            num_new_tokens=reply.num_new_tokens // len(reply.choices),
            seconds=seconds / trials,
            finish=choice.finish,
        )
        for trial, choice in enumerate(all_of_them, sampling.first_trial)
    )
