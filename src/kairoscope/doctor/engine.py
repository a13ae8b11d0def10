"""What an engine really does, found out by asking it: any engine, through `core.Model` alone."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kairoscope.core import (
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Request,
    Sampling,
    Template,
    UserError,
)
from kairoscope.doctor.finding import Finding, finding_of
from kairoscope.doctor.probes import (
    CASTS,
    DIGITS,
    FASTER_FPS,
    ONE_TOKEN,
    SLOWER_FPS,
    STRANGE,
    question,
    write_probe,
)
from kairoscope.models.chat import Encoder
from kairoscope.models.engines import Engine
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.load import LazyCheckpoint
from kairoscope.models.parity import ADVICE, Check, Fed, compare, kept_to, temporal_ids_of
from kairoscope.models.reference import expected_input, load_encoder, vision_tokens
from kairoscope.models.server.engine import ServedModel
from kairoscope.video.frames import ClipFrames, load_frames
from kairoscope.video.sampling import QWEN25_GEOMETRY, PatchGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An engine on trial."""

    engine: Engine
    policy: FramePolicy
    clip: Path
    encoder: Encoder | None
    """Where the model's own files can be seen from here."""

    @property
    def geometry(self) -> PatchGeometry:
        """Of the model's patches, as well as that is known."""
        if self.encoder is not None:
            return self.encoder.geometry
        known = getattr(self.engine, "geometry", None)
        return known if isinstance(known, PatchGeometry) else QWEN25_GEOMETRY

    def ask(
        self, request: Request, sampling: Sampling = ONE_TOKEN, decoding: Decoding = "free"
    ) -> tuple[Completion, ...]:
        """Raises UserError where there is no answer."""
        ((_, answer),) = self.engine.answer([request], sampling, decoding)
        if isinstance(answer, Failed):
            raise UserError(answer.reason)
        return answer

    def frames(self, policy: FramePolicy) -> ClipFrames:
        """What a policy takes of the clip."""
        return load_frames(self.clip, policy, self.geometry)


def engine_findings(engine: Engine) -> Iterator[Finding]:
    """All that can be found out about an engine by asking it.

    Raises:
        UserError: it does not answer at all.
    """
    with tempfile.TemporaryDirectory(prefix="kairoscope-") as folder:
        probe = Probe(
            engine=engine,
            policy=engine.policy or FramePolicy(),
            clip=write_probe(Path(folder) / "probe.mp4"),
            encoder=_encoder_of(engine),
        )
        yield Finding("engine", f"{engine.name}, {engine.identity}")
        yield from _input(probe)  # where this is not answered, nothing will be
        yield from _tried("frame rate", probe, _rate)
        yield from _tried("digits", probe, _digits)
        yield from _tried("constraint", probe, _constraint)
        yield from _tried("forms of constraint", probe, _forms)
        yield from _tried("samples", probe, _samples)
        yield from _tried("distributions", probe, _posterior)


def _tried(what: str, probe: Probe, check: object) -> Iterator[Finding]:
    """The findings of a check; one that could not be made is a finding, too."""
    assert callable(check)
    try:
        yield from check(probe)
    except UserError as error:
        yield Finding(what, str(error), good=False)


def _encoder_of(engine: Engine) -> Encoder | None:
    """From the model's folder, where the engine has it from this machine."""
    known = getattr(engine, "encoder", None)
    if isinstance(known, Encoder):
        return known
    served = getattr(engine, "served", None)
    root = served.get("root") if isinstance(served, dict) else getattr(engine, "spec", None)
    if not isinstance(root, str):
        return None
    try:
        from kairoscope.models.names import located

        return load_encoder(located(root, small=True))
    except UserError:
        return None


def _input(probe: Probe) -> Iterator[Finding]:
    """Tokens and positions beside our own, at the model's own frame policy."""
    request = question("input", probe.clip, probe.policy)
    (completion,) = probe.ask(request)
    frames = probe.frames(probe.policy)
    same = completion.frame_times_s == frames.times_s
    yield Finding("sampled frames", f"{len(completion.frame_times_s)} of the clip", good=same)
    told = tuple(c for c in getattr(probe.engine, "checks", ()) if isinstance(c, Check))
    if told and (probe.encoder is None or getattr(probe.engine, "encoder", None) is not None):
        yield from map(finding_of, told)  # what it was compared with when it answered
    if probe.encoder is None:
        yield Finding(
            "prompt tokens",
            f"{completion.num_prompt_tokens}; the model's tokenizer is not known here",
        )
        return
    if told and getattr(probe.engine, "encoder", None) is not None:
        return
    expected = expected_input(probe.encoder, request.prompt, frames, probe.policy)
    in_process = isinstance(probe.engine, LazyCheckpoint | InProcessModel)
    fed = Fed(
        num_prompt_tokens=completion.num_prompt_tokens,
        # Of weights in this process: they are fed `expected` itself.
        temporal_ids=temporal_ids_of(expected) if in_process else None,
    )
    yield from map(finding_of, compare(probe.encoder, expected, fed))


def _rate(probe: Probe) -> Iterator[Finding]:
    """Two frame rates must give two numbers of tokens, apart by what the frames make."""
    found, vision = [], []
    for fps in (SLOWER_FPS, FASTER_FPS):
        policy = replace(probe.policy, fps=fps)
        (completion,) = probe.ask(question(f"{fps:g} fps", probe.clip, policy))
        found.append(completion.num_prompt_tokens)
        num_patches, of_each = vision_tokens(probe.frames(policy), probe.geometry)
        vision.append(num_patches * of_each)
    gap, wanted = found[1] - found[0], vision[1] - vision[0]
    # Qwen3-VL writes a time before every pair of frames: a few tokens more.
    pairs = wanted // max(1, vision_tokens(probe.frames(probe.policy), probe.geometry)[1])
    timed = probe.geometry.patch_px == 16
    good = wanted <= gap <= wanted + 16 * pairs if timed else gap == wanted
    yield Finding(
        "frame rate",
        f"{found[0]} tokens at {SLOWER_FPS:g} fps, {found[1]} at {FASTER_FPS:g}",
        good=good,
        expected=f"{wanted} tokens more",
        advice="" if good else f"the rate of the frames does not arrive: {ADVICE['frames']}",
    )


def _digits(probe: Probe) -> Iterator[Finding]:
    """Ten digits more must be ten tokens more, else a time is no row of digits to the model."""
    policy = replace(probe.policy, fps=SLOWER_FPS)
    lengths = [
        probe.ask(question(f"digits {text}", probe.clip, policy, after=f"Is it {text}?"))[
            0
        ].num_prompt_tokens
        for text in ("1", "1" + DIGITS)
    ]
    gap = lengths[1] - lengths[0]
    yield Finding(
        "digits",
        f"{gap} tokens for {len(DIGITS)} digits",
        good=gap == len(DIGITS),
        expected=str(len(DIGITS)),
        advice="" if gap == len(DIGITS) else "this tokenizer joins digits: times are hard to write",
    )


def _constrained(
    probe: Probe, name: str, template: Template, sampling: Sampling
) -> tuple[Completion, ...]:
    policy = replace(probe.policy, fps=SLOWER_FPS)
    return probe.ask(question(name, probe.clip, policy, template), sampling, "constrained")


def _constraint(probe: Probe) -> Iterator[Finding]:
    """An answer that the model would never write of its own accord."""
    completions = _constrained(probe, "strange", STRANGE, Sampling(max_new_tokens=32))
    yield finding_of(kept_to(STRANGE, [c.text for c in completions], reasoning=True))


def _forms(probe: Probe) -> Iterator[Finding]:
    """Of a server: the ways to say a constraint, some of which are taken and do nothing."""
    if isinstance(probe.engine, ServedModel):
        forms = probe.engine.constraint_forms()
        yield Finding("forms of constraint", "; ".join(f"{k}: {v}" for k, v in forms.items()))


def _samples(probe: Probe) -> Iterator[Finding]:
    """Several answers: unlike at temperature 1, alike at 0."""
    drawn = Sampling(trials=4, temperature=1.0, max_new_tokens=32)
    texts = {c.text for c in _constrained(probe, "casts", CASTS, drawn)}
    yield Finding(
        "samples at temperature 1",
        f"{len(texts)} different ones of {drawn.trials}",
        good=len(texts) > 1,
        expected="different ones",
        advice=""
        if len(texts) > 1
        else "the engine draws every sample alike: its seed is not ours",
    )
    greedy = replace(drawn, temperature=0.0, trials=2)
    alike = {c.text for c in _constrained(probe, "casts", CASTS, greedy)}
    alike |= {c.text for c in _constrained(probe, "casts", CASTS, replace(greedy, trials=1))}
    yield Finding(
        "answers at temperature 0",
        "always the same" if len(alike) == 1 else f"{len(alike)} different ones",
        good=len(alike) == 1,
        expected="always the same",
        advice="" if len(alike) == 1 else "the engine's answers depend on what else it computes",
    )


def _posterior(probe: Probe) -> Iterator[Finding]:
    """Whether distributions over times can be had; not every engine gives them."""
    policy = replace(probe.policy, fps=SLOWER_FPS)
    try:
        (completion,) = probe.ask(
            question("posterior", probe.clip, policy, STRANGE), Sampling(), "posterior"
        )
    except UserError as error:
        yield Finding("--decoding posterior", f"not with this engine: {error}")
        return
    (posterior,) = completion.posteriors
    total = sum(posterior.probabilities)
    yield Finding(
        "--decoding posterior",
        f"probabilities of {len(posterior.choices)} values, sum {total:.3f}",
        good=abs(total - 1) < 1e-3,
    )
