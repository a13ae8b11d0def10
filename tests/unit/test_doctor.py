"""The doctor asks engines: a sound one passes, and every silent fault of an engine has its row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import POLICY, make_checkpoint

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Prompt,
    Request,
    Sampling,
    UserError,
)
from kairoscope.doctor import examine
from kairoscope.doctor.engine import engine_findings
from kairoscope.doctor.finding import Finding
from kairoscope.models.chat import Encoder
from kairoscope.models.checkpoint import save_checkpoint
from kairoscope.models.engines import EngineOptions
from kairoscope.models.in_process import InProcessModel


@dataclass
class Engine:
    """A network in this process with faults that engines elsewhere have."""

    model: InProcessModel
    fault: str = ""
    name: str = "tiny"
    identity: str = "seed 0"
    policy: FramePolicy | None = POLICY

    @property
    def encoder(self) -> Encoder:
        return self.model.checkpoint.encoder

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        if self.fault == "constraint" and decoding == "constrained":
            decoding = "free"
        if self.fault == "posterior" and decoding == "posterior":
            raise UserError("no distributions")
        for request in requests:
            if self.fault == "rate":
                request = replace(request, policy=replace(request.policy, fps=2.0))
            if self.fault == "words":
                system = request.prompt.system + " Think."
                prompt = Prompt(
                    system=system, before=request.prompt.before, after=request.prompt.after
                )
                request = replace(request, prompt=prompt)
            for name, answer in self.model.answer([request], sampling, decoding):
                yield name, self._spoilt(answer)

    def _spoilt(self, answer: tuple[Completion, ...] | Failed) -> Any:
        if self.fault == "alike" and isinstance(answer, tuple):
            return (answer[0],) * len(answer)
        return answer


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def model(request: Any, tokenizer: Any) -> InProcessModel:
    return InProcessModel(make_checkpoint(tokenizer, request.param))


def wrong(findings: Iterable[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.good is False}


def test_a_sound_engine_passes(model: InProcessModel) -> None:
    findings = list(engine_findings(Engine(model)))
    assert wrong(findings) == set()
    assert {f.what for f in findings if f.good} >= {
        "prompt tokens",
        "frame rate",
        "digits",
        "constraint",
        "samples at temperature 1",
        "answers at temperature 0",
        "--decoding posterior",
    }


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ("rate", "frame rate"),
        ("words", "prompt tokens"),
        ("constraint", "constraint"),
        ("alike", "samples at temperature 1"),
    ],
)
def test_every_fault_has_its_row(model: InProcessModel, fault: str, row: str) -> None:
    findings = list(engine_findings(Engine(model, fault)))
    assert row in wrong(findings)
    (found,) = [finding for finding in findings if finding.what == row]
    assert found.advice
    assert found.expected


def test_what_an_engine_cannot_do_is_no_fault(model: InProcessModel) -> None:
    findings = list(engine_findings(Engine(model, "posterior")))
    assert wrong(findings) == set()
    assert "no distributions" in findings[-1].found


def test_a_model_that_is_not_there_is_a_row(tmp_path: Path) -> None:
    findings = list(examine(str(tmp_path), EngineOptions(device="cpu")))
    assert any("no config.json" in finding.found for finding in findings if finding.good is False)


def test_the_engine_of_a_folder_is_asked(tokenizer: Any, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tokenizer)
    save_checkpoint(checkpoint.network, tokenizer, POLICY, tmp_path, notes={})
    findings = list(examine(str(tmp_path), EngineOptions(device="cpu")))
    assert wrong(findings) <= {"encoder libx264"}
    assert "constraint" in {finding.what for finding in findings}
