"""`kairoscope convert`."""

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.conversion_options import (
    CameraOption,
    CopyVideosOption,
    FpsOption,
    IntoOption,
    SourceArgument,
    TargetArgument,
    TaskOption,
    TrialsOption,
    VideoRootOption,
    VideosOption,
)

MAX_LISTED = 20


@command("Data, models, this machine")
def convert(
    source: SourceArgument,
    target: TargetArgument,
    video_root: VideoRootOption = None,
    fps: FpsOption = None,
    trials: TrialsOption = None,
    videos: VideosOption = None,
    camera: CameraOption = None,
    into: IntoOption = None,
    task: TaskOption = None,
    copy_videos: CopyVideosOption = False,  # noqa: FBT002
) -> None:
    """Turn labels into a dataset for cosmos-rl and back, and older scripts' pickles into JSONL.

    Labels of robot datasets become a label file with clips; with --into, labels go into a copy of one.

    Labels become a dataset of conversations that Hugging Face datasets loads, and a dataset becomes
    labels. A pickle of prompts and responses becomes labels, results become predictions for
    `kairoscope score`. Pickles are read without running anything in them.
    """
    from kairoscope.recipes.convert import convert as convert_data

    done = convert_data(
        source,
        target,
        video_root=video_root,
        fps=fps,
        num_trials=trials,
        videos=videos,
        camera=camera,
        into=into,
        task=task,
        copy_videos=copy_videos,
    )
    for problem in done.problems[:MAX_LISTED]:
        note("left out: ", str(problem))
    if len(done.problems) > MAX_LISTED:
        note(f"and {len(done.problems) - MAX_LISTED} more")
    say(f"{done.target}: {counted(done.count, done.what)}, {len(done.problems)} left out")
