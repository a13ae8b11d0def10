"""The losses of reinforcement learning against numbers worked by hand, and gradients against autograd."""

import math
from typing import Any

import pytest
import torch

from kairoscope.train.policy_losses import (
    chosen_log_p,
    clipped_loss,
    importance_ratio,
    is_clipped,
    k3,
    padded_choices,
    token_weights,
)

BOUNDS = {"epsilon_low": 0.2, "epsilon_high": 0.3, "dual_clip": 3.0}
RATIOS = torch.tensor([[0.5, 1.0, 1.25, 1.5, 4.0], [0.5, 1.0, 1.25, 1.5, 4.0]])
ADVANTAGES = torch.tensor([2.0, -1.0])


def test_the_clipped_loss_by_hand() -> None:
    expected = torch.tensor([[-1.0, -2.0, -2.5, -2.6, -2.6], [0.8, 1.0, 1.25, 1.5, 3.0]])
    torch.testing.assert_close(clipped_loss(RATIOS, ADVANTAGES, **BOUNDS), expected)


def test_clipped_is_where_nothing_is_learned() -> None:
    ratios = RATIOS.clone().requires_grad_()
    clipped_loss(ratios, ADVANTAGES, **BOUNDS).sum().backward()  # type: ignore[no-untyped-call]
    assert ratios.grad is not None
    flat = is_clipped(RATIOS, ADVANTAGES, **BOUNDS)
    assert flat.tolist() == [[False, False, False, True, True], [True, False, False, False, True]]
    assert torch.equal(ratios.grad == 0, flat)


def test_without_a_bound_bad_answers_cost_without_end() -> None:
    loss = clipped_loss(RATIOS, ADVANTAGES, **BOUNDS | {"dual_clip": math.inf})
    assert loss[1, 4] == 4.0
    assert torch.equal(loss[0], clipped_loss(RATIOS, ADVANTAGES, **BOUNDS)[0])


def test_the_first_update_is_a_policy_gradient() -> None:
    """At ratio 1 the gradient of the surrogate is that of -A log p, as REINFORCE has it."""
    logits = torch.randn((3, 4, 7), generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 7, (3, 4), generator=torch.Generator().manual_seed(1))
    advantages = torch.tensor([1.0, -0.5, 0.25])

    def log_p(given: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(given, -1).gather(-1, tokens[..., None])[..., 0]

    ours, textbook = (logits.clone().requires_grad_() for _ in range(2))
    now = log_p(ours)
    clipped_loss(importance_ratio(now, now.detach()), advantages, **BOUNDS).mean().backward()  # type: ignore[no-untyped-call]
    (-advantages[:, None] * log_p(textbook)).mean().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, textbook.grad)


def test_k3_by_hand_and_its_gradient() -> None:
    """d/d log p of q - log q - 1 is 1 - q."""
    log_p = torch.log(torch.tensor([[0.5, 0.2, 0.9]])).requires_grad_()
    reference = torch.log(torch.tensor([[0.5, 0.4, 0.3]]))
    found = k3(log_p, reference)
    third = 1 / 3
    expected = [0.0, 2 - math.log(2) - 1, third - math.log(third) - 1]
    torch.testing.assert_close(found[0], torch.tensor(expected))
    found.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(log_p.grad, torch.tensor([[0.0, -1.0, 1 - third]]))


def test_k3_is_the_divergence_on_average() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    exact = float((p * (p / q).log()).sum())
    assert float((p * k3(p.log()[None], q.log()[None])[0]).sum()) == pytest.approx(exact)


MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("averaging", "expected"),
    [
        ("token-mean", [[0.1, 0.1, 0], [0.1, 0.1, 0.1]]),
        ("seq-mean-token-sum", [[0.25, 0.25, 0], [0.25, 0.25, 0.25]]),
        ("seq-mean-token-mean", [[0.125, 0.125, 0], [1 / 12, 1 / 12, 1 / 12]]),
    ],
)
def test_weights_of_tokens_by_hand(averaging: Any, expected: list[list[float]]) -> None:
    """Two of four answers, five of ten tokens of the step are here."""
    found = token_weights(MASK, averaging, 10, 4)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_log_probabilities_and_entropy_by_hand() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [4.0, 4.0, 8.0]]))
    log_p, entropy = chosen_log_p(logits, torch.tensor([2, 0]))
    torch.testing.assert_close(log_p.exp(), torch.tensor([0.625, 0.25]))
    parts = [0.125, 0.25, 0.625]
    assert float(entropy[0]) == pytest.approx(-sum(p * math.log(p) for p in parts))
    log_p, _ = chosen_log_p(logits, torch.tensor([2, 0]), temperature=0.5)
    torch.testing.assert_close(log_p.exp(), torch.tensor([25 / 30, 16 / 96]))


def test_among_the_allowed_tokens_alone() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [4.0, 4.0, 8.0]])).requires_grad_()
    allowed = padded_choices([(0, 1), (0, 1, 2)])
    assert allowed.tolist() == [[0, 1, -1], [0, 1, 2]]
    log_p, entropy = chosen_log_p(logits, torch.tensor([1, 2]), allowed)
    torch.testing.assert_close(log_p.exp(), torch.tensor([2 / 3, 0.5]))
    assert float(entropy[0]) == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    log_p.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], torch.tensor([-1 / 3, 1 / 3, 0.0]))
