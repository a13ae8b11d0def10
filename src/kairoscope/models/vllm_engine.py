"""vLLM in this process: `--model vllm:PATH`. Our frames go in, the task's template holds the answers.

Clips are decoded here, sampled, resized and stamped as for every other engine, and queued with vLLM in
bounded chunks; while it answers one chunk, the clips of the next are decoded. What it fed the model is
compared with our own input in every answer (`parity.py`).
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Request,
    Sampling,
    Template,
    UserError,
)
from kairoscope.models.chat import Encoder, text_ids
from kairoscope.models.checkpoint import read_policy, weights_identity
from kairoscope.models.decode import check_sampling
from kairoscope.models.grammar import answer_part, template_regex
from kairoscope.models.names import is_adapter, located
from kairoscope.models.parity import Check, Fed, allowed_kinds, compare, insist, kept_to
from kairoscope.models.reasoning import REASONED, check_reasoned
from kairoscope.models.reference import expected_input, load_encoder
from kairoscope.models.server.options import ServerOptions
from kairoscope.models.server.order import mended, picks
from kairoscope.models.server.wire import num_samples, seed_of
from kairoscope.models.shown import named
from kairoscope.models.vllm_clips import Asked, decoded
from kairoscope.models.vllm_files import with_processor
from kairoscope.models.vllm_input import vllm_prompt
from kairoscope.models.vllm_installed import check_installed
from kairoscope.models.vllm_posterior import walk
from kairoscope.models.vllm_start import MOST_VISION_TOKENS, Started, start
from kairoscope.models.vllm_texts import Text, completions, text_of
from kairoscope.video.frames import ClipFrames

CHUNK = 64
"""Clips that are queued with vLLM at a time; as many again are decoded meanwhile."""
WALKED_AT_ONCE = 16
"""Of posterior decoding, which asks a dozen short questions about each of them at a time and wants
their prefixes to stay in the cache."""


class VllmModel:
    """A checkpoint in vLLM; loaded when the first answer is due."""

    def __init__(
        self,
        spec: str,
        *,
        name: str | None = None,
        device: str | None = None,
        chunk: int | None = None,
        options: ServerOptions = ServerOptions(),
        on_loading: Callable[[int], None] | None = None,
        **settings: Any,
    ) -> None:
        """Find the checkpoint.

        Args:
            spec: what follows `vllm:`; see `names.resolve`.
            name: what runs and reports call it; None: `vllm:` and `spec`.
            device: None: whatever vLLM was built for; it cannot be told another.
            chunk: clips that are queued at a time; None: `CHUNK`.
            options: `reasoning`, and what may differ from our own input without ending a run.
            on_loading: told 0 when loading begins and 1 when it ends.
            settings: passed on to `vllm.LLM`, such as `gpu_memory_utilization`.

        Raises:
            UserError: there is no such model, it is an adapter, or vLLM is not installed.
        """
        self.name = name or f"vllm:{spec}"
        check_installed(self.name)
        if device is not None:
            raise UserError(
                f"--device {device}: vLLM runs on what it was built for; leave --device out "
                "(CUDA_VISIBLE_DEVICES chooses a GPU)"
            )
        self.folder = located(spec)
        if is_adapter(self.folder):
            raise UserError(
                f"--model {self.name}: an adapter; put it into its weights first (kairoscope merge)"
            )
        self.policy = read_policy(self.folder)
        self.identity = f"vllm:{weights_identity(self.folder)}" + REASONED * options.reasoning
        self._chunk = chunk or CHUNK
        self._allowed = allowed_kinds(options)
        self._reasoning = options.reasoning
        self._on_loading = on_loading or (lambda _: None)
        self._settings = settings
        self._started: Started | None = None

    name: str
    """What the user called it."""
    identity: str
    """Changes when the weights change. Never that of the same weights in another engine, which may
    answer otherwise: it takes the likeliest digit after digit, not the likeliest time."""
    policy: FramePolicy | None
    """Frames that the checkpoint was trained on, where it says so."""

    checks: tuple[Check, ...] = ()
    """What the model was last fed, beside what it should have been."""

    @property
    def encoder(self) -> Encoder:
        """What the model must be fed."""
        return load_encoder(self.folder)

    @property
    def started(self) -> Started:
        """The engine, started when first needed."""
        if self._started is None:
            self._on_loading(0)
            with tempfile.TemporaryDirectory(prefix="kairoscope-") as links:
                folder = with_processor(self.folder, self.encoder, Path(links) / "model")
                self._started = start(self.name, folder, self.encoder, self._settings)
            self._on_loading(1)
        return self._started

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. Answers come chunk by chunk, in order.

        Raises:
            UserError: impossible sampling, no template to follow, or decoding that it cannot do.
            Mismatch: the model was fed something else than it should, or ignored the constraint.
        """
        check_sampling(sampling)
        if self._reasoning:
            check_reasoned(self.name, decoding)
        size = min(self._chunk, WALKED_AT_ONCE) if decoding == "posterior" else self._chunk
        for chunk in decoded(iter(requests), self.encoder, size):
            started = time.perf_counter()
            asked: list[Asked] = []
            outcomes: dict[str, Failed | None] = {}
            for request, frames in chunk:
                prepared = frames if isinstance(frames, Failed) else None
                if isinstance(frames, ClipFrames):
                    question = self._asked(request, frames, decoding)
                    prepared = self._too_long(question)
                    if prepared is None:
                        asked.append(question)
                outcomes[request.id] = prepared
            if decoding == "posterior":
                answers = self._walked(asked, sampling)
            else:
                answers = self._answers(asked, sampling)
            seconds = (time.perf_counter() - started) / max(1, len(asked))
            for request_id, failed in outcomes.items():
                if failed is not None:
                    yield request_id, failed
                    continue
                found = answers[request_id]
                share = seconds / len(found)
                yield request_id, tuple(replace(c, seconds=share) for c in found)

    def _asked(self, request: Request, frames: ClipFrames, decoding: Decoding) -> Asked:
        template: Template | None = None
        if decoding != "free":
            if request.template is None:
                raise UserError(f"request {request.id!r} has no template; decode it freely instead")
            template = request.template(frames.times_s)
        encoded = expected_input(self.encoder, request.prompt, frames, request.policy)
        return Asked(request=request, frames=frames, encoded=encoded, template=template)

    def _too_long(self, asked: Asked) -> Failed | None:
        """vLLM would refuse the whole chunk for it."""
        length, vision = len(asked.encoded.token_ids), asked.encoded.num_vision_tokens
        most = min(self.started.max_tokens - 1, MOST_VISION_TOKENS + length - vision)
        if length <= most:
            return None
        return Failed(
            reason=f"{named(asked.request)}: {length} tokens, of which {most} can be taken: "
            "lower total_pixels or fps"
        )

    def _answers(
        self, asked: Sequence[Asked], sampling: Sampling
    ) -> dict[str, tuple[Completion, ...]]:
        """All trials of all questions; those out of order are asked again from there on."""
        outputs = self._generate(asked, [a.template for a in asked], [sampling] * len(asked))
        texts: dict[tuple[int, int], Text] = {}
        for number, output in enumerate(outputs):
            self._check_fed(asked[number], output)
            for trial, choice in enumerate(output.outputs):
                texts[number, trial] = text_of(choice, self.started.stop_ids)
        self._put_in_order(asked, texts, sampling)
        return {
            a.request.id: completions(
                a, [texts[n, t] for t in range(num_samples(sampling))], sampling
            )
            for n, a in enumerate(asked)
        }

    def _put_in_order(
        self, asked: Sequence[Asked], texts: dict[tuple[int, int], Text], sampling: Sampling
    ) -> None:
        """Ask again, from the first time that comes too early on, until none does."""
        while True:
            late: dict[tuple[int, int], Template] = {}
            for (number, trial), answer in texts.items():
                template = asked[number].template
                if template is None or not answer.finished:
                    continue
                check = kept_to(template, [answer.text], reasoning=self._reasoning)
                insist([check], self._about(asked[number]), self._allowed)
                part = answer_part(answer.text) if self._reasoning else answer.text
                values = picks(template, part)
                rest = None if values is None else mended(template, values)
                if rest is not None:
                    late[number, trial] = rest
            if not late:
                return
            again = self._generate(
                [asked[number] for number, _ in late],
                list(late.values()),
                [
                    replace(sampling, trials=1, first_trial=sampling.first_trial + t)
                    for _, t in late
                ],
            )
            for key, output in zip(late, again, strict=True):
                texts[key] = text_of(output.outputs[0], self.started.stop_ids)

    def _generate(
        self,
        asked: Sequence[Asked],
        templates: Sequence[Template | None],
        samplings: Sequence[Sampling],
    ) -> list[Any]:
        prompts = [vllm_prompt(self.encoder, a) for a in asked]
        params = [
            self.started.params(
                sampling,
                samples=num_samples(sampling),
                seed=seed_of(sampling, a.request.id),
                regex=None
                if template is None
                else template_regex(template, reasoning=self._reasoning),
            )
            for a, template, sampling in zip(asked, templates, samplings, strict=True)
        ]
        return self.started.generate(prompts, params)

    def _walked(
        self, asked: Sequence[Asked], sampling: Sampling
    ) -> dict[str, tuple[Completion, ...]]:
        """Every slot at its median, and its distribution; see `vllm_posterior`."""
        unchecked = set(range(len(asked)))

        def generate(
            written: Sequence[Sequence[int]], whose: Sequence[int], follow: Sequence[Sequence[int]]
        ) -> list[Any]:
            prompts = [
                vllm_prompt(self.encoder, asked[n], ids)
                for n, ids in zip(whose, written, strict=True)
            ]
            outputs = self.started.generate(prompts, [self.started.one_of(ids) for ids in follow])
            for n, ids, output in zip(whose, written, outputs, strict=True):
                if n in unchecked:
                    unchecked.remove(n)
                    self._check_fed(asked[n], output, len(ids))
            return outputs

        rows = walk([a.template or () for a in asked], partial(text_ids, self.encoder), generate)
        decode = self.encoder.tokenizer.decode
        return {
            a.request.id: tuple(
                replace(completion, posteriors=tuple(row.posteriors))
                for completion in completions(
                    a,
                    [
                        Text(
                            text=decode(row.token_ids, skip_special_tokens=False),
                            num_tokens=len(row.token_ids),
                            finished=True,
                        )
                    ],
                    sampling,
                )
            )
            for a, row in zip(asked, rows, strict=True)
        }

    def _check_fed(self, asked: Asked, output: Any, num_written: int = 0) -> None:
        """Raise Mismatch where the model saw something else than it should.

        `num_written`: tokens of the answer, at the end of the prompt.
        """
        token_ids = tuple(output.prompt_token_ids)
        fed = Fed(
            num_prompt_tokens=len(token_ids) - num_written,
            token_ids=token_ids[: len(token_ids) - num_written],
            temporal_ids=self.started.positions_of(token_ids, asked.encoded),
        )
        self.checks = compare(self.encoder, asked.encoded, fed)
        insist(self.checks, self._about(asked), self._allowed)

    def _about(self, asked: Asked) -> str:
        return f"--model {self.name}, {named(asked.request)}"
