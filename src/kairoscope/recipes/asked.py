"""What a training is asked for: options, our own TOML files and cosmos-rl's, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kairoscope.config import GRPOConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl.mapping import Mapped, is_cosmos_rl, read_cosmos_rl
from kairoscope.cosmos_rl.vision import FILE_FIELDS
from kairoscope.models.names import BUILTIN, located, resolve
from kairoscope.recipes.sources import Source, parse_source, sources_from_table
from kairoscope.recipes.stages import policy_for
from kairoscope.settings import assignments, changed, read_toml
from kairoscope.train.loggers import DEFAULT, Logging, check_loggers, is_there

HELD_OUT_SHARE = 0.15
WITHOUT = "the run goes on without it (pip install wandb to have it)"
TABLES = ("sft", "grpo", "frames", "evaluation", "data")
Method = Literal["sft", "grpo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; None or empty: nothing."""

    method: Method = "sft"
    config: Path | None = None
    data: Sequence[str] = ()
    held_out: Path | None = None
    model: str | None = None
    out: Path | None = None
    settings: Sequence[str] = ()
    frames: Sequence[str] = ()
    loggers: Sequence[str] = ()
    allow_other_frames: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One training, whole."""

    model: str
    sources: tuple[Source, ...]
    held_out: Source | None
    holdout: float | int
    """Share of the samples to hold out by groups, or as a whole number, about so many of them."""
    out: Path
    config: SFTConfig | GRPOConfig
    frames: Mapping[str, Any]
    """Changes to the frame policy of the checkpoint, or else of the recipe."""
    logging: Logging
    advice: tuple[str, ...] = ()
    """What is allowed and yet hardly meant."""
    mapped: Mapped | None
    """The cosmos-rl file, where there is one."""

    @property
    def cached(self) -> bool:
        """Whether clips are kept on disk."""
        return self.config.cache

    def holdout_share(self, num_samples: int) -> float:
        """`holdout` as a share of `num_samples`, below 1."""
        if isinstance(self.holdout, int):
            return min(self.holdout / max(1, num_samples), 0.9)
        return self.holdout


def asked_for(recipe: Recipe, options: Options, *, dry: bool = False) -> Asked:
    """Put together what a training is asked for; options win over files.

    Args:
        recipe: gives settings and frames where nothing else does.
        options: the command line.
        dry: refusals stay in the rows of `mapped`, no model is fetched, and what is missing is
            no error.

    Raises:
        UserError: something contradictory, unknown, refused or missing.
    """
    tables = read_toml(options.config) if options.config else {}
    where = str(options.config)
    if is_cosmos_rl(tables):
        asked = _from_cosmos_rl(recipe, options, tables, where, dry=dry)
    else:
        asked = _from_own(recipe, options, tables, where)
    check_loggers(asked.logging.names)
    if not dry and not asked.sources:
        raise UserError("--data is needed: labelled clips to train on")
    return asked


def _from_own(recipe: Recipe, options: Options, tables: Mapping[str, Any], where: str) -> Asked:
    check_tables(tables, where)
    from kairoscope.recipes.training import grpo_config_for, sft_config_for, with_rewards

    model = options.model or BUILTIN
    changes = [
        (f"{where} [{options.method}]", tables.get(options.method, {})),
        ("--set", assignments(options.settings, "--set")),
    ]
    if options.out is None:
        raise UserError("--out is needed: a folder for the run")
    given = tuple(map(parse_source, options.data))
    config: SFTConfig | GRPOConfig
    if options.method == "grpo":
        config = with_rewards(grpo_config_for(recipe, model, changes), recipe)
    else:
        config = sft_config_for(recipe, model, changes)
    return Asked(
        model=model,
        sources=given or sources_from_table(tables.get("data", {}), f"{where} [data]"),
        held_out=Source(path=options.held_out) if options.held_out else None,
        holdout=HELD_OUT_SHARE,
        out=options.out,
        config=config,
        frames={**tables.get("frames", {}), **assignments(options.frames, "--frames")},
        logging=Logging(names=tuple(options.loggers) or DEFAULT),
        mapped=None,
    )


def check_tables(tables: Mapping[str, Any], where: str) -> None:
    """Raise UserError for a table that no command knows."""
    for name, table in tables.items():
        if name not in TABLES:
            known = ", ".join(f"[{table}]" for table in TABLES)
            raise UserError(f"{where}: unknown {name!r}; allowed: {known}")
        if not isinstance(table, Mapping):
            raise UserError(f"{where}: {name} is {table!r}; allowed: a table [{name}]")


def _from_cosmos_rl(
    recipe: Recipe, options: Options, tables: Mapping[str, Any], where: str, *, dry: bool
) -> Asked:
    model = options.model or _model_of(tables)
    evaluation = policy_for(recipe, _own_policy(model, recipe.task.name, dry=dry), {})
    mapped = read_cosmos_rl(
        tables, where, evaluation=evaluation, allow_other_frames=options.allow_other_frames
    )
    if not dry:
        mapped.check()
        check_method(mapped, options.method)
    config: SFTConfig | GRPOConfig = GRPOConfig() if options.method == "grpo" else SFTConfig()
    if mapped.kind == options.method:
        config = changed(config, mapped.settings, where)
    config = changed(config, assignments(options.settings, "--set"), "--set")
    if isinstance(config, GRPOConfig):
        from kairoscope.recipes.training import with_rewards

        config = with_rewards(config, recipe)
    held_out = options.held_out or (Path(mapped.held_out) if mapped.held_out else None)
    frames = {name: getattr(mapped.frames, name) for name in FILE_FIELDS}
    absent = [name for name in mapped.loggers if not options.loggers and not is_there(name)]
    loggers = tuple(name for name in mapped.loggers if name not in absent)
    return Asked(
        model=options.model or mapped.model,
        sources=tuple(map(parse_source, options.data)) or _file_sources(mapped),
        held_out=Source(path=held_out, column=mapped.column) if held_out else None,
        holdout=mapped.holdout,
        out=options.out or Path(mapped.out),
        config=config,
        frames={**frames, **assignments(options.frames, "--frames")},
        logging=Logging(
            names=tuple(options.loggers) or (*DEFAULT, *loggers),
            project=mapped.project,
            experiment=mapped.experiment,
        ),
        advice=tuple(
            f"{where} asks for {name}, which is not installed; {WITHOUT}" for name in absent
        ),
        mapped=mapped,
    )


def check_method(mapped: Mapped, method: Method) -> None:
    """Raise UserError for a file that is for the other command."""
    if mapped.kind != method:
        raise UserError(
            f"{mapped.where}: is for {mapped.kind.upper()}, which kairoscope {mapped.kind} trains; "
            f"kairoscope {method} takes files for {method.upper()}"
        )


def _file_sources(mapped: Mapped) -> tuple[Source, ...]:
    if not mapped.data:
        return ()
    return (Source(path=Path(mapped.data), column=mapped.column, split=mapped.split),)


def _model_of(tables: Mapping[str, Any]) -> str:
    policy = tables.get("policy", {})
    named = policy.get("model_name_or_path") if isinstance(policy, Mapping) else None
    return named if isinstance(named, str) else "Qwen/Qwen2.5-VL-7B-Instruct"


def _own_policy(model: str, task: str, *, dry: bool) -> FramePolicy | None:
    """The frames that a checkpoint was trained on, where it says so. Dry: nothing is fetched."""
    if dry and not isinstance(resolve(model), Path):
        return None
    from kairoscope.models.adapters import model_policy

    return model_policy(located(model, small=True), task)
