"""`kairoscope export`."""

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.export_options import (
    DataOption,
    FolderOption,
    GpusOption,
    ModelOption,
    RecipeOption,
    ReleaseOption,
)
from kairoscope.cli.options import FramesOption, SetOption
from kairoscope.cli.progress import bars

MAX_LISTED = 20
HELD_OUT_SHARE = 0.1
STAMPS = (
    "which cosmos-rl does not draw itself; for clips that have theirs already: --frames stamp=none"
)


@command("Data, models, this machine")
def export(
    folder: FolderOption,
    data: DataOption,
    recipe: RecipeOption = "subtask-times",
    model: ModelOption = "nvidia/Cosmos-Reason1-7B",
    release: ReleaseOption = "0.4.4",
    gpus: GpusOption = 8,
    settings: SetOption = None,
    frames: FramesOption = None,
) -> None:
    """Write dataset, configuration and entry script for those who train with cosmos-rl.

    Where the frame policy has stamps, the clips are copied with the times burnt in.     Clips and labels are checked as for sft. Whole groups are held out: cosmos-rl holds out the first
    rows, and theirs come first.
    """
    from kairoscope.config import SFTConfig
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.export import CONFIG, SCRIPT, export_cosmos_rl
    from kairoscope.recipes.sources import Source, load_sources
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    loaded = load_sources([Source(path=data)], chosen.task.load)
    start = SFTConfig(
        schedule="constant" if release == "0.2.6" else "cosine",
        dtype="bfloat16",
        gradient_checkpointing=True,
    )
    with bars() as progress:
        done = export_cosmos_rl(
            chosen,
            loaded.samples,
            loaded.problems,
            folder,
            config=changed(start, assignments(settings or [], "--set"), "--set"),
            frames=changed(chosen.frames, assignments(frames or [], "--frames"), "--frames"),
            model=model,
            holdout=HELD_OUT_SHARE,
            gpus=gpus,
            on_progress=progress,
            version=release,
        )
    for reason in done.left_out[:MAX_LISTED]:
        note("left out: ", reason)
    if len(done.left_out) > MAX_LISTED:
        note(f"and {len(done.left_out) - MAX_LISTED} more")
    if done.num_stamped:
        note(f"{counted(done.num_stamped, 'clip')} written with the time burnt in, ", STAMPS)
    say(f"{folder}: {counted(done.num_train, 'sample')}, {done.num_held_out} held out")
    say(f"train: cd {folder} && cosmos-rl --config {CONFIG} {SCRIPT}")
