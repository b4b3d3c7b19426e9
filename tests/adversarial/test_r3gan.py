"""The residual baseline: what its networks are at the beginning, every size, and the rule for γ."""

import pytest
import torch
from small import condition_of, items, labels

from simulacra.adversarial import GAN, R1, R2, Relativistic, r3gan
from simulacra.adversarial.zero_centred import gamma_of
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.networks import R3Critic, R3Generator
from simulacra.networks.r3gan import Block
from simulacra.nn import doubled, halved
from simulacra.turns import Turn

SIZES = [(1, 8, 8), (1, 9, 13), (3, 16, 40), (1, 28, 28)]


def small(shape, classes=0) -> GAN:
    torch.manual_seed(0)
    return r3gan(DataSpec(Levels(shape, 17), labels(classes) if classes else {}), latent=5, width=4)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_is_painted_from_the_code_and_counts_for_the_critic(shape):
    model = small(shape)
    z = torch.randn(4, 5)
    _, change = torch.func.jvp(lambda z: model.generator(z, {}), (z,), (torch.randn(4, 5),))
    assert change.shape == (4, *shape)
    assert (change.abs().amax(0) > 0).all()
    x = torch.randn(3, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.critic(x, {}).sum(), x)
    assert (gradient.abs().amax(0) > 0).all()


@pytest.mark.parametrize("side", [64, 128])
def test_large_images_too(side):
    """By shapes alone: nothing is computed."""
    with torch.device("meta"):
        spec = DataSpec(Levels((3, side, side), 256), labels(2))
        model = GAN(spec, 8, R3Generator(16), R3Critic(16), Relativistic(), (R1(), R2()))
        x = model.generator(torch.empty(2, 8), {"label": torch.zeros(2, dtype=torch.int64)})
        assert x.shape == (2, 3, side, side)
        assert model.critic(x, {"label": torch.zeros(2, dtype=torch.int64)}).shape == (2,)


def test_a_block_begins_as_the_identity():
    block = Block(4, 2, 3, 5)
    h = torch.randn(2, 4, 5, 6)
    assert torch.equal(block(h), h)
    assert block.around.groups == 4  # the largest groups of at most three channels, of eight, have two


def test_the_first_update_does_not_grow_with_depth():
    """Fix-up: one step of gradient descent moves the critic's output by about as much, however many blocks."""
    moved = []
    for blocks in (1, 8):
        torch.manual_seed(0)
        spec = DataSpec(Levels((1, 8, 8), 17))
        body = R3Critic(16, blocks=blocks).build(spec, spec.shape)
        x = torch.randn(64, 1, 8, 8)
        before = body(x).mean()
        before.backward()
        with torch.no_grad():
            for parameter in body.stages.parameters():
                parameter -= 0.01 * parameter.grad
        moved.append((before - body(x).mean()).item())
    assert 0.3 < moved[1] / moved[0] < 3


def test_halving_is_the_adjoint_of_doubling():
    """<halved(a), b> = <a, doubled(b)>/4, of images that are zero at their edges."""
    a, b = torch.zeros(1, 2, 12, 16), torch.zeros(1, 2, 6, 8)
    a[..., 2:-2, 2:-2], b[..., 2:-2, 2:-2] = torch.randn(1, 2, 8, 12), torch.randn(1, 2, 2, 4)
    assert (halved(a) * b).sum().item() == pytest.approx((a * doubled(b)).sum().item() / 4, abs=1e-5)
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    torch.testing.assert_close(halved(ramp)[0, 0, 0, 1:-1], torch.tensor([2.5, 4.5]))


def test_the_penalty_of_an_image_of_twice_the_size_is_as_large():
    """The rule for γ: a critic that reads means of 2×2 pixels has a quarter of the squared gradient."""
    w = torch.randn(32, 32)
    gradients = []
    for size, critic in ((32, lambda x: (w * x).sum()), (64, lambda x: (w * torch.nn.AvgPool2d(2)(x)[0, 0]).sum())):
        x = torch.randn(1, 1, size, size, requires_grad=True)
        (gradient,) = torch.autograd.grad(critic(x), x)
        gradients.append(gamma_of(DataSpec(Levels((1, size, size), 17))) * gradient.square().sum().item())
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-5)
    assert gamma_of(DataSpec(Levels((3, 64, 64), 256))) == 2  # that of the paper for FFHQ


def test_it_is_the_relativistic_game_with_both_penalties_in_every_step():
    model = small((1, 8, 8), classes=3)
    assert model.game == Relativistic()
    assert model.penalties == (R1(2.0, end=0.1), R2(2.0, end=0.1))
    terms = model.critic_loss(Turn(items(model.spec, 6), condition_of(model.spec, 6)))
    assert list(terms) == ["critic", "r1", "r2"]
    assert r3gan(model.spec, latent=3, width=2, gamma=5.0).penalties == (R1(5.0, end=0.1), R2(5.0, end=0.1))


@pytest.mark.parametrize("spec", [DataSpec(Levels((1, 7, 30), 17)), DataSpec(Real((2,)))])
def test_what_it_cannot_paint_is_refused(spec):
    with pytest.raises(UsageError, match=r"r3gan networks are for images from 8×8 up, not shape .*; try dense"):
        r3gan(spec)
