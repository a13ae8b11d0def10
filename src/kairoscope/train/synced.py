"""Whether a server has the trainer's weights: log-probabilities of one fixed answer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

TOLERANCES = {"float32": 0.01, "bfloat16": 0.15}
"""Mean difference in nats a token at which weights count as other ones, by what the trainer computes
in. Rounding makes 1e-5 in float32; in bfloat16 a few hundredths."""
LEAST_NOISE = 1e-5
"""Nats; below it two computations with the same weights differ anyway."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What server and trainer say of the same answer, token by token (nats)."""

    server: tuple[float, ...]
    trainer: tuple[float, ...]

    @property
    def gap(self) -> float:
        """Mean difference."""
        return apart(self.server, self.trainer)


def apart(some: Sequence[float], others: Sequence[float]) -> float:
    """Mean absolute difference of log-probabilities."""
    return fmean(abs(a - b) for a, b in zip(some, others, strict=True))


def why_unsynced(now: Probed, before: Probed | None, noise: float | None, dtype: str) -> str | None:
    """Why the server's weights are not the trainer's; None: they are.

    Args:
        now: after the server has been told to load the present weights.
        before: after the time before, of the same answer; None: this is the first time.
        noise: the gap of the first time, when both had the same weights.
        dtype: what the trainer computes in, which sets the tolerance.
    """
    allowed = TOLERANCES[dtype]
    if not now.gap <= allowed:
        return (
            f"log-probabilities of the same answer differ by {now.gap:.3g} nats a token on average, "
            f"allowed are {allowed:g} in {dtype}"
        )
    if before is None:
        return None
    moved = apart(now.trainer, before.trainer)
    hidden = max(LEAST_NOISE, min(noise or 0.0, allowed / 4))
    if moved > hidden and apart(now.server, before.trainer) < now.gap:
        return (
            f"it is stale: the update moved the trainer's log-probabilities by {moved:.3g} nats, and the "
            f"server's are those from before it (to {apart(now.server, before.trainer):.3g})"
        )
    return None
