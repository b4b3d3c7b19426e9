"""Style networks: what a layer computes against its definition, styles in training and in use, and path lengths."""

import math

import pytest
import torch
from small import condition_of, items, labels
from torch import nn
from torch.nn import functional as F

from simulacra import registry
from simulacra.adversarial import GAN, NonSaturating, PathLength
from simulacra.adversarial.lengths import path_lengths
from simulacra.adversarial.rounds import Round, Side
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.networks import Growing, Styled
from simulacra.networks.styled import PixelNoise
from simulacra.networks.stylegan import adain
from simulacra.networks.stylegan2 import ModulatedConv2d, ResidualDown
from simulacra.nn import RunningMean, filtered, halved, leaky
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Turn

GREY = Levels((1, 8, 8), 17)
NAMES = ("stylegan", "stylegan2")


def small(name="stylegan2", classes=0, shape=(1, 8, 8), **arguments) -> GAN:
    torch.manual_seed(0)
    spec = DataSpec(Levels(shape, 17), labels(classes) if classes else {})
    return registry.build(name, spec, **({"latent": 4, "width": 3, "mapping": 2, "rate": 1.0} | arguments))


# Layers


@pytest.mark.parametrize(("kernel", "double"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("normalised", [False, True])
def test_a_modulated_convolution_is_one_with_weights_of_each_item(kernel, double, normalised):
    torch.manual_seed(0)
    layer = ModulatedConv2d(4, 5, kernel, 6, double, normalised).double()
    h, w = torch.randn(3, 4, 6, 8, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    y, style = layer(h, w), layer.style(w)
    for n in range(3):
        own = layer.weight / math.sqrt(4 * kernel**2) * style[n].view(1, 4, 1, 1)
        if normalised:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            torch.testing.assert_close(own.square().sum((1, 2, 3)), torch.ones(5, dtype=torch.float64))
        if double:
            spread = torch.zeros(1, 4, 11, 15, dtype=torch.float64)
            spread[..., ::2, ::2] = h[n]
            expected = 4 * filtered(F.pad(F.conv2d(F.pad(spread, (2, 2, 2, 2)), own.flip(2, 3)), (1, 1, 1, 1)))
        else:
            expected = F.conv2d(h[n : n + 1], own, padding=kernel // 2)
        torch.testing.assert_close(y[n : n + 1], expected)


def test_the_scale_of_a_style_is_taken_out_by_normalisation():
    layer, h, w = ModulatedConv2d(4, 5, 3, 6), torch.randn(3, 4, 6, 8), torch.randn(3, 6)
    y = layer(h, w)
    with torch.no_grad():
        layer.style.weight *= 3
        layer.style.bias *= 3
    torch.testing.assert_close(layer(h, w), y)


def test_adain_gives_each_channel_the_moments_of_the_style():
    h, style = 5 + 3 * torch.randn(4, 3, 16, 16), torch.randn(4, 6)
    y = adain(h, style)
    gain, mean = style.chunk(2, 1)
    torch.testing.assert_close(y.mean((2, 3)), mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(y.std((2, 3), correction=0), (1 + gain).abs(), rtol=1e-4, atol=1e-4)


def test_a_residual_block_halves_and_keeps_variance():
    torch.manual_seed(0)
    block, h = ResidualDown(32, 48), torch.randn(8, 32, 16, 16)
    own = leaky(block.second(filtered(F.pad(leaky(block.first(h)), (2, 2, 2, 2)))))
    torch.testing.assert_close(block(h), (own + block.beside(halved(h))) / math.sqrt(2))
    assert block(h).shape == (8, 48, 8, 8)


def test_noise_is_fresh_for_each_item_in_training_and_fixed_in_use():
    noise, h = PixelNoise(3, (4, 4)), torch.zeros(2, 3, 4, 4)
    assert torch.equal(noise.train()(h), h)  # none in the beginning
    with torch.no_grad():
        noise.strength.fill_(2.0)
    one, other = noise(h), noise(h)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    assert torch.equal(one[:, 0], one[:, 1])  # one number for a pixel
    noise.eval()
    assert torch.equal(noise(h)[0], noise(h)[1])
    assert torch.equal(noise(h), 2 * noise.fixed.expand(2, 3, 4, 4))


# Styles


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_is_its_two_networks(name):
    model = small(name, classes=3).eval()
    generator, z, given = model.generator, torch.randn(5, 4), condition_of(model.spec, 5)
    assert isinstance(generator, Styled)
    w = generator.mapping(z, given)
    assert w.shape == (5, 4, 4)  # layers: two at each of 4×4 and 8×8
    assert torch.equal(generator.synthesis(w), generator(z, given))
    assert torch.equal(generator(z, given), generator(z, given))
    assert generator.mean_w.shape == (3, 4)
    assert not isinstance(small("stylegan2").critic.body, Styled | Growing)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_has_a_style_that_counts(name):
    generator = small(name, shape=(1, 16, 16)).eval().generator
    w = generator.mapping(torch.randn(2, 4), {}).clone()
    for layer in range(w.shape[1]):
        changed = w.clone()
        changed[:, layer] += 1
        assert not torch.allclose(generator.synthesis(changed), generator.synthesis(w), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_truncation_goes_from_the_item_to_the_typical_one_of_its_class(name):
    model = small(name, classes=3)
    generator = model.train().generator
    for _ in range(3):
        generator(torch.randn(12, 4), condition_of(model.spec, 12))
    model.eval()
    z, given = torch.randn(6, 4), condition_of(model.spec, 6)
    torch.testing.assert_close(generator.truncated(z, given, 1.0), generator(z, given))
    typical = generator.truncated(z, given, 0.0)
    torch.testing.assert_close(typical[:3], typical[3:])
    torch.testing.assert_close(typical[:3], generator.synthesis(generator.mean_w[:, None].expand(-1, 4, -1)))
    assert (typical[0] - typical[1]).abs().max() > 1e-3
    half = generator.mapping(z, given).lerp(generator.mean_w[given["label"]][:, None], 0.5)
    torch.testing.assert_close(generator.truncated(z, given, 0.5), generator.synthesis(half))


def test_the_mean_style_is_of_each_class_and_moves_in_training_only():
    model = small(classes=3)
    generator, z = model.generator, torch.randn(12, 4)
    given = Condition({"label": torch.tensor([0, 0, 2] * 4)})
    generator.eval()(z, given)
    assert generator.mean_w.abs().max() == 0
    generator.train()(z, given)
    w = generator.mapping(z, given)[:, 0]
    for label in (0, 2):
        torch.testing.assert_close(generator.mean_w[label], w[given["label"] == label].mean(0))
    assert generator.mean_w[1].abs().max() == 0
    with torch.no_grad():
        for _ in range(400):
            labels_of = condition_of(model.spec, 64)
            generator.mean.update(generator.styles(torch.randn(64, 4), labels_of), labels_of)
        many = torch.randn(30000, 4)
        for label in range(3):
            own = generator.mapping(many, {"label": torch.full((30000,), label)})[:, 0].mean(0)
            torch.testing.assert_close(generator.mean_w[label], own, rtol=0.1, atol=0.03)


class Batch(dict):
    def __missing__(self, draw: int):
        return items(DataSpec(GREY), 8, seed=draw), {}


def test_the_averaged_weights_come_with_an_average_of_the_mean_style():
    """By the rule of the weights: m̄ <- m̄ + (1 - d) (m - m̄), not the mean style of the averaged mapping."""
    loop = Loop(small(), Options(batch=8, ema=0.6), Runtime(torch.device("cpu"), bf16=False))
    expected = torch.zeros(1, 4)
    for step in range(4):
        loop.step(Batch(), step / 4)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = expected + (1 - decay) * (loop.model.generator.mean_w - expected)
    torch.testing.assert_close(loop.fitted.generator.mean_w, expected)
    assert not torch.equal(loop.fitted.generator.mean_w, loop.model.generator.mean_w)
    assert torch.equal(loop.fitted.generator.mean.running.count, loop.model.generator.mean.running.count)
    assert loop.model.generator.mean.running.count.item() == 4 + 4  # turns of both players; penalties make no items


def test_the_averaged_network_is_as_grown_as_the_one_in_training():
    loop = Loop(small("stylegan"), Options(batch=8, ema=0.999), Runtime(torch.device("cpu"), bf16=False))
    for done in (0.0, 0.3):
        loop.step(Batch(), done)
    assert loop.fitted.generator.network.growth.item() == loop.model.generator.network.growth.item() == 0.2 * 2**20 // 1
    assert loop.fitted.generator.network.level == loop.model.generator.network.level


@pytest.mark.parametrize("mixing", [0.0, 0.5, 1.0])
def test_a_share_of_items_has_later_layers_of_the_next_code(mixing):
    torch.manual_seed(0)
    generator = GAN(DataSpec(Levels((1, 32, 32), 4)), 4, f"stylegan2:width=1,mapping=1,mixing={mixing}").generator
    seen = []
    generator.network.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    z = torch.randn(600, 4)
    with torch.no_grad():
        generator.train()(z, Condition())
        own, other = generator.mapping(z, Condition()), generator.mapping(z.roll(-1, 0), Condition())
    (w,) = seen
    of_own, of_other = ((w - each).abs().amax(2) == 0 for each in (own, other))
    assert (of_own | of_other).all()
    assert of_own[:, 0].all()
    assert (of_other[:, 1:] <= of_other[:, 1:].cummax(1).values).all()
    first = of_own.sum(1)  # the first layer of the other code; all where there is none
    assert all((of_own[i, : first[i]]).all() for i in range(600))
    mixed = first < 8
    assert mixed.float().mean().item() == pytest.approx(mixing, abs=0.07)
    if mixing == 1:
        counts = torch.bincount(first, minlength=8)[1:8]
        assert counts.min() > 600 / 7 * 0.6  # every layer alike


def test_in_use_nothing_is_mixed():
    generator = small().eval().generator
    z = torch.randn(8, 4)
    torch.testing.assert_close(generator(z, {})[:1], generator(z[:1], {}))


def test_a_label_reaches_styles_of_both_codes():
    model = small(classes=3, mapping=2)
    generator, z = model.generator.train(), torch.randn(64, 4)
    seen = []
    generator.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    generator(z, Condition({"label": torch.zeros(64, dtype=torch.long)}))
    (w,) = seen
    (gradient,) = torch.autograd.grad(w[:, 1:].square().sum(), generator.styles.enter.vectors["label"].weight)
    assert gradient[0].abs().sum() > 0
    assert gradient[1:].abs().sum() == 0  # a code of another item is under the label of this one


def test_mapping_is_slower_by_its_rate():
    """The first step of Adam moves what a layer of the mapping computes with 0.01 times as far as other layers."""
    model = GAN(DataSpec(GREY), 4, "stylegan2:width=3,mapping=2", "stylegan2:width=3", "non-saturating", ())
    loop = Loop(model, Options(batch=8, warmup=0, betas=(0.0, 0.9)), Runtime(torch.device("cpu"), bf16=False))
    mapping, other = loop.model.generator.styles.layers[1], loop.model.generator.network.first.conv.style
    before = [(each.weight * each.weight_scale).detach().clone() for each in (mapping, other)]
    loop.step(Batch(), 0.0)
    moved = [
        ((each.weight * each.weight_scale - old) * math.sqrt(each.weight.shape[1])).abs().median().item()
        for each, old in zip((mapping, other), before, strict=True)
    ]
    assert moved[0] == pytest.approx(0.01 * moved[1], rel=0.1)


# Path lengths


class Linear(nn.Module):
    """w = z for both layers, and x = A (w of layer 1 + w of layer 2) / 2, so that J_w = A."""

    def __init__(self, a: torch.Tensor) -> None:
        super().__init__()
        self.a, self.mean_w = nn.Parameter(a), torch.zeros(1, a.shape[1])

    def mapping(self, z, condition):
        return (z + 0 * self.a.sum())[:, None].expand(-1, 2, -1)

    def synthesis(self, w):
        return (w.mean(1) @ self.a.T).view(-1, 1, 2, 3)

    def truncated(self, z, condition, psi):
        return self.synthesis(self.mapping(z, condition))


def seen(generator: nn.Module, n: int) -> Round:
    side = Side(nn.Identity(), torch.zeros(n, 1, 2, 3), Condition())
    return Round(side, side, torch.randn(n, generator.a.shape[1]), generator, NonSaturating())


def test_path_lengths_of_a_linear_synthesis():
    """|Aᵀ y| with y ~ N(0, I / pixels), of the style that all layers share."""
    generator = Linear(torch.randn(6, 4))
    torch.manual_seed(3)
    lengths, pixels = path_lengths(generator, torch.randn(5, 4), Condition())
    torch.manual_seed(3)
    torch.randn(5, 4)
    y = torch.randn(5, 1, 2, 3).flatten(1) / math.sqrt(6)
    torch.testing.assert_close(lengths, (y @ generator.a).norm(dim=1))
    assert pixels == 6
    many, _ = path_lengths(generator, torch.randn(40000, 4), Condition())
    assert many.square().mean().item() == pytest.approx((generator.a.square().sum() / 6).item(), rel=0.05)


def test_the_penalty_is_the_variance_of_lengths_around_their_running_mean():
    generator, penalty = Linear(torch.randn(6, 4)), PathLength(3.0)
    memory = penalty.memory(DataSpec(Levels((1, 2, 3), 4)), generator, nn.Module()).train()
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        round_ = seen(generator, 5)
        loss = penalty.loss(round_, memory)
        torch.manual_seed(seed)
        round_ = seen(generator, 5)
        lengths, _ = path_lengths(generator, round_.z, Condition())
        found.append(lengths.mean().item())
        mean = sum(found) / len(found)  # plain at first, this step's lengths included
        assert memory.value.item() == pytest.approx(mean, rel=1e-5)
        assert loss.item() == pytest.approx(3 * (lengths - mean).square().mean().item(), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, generator.a)
    assert gradient.abs().sum() > 0
    memory.eval()
    penalty.loss(seen(generator, 5), memory)
    assert memory.count.item() == 3


def test_an_orthogonal_synthesis_of_many_pixels_costs_little():
    """Its lengths are all about the same; those of one that stretches a single direction are not."""

    def cost(a):
        generator = Linear(a)
        generator.synthesis = lambda w: (w.mean(1) @ generator.a.T).view(len(w), 1, 20, 20)
        memory = RunningMean(1, 1, 0.99).train()
        return PathLength(1.0).loss(seen(generator, 500), memory).item() / memory.value.item() ** 2

    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(400, 40)).Q
    stretched = basis * torch.tensor([100.0] + [1.0] * 39)
    assert cost(basis) < 0.05
    assert cost(stretched) > 0.3


@pytest.mark.parametrize(("side", "weight"), [(8, math.log(2) / math.log(4)), (32, math.log(2) / math.log(16))])
def test_its_weight_is_that_of_the_paper(side, weight):
    model = small(shape=(1, side, side)).train()
    terms = []
    for penalty in (PathLength(), PathLength(1.0)):
        torch.manual_seed(0)
        memory = penalty.memory(model.spec, model.generator, model.critic)
        round_ = model.round(Turn(items(model.spec, 4)), "generator")
        terms.append(penalty.loss(round_, memory).item())
    assert terms[0] == pytest.approx(weight * terms[1], rel=1e-4)


def test_stylegan2_takes_its_penalties_lazily():
    phases = small().phases()
    assert [(phase.name, phase.every) for phase in phases] == [
        ("critic", 1),
        ("r1", 16),
        ("generator", 1),
        ("path-length", 8),
    ]
    assert phases[0].player is phases[1].player
    assert phases[2].player is phases[3].player


def test_a_generator_without_styles_has_no_path_lengths():
    with pytest.raises(UsageError, match="'path-length' is for a generator with styles: stylegan or stylegan2"):
        GAN(DataSpec(GREY), penalties=("path-length",))


# Whole runs


def test_a_run_continues_bitwise_from_the_middle_of_growth(tmp_path):
    """With means of styles, reach and lengths as they were: 2k steps are k and k."""
    loops = []
    for _ in range(2):
        networks = "stylegan:width=3,mapping=2", "progan:width=3"
        model = GAN(DataSpec(GREY), 4, *networks, "non-saturating", ("r1", "path-length:every=2"))
        loops.append(Loop(model, Options(batch=8, warmup=0), Runtime(torch.device("cpu"), bf16=False)))
    (straight, again), first = loops, {}
    for step in range(6):
        if step == 3:
            first = {name: tensor.clone() for name, tensor in straight.tensors().items()}
        straight.step(Batch(), step / 10)
    again.restore(3, first)
    for step in range(3, 6):
        again.step(Batch(), step / 10)
    for name, tensor in straight.tensors().items():
        assert torch.equal(again.tensors()[name], tensor), name
    for name, tensor in straight.fitted.state_dict().items():
        assert torch.equal(again.fitted.state_dict()[name], tensor), name
