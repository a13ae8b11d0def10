"""Tries of token sequences, templates in tokens, and the distribution of a slot."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kairoscope.core import Slot, UserError
from kairoscope.events import time_grid
from kairoscope.models.constrain import (
    CompiledSlot,
    Trie,
    build_trie,
    compile_template,
    slot_log_probabilities,
)

Sequences = tuple[tuple[int, ...], ...]


@st.composite
def prefix_free(draw: st.DrawFn) -> Sequences:
    """Distinct sequences, none the beginning of another: all end with a token of their own."""
    bodies = draw(st.sets(st.lists(st.integers(0, 3), max_size=4).map(tuple), min_size=1))
    return tuple((*body, 9) for body in sorted(bodies))


def prefix_of(trie: Trie, node: int) -> tuple[int, ...]:
    return () if node == 0 else (*prefix_of(trie, trie.parents[node]), trie.tokens[node])


@given(prefix_free())
@settings(max_examples=60)
def test_nodes_are_the_prefixes_at_or_above_a_branching(ids: Sequences) -> None:
    trie = build_trie(ids)
    prefixes = [prefix_of(trie, node) for node in range(len(trie.tokens))]
    following = {
        s[:depth]: {t[depth] for t in ids if t[:depth] == s[:depth] and len(t) > depth}
        for s in ids
        for depth in range(len(s))
    }
    branching = [prefix for prefix, nexts in following.items() if len(nexts) > 1]
    expected = {b[:depth] for b in branching for depth in range(len(b) + 1)} | {()}
    assert len(prefixes) == len(set(prefixes))
    assert set(prefixes) == expected
    assert all(parent < node for node, parent in enumerate(trie.parents))
    assert list(trie.depths) == [len(prefix) for prefix in prefixes]
    assert [set(children) for children in trie.children] == [following[p] for p in prefixes]


@given(prefix_free(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_distribution_is_the_product_along_every_path(ids: Sequences, seed: int) -> None:
    trie = build_trie(ids)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((len(trie.tokens), 10), generator=generator, dtype=torch.float64) * 4
    log_p = slot_log_probabilities(logits, trie)
    assert math.isclose(log_p.exp().sum().item(), 1.0, abs_tol=1e-9)
    node_of = {prefix_of(trie, node): node for node in range(len(trie.tokens))}
    for value, sequence in enumerate(ids):
        expected = 1.0
        for depth, token in enumerate(sequence):
            nexts = {s[depth] for s in ids if s[:depth] == sequence[:depth] and len(s) > depth}
            if len(nexts) > 1:
                row = logits[node_of[sequence[:depth]]].exp()
                expected *= (row[token] / row[sorted(nexts)].sum()).item()
        assert math.isclose(log_p[value].exp().item(), expected, rel_tol=1e-9)


@given(prefix_free(), st.data())
@settings(max_examples=60)
def test_a_value_that_begins_another_is_refused(ids: Sequences, data: st.DataObject) -> None:
    longer = data.draw(st.sampled_from(ids))
    shorter = longer[: data.draw(st.integers(0, len(longer) - 1))]
    assume(shorter not in ids)
    with pytest.raises(UserError, match="beginning"):
        build_trie((*ids, shorter))
    with pytest.raises(UserError, match="alike"):
        build_trie((*ids, longer))


def test_a_slot_with_one_value_needs_no_choice() -> None:
    trie = build_trie(((5, 6, 7),))
    assert (trie.tokens, trie.branches) == ((-1,), ((),))
    assert slot_log_probabilities(torch.zeros(1, 10), trie).tolist() == [0.0]


def words(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def test_neighbouring_literals_are_one_text() -> None:
    seen: list[str] = []

    def tokenize(text: str) -> tuple[int, ...]:
        seen.append(text)
        return words(text)

    slot = Slot(name="a", choices=("x", "y"))
    pieces = compile_template(("", "one.", "\ntwo ", slot, "", slot, "!"), tokenize)
    assert seen == ["one.\ntwo ", "x", "y", "x", "y", "!"]
    assert [type(piece) for piece in pieces] == [tuple, CompiledSlot, CompiledSlot, tuple]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ((Slot(name="a", choices=()),), "'a' has no value"),
        ((Slot(name="a", choices=("x", "xy")),), "beginning"),
        ((Slot(name="a", choices=("x",), not_before=0),), "index of an earlier slot"),
        (
            (Slot(name="a", choices=("x",)), Slot(name="b", choices=("x", "y"), not_before=0)),
            "values differ",
        ),
    ],
)
def test_templates_that_cannot_be_followed_are_refused(template: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compile_template(template, words)


@given(st.integers(1, 300), st.floats(0.2, 60))
@settings(max_examples=30, deadline=None)
def test_a_grid_of_frame_times_is_always_a_slot(tokenizer: Any, count: int, fps: float) -> None:
    choices = time_grid([i / fps for i in range(count)])
    [piece] = compile_template(
        (Slot(name="end", choices=choices),),
        lambda text: tuple(tokenizer.encode(text, add_special_tokens=False)),
    )
    assert isinstance(piece, CompiledSlot)
    assert len(piece.ids) == len(choices)
