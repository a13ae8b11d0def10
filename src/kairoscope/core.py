"""The nouns: sample, task, model, record. Plain frozen data, no I/O, no torch.

A `Task` says what is asked about a clip, what a perfect answer looks like and how an answer is
scored. Models, training and reports are written against the types of this file only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

Query = TypeVar("Query")
Gold = TypeVar("Gold")
Scores = dict[str, float]
Decoding = Literal["free", "constrained", "posterior"]
"""How an answer is written. `free`: whatever the model likes. `constrained`: the task's template,
every slot sampled (or the most likely value at temperature 0). `posterior`: the template, every
slot set to the median of its distribution, which is kept with the answer."""


class UserError(Exception):
    """Something the user can put right. Names the file, the value and what is allowed."""


class UnreadableClip(UserError):
    """A clip that cannot be decoded. In a run over many clips it is recorded and counted."""


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An answer the task could not read. Never dropped: it is scored at the worst value."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Generic[Query, Gold]):
    """One clip, what is asked about it, and the right answer where it is known."""

    id: str
    video: Path
    query: Query
    gold: Gold | None
    group: str
    """Source recording. Splits and confidence intervals never cut through a group."""
    scenario: str
    """What the clip shows, such as `stack`. Tables and no-video priors are made per scenario."""
    duration_s: float | None = None

    @property
    def truth(self) -> Gold:
        """The right answer. Raises ValueError where it is not known."""
        if self.gold is None:
            raise ValueError(f"sample {self.id!r} has no gold answer to score against")
        return self.gold


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is told. The video stands between `before` and `after` in the user's turn."""

    system: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in an answer that takes one of a closed list of values."""

    name: str
    choices: tuple[str, ...]
    not_before: int | None = None
    """Index of an earlier slot of the same template: this slot's choice must not come before
    that one's in the (shared) list of choices. Says `start <= end`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A place in an answer that takes words of the model's own, none of them a quotation mark, a
    backslash or a line break. The literal after it, which begins with a quotation mark, or with
    one blank and a quotation mark, ends it."""

    name: str
    max_tokens: int


Template = tuple[str | Slot | Text, ...]
"""The whole grammar of an answer: literal text, slots and free words, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a score key means."""

    unit: str
    best: float
    worst: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer beside the truth, for metrics of many answers together."""

    value: Any
    """The parsed answer, or `Unparsed`."""
    expected: float | None
    """What `Task.expected` says of its distributions."""
    gold: Any
    group: str


class Summarize(Protocol):
    """Records of an evaluation -> the object of `metrics.json`. Pure; order does not matter."""

    def __call__(
        self,
        records: Iterable["Record"],
        *,
        control: "Iterable[Record] | None" = None,
        draws: int = 2000,
        seed: int = 0,
    ) -> dict[str, Any]:
        """`control`: answers about a wrong clip. `draws` and `seed` of the bootstrap."""


class Load(Protocol):
    """A folder or dataset on disk -> samples; bad rows go to `problems`, or raise without it."""

    def __call__(
        self,
        path: Path,
        problems: list[Any] | None = None,
        *,
        column: str | None = None,
        split: str | None = None,
    ) -> "Sequence[Sample[Any, Any]]":
        """`column`, `split`: of a dataset, where it has not the usual ones."""


def _nothing_together(_: "Sequence[Answered]") -> Scores:
    """Metrics of tasks whose figures are all means over answers."""
    return {}


def _nothing_expected(_: "Sequence[Posterior]") -> float | None:
    """Of answers that are no number."""
    return None


def _free(_: Any, _times_s: "Sequence[float]") -> "Template":
    """The grammar of tasks that have none."""
    return ()


def _off_the_grid(gold: Any, _times_s: "Sequence[float]") -> Any:
    """Of answers in which there are no times, none lies on the grid of frames."""
    return gold


def _as_it_is(value: Any) -> Any:
    """Of answers that are JSON already."""
    return value


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Query, Gold]):
    """A question family. `score(parse(render(gold)), gold)` is the best value of every metric."""

    name: str
    version: int
    metrics: Mapping[str, Metric]
    headline: str
    prompt: Callable[[Query], Prompt]
    render: Callable[[Query, Gold], str]
    """The text a perfect model would write: the SFT target."""
    parse: Callable[[Query, str], Gold | Unparsed]
    """Total: never raises, linear time."""
    score: Callable[[Gold | Unparsed, "Sample[Query, Gold]"], Scores]
    """One value for each key of `metrics`; failures get `Metric.worst` or the clip's worst. Raises
    ValueError for a sample without a gold answer."""
    load: Load
    summarize: Summarize
    template: Callable[[Query, Sequence[float]], Template] = _free
    """(query, frame times in s) -> the grammar of an answer on the grid of these frames; empty where
    there is none, and answers are written freely."""
    snap: Callable[[Gold, Sequence[float]], Gold] = _off_the_grid
    """The gold answer moved to the nearest frame times: what a model can say at best."""
    to_json: Callable[[Gold], Any] = _as_it_is
    from_json: Callable[[Any], Gold] = _as_it_is
    together: Callable[[Sequence[Answered]], Scores] = _nothing_together
    """Figures of many answers that are no mean of single ones, such as a correlation: one value for
    each key of `together_metrics`; of no answer, nothing."""
    together_metrics: Mapping[str, Metric] = field(default_factory=dict)
    turned: "Callable[[Iterable[Sample[Query, Gold]]], list[Sample[Query, Gold]]] | None" = None
    """Every question again for every turn of its choices; None where there are no choices."""
    expected: "Callable[[Sequence[Posterior]], float | None]" = _nothing_expected
    """The mean of an answer's distribution, where answers are numbers; kept in `Record.extra`."""

    @property
    def all_metrics(self) -> Mapping[str, Metric]:
        """What the headline and a recipe's targets may be."""
        return {**self.metrics, **self.together_metrics}


StampMode = Literal["pair", "frame", "none"]
"""`pair`: one label for every two sampled frames, which share one temporal patch. `frame`: one
for each frame, as a video stamped before sampling has. `none`: no label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePolicy:
    """Which frames and pixels a model sees. Training and evaluation share one such object."""

    fps: float = 8.0
    """Sampled frames a second, 0.1 to 60. Frame i is the one shown at i / fps."""
    max_frames: int = 768
    """A longer clip is sampled more slowly so that at most this many frames are taken."""
    total_pixels: int = 6_422_528
    """Pixels of the whole video: 8192 vision tokens of 28 x 28, as the recipe has it. Two frames
    share one token, so this is spread as total_pixels * 2 / num_frames a frame."""
    min_frame_pixels: int = 16 * 28 * 28
    max_frame_pixels: int = 768 * 28 * 28
    stamp: StampMode = "pair"
    stamp_place: Literal["over", "band"] = "over"
    """`over`: on the bottom of the picture. `band`: on a black band added below it, so that the
    label hides nothing."""
    stamp_height: float = 0.12
    """Height of the label's digits as a share of the frame's height (0.05 to 0.5)."""
    clock_scale: float = 1.0
    """Factor on the temporal positions. Above 2 sampled frames a second, several temporal patches
    share one position id; 0.5 * fps at fps 8 gives each its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn."""

    trials: int = 1
    first_trial: int = 0
    """Trials `first_trial` to `first_trial + trials - 1` are asked: 0 to 9 at once are the same
    answers as 0 to 4 and then 5 to 9."""
    temperature: float = 0.0
    """0 takes the most likely token."""
    top_p: float = 1.0
    max_new_tokens: int = 1024
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a clip that is shown as if it were a clip of its own, from 0 s on."""

    start_s: float
    end_s: float
    slow: float = 1.0
    """How much longer it is said to last. The policy's frames are taken of that: with 7.5, a policy of
    4 frames a second shows all frames of a clip of 30, at the pace that the model is used to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a model, about one clip or about nothing but its words."""

    id: str
    video: Path | None
    """None: the prompt holds no video, `policy` says nothing, and a template is given no frame times."""
    prompt: Prompt
    policy: FramePolicy
    template: Callable[[Sequence[float]], Template] | None = None
    """Frame times in s -> grammar; needed for constrained and posterior decoding."""
    span: Span | None = None
    """None: the whole clip. Times of the answer count from its start, and are slowed down as it is."""
    query: Any = None
    """What the prompt is made of, for those who ask further; no engine looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Distribution of one slot, given the answer before it."""

    slot: str
    choices: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer of a model."""

    text: str
    trial: int
    """Counts from `Sampling.first_trial`."""
    frame_times_s: tuple[float, ...]
    """Presentation times of the frames that the model saw."""
    num_prompt_tokens: int
    num_vision_tokens: int
    num_new_tokens: int
    seconds: float
    """Wall time of the request, shared equally between its trials."""
    finish: Literal["stop", "length"]
    posteriors: tuple[Posterior, ...] = ()
    stored: bool = False
    """It was kept from an earlier question; `seconds` are those that it took then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A request that could not be answered, such as a clip that does not decode."""

    reason: str


Answer = tuple[str, "tuple[Completion, ...] | Failed"]
"""(request id, one completion a trial or why there is none)."""


class Model(Protocol):
    """The only thing evaluation and annotation know about a model."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def identity(self) -> str:
        """Changes when the weights change; written into every run."""

    def answer(
        self, requests: Iterable[Request], sampling: Sampling, decoding: Decoding
    ) -> Iterator[Answer]:
        """Answer every request exactly once, in any order, with `sampling.trials` completions.

        `Completion.trial` counts from `sampling.first_trial`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer to one sample in one trial, with everything needed to score it again."""

    sample_id: str
    video: str
    group: str
    scenario: str
    trial: int
    text: str
    value: Any
    """The parsed answer as JSON, or None where there is none."""
    unparsed: str | None
    """Why there is no parsed answer, or None."""
    gold: Any
    query: Any
    scores: Scores
    duration_s: float
    frame_times_s: tuple[float, ...] = ()
    posteriors: tuple[Mapping[str, Any], ...] = ()
    num_prompt_tokens: int = 0
    num_vision_tokens: int = 0
    num_new_tokens: int = 0
    seconds: float = 0.0
    failed: bool = False
    """True where the clip itself could not be read: no model is to blame."""
    extra: Mapping[str, Any] = field(default_factory=dict)
