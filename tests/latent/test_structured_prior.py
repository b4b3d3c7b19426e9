"""A prior of categories, uniform numbers and noise: how often, how much, and what it refuses."""

import math

import pytest
import torch
from torch.distributions import Normal

from simulacra.errors import UsageError
from simulacra.latent import Structured
from simulacra.latent.structured_prior import StructuredCodes
from simulacra.parts import as_part, spelled

N = 20_000


def codes(prior: Structured, latent: int, n: int = N) -> StructuredCodes:
    return prior.codes(torch.full((n,), -1), 1, latent, torch.zeros(1))


def drawn(prior: Structured, latent: int, **options) -> torch.Tensor:
    return codes(prior, latent).sample(torch.Generator().manual_seed(0), **options)


def test_categories_are_equally_frequent_and_independent():
    z = drawn(Structured((3, 4), 0), 7)
    first, second = z[:, :3].argmax(1), z[:, 3:].argmax(1)
    table = torch.bincount(4 * first + second, minlength=12) / N
    assert z.sum(1).eq(2).all()  # one 1 in each of two rows
    assert (table - 1 / 12).abs().max() < 4 * math.sqrt(1 / 12 / N)


def test_numbers_fill_their_interval_and_the_rest_is_normal():
    prior = Structured((2,), 2)
    (_, u, noise), own = codes(prior, 9).split(drawn(prior, 9)), codes(prior, 9)
    edges = torch.linspace(-1, 1, 11)
    for number in u.T:
        assert (torch.histogram(number, edges).hist / N - 0.1).abs().max() < 0.01
    assert noise.shape == (N, 5)
    assert (noise.mean().item(), noise.std().item()) == pytest.approx((0, 1), abs=0.02)
    moments = drawn(prior, 9)
    torch.testing.assert_close(moments.mean(0), own.mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(moments.std(0), own.deviations[0], atol=0.03, rtol=0)


def test_the_density_is_a_mass_times_a_box_times_a_gaussian():
    own = codes(Structured((4,), 1), 7, 2)
    z = torch.tensor([[0, 1, 0, 0, 0.3, 0.5, -2.0], [0, 0, 0, 1, -1.0, 0.0, 1.0]])
    expected = Normal(0, 1).log_prob(z[:, 5:]).sum(1) - math.log(4) - math.log(2)
    torch.testing.assert_close(own.log_prob(z), expected)
    off = torch.tensor([[0, 1, 1, 0, 0.3, 0.5, -2.0], [0, 0, 0, 1, -1.01, 0.0, 1.0]])
    assert own.log_prob(off).eq(-math.inf).all()


def test_temperature_scales_the_noise_alone():
    prior = Structured((2,), 1)
    warm, cold = drawn(prior, 5), drawn(prior, 5, temperature=0.5)
    assert torch.equal(warm[:, :3], cold[:, :3])
    torch.testing.assert_close(0.5 * warm[:, 3:], cold[:, 3:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: codes(Structured((10,), 2), 11), "categories 10 and 2 continuous numbers needs latent >= 12, not 11"),
        (lambda: Structured((10, 1)), "categories of sampled-prior 'structured' must be at least 2, not 1"),
        (lambda: Structured((), 0), "gaussian has neither"),
        (lambda: Structured((2,), -1), "continuous"),
    ],
)
def test_what_has_no_structure_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_its_text_is_read():
    one = as_part("sampled-prior", "structured:categories=(10,3),continuous=4")
    assert one == Structured((10, 3), 4)
    assert as_part("sampled-prior", spelled(one)) == one
