"""`kairoscope judge`."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.judging_options import (
    ControlsOption,
    DecodingOption,
    DryRunOption,
    FieldsOption,
    FolderOption,
    HumanOption,
    MaxTokensOption,
    ModelOption,
    OfflineOption,
    RepeatsOption,
    RunArgument,
    SeedOption,
    TemperatureOption,
)
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
    run: RunArgument,
    fields: FieldsOption = None,
    model: ModelOption = None,
    folder: FolderOption = None,
    repeats: RepeatsOption = None,
    temperature: TemperatureOption = None,
    controls: ControlsOption = None,
    human: HumanOption = None,
    decoding: DecodingOption = None,
    max_tokens: MaxTokensOption = None,
    seed: SeedOption = None,
    offline: OfflineOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
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
