"""Every sampler turns the same noise into the same image; only the time differs."""

import pytest
import torch
from small import condition_of, labels, randomise

from simulacra.autoregressive import GatedPixelCNN
from simulacra.data import DataSpec
from simulacra.errors import UsageError

SHAPES = [(1, 5, 5), (1, 3, 6), (1, 6, 3), (1, 1, 5), (1, 5, 1), (3, 4, 3), (2, 3, 3)]


def draw(model, sampler: str, n: int = 6, **arguments) -> torch.Tensor:
    return model.sample(n, sampler=sampler, generator=torch.Generator().manual_seed(3), **arguments)


def double(shape, condition=None, **arguments) -> GatedPixelCNN:
    spec = DataSpec(shape, 5, condition or {})
    return randomise(GatedPixelCNN(spec, **({"width": 6, "layers": 3} | arguments)).double().eval())


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cached_is_naive(shape, labelled, temperature):
    model = double(shape, labels(3) if labelled else None)
    given = {"condition": condition_of(model.spec, 6), "temperature": temperature}
    cached, naive = draw(model, "cached", **given), draw(model, "naive", **given)
    assert torch.equal(cached, naive)
    assert len(cached.unique()) > 2  # of 5 levels: not all of one colour


@pytest.mark.parametrize(
    "network", [{"layers": 1}, {"kernel": 1}, {"kernel": 3, "inner_kernel": 5}, {"kernel": 9, "layers": 2}], ids=str
)
def test_cached_is_naive_for_every_window(network):
    model = double((1, 5, 4), **network)
    assert torch.equal(draw(model, "cached"), draw(model, "naive"))


def test_temperature_goes_to_the_most_likely_image():
    model = double((1, 4, 4))
    cold = draw(model, "cached", temperature=1e-6)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    assert not torch.equal(draw(model, "cached")[0], draw(model, "cached")[1])


def test_a_draw_does_not_depend_on_the_labels_of_the_others():
    model = double((1, 4, 4), labels(3))
    mixed = draw(model, "cached", condition={"label": torch.tensor([1, 0, 2, 2, 0, 1])})
    others = draw(model, "cached", condition={"label": torch.tensor([1, 2, 2, 1, 1, 0])})
    assert torch.equal(mixed[[0, 2]], others[[0, 2]])
    assert not torch.equal(mixed[[1, 3, 4, 5]], others[[1, 3, 4, 5]])


def test_an_unknown_sampler_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="cached, naive"):
        draw(double((1, 2, 2)), "quick")
