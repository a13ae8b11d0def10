"""Starting vLLM quietly in this process, and what is asked of it."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kairoscope.core import Sampling, UserError
from kairoscope.models.chat import Encoded, Encoder
from kairoscope.storage import read_json

QUIETLY = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # In this process and no other: nothing is left behind after Ctrl-C, and its positions can be read.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "2",
}
"""The user's own settings win."""
MOST_VISION_TOKENS = 16_384
"""Of a clip: twice the recipe's budget."""
TRIED_ON = {"count": 1, "num_frames": 16, "width": 448, "height": 448}


@dataclass(slots=True)
class Started:
    """A running engine."""

    llm: Any
    max_tokens: int
    """Of prompt and answer together."""
    stop_ids: tuple[int, ...]
    _seen: dict[tuple[int, ...], set[tuple[int, ...]]] | None = field(default=None)
    """Prompt -> temporal positions of its tokens, as the model was given them."""

    def params(self, sampling: Sampling, *, samples: int, seed: int, regex: str | None) -> Any:
        """How one question is answered."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        return SamplingParams(
            n=samples,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=seed,
            stop_token_ids=list(self.stop_ids),
            skip_special_tokens=False,
            structured_outputs=None if regex is None else StructuredOutputsParams(regex=regex),
        )

    def one_of(self, token_ids: Sequence[int]) -> Any:
        """One token of these, with the probabilities of all of them among themselves."""
        from vllm import SamplingParams

        return SamplingParams(
            temperature=1.0,
            max_tokens=1,
            logprobs=len(token_ids),
            allowed_token_ids=list(token_ids),
            detokenize=False,
        )

    def generate(self, prompts: Sequence[Mapping[str, Any]], params: Sequence[Any]) -> list[Any]:
        """Answers in the order of the prompts, all of them queued at once."""
        if self._seen is not None:
            self._seen.clear()  # what was asked before has been compared
        return list(self.llm.generate(list(prompts), list(params), use_tqdm=False))

    def positions_of(self, token_ids: tuple[int, ...], expected: Encoded) -> tuple[int, ...] | None:
        """Temporal position of each temporal patch that the model was given with this prompt.

        Of several clips with the same tokens, those that are expected, if they are among them. None
        where the engine does not let itself be looked at.
        """
        rows = None if self._seen is None else self._seen.get(token_ids)
        if not rows:
            return None
        starts = [start for start in expected.vision_starts if start < len(token_ids)]
        found = [tuple(row[start] - row[starts[0]] for start in starts) for row in sorted(rows)]
        wanted = [int(expected.positions_3L[0, start]) for start in starts]
        shifted = tuple(position - wanted[0] for position in wanted)
        return shifted if shifted in found else found[0]


def usual_settings(folder: Path, *, on_gpu: bool) -> dict[str, Any]:
    """Arguments of `vllm.LLM` for our videos."""
    settings: dict[str, Any] = {
        "dtype": "bfloat16" if on_gpu else "float32",
        "enforce_eager": not on_gpu,
        # What vLLM tries itself out on at the start; by itself it takes videos of gigabytes.
        "limit_mm_per_prompt": {"video": TRIED_ON, "image": 0},
        "max_num_batched_tokens": MOST_VISION_TOKENS,
        "mm_processor_cache_gb": 1,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        # Of the tokens that are allowed, not of all: they are then the distribution itself.
        "logprobs_mode": "processed_logprobs",
        "max_logprobs": 64,
    }
    if not on_gpu:
        # The CPU build cannot draw with a seed from a prompt that it computed in parts.
        settings["enable_chunked_prefill"] = False
        settings["max_model_len"] = min(MOST_VISION_TOKENS, _longest(folder))
    return settings


def _longest(folder: Path) -> int:
    """Tokens that the model can take, by its configuration."""
    config = read_json(folder / "config.json")
    config = config.get("text_config", config) if isinstance(config, dict) else {}
    return int(config.get("max_position_embeddings", MOST_VISION_TOKENS))


def start(name: str, folder: Path, encoder: Encoder, options: Mapping[str, Any]) -> Started:
    """Load a checkpoint folder into vLLM.

    Raises:
        UserError: vLLM cannot load it.
    """
    for variable, value in QUIETLY.items():
        os.environ.setdefault(variable, value)
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vllm import LLM

    settings = {**usual_settings(folder, on_gpu=torch.cuda.is_available()), **options}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            llm = LLM(str(folder), **settings)
    except (ValueError, OSError, RuntimeError) as error:
        raise UserError(f"--model {name}: vLLM cannot load it: {error}") from error
    token = encoder.tokenizer.convert_tokens_to_ids
    return Started(
        llm=llm,
        max_tokens=int(llm.llm_engine.model_config.max_model_len),
        stop_ids=tuple(token(["<|im_end|>", "<|endoftext|>"])),
        _seen=_watched(llm),
    )


def _watched(llm: Any) -> dict[tuple[int, ...], set[tuple[int, ...]]] | None:
    """Have the model's own positions noted down as they are made; None where that cannot be done."""
    seen: dict[tuple[int, ...], set[tuple[int, ...]]] = {}

    def watch(model: Any) -> bool:
        inner = getattr(model, "get_mrope_input_positions", None)
        if inner is None:
            return False

        def noted(input_tokens: Any, *rest: Any, **named: Any) -> Any:
            positions, delta = inner(input_tokens, *rest, **named)
            seen.setdefault(tuple(input_tokens), set()).add(tuple(positions[0].tolist()))
            return positions, delta

        model.get_mrope_input_positions = noted
        return True

    if os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") != "0":
        return None
    return seen if all(llm.apply_model(watch)) else None
