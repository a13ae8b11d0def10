"""Which tokens are words: what free text in an answer may be made of."""

from functools import lru_cache
from typing import Any

from kairoscope.models.grammar import UNSPEAKABLE


@lru_cache(maxsize=8)
def plain_ids(tokenizer: Any, stop_ids: frozenset[int]) -> tuple[int, ...]:
    """Tokens that stand for whole printable characters, none of them a quotation mark, ascending.

    Special tokens and parts of a character are none.
    """
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder, *stop_ids}
    ids = [id for id in range(len(tokenizer)) if id not in special]
    texts = tokenizer.batch_decode([[id] for id in ids])
    return tuple(id for id, text in zip(ids, texts, strict=True) if _is_plain(text))


def _is_plain(text: str) -> bool:
    return (
        bool(text) and "\ufffd" not in text and text.isprintable() and not set(text) & UNSPEAKABLE
    )
