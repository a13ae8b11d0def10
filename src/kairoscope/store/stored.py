"""A model that looks into a store before it asks another: the same question is never paid for twice."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from typing import Any

from kairoscope.core import (
    Answer,
    Completion,
    Decoding,
    Failed,
    Model,
    Request,
    Sampling,
    UnreadableClip,
)
from kairoscope.data.clips import hash_clip
from kairoscope.storage import file_state
from kairoscope.store.database import AnswerStore, Asker, Count
from kairoscope.store.keys import question_key, template_digest
from kairoscope.wrapping import Wrapping

Trials = tuple[int, int]
"""(first, how many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the store must know about a model and cannot see."""

    computed_by: Mapping[str, str] = field(default_factory=dict)
    """What else than its identity its answers depend on, such as versions and the device."""
    draws_by_id: bool = False
    """What it draws depends on the request's id."""
    is_paid: bool = False
    """Its answers cost money, so none is thrown away for want of room."""


@dataclass(slots=True, eq=False)
class _Open:
    """A question of which some trials are missing."""

    request: Request
    key: bytes | None
    """None: its answers are not kept."""
    state: Any
    """Of the clip's file, when its bytes were read."""
    found: dict[int, Completion]
    missing: list[Trials]


class Stored(Wrapping):
    """`model`, with a store before it. Answers are the same with it and without.

    A clip that cannot be read is asked about every time: what fails is not kept. Of a question with some
    of its trials in the store, only the others are asked for.
    """

    def __init__(
        self, model: Model, store: AnswerStore, *, task: str = "", traits: Traits | None = None
    ) -> None:
        """Put a store before a model.

        Args:
            model: any engine.
            store: open; `Stored` does not close it.
            task: what `kairoscope cache` lists the answers under.
            traits: what the answers depend on besides what every request says.
        """
        super().__init__(model)
        self.store = store
        self.task = task
        self.traits = traits or Traits()
        self.count = Count()
        store.counts.append(self.count)

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """See `core.Model`. Without a missing answer the model is not asked, nor even loaded."""
        call = _Call(self, sampling, decoding)
        source = iter(requests)
        for request in source:
            looked = call.look_up(request)
            if isinstance(looked, tuple):
                self.count.stored += len(looked)
                yield request.id, looked
            else:
                yield from call.ask(looked, source)


class _Call:
    """One call of `Stored.answer`.

    The model draws requests while it works. Those that it need not answer wait until it gives its
    next answer: as requests alone, their answers are read when their turn comes.
    """

    def __init__(self, stored: Stored, sampling: Sampling, decoding: Decoding) -> None:
        self.stored = stored
        self.store = stored.store
        self.sampling = sampling
        self.decoding = decoding
        self.wanted = range(sampling.first_trial, sampling.first_trial + sampling.trials)
        self.open: dict[str, _Open] = {}
        self.in_flight: set[bytes] = set()
        self.ready: deque[Request] = deque()
        """Wholly in the store, or asked in this moment under another id."""
        self.later: defaultdict[Trials, list[_Open]] = defaultdict(list)
        """Lacking other trials than those that are being asked for."""

    # --- looking ---------------------------------------------------------------------------------

    def look_up(self, request: Request) -> tuple[Completion, ...] | _Open:
        """All trials of a question, or what is known of it."""
        state, key = _state(request), self._key(request)
        found: dict[int, Completion] = {}
        if key is not None:
            key, found = self._found(request, key)
        missing = _runs([trial for trial in self.wanted if trial not in found])
        if not missing:
            return tuple(found[trial] for trial in self.wanted)
        return _Open(request=request, key=key, state=state, found=found, missing=missing)

    def _found(self, request: Request, key: bytes) -> tuple[bytes, dict[int, Completion]]:
        """What is kept under a key, and the key: another one where the grammar is another one on this
        clip's frames, which are known only from an answer.
        """
        for _ in range(2):
            kept = self.store.get(key, self.wanted)
            wanted = {
                times_s: template_digest(request, times_s, self.decoding)
                for times_s in {completion.frame_times_s for completion, _ in kept.values()}
            }
            if all(wanted[answer.frame_times_s] == digest for answer, digest in kept.values()):
                return key, {trial: answer for trial, (answer, _) in kept.items()}
            key = sha256(key + "/".join(map(str, wanted.values())).encode()).digest()
        return key, {}

    def _key(self, request: Request) -> bytes | None:
        stored = self.stored
        if not stored.identity:
            return None  # whose weights nobody knows
        try:
            clip = hash_clip(request.video) if request.video is not None else None
        except (UnreadableClip, ValueError):
            return None
        return question_key(
            request,
            clip,
            self.sampling,
            self.decoding,
            identity=stored.identity,
            computed_by=stored.traits.computed_by,
            draws_by_id=stored.traits.draws_by_id,
        )

    # --- asking ----------------------------------------------------------------------------------

    def ask(self, first: _Open, source: Iterator[Request]) -> Iterator[Answer]:
        """Ask about a question and all after it that lack the same trials; then about the others."""
        yield from self._stream(first.missing[0], chain([first], self._unanswered(source)))
        while self.later or self.ready:
            if self.later:
                trials = next(iter(self.later))
                yield from self._stream(trials, iter(self.later.pop(trials)))
            yield from self._from_store()

    def _unanswered(self, source: Iterator[Request]) -> Iterator[_Open]:
        for request in source:
            looked = self.look_up(request)
            if isinstance(looked, tuple) or looked.key in self.in_flight:
                self.ready.append(request)
            else:
                yield looked

    def _stream(self, trials: Trials, questions: Iterator[_Open]) -> Iterator[Answer]:
        sampling = replace(self.sampling, first_trial=trials[0], trials=trials[1])
        requests = self._requests(trials, questions)
        for name, answer in self.stored.model.answer(requests, sampling, self.decoding):
            whole = self._take(name, trials, answer)
            if whole is not None:
                yield name, whole
            yield from self._from_store()

    def _requests(self, trials: Trials, questions: Iterator[_Open]) -> Iterator[Request]:
        for question in questions:
            name = question.request.id
            if name not in self.open:
                self.open[name] = question
                if question.key is not None:
                    self.in_flight.add(question.key)
                for others in question.missing:
                    if others != trials:
                        self.later[others].append(question)
                if trials not in question.missing:
                    continue
            yield question.request

    def _take(
        self, name: str, trials: Trials, answer: tuple[Completion, ...] | Failed
    ) -> tuple[Completion, ...] | Failed | None:
        """Keep an answer; the whole one, once no trial is missing, or the first failure."""
        question = self.open.get(name)
        if question is None or trials not in question.missing:
            raise RuntimeError(f"{self.stored.name} answered {name!r} twice or without a request")
        if isinstance(answer, Failed):
            for waiting in list(self.later.values()):
                if question in waiting:
                    waiting.remove(question)
            self._close(question)
            return answer
        self._keep(question, answer)
        question.missing.remove(trials)
        question.found |= {completion.trial: completion for completion in answer}
        if question.missing:
            return None
        self._close(question)
        self.stored.count.stored += sum(one.stored for one in question.found.values())
        return tuple(question.found[trial] for trial in self.wanted)

    def _close(self, question: _Open) -> None:
        del self.open[question.request.id]
        if question.key is not None:
            self.in_flight.discard(question.key)

    def _keep(self, question: _Open, answer: Sequence[Completion]) -> None:
        stored, request = self.stored, question.request
        stored.count.asked += len(answer)
        if question.key is not None and question.state == _state(request):
            asker = Asker(
                model=stored.name,
                identity=stored.identity,
                task=stored.task,
                is_paid=stored.traits.is_paid,
            )
            digests = [template_digest(request, a.frame_times_s, self.decoding) for a in answer]
            self.store.put(question.key, list(zip(answer, digests, strict=True)), asker)
            if self.store.trouble is None:
                return
        stored.count.unkept += len(answer)

    def _from_store(self) -> Iterator[Answer]:
        """Those that the model need not answer, as far as their answers are there by now."""
        for _ in range(len(self.ready)):
            request = self.ready.popleft()
            looked = self.look_up(request)
            if isinstance(looked, tuple):
                self.stored.count.stored += len(looked)
                yield request.id, looked
            elif looked.key in self.in_flight:
                self.ready.append(request)
            else:
                # What answered the same question failed, or could not be kept.
                self.later[looked.missing[0]].append(looked)


def _state(request: Request) -> Any:
    """Of the clip's file, to see whether it changes under the model."""
    return file_state(request.video) if request.video is not None else None


def _runs(trials: Sequence[int]) -> list[Trials]:
    """Numbers in a row as (first, how many)."""
    runs: list[Trials] = []
    for trial in trials:
        if runs and trial == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((trial, 1))
    return runs
