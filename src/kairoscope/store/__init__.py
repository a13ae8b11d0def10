"""Answers of models, kept across runs: the same question is never asked twice.

`AnswerStore` is the file, `Stored` a model that looks there first.
"""

from kairoscope.store.database import AnswerStore
from kairoscope.store.stored import Stored, Traits

__all__ = ["AnswerStore", "Stored", "Traits"]
