"""Where the numbers of a run go beside `train.jsonl`: TensorBoard, plain JSON lines, W&B."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from kairoscope.core import UserError
from kairoscope.json_lines import append_lines, cut_torn_line, drop_lines
from kairoscope.storage import write_text_atomic
from kairoscope.train.tensorboard import ScalarBoard, scalars

LOGGERS = ("tensorboard", "jsonl", "wandb")
DEFAULT = ("tensorboard",)
METRICS_NAME = "metrics.jsonl"
WANDB_ID_NAME = "wandb_id.txt"


class Logger(Protocol):
    """Takes the rows of `sft`'s log; those of other kinds than steps and evaluations it leaves."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row."""

    def close(self) -> None:
        """Finish. Harmless when done twice."""


class JsonLines:
    """`metrics.jsonl`: one line a step, `{"step": 3, "train/loss": 0.4, …}`, each step once.

    A run that goes on from an earlier state takes back what was written from there on.
    """

    def __init__(self, path: Path) -> None:
        """Keep lines in `path`."""
        self.path = path
        self._begun = False

    def write(self, row: Mapping[str, Any]) -> None:
        """See `Logger`."""
        found = scalars(row)
        if not found:
            return
        step = int(row["step"])
        if not self._begun:
            self._take_back(step)
            self._begun = True
        append_lines(self.path, [{"step": step, **found}])

    def _take_back(self, step: int) -> None:
        if self.path.exists():
            cut_torn_line(self.path)
            drop_lines(self.path, lambda row: int(row["step"]) >= step)

    def close(self) -> None:
        """See `Logger`."""


class Wandb:
    """Weights & Biases; a run that goes on stays the same run there, known by `wandb_id.txt`."""

    def __init__(
        self, folder: Path, *, project: str | None, name: str | None, config: Mapping[str, Any]
    ) -> None:
        """Begin or go on. Raises UserError where the package is not there."""
        try:
            wandb = import_module("wandb")
        except ImportError as error:
            raise UserError(
                "--logger wandb: the package wandb is not installed; install it (pip install wandb) and "
                "log in, or choose from tensorboard, jsonl"
            ) from error
        file = folder / WANDB_ID_NAME
        known = file.read_text(encoding="utf-8").strip() if file.exists() else None
        self._run: Any = wandb.init(
            project=project or "kairoscope",
            name=name,
            id=known,
            resume="allow",
            dir=str(folder),
            config=dict(config),
        )
        if known is None:
            write_text_atomic(file, f"{self._run.id}\n")

    def write(self, row: Mapping[str, Any]) -> None:
        """See `Logger`. A step that is done again after a kill replaces nothing there."""
        found = scalars(row)
        if found:
            self._run.log(found, step=int(row["step"]))

    def close(self) -> None:
        """See `Logger`."""
        if self._run is not None:
            self._run.finish()
            self._run = None


class Loggers:
    """Several loggers as one, closed together."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        *,
        project: str | None = None,
        experiment: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Open the named ones in a run's folder. Raises UserError for a name that is none."""
        check_loggers(names)
        opens: dict[str, Callable[[], Logger]] = {
            "tensorboard": lambda: ScalarBoard(folder / "tensorboard"),
            "jsonl": lambda: JsonLines(folder / METRICS_NAME),
            "wandb": lambda: Wandb(folder, project=project, name=experiment, config=config or {}),
        }
        self._loggers: list[Logger] = []
        with ExitStack() as undo:
            undo.callback(self.close)
            for name in dict.fromkeys(names):
                self._loggers.append(opens[name]())
            undo.pop_all()

    def write(self, row: Mapping[str, Any]) -> None:
        """Hand a row to all."""
        for logger in self._loggers:
            logger.write(row)

    def close(self) -> None:
        """Close all."""
        with ExitStack() as stack:
            for logger in self._loggers:
                stack.callback(logger.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """Which loggers a run has, and what W&B calls it."""

    names: tuple[str, ...] = DEFAULT
    project: str | None = None
    experiment: str | None = None

    def open(self, folder: Path, config: Mapping[str, Any]) -> Loggers:
        """Open them for a run; `config` is what W&B keeps of its settings."""
        return Loggers(
            self.names,
            folder,
            project=self.project,
            experiment=self.experiment,
            config=config,
        )


BY_DEFAULT = Logging()


def is_there(name: str) -> bool:
    """Whether what a logger needs is installed."""
    return name != "wandb" or find_spec("wandb") is not None


def check_loggers(names: Sequence[str]) -> None:
    """Raise UserError for a name that is no logger."""
    unknown = [name for name in names if name not in LOGGERS]
    if unknown:
        raise UserError(f"--logger {unknown[0]}: allowed: {', '.join(LOGGERS)}")
