"""`kairoscope judge`."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.options import BatchOption, DeviceOption, check_model
from kairoscope.cli.progress import bars
from kairoscope.cli.server_options import print_usage, with_server_options
from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions

FOLDER = "judge"
"""In the judged run, where no other place is named."""
MAX_LISTED = 10


@command("Evaluate and train")
@with_server_options
@with_store_options
def judge(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished evaluation of av-captions.")
    ],
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--fields",
            metavar="NAME,…",
            help="What the judge may be shown: texts, all, or names of fields. Nothing else leaves the "
            "machine.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="The judge: openai:NAME (with --base-url), or a model in this process, as elsewhere. It "
            "reads texts alone.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where it goes (default: judge in the run)."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", help="Answers to each question (default: 3).")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="Of the repeats (default: 0.7).")
    ] = None,
    controls: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Clips for each control (label against itself, against another clip's, texts swapped) and "
            "field; they say whether the judge can be trusted (default: 20).",
        ),
    ] = None,
    human: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Scores of people, a table or JSON lines with sample_id, field, score (and trial, rater): "
            "how far the judge agrees. May be added later; nothing is asked again.",
        ),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="constrained: a reason, then a digit, and nothing else; free: for servers that keep to no "
            "constraint (default: constrained).",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of an answer, reasoning included (default: 512)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of what is drawn (default: 0).")
    ] = None,
    offline: Annotated[
        str | None,
        typer.Option(
            metavar="MEASURE",
            help="Ask no judge: lexical (words that both have) or embedding (cosine, of --model in this "
            "process). Likeness from 0 to 1, which is no score of a judge.",
        ),
    ] = None,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Say what would be sent, and where; send nothing.")
    ] = False,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    *,
    server: ServerOptions,
    store: Any,
) -> None:
    """Have another model compare answers with labels, field by field, from 1 to 5.

    The judge reads two texts and sees no clip. Controls whose score is known beforehand say for each
    field whether it can be trusted; repeats, how far it agrees with itself. Judgements that fail count as
    1. Writes judgements.jsonl, judge.json and report.html.
    """
    given = {
        "repeats": repeats,
        "temperature": temperature,
        "controls": controls,
        "seed": seed,
        "decoding": decoding,
        "max_new_tokens": max_tokens,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if offline is not None:
        _refuse(offline, settings, human, server, dry_run=dry_run)
        _offline(run, fields or [], offline, model, folder, device)
        return
    if model is None:
        raise UserError("--model: name the judge, or --offline lexical to go without one")
    check_model(model, server)
    from kairoscope.recipes.judging import JudgeConfig, check_config, read_judged

    config = JudgeConfig(**settings)
    check_config(config)
    judged = read_judged(run, fields or [])
    _say_what_is_sent(judged, config, server)
    if dry_run:
        return
    out = folder or run / FOLDER
    from kairoscope.recipes.judging import judge_stage
    from kairoscope.recipes.stages import load_engine

    with bars() as progress:
        engine = load_engine(
            model,
            device=device,
            batch_size=batch_size,
            server=server,
            store=store,
            task="judge",
            on_progress=progress,
        )
        found = judge_stage(judged, engine, config, out=out, human=human, on_progress=progress)
    _print(found, f"{model} on {run}")
    print_usage(out)
    _write_page(out)


def _say_what_is_sent(judged: Any, config: Any, server: ServerOptions) -> None:
    from kairoscope.recipes.judging import disclosure

    host = urlsplit(server.base_url).netloc if server.base_url else None
    note("to be judged: ", disclosure(judged, judged.questions(config), config, host))


def _print(found: dict[str, Any], title: str) -> None:
    from kairoscope.report.judgements.console import human_table, judge_table

    show(judge_table(found, title=title))
    for words in found["verdicts"].values():
        say(words)
    if "human" in found:
        show(human_table(found))
        problems = found["human_problems"]
        for row in problems[:MAX_LISTED]:
            note("not used: ", f"{row['where']}: {row['what']}")
        if len(problems) > MAX_LISTED:
            note(f"{counted(len(problems), 'score')} not used, ", "listed in judge.json")


def _refuse(
    measure: str,
    settings: dict[str, Any],
    human: Path | None,
    server: ServerOptions,
    *,
    dry_run: bool,
) -> None:
    """What belongs to a judge is not silently passed over."""
    if settings or human is not None or dry_run or server != ServerOptions():
        raise UserError(
            f"--offline {measure}: no judge is asked; allowed beside it: --fields, --model, --device, --out"
        )


def _offline(
    run: Path,
    fields: list[str],
    measure: str,
    model: str | None,
    folder: Path | None,
    device: str | None,
) -> None:
    from kairoscope.recipes.judging import read_judged
    from kairoscope.recipes.similarity import means_of, similarity_stage
    from kairoscope.report.judgements.console import likeness_table

    judged = read_judged(run, fields)
    means = means_of(measure, model, device)
    out = folder or run / f"likeness-{measure}"
    found = similarity_stage(judged, means, out=out)
    show(likeness_table(found, title=f"{measure} likeness, {run}"))
    _write_page(out)


def _write_page(out: Path) -> None:
    from kairoscope.recipes.pages import write_page

    say(f"report: {write_page(out)}")
