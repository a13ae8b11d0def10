"""`kairoscope annotate`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.dataset import Question, annotate_dataset, note_damaged, say_shard_done
from kairoscope.cli.options import (
    DECODING,
    BatchOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    OutOption,
    PromptOption,
    RefineOption,
    check_model,
)
from kairoscope.cli.progress import bars
from kairoscope.cli.server_options import print_usage, with_server_options
from kairoscope.cli.spread import Spread, with_spread_options
from kairoscope.core import Sampling, UserError
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 20
TRIALS_TEMPERATURE = 0.7


@command("From videos to boundaries")
@with_server_options
@with_store_options
@with_spread_options(shard=True)
def annotate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A video, a folder of videos, a list of them (.txt, .jsonl), or a robot dataset: "
            "HDF5 of robomimic, MimicGen or Isaac Lab, or a LeRobot folder.",
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="TASK", help="A task file (.toml), or the name of a shipped one."
        ),
    ],
    folder: OutOption,
    model: ModelOption = "builtin",
    decoding: Annotated[str | None, DECODING] = None,
    refine: RefineOption = False,  # noqa: FBT002
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Ask N times and take the median of each boundary, with constrained decoding unless "
            "told otherwise: for models that give no distribution (default: 1).",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="T", help="Of the N trials, above 0 (default: 0.7)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the N trials (default: 0).")
    ] = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    examples: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="K",
            help="Of a dataset, or a folder with labels.jsonl: use what is labelled in it, and say "
            "which to label first where fewer than K are.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labels by hand besides those in the dataset, or for a folder of clips: a label file, "
            "such as the corrections.jsonl of another run.",
        ),
    ] = None,
    signals_only: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--signals-only",
            help="Of a dataset: recorded signals and labelled examples alone, no model.",
        ),
    ] = False,
    in_place: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--in-place", help="Of a dataset: write into it, and not into a copy under --out."
        ),
    ] = False,
    overwrite: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--overwrite",
            help="Of a dataset: replace labels that Kairoscope did not make, too "
            "(default: they are kept, and are the examples for the others).",
        ),
    ] = False,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a dataset: which camera the model sees "
            "(default: the first that does not move with a hand).",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="FPS", help="Of a dataset: frames a second, where it records them wrongly."
        ),
    ] = None,
    render: Annotated[
        str | None,
        typer.Option(
            metavar="CAMERA",
            help="Of what robosuite recorded without pictures: the model sees what this camera of "
            "the recorded simulation sees, such as agentview (needs the extra simulate).",
        ),
    ] = None,
    assets: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="For --render: where meshes and textures lie; repeatable "
            "(default: robosuite and mimicgen as installed).",
        ),
    ] = None,
    *,
    server: ServerOptions,
    store: Any,
    spread: Spread,
) -> None:
    """Find when every event of a task starts and ends in videos or in a robot dataset.

    Writes boundaries.csv, boundaries.jsonl and a page with a timeline of every clip,
    annotations.html. Clips that cannot be read are counted and listed.

    In a robot dataset, recorded signals place the boundaries, and the model those that signals do not
    decide. A copy of the dataset under OUT gets them where its own tools look for them.
    """
    sampling = sampling_of(trials, temperature, seed)
    decoding = decoding or ("posterior" if sampling.trials == 1 else "constrained")
    from kairoscope.annotate.folder import looks_like_dataset

    if looks_like_dataset(source) or examples is not None or signals_only or labels is not None:
        dataset = opened(source, fps, render, assets or [])
        saving = {"in_place": in_place, "overwrite": overwrite}
        question = Question(
            task=task,
            model=None if signals_only else model,
            decoding=decoding,
            prompt=prompt,
            frames=frames or [],
            device=device,
            batch_size=batch_size,
            camera=camera or render,
            labels=labels,
            server=server,
            store=store,
            spread=spread,
            refine=refine,
            sampling=sampling,
        )
        annotate_dataset(dataset, question, folder, examples=examples or 0, **saving)
        return
    for option, given in (
        ("--in-place", in_place),
        ("--overwrite", overwrite),
        ("--camera", camera is not None),
        ("--fps", fps is not None),
        ("--render", render is not None),
        ("--assets", bool(assets)),
    ):
        if given:
            raise UserError(f"{source}: {option} is for robot datasets, this is none")
    check_model(model, server)
    from kairoscope.data.clips import list_videos
    from kairoscope.data.taskfiles import load_task
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.refining import asked_again
    from kairoscope.recipes.sharding import annotate_shard_stage
    from kairoscope.recipes.stages import annotate_stage, load_engine
    from kairoscope.settings import assignments, changed

    recipe = get_recipe("subtask-times")
    how = changed(recipe.evaluation, {"decoding": decoding}, "command line").decoding
    asked = load_task(task)
    clips = named_clips(source, list_videos(source))
    with bars() as progress:
        engine = load_engine(
            model,
            device=device,
            batch_size=batch_size,
            server=server,
            store=store,
            task=recipe.name,
            ray=spread.ray,
            on_progress=progress,
        )
        stage = partial(
            annotate_stage if spread.shard is None else annotate_shard_stage,
            recipe,
            asked_again(engine, recipe, prompt, decoding=how, refine=refine, sampling=sampling),
            clips,
            asked,
        )
        shard = {} if spread.shard is None else {"shard": spread.shard}
        tally = stage(
            source=source,
            out=folder,
            decoding=how,
            frames=assignments(frames or [], "--frames"),
            on_progress=progress,
            prompt=prompt,
            **shard,
        )
    if tally is None:
        say_shard_done(spread, folder)
        return
    note_damaged(tally.num_damaged)
    print_usage(folder)
    for clip, reason in tally.problems[:MAX_LISTED]:
        note("no boundaries: ", reason if clip in reason else f"{clip}: {reason}")
    if len(tally.problems) > MAX_LISTED:
        more = len(tally.problems) - MAX_LISTED
        note(f"and {more} more: ", f"{folder / 'problems.json'}")
    if len(tally.problems) == tally.num_clips:
        raise UserError(f"{source}: no boundaries in any of its clips ({tally.num_clips})")
    say(
        f"{counted(tally.num_clips, 'clip')}, {counted(tally.num_events, 'event')}, "
        f"{tally.num_flagged} of them flagged for a look; "
        f"{counted(len(tally.problems), 'clip')} without boundaries"
    )
    for name in ("boundaries.csv", "boundaries.jsonl", "annotations.html"):
        say(f"  {folder / name}")


def sampling_of(trials: int | None, temperature: float | None, seed: int | None) -> Sampling:
    """How often a clip is asked about. Raises UserError for what is out of range, or of no use."""
    from kairoscope.settings import changed

    if trials in (None, 1) and (temperature is not None or seed is not None):
        raise UserError("--temperature and --seed are for several --trials")
    given = {"trials": trials, "temperature": temperature, "seed": seed}
    values = {name: value for name, value in given.items() if value is not None}
    start = Sampling() if trials in (None, 1) else Sampling(temperature=TRIALS_TEMPERATURE)
    return changed(start, values, "command line")


def opened(source: Path, fps: float | None, render: str | None, assets: Sequence[Path]) -> Any:
    """The dataset, with pictures drawn from its states where that is asked for."""
    if render is None:
        if assets:
            raise UserError(f"--assets {assets[0]}: is for --render CAMERA, which is missing")
        from kairoscope.annotate.folder import open_any

        return open_any(source, fps=fps)
    from kairoscope.render.rendered import rendered

    return rendered(source, camera=render, assets=assets, fps=fps)


def named_clips(source: Path, videos: list[Path]) -> list[tuple[str, Path]]:
    """Clips by the name under which they are listed: relative to the source folder."""
    base = source if source.is_dir() else source.parent
    return [
        ((video.relative_to(base) if video.is_relative_to(base) else video).as_posix(), video)
        for video in videos
    ]
