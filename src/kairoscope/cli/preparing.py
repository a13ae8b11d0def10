"""`kairoscope prepare`: labels of people and clips become training and test sets."""

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.preparing_options import (
    BalanceLabelsOption,
    EvalSizeOption,
    LinkColumnOption,
    PromptsOption,
    ScaleLabelsOption,
    ScoreColumnOption,
    SeedOption,
    SheetOption,
    SourceArgument,
    SplitOption,
    VideosOption,
    WorkersOption,
)
from kairoscope.cli.progress import bars

MAX_LISTED = 20


@command("Data, models, this machine")
def prepare(
    source: SourceArgument,
    folder: OutOption,
    videos: VideosOption = None,
    prompts: PromptsOption = None,
    scale_labels: ScaleLabelsOption = False,  # noqa: FBT002
    balance_labels: BalanceLabelsOption = False,  # noqa: FBT002
    eval_size: EvalSizeOption = 0.1,
    seed: SeedOption = 42,
    sheet: SheetOption = None,
    split: SplitOption = None,
    link_column: LinkColumnOption = None,
    score_column: ScoreColumnOption = None,
    workers: WorkersOption = 8,
) -> None:
    """Make training and test clips of labels that people gave to videos, for physics-score.

    Writes train and test (labels.jsonl, and a dataset of conversations), clips where they were
    downloaded, and prepared.json with everything that could not be used. Downloads go on where a kill
    stopped them.
    """
    from kairoscope.data.score_sets import Columns
    from kairoscope.recipes.score_sets import Asked
    from kairoscope.recipes.score_sets import prepare as prepare_set

    asked = Asked(
        source=source,
        out=folder,
        videos=videos,
        prompts=prompts,
        columns=Columns(link=link_column, score=score_column),
        sheet=sheet,
        split=split,
        scale_labels=scale_labels,
        balance_labels=balance_labels,
        eval_size=eval_size,
        seed=seed,
        workers=workers,
    )
    with bars() as progress:
        done = prepare_set(asked, progress)
    for problem in done.problems[:MAX_LISTED]:
        note("not used: ", str(problem))
    if len(done.problems) > MAX_LISTED:
        note(f"and {len(done.problems) - MAX_LISTED} more: ", f"{folder / 'prepared.json'}")
    for name, counts in done.labels.items():
        scores = ", ".join(f"{score}: {n}" for score, n in counts.items())
        say(f"{folder / name}: {counted(sum(counts.values()), 'clip')} ({scores})")
    say(f"{counted(len(done.problems), 'problem')}: {folder / 'prepared.json'}")
