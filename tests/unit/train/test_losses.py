"""The loss of many tokens is that of its parts."""

import pytest
import torch

from kairoscope.train.losses import answer_loss_sum, head_loss_sum


@pytest.mark.parametrize("at_once", [1, 3, 10, 11, 1000])
def test_parts_of_the_logits_give_the_whole_loss_and_its_gradients(at_once: int) -> None:
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(6, 17, bias=False, dtype=torch.float64)
    hidden = torch.randn((11, 6), generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, 17, (11,), generator=generator)
    made: list[int] = []

    def counted(rows: torch.Tensor) -> torch.Tensor:
        made.append(len(rows))
        return head(rows)  # type: ignore[no-any-return]

    parts = head_loss_sum(counted, hidden, targets, at_once)
    assert max(made) <= max(at_once, 1)
    whole = answer_loss_sum(head(hidden), targets)
    torch.testing.assert_close(parts, whole)
    inputs = [hidden, head.weight]
    mine = torch.autograd.grad(parts, inputs)
    for one, other in zip(mine, torch.autograd.grad(whole, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_no_target_costs_nothing() -> None:
    empty = torch.zeros((0,), dtype=torch.long)
    assert head_loss_sum(torch.nn.Linear(3, 5), torch.zeros((0, 3)), empty, 4).item() == 0
