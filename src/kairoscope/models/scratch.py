"""A new, small checkpoint of the Qwen2.5-VL architecture with its own tokenizer.

The tokenizer is byte-level BPE with single digits, trained on texts of the task; every other text
is still written, byte by byte.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.models.checkpoint import save_checkpoint
from kairoscope.models.saving import written_whole

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# Words, single digits, punctuation, line ends: no token ever joins a digit to anything else.
SPLIT = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'video' %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Widths and depths of a small network."""

    vision_depth: int = 3
    vision_width: int = 128
    vision_heads: int = 4
    text_depth: int = 5
    text_width: int = 192
    text_heads: int = 4
    text_kv_heads: int = 2


def train_tokenizer(texts: Iterable[str], vocabulary: int = 768) -> Any:
    """Byte-level BPE tokenizer of `vocabulary` tokens, special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def new_network(tokenizer: Any, size: Size, seed: int) -> Any:
    """Randomly initialised network for this tokenizer, float32.

    Raises:
        UserError: widths that cannot be split among the heads.
    """
    _check(size)
    torch.manual_seed(seed)
    token = tokenizer.convert_tokens_to_ids
    head_dim = size.text_width // size.text_heads
    axis = head_dim // 2 // 3
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": size.text_width,
            "intermediate_size": int(size.text_width * 8 / 3) // 16 * 16,
            "num_hidden_layers": size.text_depth,
            "num_attention_heads": size.text_heads,
            "num_key_value_heads": size.text_kv_heads,
            "max_position_embeddings": 8192,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [head_dim // 2 - 2 * axis, axis, axis],
            },
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": size.vision_depth,
            "hidden_size": size.vision_width,
            "intermediate_size": int(size.vision_width * 8 / 3) // 16 * 16,
            "num_heads": size.vision_heads,
            "out_hidden_size": size.text_width,
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": [size.vision_depth - 1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def _check(size: Size) -> None:
    rules = (
        ("vision_depth", size.vision_depth >= 1, "1 or more"),
        ("text_depth", size.text_depth >= 1, "1 or more"),
        (
            "vision_width",
            size.vision_heads >= 1 and size.vision_width % (4 * size.vision_heads) == 0,
            f"multiples of 4 * vision_heads = {4 * size.vision_heads}",
        ),
        (
            "text_width",
            size.text_heads >= 1
            and size.text_width % (2 * size.text_heads) == 0
            and size.text_width >= 6 * size.text_heads,
            f"multiples of 2 * text_heads = {2 * size.text_heads}, at least 6 * text_heads",
        ),
        (
            "text_kv_heads",
            size.text_kv_heads >= 1 and size.text_heads % size.text_kv_heads == 0,
            f"divisors of text_heads = {size.text_heads}",
        ),
    )
    for name, good, allowed in rules:
        if not good:
            raise UserError(f"{name} is {getattr(size, name)}; allowed: {allowed}")


def make_checkpoint(
    folder: Path,
    task: Task[Any, Any],
    samples: Sequence[Sample[Any, Any]],
    policy: FramePolicy,
    size: Size,
    seed: int,
) -> int:
    """Write a checkpoint with random weights whose tokenizer knows the task's texts, whole or not at all.

    Returns:
        The number of weights.

    Raises:
        UserError: no sample has an answer, an impossible size, or a full disk.
    """
    texts = []
    for sample in samples:
        if sample.gold is None:
            continue
        prompt = task.prompt(sample.query)
        texts += [prompt.system, prompt.before, prompt.after, "<|im_start|>assistant\nuser\nsystem"]
        texts.append(task.render(sample.query, sample.gold))
    if not texts:
        raise UserError(f"none of the {len(samples)} samples has an answer to learn to write")
    tokenizer = train_tokenizer(texts)
    network = new_network(tokenizer, size, seed)
    with written_whole(folder) as temporary:
        save_checkpoint(network, tokenizer, policy, temporary, notes={"seed": seed})
    return sum(weight.numel() for weight in network.parameters())
