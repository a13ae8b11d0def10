"""What vLLM is given, and the walk along a template, without vLLM: see tests/servers for the real one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_models import POLICY, encode_noise, make_checkpoint, make_samples, request_for

from kairoscope.core import Sampling, UserError
from kairoscope.models.chat import VIDEO_PAD, text_ids
from kairoscope.models.checkpoint import save_checkpoint
from kairoscope.models.engines import EngineOptions, open_engine
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.parity import temporal_ids_of
from kairoscope.models.reference import expected_input
from kairoscope.models.session import Session
from kairoscope.models.vllm_clips import Asked
from kairoscope.models.vllm_files import with_processor
from kairoscope.models.vllm_input import clock_rate, vllm_prompt, vllm_temporal_ids
from kairoscope.models.vllm_posterior import walk
from kairoscope.recipes.subtask_times import template
from kairoscope.video.frames import load_frames


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def asked_about(checkpoint: Any, sample: Any, policy: Any = POLICY) -> Asked:
    request = request_for(sample, policy)
    frames = load_frames(sample.video, policy, checkpoint.encoder.geometry)
    encoded = expected_input(checkpoint.encoder, request.prompt, frames, policy)
    return Asked(request=request, frames=frames, encoded=encoded, template=None)


@pytest.mark.parametrize("fps", [1.0, 2.0, 3.3, 4.0, 8.0, 9.533, 12.0])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 4.0])
def test_a_rate_gives_our_positions_by_its_rule(tokenizer: Any, fps: float, scale: float) -> None:
    checkpoint = make_checkpoint(tokenizer)
    policy = replace(POLICY, fps=fps, clock_scale=scale)
    encoded = encode_noise(checkpoint, 80, units=(1, 1), fps=fps, policy=policy)
    frames: Any = SimpleNamespace(times_s=tuple(i / fps for i in range(80)))
    rate = clock_rate(checkpoint.encoder, encoded, frames, policy)
    found = vllm_temporal_ids(rate, 40, checkpoint.encoder)
    assert found == temporal_ids_of(encoded)
    assert rate == pytest.approx(fps / scale, rel=1e-3)


def test_the_prompt_is_ours_with_one_place_for_the_video(checkpoint: Any, samples: Any) -> None:
    asked = asked_about(checkpoint, samples[0])
    encoder = checkpoint.encoder
    prompt = vllm_prompt(encoder, asked, [7, 8])
    (pad,) = text_ids(encoder, VIDEO_PAD)
    ids = prompt["prompt_token_ids"]
    assert ids.count(pad) == 1
    assert ids[-2:] == [7, 8]
    place, ours = ids.index(pad), asked.encoded.token_ids
    assert tuple(ids[place + 2 : -2]) == ours[len(ours) - len(ids[place + 2 : -2]) :]
    ((pixels, metadata),) = prompt["multi_modal_data"]["video"]
    assert (pixels == asked.frames.pixels_THWC.numpy()).all()
    assert len(metadata["frames_indices"]) == metadata["total_num_frames"] == len(pixels)
    if encoder.family == "qwen3_vl":
        times_s = [i / metadata["fps"] for i in metadata["frames_indices"]]
        assert times_s == list(asked.frames.times_s)
    other = vllm_prompt(encoder, asked_about(checkpoint, samples[0]))
    assert other["multi_modal_uuids"] != prompt["multi_modal_uuids"]


@torch.inference_mode()
def test_the_walk_gives_the_posteriors_of_this_process(checkpoint: Any, tmp_path: Path) -> None:
    """One token at a time, as vLLM is asked, against one pass over the whole trie."""
    shown = make_samples(tmp_path, 2)
    asked = [asked_about(checkpoint, sample) for sample in shown]
    order: list[tuple[int, int]] = []

    def generate(
        written: Sequence[Sequence[int]], whose: Sequence[int], follow: Sequence[Sequence[int]]
    ) -> list[Any]:
        outputs = []
        for ids, n, allowed in zip(written, whose, follow, strict=True):
            order.append((n, len(ids)))
            session = Session(checkpoint.network, checkpoint.encoder, [asked[n].encoded])
            logits = session.step([list(ids)]).last_BV[0] if ids else session.last_BV[0]
            log_p = torch.log_softmax(logits[list(allowed)], dim=0).tolist()
            told = {
                token: SimpleNamespace(logprob=p) for token, p in zip(allowed, log_p, strict=True)
            }
            outputs.append(SimpleNamespace(outputs=[SimpleNamespace(logprobs=[told])]))
        return outputs

    templates = [template(s.query, a.frames.times_s) for s, a in zip(shown, asked, strict=True)]
    rows = walk(templates, partial(text_ids, checkpoint.encoder), generate)
    here = dict(
        InProcessModel(checkpoint).answer([a.request for a in asked], Sampling(), "posterior")
    )
    for a, row in zip(asked, rows, strict=True):
        (completion,) = here[a.request.id]  # type: ignore[misc]
        text = checkpoint.encoder.tokenizer.decode(row.token_ids, skip_special_tokens=False)
        assert text == completion.text
        for found, expected in zip(row.posteriors, completion.posteriors, strict=True):
            assert found.slot == expected.slot
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    assert {n for n, _ in order[:2]} == {0, 1}  # each clip is computed once before it is shared


def test_a_checkpoint_without_processor_gets_one(checkpoint: Any, tmp_path: Path) -> None:
    source = tmp_path / "model"
    tokenizer = checkpoint.encoder.tokenizer
    save_checkpoint(checkpoint.network, tokenizer, POLICY, source, notes={})
    for file in source.glob("*preprocessor_config.json"):
        file.unlink()
    there = with_processor(source, checkpoint.encoder, tmp_path / "links")
    assert {f.name for f in source.iterdir()} < {f.name for f in there.iterdir()}
    video = json.loads((there / "video_preprocessor_config.json").read_bytes())
    assert video["patch_size"] == checkpoint.encoder.geometry.patch_px
    assert with_processor(there, checkpoint.encoder, tmp_path / "again") == there


def test_where_vllm_is_missing_it_is_said() -> None:
    import importlib.util

    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vLLM is installed here")
    with pytest.raises(UserError, match=r"kairoscope\[vllm\]"):
        open_engine("vllm:builtin", EngineOptions())
    with pytest.raises(UserError, match="vllm:/nowhere"):
        open_engine("vllm:/nowhere", EngineOptions())
    with pytest.raises(UserError, match="vllm:NAME"):
        open_engine("vllm:", EngineOptions())
