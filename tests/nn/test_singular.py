"""The largest singular values of layers, against a full decomposition."""

import pytest
import torch
from torch import nn

from simulacra.nn import EqualConv2d, EqualLinear, singular_values, spectral
from simulacra.nn.singular import largest_singular_value


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 40), (64, 64)])
def test_a_matrix(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    assert largest_singular_value(matrix) == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=1e-4)


def test_equal_values_and_none():
    assert largest_singular_value(torch.eye(5)) == pytest.approx(1)
    assert largest_singular_value(torch.zeros(3, 4)) == 0


def test_every_layer_with_the_weights_that_it_computes_with():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(5, 4),
        nn.Conv2d(2, 3, 3),
        EqualLinear(5, 4),
        EqualConv2d(2, 3, 3),
        nn.Embedding(4, 4),
        nn.LayerNorm(4),
    )
    found = singular_values(network)
    assert list(found) == ["0", "1", "2", "3"]
    for name, scale in (("0", 1.0), ("1", 1.0), ("2", 5**-0.5), ("3", 18**-0.5)):
        weight = network[int(name)].weight.detach().flatten(1) * scale
        assert found[name] == pytest.approx(float(torch.linalg.svdvals(weight)[0]), rel=1e-4)


def test_a_layer_that_is_normalised_has_one():
    torch.manual_seed(0)
    layer = spectral(nn.Sequential(nn.Conv2d(3, 8, 3))).train()
    before = layer[0].u.clone()
    for _ in range(30):
        with torch.enable_grad():
            layer(torch.zeros(1, 3, 4, 4))
    assert singular_values(layer)["0"] == pytest.approx(1, abs=0.02)
    u = layer[0].u.clone()
    singular_values(layer)
    assert torch.equal(layer[0].u, u)  # to look moves no vector
    assert not torch.equal(u, before)
