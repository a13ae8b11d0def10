"""The default engine: a transformers checkpoint in this process, on a CPU or a GPU."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from itertools import islice

import torch

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Request,
    Sampling,
    UnreadableClip,
    UserError,
)
from kairoscope.models.chat import Encoded, encode, text_ids
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.constrain import Piece, compile_template
from kairoscope.models.decode import Written, check_sampling, decode_free, decode_template
from kairoscope.models.reasoning import REASONED, check_reasoned, write_blocks
from kairoscope.models.session import Session
from kairoscope.models.shown import frames_of
from kairoscope.models.words import plain_ids
from kairoscope.video.frames import ClipFrames


class InProcessModel:
    """Answers requests with a checkpoint; clips are decoded ahead while the network works."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        batch_size: int = 1,
        decode_threads: int = 2,
        reasoning: bool = False,
    ) -> None:
        """Wrap a loaded checkpoint.

        Args:
            checkpoint: see `load_checkpoint`.
            batch_size: clips that share a forward pass, 1 or more.
            decode_threads: threads that decode clips; twice as many clips wait in memory.
            reasoning: a block that the model writes as it likes comes before a constrained answer.
        """
        self.checkpoint = checkpoint
        self.batch_size = batch_size
        self.decode_threads = decode_threads
        self.reasoning = reasoning

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.checkpoint.name

    @property
    def identity(self) -> str:
        """Hash of the weights, and whether it reasons."""
        return self.checkpoint.identity + REASONED * self.reasoning

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """Answer every request once, in order. See `core.Model`.

        Raises:
            UserError: impossible sampling, no template to follow, distributions behind reasoning, or a
                GPU that is too small.
        """
        check_sampling(sampling)
        if self.reasoning:
            check_reasoned(self.name, decoding)
        for batch in _batched(self._decoded(requests), self.batch_size):
            good = [
                (request, frames) for request, frames in batch if isinstance(frames, ClipFrames)
            ]
            answers = dict(self._answer_batch(good, sampling, decoding)) if good else {}
            for request, frames in batch:
                if isinstance(frames, Failed):
                    yield request.id, frames
                else:
                    yield request.id, answers[request.id]

    def _decoded(
        self, requests: Iterable[Request]
    ) -> Iterator[tuple[Request, ClipFrames | Failed]]:
        """Clips in the order of the requests, a few decoded ahead."""
        waiting: deque[tuple[Request, Future[ClipFrames | Failed]]] = deque()
        source = iter(requests)
        pool = ThreadPoolExecutor(self.decode_threads)
        try:
            for request in islice(source, 2 * self.decode_threads + self.batch_size):
                waiting.append((request, pool.submit(self._frames, request)))
            while waiting:
                request, future = waiting.popleft()
                yield request, future.result()
                for fresh in islice(source, 1):
                    waiting.append((fresh, pool.submit(self._frames, fresh)))
        finally:
            # After Ctrl-C or an error nobody wants the clips that wait.
            pool.shutdown(cancel_futures=True)

    def _frames(self, request: Request) -> ClipFrames | Failed:
        try:
            return frames_of(request, self.checkpoint.encoder.geometry)
        except UnreadableClip as error:
            return Failed(reason=str(error))

    def _answer_batch(
        self,
        batch: Sequence[tuple[Request, ClipFrames]],
        sampling: Sampling,
        decoding: Decoding,
    ) -> Iterator[tuple[str, tuple[Completion, ...]]]:
        started = time.perf_counter()
        encoder = self.checkpoint.encoder
        prompts = [
            encode(encoder, request.prompt, frames.pixels_THWC, frames.times_s, request.policy)
            for request, frames in batch
        ]
        try:
            session = Session(self.checkpoint.network, encoder, prompts)
            session.repeat(sampling.trials)
            written = self._write(session, batch, sampling, decoding)
        except torch.OutOfMemoryError as error:
            most = max(len(prompt.token_ids) for prompt in prompts)
            raise UserError(
                f"the GPU's memory is too small for {len(batch)} clips of up to {most} tokens with "
                f"{sampling.trials} trials each: lower the batch size, total_pixels or fps"
            ) from error
        seconds = (time.perf_counter() - started) / len(batch)
        for row, ((request, frames), prompt) in enumerate(zip(batch, prompts, strict=True)):
            rows = written[row * sampling.trials : (row + 1) * sampling.trials]
            yield (
                request.id,
                self._completions(rows, sampling.first_trial, frames, prompt, seconds),
            )

    def _write(
        self,
        session: Session,
        batch: Sequence[tuple[Request, ClipFrames]],
        sampling: Sampling,
        decoding: Decoding,
    ) -> list[Written]:
        generators = [
            _generator(sampling.seed, request.id, trial)
            for request, _ in batch
            for trial in range(sampling.first_trial, sampling.first_trial + sampling.trials)
        ]
        if decoding == "free":
            stop_ids = self.checkpoint.stop_ids
            return decode_free(session, sampling, stop_ids=stop_ids, generators=generators)
        templates = [
            pieces
            for pieces in (self._compile(request, frames) for request, frames in batch)
            for _ in range(sampling.trials)
        ]
        if self.reasoning:
            return self._reasoned(session, templates, sampling, generators)
        use_median = decoding == "posterior"
        return decode_template(
            session, templates, sampling, use_median=use_median, generators=generators
        )

    def _reasoned(
        self,
        session: Session,
        templates: Sequence[tuple[Piece, ...]],
        sampling: Sampling,
        generators: Sequence[torch.Generator],
    ) -> list[Written]:
        """Answers along templates, each after what the model wrote before it as it liked."""
        stop_ids = self.checkpoint.stop_ids
        blocks = write_blocks(session, sampling, stop_ids=stop_ids, generators=generators)
        rows = decode_template(
            session,
            templates,
            sampling,
            use_median=False,
            generators=generators,
            unfed=[block.closing or () for block in blocks],
        )
        for row, block in zip(rows, blocks, strict=True):
            row.token_ids = [*block.token_ids, *row.token_ids]
        return rows

    def _compile(self, request: Request, frames: ClipFrames) -> tuple[Piece, ...]:
        if request.template is None:
            raise UserError(f"request {request.id!r} has no template; decode it freely instead")
        encoder = self.checkpoint.encoder
        template = request.template(frames.times_s)
        if not template:
            raise UserError("answers of this task follow no grammar: --decoding free")
        return compile_template(
            template,
            lambda text: text_ids(encoder, text),
            lambda: plain_ids(encoder.tokenizer, self.checkpoint.stop_ids),
        )

    def _completions(
        self,
        rows: Sequence[Written],
        first_trial: int,
        frames: ClipFrames,
        prompt: Encoded,
        seconds: float,
    ) -> tuple[Completion, ...]:
        tokenizer = self.checkpoint.encoder.tokenizer
        return tuple(
            Completion(
                text=tokenizer.decode(written.token_ids, skip_special_tokens=False),
                trial=trial,
                frame_times_s=frames.times_s,
                num_prompt_tokens=len(prompt.token_ids),
                num_vision_tokens=prompt.num_vision_tokens,
                num_new_tokens=len(written.token_ids),
                seconds=seconds / len(rows),
                finish="stop" if written.finished else "length",
                posteriors=tuple(written.posteriors),
            )
            for trial, written in enumerate(rows, first_trial)
        )


def _generator(seed: int, request_id: str, trial: int) -> torch.Generator:
    """Randomness that depends on the question and the trial, not on batching or order."""
    # The id may be the name of a file, which need not be text.
    name = f"{seed}/{request_id}/{trial}".encode("utf-8", "surrogatepass")
    digest = sha256(name).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _batched(
    items: Iterator[tuple[Request, ClipFrames | Failed]], size: int
) -> Iterator[list[tuple[Request, ClipFrames | Failed]]]:
    while batch := list(islice(items, size)):
        yield batch
