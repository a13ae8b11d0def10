"""What an engine says it fed, beside what we would have: every kind of difference is found and named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import POLICY, encode_noise, make_checkpoint

from kairoscope.models.chat import VIDEO_PAD, text_ids
from kairoscope.models.checkpoint import save_checkpoint
from kairoscope.models.parity import (
    KINDS,
    Fed,
    Mismatch,
    advised,
    allowed_kinds,
    compare,
    compare_frames,
    insist,
    kept_to,
    temporal_ids_of,
)
from kairoscope.models.reference import load_encoder
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.subtask_times import template

FAMILIES = ["qwen2_5_vl", "qwen3_vl"]


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def told(expected: Any) -> Fed:
    return Fed(
        num_prompt_tokens=len(expected.token_ids),
        token_ids=expected.token_ids,
        temporal_ids=temporal_ids_of(expected),
    )


def kinds(checks: Any) -> list[str]:
    return [check.kind for check in checks if check.good is False]


def test_the_same_input_is_the_same(checkpoint: Any) -> None:
    expected = encode_noise(checkpoint, 6)
    checks = compare(checkpoint.encoder, expected, told(expected))
    assert [check.good for check in checks] == [True, True, True]
    insist(checks, "engine")


def test_what_is_not_told_passes_and_is_said(checkpoint: Any) -> None:
    expected = encode_noise(checkpoint, 6)
    checks = compare(checkpoint.encoder, expected, Fed())
    assert [check.good for check in checks] == [None, None]
    assert {check.found for check in checks} == {"not told"}
    insist(checks, "engine")


def test_lost_frames_are_found_from_tokens_and_from_their_number(checkpoint: Any) -> None:
    expected, half = encode_noise(checkpoint, 8), encode_noise(checkpoint, 4)
    for fed in (told(half), Fed(num_prompt_tokens=len(half.token_ids))):
        checks = compare(checkpoint.encoder, expected, fed)
        if checkpoint.encoder.family == "qwen2_5_vl" or fed.token_ids:
            assert kinds(checks)[0] == "frames"
        with pytest.raises(Mismatch, match="--allow-other-frames"):
            insist(checks, "engine")


def test_other_words_are_shown_where_they_begin(checkpoint: Any) -> None:
    expected = encode_noise(checkpoint, 4)
    pad = text_ids(checkpoint.encoder, VIDEO_PAD)[0]
    place = expected.token_ids.index(pad) - 3
    ids = (*expected.token_ids[:place], *text_ids(checkpoint.encoder, "77"))
    found = replace(told(expected), token_ids=ids + expected.token_ids[place:])
    (wrong,) = [c for c in compare(checkpoint.encoder, expected, found) if c.good is False]
    assert wrong.kind == "prompt"
    assert "77" in wrong.found
    with pytest.raises(Mismatch, match="words of the prompt"):
        insist([wrong], "engine")
    insist([wrong], "engine", {"prompt"})


def test_collapsed_positions_are_found(tokenizer: Any) -> None:
    checkpoint = make_checkpoint(tokenizer)
    expected = encode_noise(checkpoint, 8, fps=2.0)
    assert temporal_ids_of(expected) == (0, 2, 4, 6)
    fed = replace(told(expected), temporal_ids=(0, 0, 0, 0))
    assert kinds(compare(checkpoint.encoder, expected, fed)) == ["time"]


@pytest.mark.parametrize(
    ("fed", "good"),
    [
        (Fed(token_ids=(7, *[6] * 12, 9)), True),
        (Fed(token_ids=(7, *[6] * 8, 9)), False),
        (Fed(num_prompt_tokens=11), False),
        (Fed(num_prompt_tokens=40), None),  # of which how many are vision is not told
        (Fed(), None),
    ],
)
def test_of_a_model_that_is_not_seen_from_here_the_frames_are_counted(fed: Fed, good: Any) -> None:
    (check,) = compare_frames(3, 4, fed)
    assert (check.good, check.expected) == (good, "12 (3 temporal patches of 4)")
    if good is False:
        with pytest.raises(Mismatch, match=r"start the server otherwise .*--allow-other-frames"):
            insist(advised([check], {"frames": "start the server otherwise"}), "engine")
        insist([check], "engine", {"frames"})


def test_a_constraint_that_is_ignored_is_found() -> None:
    parts = template(("grasping",), (0.0, 0.25))
    kept = "<answer>\nEvent 1: <0.25> <0.00> grasping\n</answer>"
    assert kept_to(parts, [kept]).good is True  # a regex cannot say the order
    assert kept_to(parts, ["<think>0.2</think>\n\n" + kept], reasoning=True).good is True
    ignored = kept_to(parts, [kept, "Event 1: 0 to 0.25 s"])
    assert (ignored.good, ignored.kind) == (False, "constraint")
    with pytest.raises(Mismatch, match="--allow-unconstrained"):
        insist([ignored], "engine", set(KINDS) - {"constraint"})


def test_what_is_allowed_is_allowed_by_name() -> None:
    assert allowed_kinds(ServerOptions()) == set()
    assert allowed_kinds(ServerOptions(allow_unconstrained=True)) == {"constraint"}
    assert allowed_kinds(ServerOptions(allow_other_frames=True)) == set(KINDS) - {"constraint"}


def test_an_encoder_needs_no_weights(checkpoint: Any, tokenizer: Any, tmp_path: Path) -> None:
    save_checkpoint(checkpoint.network, tokenizer, POLICY, tmp_path, notes={})
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    alone = replace(checkpoint, encoder=load_encoder(tmp_path))
    assert encode_noise(alone, 6).token_ids == encode_noise(checkpoint, 6).token_ids
    assert alone.encoder.geometry == checkpoint.encoder.geometry
