"""The VAE of series: a bound in the units of the data, and codes that hold the course of a window."""

import pytest
import torch
from small import items, randomise

import simulacra as sim
from simulacra.data import DataSpec, Levels, Real
from simulacra.errors import UsageError
from simulacra.sequences import SeriesVAE

SPEC = DataSpec(Real((6, 2)))


def test_the_units_of_a_column_shift_the_bound_and_scale_what_is_decoded():
    x, scale, shift = items(SPEC, 40).double(), torch.tensor([1e3, 1e-2]).double(), torch.tensor([5e4, 1.0]).double()
    models = [randomise(SeriesVAE(SPEC, latent=3, hidden=5)).double().eval() for _ in range(2)]
    found = []
    for model, values in zip(models, (x, x * scale + shift), strict=True):
        model.units.learn(values.flatten(0, 1))
        torch.manual_seed(0)
        found.append(model.elbo(values))
    torch.testing.assert_close(found[1], found[0] - 6 * scale.log().sum())
    z = torch.randn(4, 3).double()
    torch.testing.assert_close(models[1].decode(z).mean, models[0].decode(z).mean * scale + shift)


def test_the_bound_rises_with_draws_and_the_loss_is_its_negative():
    model, x = randomise(SeriesVAE(SPEC, latent=3, hidden=5)).eval(), items(SPEC, 200)
    torch.manual_seed(0)
    few, many = (float(model.log_prob_bound(x, samples=k).mean().detach()) for k in (1, 50))
    assert few < many
    torch.manual_seed(0)
    terms = model.loss(sim.Turn(x, {}))
    torch.manual_seed(0)
    torch.testing.assert_close(sum(terms.values()), -model.elbo(x).mean())


def test_a_code_holds_the_course_of_a_window():
    slope = torch.randn(400, 1, 1)
    x = 10 + slope * torch.linspace(-1, 1, 6)[None, :, None] + 0.05 * torch.randn(400, 6, 2)
    model = SeriesVAE(SPEC, latent=2, hidden=12).train()
    adam = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(240):
        adam.zero_grad()
        sum(model.loss(sim.Turn(x[torch.randint(400, (64,))], {})).values()).backward()
        adam.step()
    with torch.no_grad():
        left = model.eval().decode(model.encode(x).mean).mean - x
    assert float(left.square().mean()) < 0.3 * float((x - x.mean(0)).square().mean())


def test_what_is_no_series_is_refused():
    with pytest.raises(UsageError, match=r"series-vae is for series .* use vae"):
        SeriesVAE(DataSpec(Levels((1, 8, 8), 17)))
