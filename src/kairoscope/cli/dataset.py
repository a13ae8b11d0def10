"""`kairoscope annotate` of robot datasets, and `kairoscope inspect`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kairoscope.cli.app import counted, note, say
from kairoscope.cli.options import check_model
from kairoscope.cli.progress import bars
from kairoscope.cli.spread import Spread, say_shard_done
from kairoscope.core import Sampling, UserError
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 20
MUCH_LOST = 0.2
"""Share of events at which a model is lost that the user is told of."""
SOURCES = {
    "label": "were labelled",
    "signals": "from signals",
    "model": "from the model",
    "prior": "from labelled examples alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the options of `annotate` say about the asking."""

    task: str
    model: str | None
    """None: signals alone."""
    decoding: str | None
    prompt: Path | None
    frames: Sequence[str]
    device: str | None
    batch_size: int | None
    camera: str | None
    labels: Path | None = None
    """Labels by hand besides those in the dataset."""
    server: ServerOptions = ServerOptions()
    spread: Spread = field(default_factory=Spread)
    store: Any = None
    """Looked into before the model is asked."""
    refine: bool = False
    sampling: Sampling = Sampling()


def annotate_dataset(
    dataset: Any, asked: Question, out: Path, *, examples: int, in_place: bool, overwrite: bool
) -> None:
    """Annotate an opened dataset and say what became of it."""
    if asked.model is not None:
        check_model(asked.model, asked.server)
    from kairoscope.annotate.dataset import Saving
    from kairoscope.data.taskfiles import load_task
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.datasets import annotate_dataset_stage
    from kairoscope.settings import assignments, changed

    recipe = get_recipe("subtask-times")
    given = {"decoding": asked.decoding or "posterior"}
    how = changed(recipe.evaluation, given, "command line").decoding
    with bars() as progress:
        engine = None
        if asked.model is not None:
            from kairoscope.recipes.refining import asked_again
            from kairoscope.recipes.stages import load_engine

            engine = load_engine(
                asked.model,
                device=asked.device,
                batch_size=asked.batch_size,
                server=asked.server,
                store=asked.store,
                task=recipe.name,
                ray=asked.spread.ray,
                on_progress=progress,
            )
            engine = asked_again(
                engine,
                recipe,
                asked.prompt,
                decoding=how,
                refine=asked.refine,
                sampling=asked.sampling,
            )
        tally = annotate_dataset_stage(
            recipe,
            engine,
            dataset,
            load_task(asked.task),
            out=out,
            saving=Saving(in_place=in_place, overwrite=overwrite),
            decoding=how,
            frames=assignments(list(asked.frames), "--frames"),
            camera=asked.camera,
            prompt=asked.prompt,
            num_examples=examples,
            labels=asked.labels,
            shard=asked.spread.shard,
            on_progress=progress,
        )
    if tally is None:
        say_shard_done(asked.spread, out)
        return
    print_tally(dataset, tally, out)


def print_tally(dataset: Any, tally: Any, out: Path) -> None:
    """What became of a dataset. Raises UserError where no episode has a boundary."""
    _print_notes(dataset, tally)
    for clip, reason in tally.problems[:MAX_LISTED]:
        note("look at: ", reason if clip in reason else f"{clip}: {reason}")
    if len(tally.problems) > MAX_LISTED:
        note(f"and {len(tally.problems) - MAX_LISTED} more: ", f"{out / 'problems.json'}")
    if tally.num_without == tally.num_episodes:
        raise UserError(f"{dataset.path}: no boundaries in any of its episodes")
    origin = ", ".join(
        f"{tally.by_source[source]} {words}"
        for source, words in SOURCES.items()
        if tally.by_source.get(source)
    )
    say(
        f"{counted(tally.num_episodes, 'episode')}, {tally.num_events} boundaries "
        f"({origin}), {tally.num_flagged} of them flagged for a look; "
        f"{counted(tally.num_without, 'episode')} without boundaries"
    )
    if tally.label_first:
        say(f"label these first: {', '.join(tally.label_first)}")
    for name in ("boundaries.csv", "boundaries.jsonl", "annotations.html"):
        say(f"  {out / name}")
    if tally.saved is None:
        say(f"  {dataset.format} is not written: the boundaries are in the files above")
        return
    for remark in tally.saved.notes:
        note("note: ", remark)
    say(f"  {tally.saved.path}: {counted(tally.saved.num_written, 'episode')} with boundaries")


def _print_notes(dataset: Any, tally: Any) -> None:
    """What was assumed, and what everything else rests on."""
    for remark in getattr(dataset, "notes", ()):
        note("note: ", remark)
    note_damaged(tally.num_damaged)
    if tally.trust.num_learned:
        many = counted(tally.trust.num_learned, "labelled episode")
        text = f"model: was trained on {many}, which say nothing about how it does on others"
        note("note: ", f"{text}: believed accordingly less")
    for source, share in tally.trust.lost.items():
        if share >= MUCH_LOST and not (source == "model" and tally.trust.num_learned):
            text = f"{source}: not where signals or labels are in about {share:.0%} of events"
            note("note: ", f"{text}, and believed accordingly less")
    for gripper in tally.grippers:
        note("gripper: ", _title(gripper))


def note_damaged(count: int) -> None:
    """Say that rows of an earlier run were made again."""
    if count:
        note("note: ", f"{counted(count, 'damaged row')} of an earlier run found and made again")


def _title(gripper: Any) -> str:
    from kairoscope.robot.signals import describe

    return describe(gripper)


def listed(reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Reasons with how often each is given, the most frequent first."""
    return Counter(reasons).most_common()
