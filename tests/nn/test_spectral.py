"""A layer under spectral norm computes with its weight over its largest singular value, and keeps a state for that."""

import copy

import pytest
import torch
from small import randomise
from torch import nn

from simulacra.nn import spectral
from simulacra.nn.spectral import Spectral


def sigma(layer) -> float:
    return torch.linalg.matrix_norm(layer.weight.detach().flatten(1).double(), 2).item()


def layers() -> list[nn.Module]:
    torch.manual_seed(0)
    return [spectral(nn.Linear(7, 5)), spectral(nn.Conv2d(3, 6, 3, padding=1)), spectral(nn.Embedding(4, 6))]


def critic() -> nn.Sequential:
    torch.manual_seed(0)
    return spectral(
        nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(72, 1))
    )


def trained(steps: int, rate: float = 2e-4) -> nn.Sequential:
    """A critic that has learned to tell noise of two kinds apart."""
    network = critic()
    optimiser = torch.optim.Adam(network.parameters(), rate)
    for _ in range(steps):
        x, y = torch.randn(8, 1, 5, 5), torch.randn(8, 1, 5, 5).cumsum(3)
        optimiser.zero_grad()
        (network(x).mean() - network(y).mean()).backward()
        optimiser.step()
    return network


def largest(network) -> list[float]:
    """The largest singular value of each weight as the network uses it, by an SVD."""
    with torch.no_grad():
        used = [layer.normalised() for layer in network.modules() if isinstance(layer, Spectral)]
        return [torch.linalg.matrix_norm(weight.flatten(1), 2).item() for weight in used]


def test_sigma_of_a_trained_layer_is_that_of_its_svd():
    """At the learning rate of SNGAN; one so large that two singular values change places is caught up with."""
    assert largest(trained(60)) == pytest.approx([1] * 3, abs=1e-3)
    network = trained(60, 1e-2)
    assert max(largest(network)) < 1.1
    for _ in range(100):
        network(torch.randn(1, 1, 5, 5))
    assert largest(network) == pytest.approx([1] * 3, abs=1e-3)


def test_what_is_new_is_near_it_too():
    for layer in layers():
        largest = torch.linalg.matrix_norm(layer.normalised().detach().flatten(1), 2).item()
        assert 1 - 1e-5 <= largest < 1.1  # the power iteration finds a σ that is too small, if any


def test_the_gradient_passes_through_sigma():
    """∂/∂W of <A, W/σ> = A/σ - <A, W> u vᵀ/σ²; a multiple of W changes nothing, and so has no gradient along W."""
    torch.manual_seed(0)
    layer, a = spectral(nn.Linear(7, 5)).double(), torch.randn(5, 7).double()
    with torch.no_grad():
        for _ in range(500):
            layer.u.copy_(Spectral.iterated(layer.weight, layer.u)[0])
    (layer.normalised() * a).sum().backward()
    w = layer.weight.detach()
    left, values, right = torch.linalg.svd(w)
    top = torch.outer(left[:, 0], right[0])
    expected = a / values[0] - (a * w).sum() * top / values[0] ** 2
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-5, atol=1e-7)
    assert (layer.weight.grad * w).sum().abs() < 1e-6


@pytest.mark.parametrize("number", range(3))
def test_u_moves_in_a_forward_pass_that_trains_the_weight_alone(number):
    layer = layers()[number].train()
    randomise(layer, 1.0)
    x = (
        torch.tensor([0, 1])
        if isinstance(layer, nn.Embedding)
        else torch.randn(2, 7)
        if number == 0
        else torch.randn(2, 3, 4, 4)
    )

    def moved(call) -> bool:
        before = layer.u.clone()
        call()
        return not torch.equal(layer.u, before)

    assert not moved(lambda: layer.weight.sum())
    with torch.no_grad():
        assert not moved(lambda: layer(x))
    layer.weight.requires_grad_(False)  # the turn of another player
    assert not moved(lambda: layer(x))
    layer.weight.requires_grad_(True)
    layer.eval()
    assert not moved(lambda: layer(x))
    layer.train()
    assert moved(lambda: layer(x))


def test_several_passes_of_one_step_have_the_gradients_of_one():
    """Real items, fake ones and a penalty of gradients: no pass spoils what another keeps for its backward pass."""
    torch.manual_seed(1)
    network, x = trained(60).double(), torch.randn(6, 1, 5, 5).double()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    (network(x).square().mean() - network(-x).mean() + slope.square().sum()).backward()
    assert all(torch.isfinite(each.grad).all() and each.grad.any() for each in network.parameters())


def test_it_is_copied_and_saved_with_its_vectors():
    network = trained(3)
    network(torch.randn(2, 1, 5, 5)).sum().backward()
    again = copy.deepcopy(network)
    x = torch.randn(2, 1, 5, 5)
    assert torch.equal(again.eval()(x), network.eval()(x))
    other = critic()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.eval()(x), network(x))
    assert sum(name.endswith(".u") for name in network.state_dict()) == 3
    again.train()(x)
    assert not torch.equal(again[0].u, network[0].u)


def test_half_precision_leaves_the_vectors_in_float32():
    network = trained(3).train()
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, 1, 5, 5))
        assert network[0].normalised().dtype == torch.float32
    assert network[0].u.dtype == torch.float32
    assert network[0].u.norm().item() == pytest.approx(1, abs=1e-5)


def test_a_weight_of_zeros_stays_one():
    layer = spectral(nn.Linear(3, 2))
    nn.init.zeros_(layer.weight)
    assert not layer.normalised().any()


def test_sigma_of_a_kernel_is_no_norm_of_the_convolution():
    """A 3×3 kernel of ones sums nine places: its matrix has σ = 3, and the convolution a norm that comes up to 9."""
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    x = torch.ones(1, 1, 40, 40)
    assert sigma(conv) == pytest.approx(3)
    assert 3 * sigma(conv) * 0.95 < (conv(x).norm() / x.norm()).item() <= 3 * sigma(conv)
    spectral(conv)
    assert 2.8 < (conv(x).norm() / x.norm()).item() <= 3


def test_a_layer_is_normalised_once():
    network = critic()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert spectral(network) is network
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
