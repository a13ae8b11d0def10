"""What a server says that it fed: compared with our own input where the model's files are seen from here."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from small_server import NAME, Reply, Small, serving

from kairoscope.core import FramePolicy, Prompt, Request, Sampling
from kairoscope.doctor.engine import engine_findings
from kairoscope.models.chat import VIDEO_PAD, Encoder, text_ids
from kairoscope.models.parity import Mismatch
from kairoscope.models.reference import expected_input, load_encoder
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.fed import fed_checks
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.wire import Medium, messages
from kairoscope.models.server.wire import Reply as Read
from kairoscope.video.frames import NO_FRAMES, load_frames

BUILTIN = Path(str(files("kairoscope.weights"))) / "builtin"
CLIP = min((Path(__file__).parents[3] / "examples/press/test/clips").glob("*.mp4"))
REQUEST = Request(
    id=CLIP.name,
    video=CLIP,
    prompt=Prompt(system="Say when.", before="It moves.", after="When?"),
    policy=FramePolicy(fps=2.0, max_frame_pixels=8000, min_frame_pixels=4000),
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(BUILTIN)


@pytest.fixture(scope="module")
def right(encoder: Encoder) -> tuple[int, ...]:
    frames = load_frames(CLIP, REQUEST.policy, encoder.geometry)
    return expected_input(encoder, REQUEST.prompt, frames, REQUEST.policy).token_ids


def asked(prompt_ids: list[int], **options: Any) -> ServedModel:
    """A server of weights that lie here, asked once."""
    reply = Reply(prompt_ids=prompt_ids, num_prompt_tokens=len(prompt_ids))
    small = Small(reply=lambda *_: reply, models=[{"id": NAME, "root": str(BUILTIN)}])
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url, **options))
        list(model.answer([REQUEST], Sampling(), "free"))
    return model


def test_the_whole_prompt_is_compared_where_the_weights_lie_here(right: tuple[int, ...]) -> None:
    checks = asked(list(right)).checks
    assert [(check.what, check.good) for check in checks] == [
        ("vision tokens", True),
        ("words of the prompt", True),
        ("temporal positions", None),
    ]


@pytest.mark.parametrize("system", ["Say when.", ""])
@pytest.mark.parametrize("video", [CLIP, None])
def test_what_is_sent_becomes_our_prompt_by_the_checkpoints_own_template(
    encoder: Encoder, system: str, video: Path | None
) -> None:
    prompt = replace(REQUEST.prompt, system=system)
    frames = load_frames(video, REQUEST.policy, encoder.geometry) if video else NO_FRAMES
    ours = expected_input(encoder, prompt, frames, REQUEST.policy).token_ids
    medium = Medium(parts=({"type": "video"},) if video else (), settings={})
    text = encoder.tokenizer.apply_chat_template(
        messages(prompt, medium), tokenize=False, add_generation_prompt=True
    )
    (pad,) = text_ids(encoder, VIDEO_PAD)
    one_pad = [i for n, i in enumerate(ours) if i != pad or ours[n - 1] != pad]
    assert list(text_ids(encoder, text)) == one_pad


def test_other_words_end_the_run_unless_that_is_allowed(
    right: tuple[int, ...], encoder: Encoder
) -> None:
    wrong = [*right[:-2], *text_ids(encoder, "77"), *right[-2:]]
    with pytest.raises(Mismatch, match=r"words of the prompt.*77.*--allow-other-frames"):
        asked(wrong)
    model = asked(wrong, allow_other_frames=True)
    (bad,) = [check for check in model.checks if check.good is False]
    assert "chat template" in bad.advice


def test_an_answer_that_has_begun_is_no_part_of_the_prompt(
    right: tuple[int, ...], encoder: Encoder
) -> None:
    begun = "<answer>\nEvent 1: <"
    ids = (*right, *text_ids(encoder, begun))
    reply = Read(choices=(), num_prompt_tokens=len(ids), num_new_tokens=0, prompt_ids=ids)
    frames = load_frames(CLIP, REQUEST.policy, encoder.geometry)
    for told in (reply, replace(reply, prompt_ids=None)):
        checks = fed_checks(told, REQUEST, frames, encoder.geometry, "file", encoder, begun)
        assert checks[0].good is True
        assert not [check for check in checks if check.good is False]
        late = fed_checks(told, REQUEST, frames, encoder.geometry, "file", encoder)
        assert [check.kind for check in late if check.good is False] == ["prompt"]


def test_without_a_clip_the_words_are_compared_and_nothing_of_an_unknown_model(
    encoder: Encoder,
) -> None:
    request = replace(REQUEST, video=None)
    ids = expected_input(encoder, request.prompt, NO_FRAMES, request.policy).token_ids
    reply = Read(choices=(), num_prompt_tokens=len(ids), num_new_tokens=0, prompt_ids=ids)
    given = (reply, request, NO_FRAMES, encoder.geometry, "nothing")
    assert not [check for check in fed_checks(*given, encoder) if check.good is False]  # type: ignore[arg-type]
    assert fed_checks(*given, None) == ()  # type: ignore[arg-type]


def test_the_doctor_shows_what_the_answer_was_compared_with(right: tuple[int, ...]) -> None:
    def findings() -> Iterator[Any]:
        reply = Reply(prompt_ids=[*right[:-1]], num_prompt_tokens=len(right) - 1)
        small = Small(reply=lambda *_: reply, models=[{"id": NAME, "root": str(BUILTIN)}])
        with serving(small):
            options = ServerOptions(base_url=small.url, allow_other_frames=True)
            yield from engine_findings(ServedModel(NAME, options))

    found = {finding.what: finding for finding in findings()}
    assert found["words of the prompt"].good is False
    assert "chat template" in found["words of the prompt"].advice
