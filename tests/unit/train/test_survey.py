"""What cannot be trained on is found before the first step, with its reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import SFTConfig
from kairoscope.core import UnreadableClip
from kairoscope.events import Event
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.check import why_unfit
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import plain_example
from kairoscope.train.survey import survey
from kairoscope.video.sampling import QWEN25_GEOMETRY


@pytest.mark.parametrize("in_processes", [False, True])
def test_unfit_samples_are_listed_with_reasons_and_left_out(
    samples: Any,
    tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_processes: bool,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6 if in_processes else 2)
    encoder = make_checkpoint(tokenizer).encoder
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(samples[0].video.read_bytes()[:900])
    longest = max(
        plain_example(
            encoder, TASK, s, ClipStore(POLICY, QWEN25_GEOMETRY, dense=False).get(s), POLICY
        ).num_tokens
        for s in samples
    )
    config = SFTConfig(max_tokens=longest - 1, augment=True)
    mixed = [
        replace(samples[0], id="torn", video=torn),
        samples[0],
        replace(samples[1], id="no answer", gold=None),
        replace(samples[1], id="no event", gold=()),
        replace(samples[1], id="foreign", gold=(Event("something else", 0.0, 1.0),)),
        samples[1],
        replace(samples[0], id="absent", video=tmp_path / "absent.mp4"),
        samples[2],
        samples[3],
    ]
    progress: list[tuple[int, int]] = []
    store = ClipStore(POLICY, encoder.geometry, dense=True)
    good, bad = survey(
        store,
        mixed,
        lambda sample, clip: why_unfit(encoder, TASK, POLICY, config, sample, clip),
        lambda done, of: progress.append((done, of)),
    )
    reasons = {rejected.sample_id: rejected.reason for rejected in bad}
    lengths = {
        s.id: plain_example(
            encoder, TASK, s, ClipStore(POLICY, QWEN25_GEOMETRY, dense=False).get(s), POLICY
        ).num_tokens
        for s in samples[:4]
    }
    kept = [s.id for s in samples[:4] if lengths[s.id] < longest]
    assert [sample.id for sample in good] == kept
    assert list(reasons)[:4] == ["torn", "no answer", "no event", "foreign"]
    assert "torn.mp4" in reasons["torn"]
    assert "no answer to learn from" in reasons["no answer"]
    assert "one event or more" in reasons["no event"]
    assert "cannot be written" in reasons["foreign"]
    assert "absent.mp4" in reasons["absent"]
    for name in set(lengths) - set(kept):
        assert reasons[name] == f"{longest} tokens, more than max_tokens = {longest - 1}"
    assert progress == [(i + 1, len(mixed)) for i in range(len(mixed))]
    for sample in good:
        kept_clip = store.get(sample)
        assert store.get(sample) is kept_clip
        assert torch.equal(kept_clip.pictures_THWC, store.decode(sample).pictures_THWC)
    with pytest.raises(UnreadableClip):
        store.get(mixed[0])
