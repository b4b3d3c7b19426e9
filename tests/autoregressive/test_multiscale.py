"""A small image first, then the large one around it: no pixel is modelled twice, and nothing is lost."""

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import MultiscalePixelRNN
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels


def multiscale(spec: DataSpec, **arguments) -> MultiscalePixelRNN:
    arguments = {"width": 6, "layers": 2, "kernel": 3} | arguments
    return randomise(MultiscalePixelRNN(spec, **arguments).double().eval())


def test_the_order_is_the_small_image_and_then_the_rest():
    order = multiscale(DataSpec(Levels((1, 3, 4), 4))).order()
    assert order.tolist() == [0, 2, 8, 10, 1, 3, 4, 5, 6, 7, 9, 11]
    colour = multiscale(
        DataSpec(Levels((2, 2, 3), 4)), factor=3
    ).order()  # green of pixel p lies 6 places after its red
    assert colour.tolist() == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]


@pytest.mark.parametrize("kind", ["row", "diagonal"])
@pytest.mark.parametrize("factor", [2, 3, 9])
@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 1, 7), (1, 6, 1), (3, 3, 2), (1, 1, 1)], ids=str)
def test_it_is_causal_in_its_order_and_walks(shape, factor, kind):
    spec = DataSpec(Levels(shape, 4), labels(3))
    model = multiscale(spec, kind=kind, factor=factor)
    assert sim.checks.causality(model, {"label": 1}).causal
    given = condition_of(spec, 3)
    drawn = [
        model.sample(3, given, sampler=sampler, generator=torch.Generator().manual_seed(0))
        for sampler in ("cached", "naive", "fixed-point")
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("kind", ["row", "diagonal"])
def test_the_small_images_within_all_images_are_distributed_as_the_small_network_says(kind):
    spec = DataSpec(Levels((1, 3, 3), 2), labels(3))
    model, x = multiscale(spec, kind=kind), all_items(spec)
    mass = model.log_prob(x, {"label": 2}).detach().double().exp()
    small, which = model.thin(x).unique(dim=0, return_inverse=True)
    found = torch.zeros(len(small), dtype=torch.float64).index_add_(0, which, mass)
    torch.testing.assert_close(found, model.small.log_prob(small, {"label": 2}).detach().exp(), rtol=1e-9, atol=0)
    assert found.sum() == pytest.approx(1, abs=1e-9)


def test_a_pixel_knows_all_of_the_small_image_and_no_other_pixel_after_it():
    spec = DataSpec(Levels((1, 7, 7), 4))
    model = randomise(MultiscalePixelRNN(spec, width=24, kernel=3).eval())
    found = sim.checks.causality(model, factors=[2 * 7 + 1]).dependence.view(7, 7)
    seen = torch.zeros(7, 7, dtype=torch.bool)
    seen[:2], seen[2, 0], seen[::2, ::2] = True, True, True
    assert torch.equal(found != 0, seen)


def test_completion_starts_from_what_is_known_of_the_small_image():
    spec = DataSpec(Levels((1, 4, 4), 4))
    model, x = multiscale(spec), items(spec, 1).expand(8, -1, -1, -1)
    unknown = torch.ones(4, 4, dtype=torch.bool)
    model.thin(unknown).fill_(False)
    drawn = model.complete(x, unknown[None], generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.thin(drawn), model.thin(x))
    assert len(drawn.unique(dim=0)) > 1
    whole = model.log_prob(drawn) - model.small.log_prob(model.thin(drawn))
    torch.testing.assert_close(model.log_prob_completion(drawn, unknown[None]).double(), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1}, "factor of at least 2.*not 1"),
        ({"kind": "column"}, "kind .*cannot be 'column': it is row or diagonal"),
    ],
)
def test_what_it_cannot_be_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        MultiscalePixelRNN(DataSpec(Levels((1, 4, 4), 4)), **arguments)
