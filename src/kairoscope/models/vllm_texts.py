"""What vLLM wrote -> completions, as every engine gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kairoscope.core import Completion, Sampling
from kairoscope.models.vllm_clips import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One answer so far."""

    text: str
    num_tokens: int
    finished: bool


def text_of(choice: Any, stop_ids: Sequence[int]) -> Text:
    """One of vLLM's answers to a prompt. The token that ends it is no part of it."""
    ended = bool(choice.token_ids) and choice.token_ids[-1] in stop_ids
    return Text(
        text=choice.text,
        num_tokens=len(choice.token_ids) - ended,
        finished=choice.finish_reason == "stop",
    )


def completions(asked: Asked, texts: Sequence[Text], sampling: Sampling) -> tuple[Completion, ...]:
    """One completion a trial; how long it took is not known here.

    One answer stands for all trials where they cannot differ.
    """
    every = list(texts) * (sampling.trials // len(texts))
    return tuple(
        Completion(
            text=answer.text,
            trial=trial,
            frame_times_s=asked.frames.times_s,
            num_prompt_tokens=len(asked.encoded.token_ids),
            num_vision_tokens=asked.encoded.num_vision_tokens,
            num_new_tokens=answer.num_tokens,
            seconds=0.0,
            finish="stop" if answer.finished else "length",
        )
        for trial, answer in enumerate(every, sampling.first_trial)
    )
