"""Codebooks: which code is chosen, what gradients see of it, and how codes follow what chooses them."""

import copy
import math

import pytest
import torch
from small import same

from simulacra.latent.quantise import DEAD, SMOOTHING, Codebook, code_use


def book(codes: int = 5, numbers: int = 3, decay: float = 0.99) -> Codebook:
    """As after its first batch, with codes of unequal use in random places."""
    torch.manual_seed(0)
    made = Codebook(codes, numbers, decay).double()
    made.counts.copy_(torch.linspace(0.5, 2, codes))
    made.sums.copy_(torch.randn(codes, numbers) * made.counts[:, None])
    made.started.fill_(1)
    return made


def vectors(n: int = 6, numbers: int = 3, side: int = 4, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, numbers, side, side, generator=generator, dtype=torch.float64)


def rows(z: torch.Tensor) -> torch.Tensor:
    return z.movedim(1, -1).flatten(0, 2)


def test_the_nearest_code_is_chosen():
    made, z = book(), vectors()
    found = made(z)
    distances = (rows(z)[:, None] - made.codes).square().sum(-1)
    assert torch.equal(found.indices.flatten(), distances.argmin(1))
    assert torch.equal(rows(found.vectors), made.codes[distances.argmin(1)])  # to the last bit
    torch.testing.assert_close(found.distance, distances.amin(1).view(6, -1).sum(1))
    assert torch.equal(made.look_up(found.indices), made.codes[found.indices].movedim(-1, 1))


def test_nothing_is_chosen_in_half_precision():
    """Under autocast too: two codes that bfloat16 cannot tell from each other, far from the origin."""
    made = Codebook(2, 1)
    made.sums.copy_(torch.tensor([[100.0], [100.1]]))
    made.counts.fill_(1)
    z = torch.tensor([100.0, 100.1]).view(1, 1, 1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found = made(z)
    assert found.indices.tolist() == [[[0, 1]]]
    assert found.vectors.dtype == found.distance.dtype == torch.float32


def test_gradients_pass_straight_through_and_never_to_the_codes():
    made, z = book(), vectors().requires_grad_()
    out = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    (made(z).vectors * out).sum().backward()
    assert torch.equal(z.grad, out)
    assert not list(made.parameters())
    assert not made.codes.requires_grad


def test_commitment_pulls_the_vectors_to_their_codes_and_not_the_codes():
    made, z = book(), vectors().requires_grad_()
    found = made(z)
    found.distance.sum().backward()
    torch.testing.assert_close(z.grad, 2 * (z - made.look_up(found.indices)).detach())


@pytest.mark.parametrize("n", [1, 3])
def test_the_distance_of_an_item_is_a_sum_over_its_grid_whatever_the_batch(n):
    """Not a mean over all elements and not a sum over the batch: both would scale with what is beside the item."""
    made, z = book(), vectors()
    torch.testing.assert_close(made(z[:n]).distance, made(z).distance[:n])
    torch.testing.assert_close(made(torch.cat([z, z], -1)).distance, 2 * made(z).distance)


# Running means


def test_without_memory_a_step_is_one_of_lloyd():
    """Decay 0 on all data: every code moves to the mean of the vectors that chose it."""
    made, z = book(decay=0.0), vectors(40)
    before = made(z).indices.flatten()
    made(z, learn=True)
    means = torch.stack([rows(z)[before == k].mean(0) for k in range(5)])
    torch.testing.assert_close(made.codes, means, rtol=10 * SMOOTHING, atol=0)


def test_counts_and_sums_are_raw_running_means():
    made, z = book(), vectors()
    counts, sums = made.counts.clone(), made.sums.clone()
    chosen = made(z).indices.flatten()
    made(z, learn=True)
    used = torch.nn.functional.one_hot(chosen, 5).double()
    torch.testing.assert_close(made.counts, 0.99 * counts + 0.01 * used.sum(0) / 6)
    torch.testing.assert_close(made.sums, 0.99 * sums + 0.01 * used.t() @ rows(z) / 6)


def test_smoothing_is_in_the_division_only():
    made = book()
    smoothed = (made.counts + SMOOTHING) / (made.counts.sum() + 5 * SMOOTHING) * made.counts.sum()
    torch.testing.assert_close(made.codes, made.sums / smoothed[:, None])


def test_it_learns_only_when_it_is_told_to():
    made, z = book(), vectors()
    before = copy.deepcopy(made.state_dict())
    made.train()
    made(z)
    assert same(made.state_dict(), before)
    made(z, learn=True)
    assert not same(made.state_dict(), before)


@pytest.mark.parametrize("share", [0.5, 1 / 3])
def test_two_processes_that_average_their_means_are_one(share):
    """As the training loop does it: floating buffers, weighted by the shares of the batch."""
    whole, z = book(), vectors(6)
    cut = round(6 * share)
    parts = [copy.deepcopy(whole), copy.deepcopy(whole)]
    whole(z, learn=True)
    for part, own in zip(parts, (z[:cut], z[cut:]), strict=True):
        part(own, learn=True)
    for name in ("counts", "sums"):
        one, other = (getattr(part, name) for part in parts)
        torch.testing.assert_close(share * one + (1 - share) * other, getattr(whole, name))


# Beginnings and ends


def test_the_codes_begin_on_vectors_of_the_first_batch():
    """And not where they were made: these vectors are far from all of it."""
    made = Codebook(8, 3)
    z = vectors(4).float() * 2 + 50
    found = made(z, learn=True)
    assert made.started
    assert torch.cdist(made.codes, rows(z)).amin(1).max() < 0.5
    assert found.distance.mean() < 48 * 3 * 4  # the very first loss is already one of codes amid the data


def test_more_codes_than_vectors_can_begin_too():
    made = Codebook(50, 2)
    made(vectors(1, 2, 3).float(), learn=True)
    assert torch.isfinite(made.codes).all()
    assert len(made.codes.unique(dim=0)) == 50


def test_a_dead_code_is_revived_among_the_vectors_and_the_others_stay():
    made, z = book(), vectors() + 30
    fair = 16 / 5
    made.counts[2] = 0.9 * DEAD * fair
    counts = made.counts.clone()
    codes = made.codes.clone()
    made._revive(z)
    assert torch.cdist(made.codes[2:3], rows(z)).min() < 0.2
    assert made.counts[2] == fair
    others = [0, 1, 3, 4]
    torch.testing.assert_close(made.codes[others], codes[others], rtol=1e-4, atol=1e-4)  # but for the smoothing
    assert torch.equal(made.counts[others], counts[others])


def test_a_code_that_nothing_chooses_is_dead_after_a_while_and_no_sooner():
    made, z = book(decay=0.9), vectors()
    made.sums[4] = 1e3 * made.counts[4]
    lives = 0
    while made.codes[4, 0] > 500:
        made(z, learn=True)
        lives += 1
    assert lives == pytest.approx(math.log(DEAD * 16 / 5 / 2) / math.log(0.9), abs=2)


def test_in_a_short_stage_a_code_is_dead_after_a_seventh_of_it():
    """With the decay of 0.99 alone that would take 300 updates, more than there are."""
    made, z = book(), vectors()
    made.sums[4] = 1e3 * made.counts[4]
    lives = 0
    while made.codes[4, 0] > 500:
        made(z, learn=True, updates=200)
        lives += 1
    assert 15 < lives < 200 / 7
    counts = made.counts.clone()
    made(z, learn=True, updates=1)  # without any memory
    assert not torch.allclose(made.counts, counts)


def test_revival_follows_from_the_seed():
    made, z = book(), vectors()
    made.counts[1] = 0
    results = []
    for seed in (3, 3, 4):
        one = copy.deepcopy(made)
        torch.manual_seed(seed)
        one._revive(z)
        results.append(one.codes[1])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_every_one_of_three_separate_clusters_gets_a_code():
    """Far apart, and far from where the codes were made: without a start amid the data one code serves all of them."""
    torch.manual_seed(0)
    made = Codebook(8, 2, decay=0.8)
    centres = torch.tensor([[40.0, 0.0], [-40.0, 10.0], [0.0, 60.0]])
    for _ in range(60):
        which = torch.randint(3, (16, 2, 2))
        z = (centres[which] + 0.1 * torch.randn(16, 2, 2, 2)).movedim(-1, 1)
        made(z, learn=True)
    assert torch.cdist(centres, made.codes).amin(1).max() < 0.5


# Use


def test_perplexity_is_the_number_of_codes_that_are_used_alike():
    use = code_use(torch.tensor([5, 5, 0, 5, 5]), (2, 3))
    assert (use.codes, use.used, use.grid) == (5, 4, (2, 3))
    assert use.perplexity == pytest.approx(4)
    assert code_use(torch.tensor([7, 0]), (1, 1)).perplexity == pytest.approx(1)
    p = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    assert code_use(10 * p, (1, 1)).perplexity == pytest.approx(math.exp(-(p * p.log()).sum()))
