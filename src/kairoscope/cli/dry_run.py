"""`--dry-run` of a training: what every key of a file became, and how long the run would be."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from kairoscope.cli.app import counted, note, out, say, show
from kairoscope.config import GRPOConfig, Recipe, SFTConfig
from kairoscope.core import UserError
from kairoscope.cosmos_rl.mapping import Mapped
from kairoscope.cosmos_rl.reading import Row, shown
from kairoscope.models.names import resolve
from kairoscope.recipes.asked import Asked, check_method
from kairoscope.recipes.sources import Loaded, load_sources
from kairoscope.train.grpo_check import training_part
from kairoscope.train.mixing import epoch_size, strata_of
from kairoscope.train.schedule import num_steps

WIDE = 140
"""Columns of a terminal from which on a table can be read."""
STYLES = {"warning": "yellow", "refused": "red", "adapted": "cyan", "no effect": "dim"}


def show_mapping(mapped: Mapped) -> None:
    """Every key: its value, what became of it, and why; a table where there is room for one."""
    title = f"{mapped.where}, for cosmos-rl {mapped.version}"
    if out.width < WIDE:
        say(title)
        for row in mapped.rows:
            say(f"{row.key} = {_value(row)}", STYLES.get(row.outcome, ""))
            parts = [row.outcome, row.became, row.why]
            say("    " + ": ".join(part for part in parts if part))
        return
    table = Table(title=title, title_justify="left")
    table.add_column("key", no_wrap=True)
    for heading in ("value", "", "became", "why"):
        table.add_column(heading, overflow="fold")
    for row in mapped.rows:
        cells = (row.key, _value(row), row.outcome, row.became, row.why)
        table.add_row(*(Text(cell) for cell in cells), style=STYLES.get(row.outcome, ""))
    show(table)


def _value(row: Row) -> str:
    return shown(row.value) if row.given else f"{shown(row.value)} (not in the file)"


def warn_of(mapped: Mapped) -> None:
    """What of a file is not done, or done in another way, before a run."""
    for row in (*mapped.with_outcome("warning"), *mapped.with_outcome("adapted")):
        note(f"{row.outcome}: ", _in_a_line(row))


def _in_a_line(row: Row) -> str:
    became = f" -> {row.became}" if row.became else ""
    given = "" if row.given else ", not in the file"
    return f"{row.key} = {shown(row.value)}{given}{became}: {row.why}"


def show_dry_run(asked: Asked, recipe: Recipe) -> None:
    """Print the mapping and the plan. Raises UserError where a run would be refused."""
    if asked.mapped is not None:
        show_mapping(asked.mapped)
        check_method(asked.mapped, "grpo" if isinstance(asked.config, GRPOConfig) else "sft")
    say(f"model: {asked.model}")
    say(f"out: {asked.out}")
    for source in asked.sources:
        say(f"data: {source.path}, weight {source.weight:g}")
    found = _loaded(asked, recipe)
    if isinstance(asked.config, GRPOConfig):
        say(_answers(asked.config))
    say(f"steps: {_steps(asked, found)}")
    if isinstance(asked.config, GRPOConfig):
        say(f"memory: {_memory(asked, asked.config, recipe, found)}")
    if asked.mapped is not None:
        asked.mapped.check()


def _answers(config: GRPOConfig) -> str:
    rewards = ", ".join(f"{weight:g} x {name}" for name, weight in config.rewards or ())
    return (
        f"answers: {config.prompts_per_step} prompts a step, {config.group_size} answers each, "
        f"{config.decoding}, at most {config.max_new_tokens:,} tokens; reward = {rewards}"
    )


def _common(asked: Asked) -> SFTConfig:
    config = asked.config
    return training_part(config) if isinstance(config, GRPOConfig) else config


def _loaded(asked: Asked, recipe: Recipe) -> Loaded | str:
    """The data, or why it is not known."""
    if not asked.sources or not all(source.path.exists() for source in asked.sources):
        return "the data is not there"
    try:
        return load_sources(asked.sources, recipe.task.load)
    except UserError as error:
        return str(error)


def _memory(asked: Asked, config: GRPOConfig, recipe: Recipe, found: Loaded | str) -> str:
    """Of a step; nothing is fetched for it."""
    if isinstance(found, str):
        return f"not known; {found}"
    if not isinstance(resolve(asked.model), Path):
        return "not known; the model is not on this machine"
    from kairoscope.recipes.grpo_planning import grpo_memory

    said = grpo_memory(
        recipe, model=asked.model, samples=found.samples, config=config, frames=asked.frames
    )
    return "not known; no sample can be trained on" if said is None else str(said)


def _steps(asked: Asked, found: Loaded | str) -> str:
    config, balance = _common(asked), asked.config.balance
    what = "prompts" if isinstance(asked.config, GRPOConfig) else "samples"
    rounded = {"exact": "", "up": ", epochs rounded up", "down": ", epochs rounded down"}
    rule = f"{config.epochs:g} epochs, {config.batch_size} {what} a step"
    rule += rounded[config.epoch_steps]
    if isinstance(found, str):
        return f"not known ({rule}); {found}"
    share = 0.0 if asked.held_out else asked.holdout_share(len(found.samples))
    samples = epoch_size(strata_of(found.samples, balance, found.mix))
    trained = max(1, samples - round(share * samples))
    steps = num_steps(config, trained)
    return f"{steps:,} or so, for {counted(trained, 'sample')} an epoch ({rule})"
