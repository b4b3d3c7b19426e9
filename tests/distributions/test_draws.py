"""One uniform number becomes one level, by the inverse of the distribution function."""

import pytest
import torch

from simulacra.distributions import Bernoulli, Categorical, DiscretisedGaussian, DiscretisedLogisticMixture

N = 20_000


def heads() -> list:
    """One item of one sub-pixel each."""
    values = torch.tensor([[[0.3, -0.6, 0.1]]], dtype=torch.float64)
    return [
        Bernoulli(torch.tensor([[0.7]], dtype=torch.float64)),
        Categorical(torch.tensor([[[0.0, -50.0, 1.0, 0.3, -2.0]]], dtype=torch.float64)),
        DiscretisedGaussian(values[..., 0], values[..., 1], 17),
        DiscretisedLogisticMixture(values, values.flip(-1), values - 2, 256),
    ]


every_head = pytest.mark.parametrize("p", heads(), ids=lambda p: type(p).__name__)


def frequencies(p, temperature: float = 1.0) -> torch.Tensor:
    """How often each level comes from a fine, even grid of noise."""
    u = (torch.arange(N, dtype=torch.float64) + 0.5) / N
    return torch.bincount(p.quantile(u[:, None], temperature).flatten().long(), minlength=p.levels) / N


@every_head
def test_quantile_inverts_the_distribution_function(p):
    """At both sides of every step of F: F(k-1) <= u < F(k) gives k."""
    steps = p.log_masses()[0, 0].exp().cumsum(0)
    before = torch.cat((torch.zeros(1, dtype=torch.float64), steps[:-1]))
    wide = steps - before > 1e-9
    for u in (before + 1e-12, (before + steps) / 2, steps - 1e-12):
        assert torch.equal(p.quantile(u[:, None]).flatten()[wide], torch.arange(p.levels).byte()[wide])


@every_head
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1])
def test_frequencies_are_the_masses_sharpened_by_the_temperature(p, temperature):
    sharpened = torch.softmax(p.log_masses()[0, 0] / temperature, dim=0)
    torch.testing.assert_close(frequencies(p, temperature).double(), sharpened, rtol=0, atol=2 / N)


@every_head
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_draw_is_the_quantile_of_uniform_noise(p, temperature):
    many = p.repeat(50)
    noise = torch.rand(50, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = many.sample(torch.Generator().manual_seed(3), temperature)
    assert torch.equal(drawn, many.quantile(noise, temperature))


def test_draws_of_a_mixture_take_no_table_of_masses(monkeypatch):
    p = heads()[-1]
    monkeypatch.setattr(DiscretisedLogisticMixture, "log_masses", None)
    assert p.sample().shape == (1, 1)


@every_head
def test_a_low_temperature_takes_the_mode(p):
    assert frequencies(p, 1e-7).argmax() == p.log_masses()[0, 0].argmax()
    assert frequencies(p, 1e-7).max() == 1


def test_noise_next_to_one_stays_on_the_grid():
    """float32 sums of 256 masses may end below the largest number under one."""
    p = Categorical(torch.randn(50, 256))
    u = torch.full((50,), 1 - 2**-24)
    assert p.quantile(u).dtype == torch.uint8
    assert (p.quantile(u) <= 255).all()
    assert (Categorical(torch.randn(50, 17)).quantile(u) <= 16).all()


def test_a_level_without_mass_is_never_drawn():
    logits = torch.tensor([[-float("inf"), 0.0, -float("inf"), 0.0, -float("inf")]])
    p = Categorical(logits.expand(5, 5))
    for u in (0.0, 0.25, 0.5, 0.75, 1 - 2**-24):
        assert set(p.quantile(torch.full((5,), u)).tolist()) <= {1, 3}


@every_head
def test_sample_follows_its_generator(p):
    def draw(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [p.sample(generator).item() for _ in range(10)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
