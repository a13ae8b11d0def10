"""`kairoscope evaluate` with several values of a setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import advise, counted, note, say, show
from kairoscope.cli.many import none_of
from kairoscope.cli.options import check_model
from kairoscope.cli.progress import Report, bars
from kairoscope.cli.spread import Spread, say_shard_done
from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions

DEFAULT_SHARE = 0.5
PANEL = "Several settings at once"
ManyModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="builtin, a checkpoint folder, a model on the hub, openai:NAME (with --base-url) or "
        "vllm:MODEL (default: builtin).",
    ),
]
VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="NAME=VALUE,VALUE",
        rich_help_panel=PANEL,
        help="Several values of any setting of the frames, the answers or the drawing, as "
        "stamp=pair,none or top_p=0.9,1; repeatable.",
    ),
]
ValidationOption = Annotated[
    float | None,
    typer.Option(
        "--validation",
        min=0.1,
        max=0.9,
        metavar="SHARE",
        rich_help_panel=PANEL,
        help="Of the recordings, on which the best is chosen; the others measure it "
        f"(default: {DEFAULT_SHARE:g}).",
    ),
]


def is_no_recipe(word: str) -> bool:
    """Whether a word after `--model` is another model, and not the recipe."""
    from kairoscope.recipes import RECIPES

    return none_of(tuple(RECIPES))(word.partition(":")[0])


def axes_of(
    options: Mapping[str, Sequence[Any] | None], vary: Sequence[str], frames: Sequence[str]
) -> dict[str, list[Any]]:
    """Setting -> its values, from options of their own and from `--vary`.

    Raises UserError for a setting that is given in two places.
    """
    from kairoscope.settings import assignments

    axes = {name: list(values) for name, values in options.items() if values}
    for pair in vary:
        name, sign, values = pair.partition("=")
        if not sign or not name.strip():
            raise UserError(f"--vary {pair!r}: expected name=value,value")
        name = name.strip()
        if name in axes:
            raise UserError(f"{name} is given twice, with --vary and with an option of its own")
        parts = [assignments([f"{name}={part}"], "--vary")[name] for part in values.split(",")]
        axes[name] = parts
    for name in assignments(list(frames), "--frames"):
        if name in axes:
            raise UserError(f"{name} is given twice, with --frames and with an option of its own")
    return axes


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say besides the settings that may have several values."""

    data: Path
    out: Path
    prompt: Path | None
    device: str | None
    batch_size: int | None
    server: ServerOptions
    store: Any = None
    """Looked into before a model is asked."""
    spread: Spread = field(default_factory=Spread)
    refine: bool = False
    rotate: bool = False

    def samples(self, recipe: Any) -> tuple[list[Any], list[Any]]:
        """Samples of the data, and what is wrong with other rows. Raises UserError."""
        from kairoscope.recipes.stages import load_data

        samples, problems = load_data(self.data, recipe.task.load)
        if self.rotate and recipe.task.turned is None:
            raise UserError(f"--rotate-choices: {recipe.name} has no choices; av-questions has")
        return recipe.task.turned(samples) if self.rotate else samples, problems

    def server_of(self, model: str) -> ServerOptions:
        """Those options that a model has use for: most are for models behind a server."""
        from kairoscope.models.engines import taken_by

        return taken_by(model, self.server)

    def check_models(self, models: Sequence[str]) -> None:
        """Raise UserError where one of them cannot be asked."""
        for model in models:
            check_model(model, self.server if len(models) == 1 else self.server_of(model))

    def engine(self, model: str, recipe: Any, on_progress: Report) -> Any:
        """What answers."""
        from kairoscope.recipes.refining import refined
        from kairoscope.recipes.stages import load_engine

        engine = load_engine(
            model,
            device=self.device,
            batch_size=self.batch_size,
            server=self.server_of(model),
            store=self.store,
            task=recipe.name,
            ray=self.spread.ray,
            on_progress=on_progress,
        )
        return refined(engine, recipe, self.prompt, refine=self.refine)

    def prices(self, models: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Of a million tokens asked and answered, where they were given."""
        asked, answered = self.server.price_prompt, self.server.price_completion
        if asked is None and answered is None:
            return {}
        behind = (model for model in models if model.startswith("openai:"))
        return dict.fromkeys(behind, (asked or 0.0, answered or 0.0))


def sweep(recipe: Any, cells: Sequence[Any], asked: Asked, validation: float | None) -> None:
    """Evaluate every cell and say which does best."""
    from kairoscope.recipes.sweep_cells import alike
    from kairoscope.recipes.sweep_shares import sweep_shard_stage
    from kairoscope.recipes.sweeping import sweep_stage
    from kairoscope.report.sweeps.console import sweep_table
    from kairoscope.report.sweeps.page import verdict

    if same := alike(cells):
        advise(
            f"posterior answers are not drawn, so {' and '.join(same)} changes nothing in them; "
            "--decoding constrained or free draws"
        )
    samples, problems = asked.samples(recipe)
    shard = asked.spread.shard
    with bars() as progress:
        common: dict[str, Any] = {
            "out": asked.out,
            "open_model": lambda model: asked.engine(model, recipe, progress),
            "validation": DEFAULT_SHARE if validation is None else validation,
            "on_progress": progress,
            "problems": problems,
            "prompt": asked.prompt,
            "prices": asked.prices([cell.model for cell in cells]),
        }
        found, own = (
            (sweep_stage(recipe, cells, samples, **common), [])
            if shard is None
            else sweep_shard_stage(recipe, cells, samples, shard=shard, **common)
        )
    if found is None:
        for cell in own:
            if cell.problem:
                note("not asked: ", f"{cell.name}: {cell.problem}")
        say_shard_done(asked.spread, asked.out)
        return
    show(
        sweep_table(found, title=f"{recipe.name}: {counted(len(cells), 'setting')} on {asked.data}")
    )
    failed = [row for row in found["cells"] if row["problem"]]
    for row in failed:
        note("no figures: ", f"{row['name']}: {row['problem']}")
    note("clips: ", found["split"]["how"])
    say(verdict(found))
    say(f"report: {asked.out / 'sweep.html'}")
