"""The numbers of a training run as TensorBoard scalars, beside `train.jsonl`."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

GROUPS = {"step": "train", "held_out": "held_out"}
"""Kind of a logged row -> the group its scalars stand in."""
NOT_SCALARS = frozenset(("kind", "step", "of"))


class ScalarBoard:
    """Writes every logged row; a resumed run hides the steps that it does again.

    Nothing is imported or written before the first step. Each row is on disk when `write` returns.
    """

    def __init__(self, folder: Path) -> None:
        """Keep event files in `folder`."""
        self.folder = folder
        self._writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row of `sft`'s log: `step` and `held_out` rows are kept, others are not."""
        group = GROUPS.get(row["kind"])
        if group is None:
            return
        step = int(row["step"])
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Tells TensorBoard to forget what a killed process wrote from this step on.
            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        for name, value in row.items():
            if name not in NOT_SCALARS:
                self._writer.add_scalar(f"{group}/{name}", float(value), step)
        self._writer.flush()

    def close(self) -> None:
        """End the event file. Harmless when nothing was written, or done twice."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
