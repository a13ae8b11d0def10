"""A robot dataset -> boundaries of the events that a task names, written back into a copy of it.

    signals.jsonl       what the recorded signals say, one row an episode as soon as it is read
    answers.jsonl       what the model says, where signals do not decide
    clips.jsonl         one row an episode, put together from both: events, reasons, problems
    boundaries.jsonl    one row an event; boundaries.csv the same for spreadsheets

An episode that cannot be read is a row with its reason; it never ends the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from kairoscope.annotate.answering import Answering, Asking, OnProgress
from kairoscope.annotate.clips import FOLDER, check_camera
from kairoscope.annotate.evidence import gather, look_for_grippers, present_ids
from kairoscope.annotate.examples import Example, compared
from kairoscope.annotate.gathered import ANSWERS, Gathered, is_open
from kairoscope.annotate.placing import Placing
from kairoscope.annotate.results import DATASET_COLUMNS
from kairoscope.annotate.sealed import sealed, write_rows
from kairoscope.annotate.shards import answers_elsewhere
from kairoscope.annotate.tables import write_boundaries
from kairoscope.annotate.trusting import Trusted, trusted
from kairoscope.data.corrections import read_corrections
from kairoscope.data.learned_clips import hashes_of
from kairoscope.events import Query
from kairoscope.robot.episode import Dataset, Episode
from kairoscope.robot.examples import choose_examples
from kairoscope.robot.naming import SignalPlan
from kairoscope.robot.saving import Saved, copy_name, save_boundaries
from kairoscope.robot.signals import Gripper
from kairoscope.runs import Run
from kairoscope.shards import Shard

__all__ = ["Asking", "DatasetTally", "OnProgress", "Saving", "annotate_dataset"]


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
    trust: Trusted = field(repr=False)
    """How far each source was believed."""
    num_damaged: int = 0
    """Rows of an earlier run that were not as they were written, and so were made again."""


def annotate_dataset(
    dataset: Dataset,
    query: Query,
    run: Run,
    *,
    plan: SignalPlan | None = None,
    arms: tuple[str, ...] = (),
    asking: Asking | None = None,
    saving: Saving,
    num_examples: int = 0,
    learned: AbstractSet[str] = frozenset(),
    on_progress: OnProgress,
) -> DatasetTally:
    """Find the events of `query` in every episode and write them where the dataset's tools read.

    Args:
        dataset: opened.
        query: event names in order.
        run: where rows go, and the labelled copy.
        plan: signals of an HDF5 file, from `signal_plan`; None for other formats.
        arms: which arm does each event; empty: one does them all.
        asking: the model; None: signals and examples alone.
        saving: what becomes of the dataset itself.
        num_examples: labelled episodes that the prior is to have; says which to label where there
            are fewer.
        learned: what `learned_clips` knows of the model: clips by which it is not judged.
        on_progress: told what is done.

    Raises UserError where no episode can be read, or nothing can be written at all.
    """
    on_progress("looking for grippers", 0, 1)
    grippers = look_for_grippers(dataset, query)
    on_progress("looking for grippers", 1, 1)
    num_damaged = gather(
        dataset,
        query,
        run,
        plan=plan,
        grippers=grippers,
        arms=arms,
        on_episode=lambda done, total: on_progress("reading signals", done, total),
    )
    gathered = Gathered(
        dataset=dataset,
        query=query,
        run=run,
        arms=arms,
        ignores_labels=saving.overwrite,
        corrections=read_corrections(run.path),
    )
    examples = gathered.examples()
    if asking is not None and asking.camera is not None:
        check_camera(gathered.rows(), asking.camera)
    placing = _placing(gathered, examples, plan, asking, learned, on_progress)
    write_rows(run.file("clips"), map(sealed, placing.rows()))
    saved = _saved(gathered, placing, saving, on_progress)
    label_first = _label_first(gathered, examples, num_examples, grippers)
    tally = _tally(gathered, placing, saved, examples, label_first, grippers)
    return replace(tally, num_damaged=num_damaged + tally.num_damaged)


def _tally(
    gathered: Gathered,
    placing: Placing,
    saved: Saved | None,
    examples: Sequence[Example],
    label_first: tuple[str, ...],
    grippers: tuple[Gripper, ...],
) -> DatasetTally:
    """Write boundaries and problems; what became of the episodes."""
    run = gathered.run
    tally = write_boundaries(run, present_ids(gathered.dataset), DATASET_COLUMNS)
    problems = [*tally.problems, *(saved.problems if saved else ())]
    run.write_json("problems.json", [{"clip": clip, "reason": why} for clip, why in problems])
    return DatasetTally(
        num_episodes=tally.num_clips,
        num_without=placing.num_without,
        num_events=tally.num_events,
        num_flagged=tally.num_flagged,
        by_source=placing.by_source,
        num_labelled=len(examples),
        label_first=label_first,
        problems=tuple(problems),
        saved=saved,
        grippers=grippers,
        trust=placing.trust,
        num_damaged=placing.num_damaged,
    )


def answer_share(
    dataset: Dataset,
    query: Query,
    run: Run,
    *,
    shard: Shard,
    out: Path,
    asking: Asking,
    plan: SignalPlan | None = None,
    arms: tuple[str, ...] = (),
    ignores_labels: bool = False,
    on_progress: OnProgress,
) -> bool:
    """Ask the model about one share of the episodes; returns whether all shares are answered now.

    Args:
        dataset: as for `annotate_dataset`, as are `query`, `asking`, `plan`, `arms` and `on_progress`.
        run: the shard's.
        shard: which share.
        out: folder of all, where clips that have to be cut are put.
        ignores_labels: see `Gathered`.
    """
    grippers = look_for_grippers(dataset, query)
    gather(
        dataset,
        query,
        run,
        plan=plan,
        grippers=grippers,
        arms=arms,
        on_episode=lambda done, total: on_progress("reading signals", done, total),
    )
    gathered = Gathered(
        dataset=dataset,
        query=query,
        run=run,
        arms=arms,
        ignores_labels=ignores_labels,
        corrections=read_corrections(out) | read_corrections(run.path),
    )
    judged = compared(gathered.examples())
    if asking.camera is not None:
        check_camera(gathered.rows(), asking.camera)
    answering = Answering(
        gathered=gathered,
        asking=asking,
        on_progress=on_progress,
        folder=out / FOLDER,
        keeps_hash=True,
    )
    wanted = answering.wanted(judged)
    names = [row["clip"] for row in gathered.rows() if row["clip"] in wanted]
    answering.only = set(shard.takes(names))
    answering.ask(judged)
    digests = {row["clip"]: row["digest"] for row in gathered.rows() if row["clip"] in wanted}
    answered = answers_elsewhere(out, ANSWERS)
    return {r["clip"] for r in answered if digests.get(r["clip"]) == r["digest"]} >= wanted


def _placing(
    gathered: Gathered,
    examples: Sequence[Example],
    plan: SignalPlan | None,
    asking: Asking | None,
    learned: AbstractSet[str],
    on_progress: OnProgress,
) -> Placing:
    """Ask the model where it is needed, and see how far every source can be believed."""
    judged = compared(examples)
    clips, num_damaged = {}, 0
    is_asked = asking is not None and any(map(is_open, gathered.rows()))
    if asking is not None and is_asked:
        answering = Answering(gathered=gathered, asking=asking, on_progress=on_progress)
        answering.ask(judged)
        clips, num_damaged = answering.clips, answering.num_damaged
    asked = judged if is_asked else None
    own = {clip for clip in judged & clips.keys() if learned & set(hashes_of([clips[clip]]))}
    trust = trusted(gathered, asked, examples, own, len(learned))
    gathered.run.write_json("trust.json", trust.plain())
    return Placing(
        gathered=gathered,
        plan=plan,
        trust=trust,
        examples=tuple(examples),
        asked=asked,
        camera=asking.camera if asking else None,
        clips=clips,
        num_damaged=num_damaged,
    )


def _saved(
    gathered: Gathered, placing: Placing, saving: Saving, on_progress: OnProgress
) -> Saved | None:
    name = copy_name(gathered.dataset)
    if name is None:
        return None
    on_progress("writing the dataset", 0, 1)
    out = None if saving.in_place else gathered.run.path / name
    saved = save_boundaries(
        gathered.dataset,
        out,
        placing.found,
        plan=placing.plan,
        in_place=saving.in_place,
        overwrite=saving.overwrite,
    )
    if placing.corrected:
        by_hand = save_boundaries(
            gathered.dataset,
            out,
            placing.corrected,
            plan=placing.plan,
            in_place=saving.in_place,
            overwrite=True,
            labelled_by="human",
        )
        saved = replace(
            by_hand,
            num_written=saved.num_written + by_hand.num_written,
            problems=(*saved.problems, *by_hand.problems),
        )
    on_progress("writing the dataset", 1, 1)
    return saved


def _label_first(
    gathered: Gathered,
    examples: Sequence[Example],
    num_examples: int,
    grippers: Sequence[Gripper],
) -> tuple[str, ...]:
    """Which episodes to label next, so that there are as many examples as are wanted."""
    have = {example.clip for example in examples}

    def others() -> Iterator[Episode]:
        for row in gathered.rows():
            if row["problem"] is None and row["clip"] not in have:
                yield gathered.dataset.episode(row["clip"])

    more = num_examples - len(examples)
    return choose_examples(others(), more, grippers) if more > 0 else ()
