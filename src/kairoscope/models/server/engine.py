"""A model behind an OpenAI-compatible server, as `core.Model` has it."""

import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from kairoscope.core import (
    Answer,
    Decoding,
    FramePolicy,
    Request,
    Sampling,
    UserError,
)
from kairoscope.models.chat import Encoder
from kairoscope.models.checkpoint import read_policy, weights_identity
from kairoscope.models.decode import check_sampling
from kairoscope.models.parity import Check
from kairoscope.models.reasoning import check_reasoned
from kairoscope.models.reference import load_encoder
from kairoscope.models.server.asking import THREADS, Asking
from kairoscope.models.server.background import Background
from kairoscope.models.server.blame import Gone, Outcome
from kairoscope.models.server.constraint import forms_found
from kairoscope.models.server.http import Connection, Refused, Unanswered
from kairoscope.models.server.options import ServerOptions, check_options
from kairoscope.models.server.usage import Usage
from kairoscope.models.server.wire import served_model
from kairoscope.storage import canonical_json, read_json
from kairoscope.video.sampling import QWEN3_GEOMETRY, QWEN25_GEOMETRY, PatchGeometry

REFUSALS = 5
"""So many clips refused and none answered: the server takes none of them."""
SERVER_OF_ITS_OWN = ("id", "root", "parent", "max_model_len")
"""Fields of a server's model that stay when the server is started again or moved. `created` is the
time of the question with vLLM, and of the start with others."""


class ServedModel:
    """Asks a server over HTTP; many clips at once, answers in the order in which they come."""

    def __init__(self, model: str, options: ServerOptions, *, name: str | None = None) -> None:
        """Nothing is asked yet.

        Args:
            model: as the server calls it.
            options: address, limits, prices.
            name: what runs and reports call it; None: `openai:` and the model.

        Raises:
            UserError: options with which no server can be asked.
        """
        check_options(f"openai:{model}", options)
        self.model = model
        self.options = options
        self.name = name or f"openai:{model}"
        self.usage = Usage()

    name: str
    """What the user called it."""
    usage: Usage
    """What was asked through this object so far."""
    checks: tuple[Check, ...] = ()
    """What the model was last fed, beside what it should have been."""

    @cached_property
    def served(self) -> dict[str, Any]:
        """What the server says about the model. Asked once.

        Raises:
            UserError: no such model, or no server.
        """
        url = str(self.options.base_url)
        try:
            with closing(self._background()) as background:
                found = background.run(background.context.ask("GET", "models"))
        except Refused as error:
            if error.status in (404, 405, 501):
                return {"id": self.model}
            raise UserError(f"{url}: {error}") from error
        except Unanswered as error:
            raise UserError(
                f"{url}: no server answers there ({error}); start it, or give another --base-url"
            ) from error
        return dict(served_model(found, self.model, url))

    def spent(self) -> dict[str, Any]:
        """What was asked through this object so far, as plain values, and what it cost."""
        return self.usage.row(self.options)

    def constraint_forms(self) -> dict[str, str]:
        """Each way to say a constraint -> what the server does with it, in words.

        Raises:
            UserError: no server.
        """
        try:
            with closing(self._background()) as background:
                found = background.run(forms_found(background.context, self.model))
        except Unanswered as error:
            raise UserError(f"{self.options.base_url}: {error}") from error
        return {str(form): words for form, words in found.items()}

    def _background(self) -> Background[Connection]:
        return Background(lambda: Connection(self.options, self.usage))

    @cached_property
    def _folder(self) -> Path | None:
        """The checkpoint's folder, where it lies on this machine, too."""
        root = self.served.get("root")
        if not isinstance(root, str) or not Path(root).is_absolute():
            return None
        return Path(root) if (Path(root) / "config.json").is_file() else None

    @cached_property
    def identity(self) -> str:
        """Changes when the model changes, and not when the server moves.

        Where the checkpoint can be seen from here, its weights' hash; else what the server calls it
        and where it has it from. Never the server's address.
        """
        weights = weights_identity(self._folder) if self._folder is not None else None
        known = {key: self.served.get(key) for key in SERVER_OF_ITS_OWN}
        if weights is not None:
            known = {"weights": weights, "max_model_len": known["max_model_len"]}
        digest = sha256(canonical_json(known).encode("utf-8")).hexdigest()[:16]
        return f"served:{digest}"

    @cached_property
    def policy(self) -> FramePolicy | None:
        """The checkpoint's own frames, where it lies on this machine, too, and says so."""
        return read_policy(self._folder) if self._folder is not None else None

    @cached_property
    def geometry(self) -> PatchGeometry:
        """Of the checkpoint where it can be seen, else Qwen3-VL's where the name says so."""
        if self._folder is not None:
            config = read_json(self._folder / "config.json")
            newer = isinstance(config, dict) and "qwen3" in str(config.get("model_type"))
        else:
            names = f"{self.served.get('root')} {self.model}".lower()
            newer = any(word in names for word in ("qwen3", "reason2"))
        return QWEN3_GEOMETRY if newer else QWEN25_GEOMETRY

    @cached_property
    def encoder(self) -> Encoder | None:
        """Of the checkpoint, where it lies on this machine, too, and is of a kind that is known."""
        if self._folder is None:
            return None
        try:
            return load_encoder(self._folder)
        except UserError:
            return None

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. Answers come as they finish; requests are taken as there is room.

        Raises:
            UserError: the server ends, ignores a constraint, feeds the model other frames or takes
                no clip at all; what was answered before has been given.
        """
        check_sampling(sampling)
        if self.options.reasoning:
            check_reasoned(self.name, decoding)
        num_answered = 0
        try:
            with closing(self._outcomes(requests, sampling, decoding)) as outcomes:
                for outcome in _less_refusals(outcomes):
                    num_answered += 1
                    yield outcome.request_id, outcome.answer
        except Gone as error:
            raise UserError(
                f"{self.options.base_url}: the server does not answer any more ({error}); "
                f"{num_answered} questions were answered in this session and are kept: run the same "
                "command again when the server is there, and only the rest is asked"
            ) from error

    def _outcomes(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Generator[Outcome, None, None]:
        geometry, encoder = self.geometry, self.encoder
        with (
            tempfile.TemporaryDirectory(
                prefix="kairoscope-", dir=self.options.shared_folder, ignore_cleanup_errors=True
            ) as folder,
            closing(self._background()) as background,
        ):
            # Readable by a server of another user; its files have names that nobody guesses.
            Path(folder).chmod(0o711)
            asking = Asking(
                model=self.model,
                options=self.options,
                sampling=sampling,
                decoding=decoding,
                geometry=geometry,
                folder=Path(folder),
                usage=self.usage,
                encoder=encoder,
            )
            at_once = self.options.concurrency + THREADS
            finished = background.finished(requests, asking.answer, at_once=at_once)
            with closing(asking), closing(finished):
                for outcome in finished:
                    self.checks = asking.checks
                    yield outcome


def _less_refusals(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """Refusals are held back until an answer shows that they were about their clips.

    Raises:
        UserError: the server refused the first `REFUSALS` clips.
    """
    held: list[Outcome] = []
    is_taken = False
    for outcome in outcomes:
        if outcome.refused and not is_taken:
            held.append(outcome)
            if len(held) == REFUSALS:
                first = held[0].answer
                raise UserError(
                    f"the server refuses every clip; nothing of it is recorded. The first: "
                    f"{getattr(first, 'reason', first)}"
                )
            continue
        is_taken = is_taken or not hasattr(outcome.answer, "reason")
        if is_taken:
            yield from held
            held.clear()
        yield outcome
    yield from held
