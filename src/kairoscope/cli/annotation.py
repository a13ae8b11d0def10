"""`kairoscope annotate`."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.cli.annotation_options import (
    AssetsOption,
    CameraOption,
    DecodingOption,
    ExamplesOption,
    FpsOption,
    InPlaceOption,
    LabelsOption,
    OverwriteOption,
    RenderOption,
    SeedOption,
    SignalsOnlyOption,
    SourceArgument,
    TaskOption,
    TemperatureOption,
    TrialsOption,
)
from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.dataset import Question, annotate_dataset, note_damaged
from kairoscope.cli.options import (
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
from kairoscope.cli.spread import Spread, say_shard_done, with_spread_options
from kairoscope.core import Sampling, UserError
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 20
TRIALS_TEMPERATURE = 0.7


@command("From videos to boundaries")
@with_server_options
@with_store_options
@with_spread_options(shard=True)
def annotate(
    source: SourceArgument,
    task: TaskOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    decoding: DecodingOption = None,
    refine: RefineOption = False,  # noqa: FBT002
    trials: TrialsOption = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    examples: ExamplesOption = None,
    labels: LabelsOption = None,
    signals_only: SignalsOnlyOption = False,  # noqa: FBT002
    in_place: InPlaceOption = False,  # noqa: FBT002
    overwrite: OverwriteOption = False,  # noqa: FBT002
    camera: CameraOption = None,
    fps: FpsOption = None,
    render: RenderOption = None,
    assets: AssetsOption = None,
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
    question = Question(
        task=task,
        model=None if signals_only else model,
        decoding=decoding or ("posterior" if sampling.trials == 1 else "constrained"),
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
    from kairoscope.annotate.folder import looks_like_dataset

    if looks_like_dataset(source) or examples is not None or signals_only or labels is not None:
        dataset = opened(source, fps, render, assets or [])
        saving = {"in_place": in_place, "overwrite": overwrite}
        annotate_dataset(dataset, question, folder, examples=examples or 0, **saving)
        return
    given = {"--in-place": in_place, "--overwrite": overwrite, "--camera": camera, "--fps": fps}
    refuse(source, {**given, "--render": render, "--assets": assets or None})
    annotate_videos(source, question, folder)


def refuse(source: Path, options: Mapping[str, Any]) -> None:
    """Raise UserError for options of datasets (name -> value; None or False: not given)."""
    for option, value in options.items():
        if value is not None and value is not False:
            raise UserError(f"{source}: {option} is for robot datasets, this is none")


def annotate_videos(source: Path, asked: Question, folder: Path) -> None:
    """Annotate videos and say what became of them."""
    assert asked.model is not None
    check_model(asked.model, asked.server)
    from kairoscope.data.clips import list_videos

    tally = _tally_of(source, named_clips(source, list_videos(source)), asked, folder)
    if tally is None:
        say_shard_done(asked.spread, folder)
        return
    print_clips(source, tally, folder)


def _tally_of(
    source: Path, clips: Sequence[tuple[str, Path]], asked: Question, folder: Path
) -> Any:
    """What became of the clips, or None where shares of other processes are missing."""
    from kairoscope.data.taskfiles import load_task
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.refining import asked_again
    from kairoscope.recipes.sharding import annotate_shard_stage
    from kairoscope.recipes.stages import annotate_stage, load_engine
    from kairoscope.settings import assignments, changed

    recipe, shard = get_recipe("subtask-times"), asked.spread.shard
    how = changed(recipe.evaluation, {"decoding": asked.decoding}, "command line").decoding
    task = load_task(asked.task)
    with bars() as progress:
        engine = load_engine(
            asked.model or "",
            device=asked.device,
            batch_size=asked.batch_size,
            server=asked.server,
            store=asked.store,
            task=recipe.name,
            ray=asked.spread.ray,
            on_progress=progress,
        )
        model = asked_again(
            engine,
            recipe,
            asked.prompt,
            decoding=how,
            refine=asked.refine,
            sampling=asked.sampling,
        )
        stage = annotate_stage
        if shard is not None:
            stage = partial(annotate_shard_stage, shard=shard)  # type: ignore[assignment]
        return stage(
            recipe,
            model,
            clips,
            task,
            source=source,
            out=folder,
            decoding=how,
            frames=assignments(list(asked.frames), "--frames"),
            on_progress=progress,
            prompt=asked.prompt,
        )


def print_clips(source: Path, tally: Any, folder: Path) -> None:
    """What became of videos. Raises UserError where no clip has a boundary."""
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
