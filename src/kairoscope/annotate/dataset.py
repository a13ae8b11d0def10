"""A robot dataset -> boundaries of the events that a task names, written back into a copy of it.

    signals.jsonl       what the recorded signals say, one row an episode as soon as it is read
    answers.jsonl       what the model says, where signals do not decide
    clips.jsonl         one row an episode, put together from both: events, reasons, problems
    boundaries.jsonl    one row an event; boundaries.csv the same for spreadsheets

An episode that cannot be read is a row with its reason; it never ends the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.annotate.clips import FOLDER, View, clip_of, view_of
from kairoscope.annotate.combining import combine
from kairoscope.annotate.evidence import (
    KEY,
    ROWS,
    gather,
    look_for_grippers,
    present_ids,
)
from kairoscope.annotate.examples import Example, examples_in, prior_for
from kairoscope.annotate.legal import made_legal
from kairoscope.annotate.results import (
    DATASET_COLUMNS,
    failed_row,
    found_in,
    result_row,
    write_rows,
)
from kairoscope.annotate.sources import evidence_of
from kairoscope.annotate.videos import clip_row, write_boundaries
from kairoscope.core import (
    Decoding,
    FramePolicy,
    Model,
    Request,
    Sampling,
    Task,
    UnreadableClip,
    UserError,
)
from kairoscope.events import Event, Query
from kairoscope.pool_fitting import default_pool
from kairoscope.robot.episode import Dataset, Episode, UnreadableEpisode
from kairoscope.robot.examples import choose_examples
from kairoscope.robot.naming import SignalPlan
from kairoscope.robot.saving import Found, Saved, copy_name, save_boundaries
from kairoscope.robot.signals import Gripper
from kairoscope.runs import Run
from kairoscope.storage import file_state

ANSWERS = "answers"
OnProgress = Callable[[str, int, int], None]
"""(what, done, of how many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A model, and how it is asked about the episodes that signals do not decide."""

    model: Model
    task: Task[Query, tuple[Event, ...]]
    policy: FramePolicy
    decoding: Decoding
    camera: str | None = None
    """None: the first that does not move with a hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What becomes of the dataset itself."""

    in_place: bool = False
    overwrite: bool = False
    """Labels that Kairoscope did not make count for nothing and are replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTally:
    """What became of the episodes of a dataset."""

    num_episodes: int
    num_without: int
    """Episodes of which no event has a boundary."""
    num_events: int
    num_flagged: int
    by_source: Mapping[str, int]
    """Boundaries by what placed them: label, signals, model, prior."""
    num_labelled: int
    """Episodes whose every event was labelled already: the examples of the prior."""
    label_first: tuple[str, ...]
    """Episodes to label next, so that there are as many examples as were asked for."""
    problems: tuple[tuple[str, str], ...]
    """(episode, reason) of everything that is not as it should be."""
    saved: Saved | None
    """None where the format is not written, or there was nothing to write."""
    grippers: tuple[Gripper, ...] = field(repr=False)


def annotate_dataset(
    dataset: Dataset,
    query: Query,
    run: Run,
    *,
    plan: SignalPlan | None = None,
    asking: Asking | None = None,
    saving: Saving,
    num_examples: int = 0,
    on_progress: OnProgress,
) -> DatasetTally:
    """Find the events of `query` in every episode and write them where the dataset's tools read.

    Args:
        dataset: opened.
        query: event names in order.
        run: where rows go, and the labelled copy.
        plan: signals of an HDF5 file, from `signal_plan`; None for other formats.
        asking: the model; None: signals and examples alone.
        saving: what becomes of the dataset itself.
        num_examples: labelled episodes that the prior is to have; says which to label where there
            are fewer.
        on_progress: told what is done.

    Raises UserError where no episode can be read, or nothing can be written at all.
    """
    on_progress("looking for grippers", 0, 1)
    grippers = look_for_grippers(dataset, query)
    on_progress("looking for grippers", 1, 1)
    gather(
        dataset,
        query,
        run,
        plan=plan,
        grippers=grippers,
        on_episode=lambda done, total: on_progress("reading signals", done, total),
    )
    work = _Work(dataset, query, run, plan, asking, saving)
    work.look_over()
    if asking is not None:
        work.ask(asking, on_progress)
    found: dict[str, Found] = {}
    write_rows(run.file("clips"), work.results(found))
    saved = _saved(work, found, on_progress)
    tally = write_boundaries(run, present_ids(dataset), DATASET_COLUMNS)
    problems = [*tally.problems, *(saved.problems if saved else ())]
    run.write_json("problems.json", [{"clip": clip, "reason": why} for clip, why in problems])
    labelled = [example.clip for example in work.examples]
    return DatasetTally(
        num_episodes=tally.num_clips,
        num_without=work.num_without,
        num_events=tally.num_events,
        num_flagged=tally.num_flagged,
        by_source=work.by_source,
        num_labelled=len(labelled),
        label_first=work.label_first(num_examples - len(labelled), grippers),
        problems=tuple(problems),
        saved=saved,
        grippers=grippers,
    )


def _saved(work: "_Work", found: Mapping[str, Found], on_progress: OnProgress) -> Saved | None:
    name = copy_name(work.dataset)
    if name is None:
        return None
    on_progress("writing the dataset", 0, 1)
    saved = save_boundaries(
        work.dataset,
        None if work.saving.in_place else work.run.path / name,
        found,
        plan=work.plan,
        in_place=work.saving.in_place,
        overwrite=work.saving.overwrite,
    )
    on_progress("writing the dataset", 1, 1)
    return saved


class _Work:
    """One pass over the rows after another: none of them holds more than one episode."""

    def __init__(
        self,
        dataset: Dataset,
        query: Query,
        run: Run,
        plan: SignalPlan | None,
        asking: Asking | None,
        saving: Saving,
    ) -> None:
        self.dataset = dataset
        self.query = query
        self.run = run
        self.plan = plan
        self.camera = asking.camera if asking else None
        self.saving = saving
        self.num_readable = 0
        self.examples: list[Example] = []
        self.by_source: dict[str, int] = {}
        self.num_without = 0
        self._clips: dict[str, Path] = {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """What is known of every episode; labels that are to be replaced are left out."""
        for row in self.run.rows(ROWS, KEY):
            if self.saving.overwrite and row["problem"] is None:
                row["labels"] = [None] * len(self.query)
            yield row

    def look_over(self) -> None:
        """Find the examples. Raises UserError where not one episode can be read."""
        reason = "it lists none"
        for row in self.rows():
            if row["problem"] is not None:
                reason = row["problem"]
                continue
            self.num_readable += 1
            self.examples += examples_in([row])
        if not self.num_readable:
            raise UserError(f"{self.dataset.path}: not one episode can be read; {reason}")

    def label_first(self, num_more: int, grippers: Sequence[Gripper]) -> tuple[str, ...]:
        """Which episodes to label next, so that there are so many more examples."""
        have = {example.clip for example in self.examples}

        def others() -> Iterator[Episode]:
            for row in self.rows():
                if row["problem"] is None and row["clip"] not in have:
                    yield self.dataset.episode(row["clip"])

        return choose_examples(others(), num_more, grippers) if num_more > 0 else ()

    def ask(self, asking: Asking, on_progress: OnProgress) -> None:
        """Ask the model about every episode that has an event without label and signal."""
        num_wanted = sum(map(self._is_open, self.rows()))
        states = {row["clip"]: (row["file"], row["digest"]) for row in self.run.rows(ANSWERS, KEY)}
        problems: dict[str, str] = {}
        digests: dict[str, str] = {}
        asked = 0

        def requests() -> Iterator[Request]:
            nonlocal asked
            for row in filter(self._is_open, self.rows()):
                digests[row["clip"]] = row["digest"]
                clip = self._clip(row, problems)
                if clip is None:
                    self._keep(_unseen(row, problems[row["clip"]]), known=row["clip"] in states)
                if clip is None or states.get(row["clip"]) == (file_state(clip), row["digest"]):
                    asked += 1
                    continue
                yield Request(
                    id=row["clip"],
                    video=clip,
                    prompt=asking.task.prompt(self.query),
                    policy=asking.policy,
                    template=partial(asking.task.template, self.query),
                )

        for name, answer in asking.model.answer(requests(), Sampling(), asking.decoding):
            medians = asking.decoding == "posterior"
            row = clip_row(
                asking.task, self.query, name, self._clips[name], answer, medians=medians
            )
            self._keep({**row, "digest": digests[name]}, known=name in states)
            asked += 1
            on_progress("asking the model", asked, num_wanted)

    def _is_open(self, row: Mapping[str, Any]) -> bool:
        """Whether an event has neither label nor signal."""
        if row["problem"] is not None:
            return False
        decided = [one["frame"] is not None for one in row["signals"]] or [False] * len(self.query)
        return any(
            label is None and not known for label, known in zip(row["labels"], decided, strict=True)
        )

    def _clip(self, row: Mapping[str, Any], problems: dict[str, str]) -> Path | None:
        """The video that the model sees, or a problem."""
        name = row["clip"]
        try:
            view = view_of(row, self.camera)
            if view is None:
                problems[name] = "it has no video"
                return None
            self._clips[name] = clip_of(self.dataset, row, view, self.run.path / FOLDER)
        except (UnreadableClip, UnreadableEpisode) as error:
            problems[name] = str(error)
            return None
        return self._clips[name]

    def _keep(self, row: Mapping[str, Any], *, known: bool) -> None:
        """Put an answer in the place of an earlier one about the same episode."""
        if known:
            self.run.forget(ANSWERS, lambda old: bool(old["clip"] == row["clip"]))
        self.run.append(ANSWERS, row)

    def results(self, found: dict[str, Found]) -> Iterator[dict[str, Any]]:
        """The row of every episode; what is to be written goes into `found`."""
        answers = {row["clip"]: row for row in self.run.rows(ANSWERS, KEY)}
        for row in self.rows():
            if row["problem"] is not None:
                self.num_without += 1
                yield failed_row(row)
                continue
            answer = answers.get(row["clip"]) if self._is_open(row) else None
            result = self._result(row, answer)
            self.num_without += not result["events"]
            for event in result["events"]:
                self.by_source[event["source"]] = self.by_source.get(event["source"], 0) + 1
            one = found_in(result, is_hdf5=self.plan is not None)
            if one is not None:
                found[row["clip"]] = one
            yield result

    def _result(self, row: Mapping[str, Any], answer: Mapping[str, Any] | None) -> dict[str, Any]:
        times_s = np.asarray(row["times_s"], dtype=np.float64)
        group = str(row["source"] or row["clip"])
        prior = prior_for(self.query, self.examples, row["clip"], group, times_s)
        evidence = evidence_of(self.query, row, answer, prior, times_s)
        boundaries = combine(self.query, times_s, evidence, default_pool())
        trouble = None
        if self.plan is not None:
            boundaries, trouble = made_legal(boundaries, self.plan, times_s)
        view: View | None = view_of(row, self.camera)
        return result_row(
            row,
            boundaries,
            trouble,
            view=view,
            clip=self._clips.get(row["clip"]),
            run=self.run,
            posteriors=answer["posteriors"] if answer else (),
        )


def _unseen(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """In the place of an answer about an episode that cannot be seen."""
    return {
        "clip": row["clip"],
        "digest": row["digest"],
        "file": None,
        "events": [],
        "posteriors": [],
        "problem": reason,
    }
