"""A moving average of the trained weights (EMA), which is evaluated and saved in their place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


def decay_at(update: int, decay: float) -> float:
    """Decay of update number `update` (from 1): (1 + n) / (10 + n) until that reaches `decay`.

    Without the ramp a short run's average would mostly be the weights it began with.
    """
    return min(decay, (1 + update) / (10 + update))


class WeightAverage:
    """average = decay * average + (1 - decay) * weights, beside the weights and on their device."""

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], *, decay: float, every: int = 1
    ) -> None:
        """Begin with the weights as they are."""
        self.parameters = tuple(parameters)
        self.tensors = tuple(p.detach().clone() for p in self.parameters)
        self.decay = decay
        self.every = every

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 1): a function of it and of them."""
        number, rest = divmod(step, self.every)
        if rest:
            return
        share = 1 - decay_at(number, self.decay)
        for average, parameter in zip(self.tensors, self.parameters, strict=True):
            average.lerp_(parameter.detach(), share)

    @contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Within it the network has the average as its weights; afterwards its own, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        """By value: who else holds a parameter's memory sees the same."""
        for average, parameter in zip(self.tensors, self.parameters, strict=True):
            own = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(own)
