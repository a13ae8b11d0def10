"""The numbers of a training run as TensorBoard scalars, beside `train.jsonl`."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

GROUPS = {"step": "train", "held_out": "held_out"}
"""Kind of a logged row -> the group its scalars stand in."""
NOT_SCALARS = frozenset(("kind", "step", "of"))


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """`{"train/loss": …}` of a row of `sft`'s log; empty for rows that are neither step nor evaluation."""
    group = GROUPS.get(row["kind"])
    if group is None:
        return {}
    return {
        f"{group}/{name}": float(value) for name, value in row.items() if name not in NOT_SCALARS
    }


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
        found = scalars(row)
        if not found:
            return
        step = int(row["step"])
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Tells TensorBoard to forget what a killed process wrote from this step on.
            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        for name, value in found.items():
            self._writer.add_scalar(name, value, step)
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
