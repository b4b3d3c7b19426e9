"""A game against its closed form on distributions over a few symbols, where the best critic is known."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from simulacra.adversarial.games import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein

PAIRS = {
    "different": ([4, 2, 1, 1], [1, 1, 2, 4]),
    "equal": ([3, 3, 1, 1], [3, 3, 1, 1]),
    "nearly apart": ([7, 1, 0, 0], [0, 1, 3, 4]),
    "apart": ([4, 4, 0, 0], [0, 0, 4, 4]),
}


def symbols(counts: list[int]) -> torch.Tensor:
    """Items that are exactly as frequent as the counts say."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def best_critic(p: list[int], q: list[int]) -> torch.Tensor:
    """D* = p / (p + q), as logits log p/q, where infinite ones are cut to ±40."""
    ratio = torch.tensor(p).double().log() - torch.tensor(q).double().log()
    return ratio.clamp(-40, 40)


@pytest.mark.parametrize("name", PAIRS)
def test_the_best_critic_finds_twice_the_jensen_shannon_divergence_less_log_4(name):
    p, q = PAIRS[name]
    scores = best_critic(p, q)
    value = -NonSaturating().critic(scores[symbols(p)], scores[symbols(q)]).item()
    divergence = jensenshannon(np.array(p) / sum(p), np.array(q) / sum(q)) ** 2
    assert value == pytest.approx(2 * divergence - math.log(4), abs=1e-12)


def test_no_other_critic_does_better():
    p, q = PAIRS["different"]
    scores = best_critic(p, q).requires_grad_()
    best = NonSaturating().critic(scores[symbols(p)], scores[symbols(q)])
    (gradient,) = torch.autograd.grad(best, scores)
    assert gradient.abs().max() < 1e-12
    for _ in range(20):
        other = scores.detach() + torch.randn(4)
        assert NonSaturating().critic(other[symbols(p)], other[symbols(q)]) > best


def test_a_critic_that_learns_by_gradient_gets_there():
    p, q = PAIRS["different"]
    scores = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([scores], lr=4.0)
    for _ in range(300):
        optimiser.zero_grad()
        NonSaturating().critic(scores[symbols(p)], scores[symbols(q)]).backward()
        optimiser.step()
    torch.testing.assert_close(scores.detach(), best_critic(p, q), rtol=0, atol=1e-6)


def test_the_generator_still_learns_from_a_critic_that_wins():
    """d/ds of -log σ(s) is σ(s) - 1: it goes to -1 as the critic wins, where log(1 - σ(s)) would have no slope left."""
    scores = torch.tensor([-30.0, -3.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    for i in range(4):
        (gradient,) = torch.autograd.grad(NonSaturating().generator(scores[i : i + 1]), scores)
        assert gradient[i].item() == pytest.approx(torch.sigmoid(scores[i]).item() - 1, abs=1e-12)


def test_the_generator_of_the_first_game_does_not():
    """d/ds of log(1 - σ(s)) is -σ(s), which vanishes as the critic wins."""
    scores = torch.tensor([-30.0, -3.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(4 * Minimax().generator(scores), scores)
    torch.testing.assert_close(gradient, -torch.sigmoid(scores).detach())
    assert abs(gradient[0].item()) < 1e-12


def test_both_have_the_same_critic():
    real, fake = torch.randn(5), torch.randn(5)
    assert Minimax().critic(real, fake) == NonSaturating().critic(real, fake)
    assert Minimax(0.1).critic(real, fake) == NonSaturating(0.1).critic(real, fake)


def test_smoothing_moves_the_best_critic_of_real_items_alone():
    """D* = (1 - s) p / (p + q): where there is nothing real it stays 0."""
    p, q = PAIRS["different"]
    best = 0.8 * torch.tensor(p).double() / (torch.tensor(p) + torch.tensor(q))
    scores = torch.logit(best).requires_grad_()
    loss = NonSaturating(0.2).critic(scores[symbols(p)], scores[symbols(q)])
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient.abs().max() < 1e-12


def test_least_squares_finds_the_pearson_divergence():
    """At D* = p / (p + q) the critic's loss is ½ Σ pq / (p + q): Mao et al. 2017, theorem 1, with other targets."""
    p, q = (torch.tensor(counts).double() for counts in PAIRS["different"])
    best = p / (p + q)
    found = LeastSquares().critic(best[symbols(PAIRS["different"][0])], best[symbols(PAIRS["different"][1])])
    assert found.item() == pytest.approx(0.5 * (p * q / (p + q)).sum().item() / p.sum().item(), abs=1e-12)


def test_the_best_hinge_critic_finds_the_total_variation():
    """At D* = sign(p - q) the loss is 2 - Σ |p - q| = 2 Σ min(p, q): Lim & Ye 2017, theorem 1."""
    p, q = PAIRS["different"]
    scores = torch.sign(torch.tensor(p).double() - torch.tensor(q).double())
    found = Hinge().critic(scores[symbols(p)], scores[symbols(q)]).item()
    assert found == pytest.approx(2 * np.minimum(np.array(p) / sum(p), np.array(q) / sum(q)).sum(), abs=1e-12)


def test_the_best_lipschitz_critic_finds_the_distance_of_the_earth_mover():
    """On a line the distance is the area between the distribution functions, and D* has the slope of its sign."""
    p, q = (np.array(counts) / sum(counts) for counts in PAIRS["different"])
    below = np.cumsum(p - q)[:-1]
    scores = torch.from_numpy(np.concatenate([[0.0], np.cumsum(-np.sign(below))]))
    found = -Wasserstein().critic(scores[symbols(PAIRS["different"][0])], scores[symbols(PAIRS["different"][1])]).item()
    assert found == pytest.approx(np.abs(below).sum(), abs=1e-12)


def test_players_want_opposite_scores_for_fakes():
    scores = torch.zeros(3, requires_grad=True)
    (for_critic,) = torch.autograd.grad(NonSaturating().critic(torch.zeros(3), scores), scores)
    (for_generator,) = torch.autograd.grad(NonSaturating().generator(scores), scores)
    assert (for_critic > 0).all()
    assert (for_generator < 0).all()


def test_losses_of_extreme_scores_are_finite():
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(NonSaturating().critic(huge, huge))
    assert torch.isfinite(NonSaturating().generator(huge))
