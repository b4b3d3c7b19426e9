"""A DCGAN paints every pixel of every size, looks at all of them, and keeps its items apart."""

import pytest
import torch
from small import condition_of, items, labels, randomise

from simulacra.adversarial import GAN, dcgan
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, numeric
from simulacra.turns import Turn

SIZES = [(1, 8, 8), (1, 9, 13), (1, 28, 28), (3, 32, 32), (1, 8, 40), (3, 15, 17)]


def small(shape, levels=17, classes=0, seed=0) -> GAN:
    torch.manual_seed(seed)
    return dcgan(DataSpec(numeric(shape, levels), labels(classes) if classes else {}), latent=5, width=4)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_is_painted_from_the_code(shape):
    """A derivative by the code that is not zero at each sub-pixel: none is padding, none is left over."""
    model = small(shape).eval()
    x = model.generator(torch.randn(2, 5), {})
    assert x.shape == (2, *shape)
    _, change = torch.func.jvp(lambda z: model.generator(z, {}), (torch.randn(4, 5),), (torch.randn(4, 5),))
    assert (change.abs().amax(0) > 0).all()


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_counts_for_the_critic(shape):
    model = small(shape).eval()
    x = torch.randn(3, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.critic(x, {}).sum(), x)
    assert (gradient.abs().amax(0) > 0).all()


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_samples_lie_on_the_grid(shape, levels):
    """Those of a generator with large weights, which paints black and white."""
    model = randomise(small(shape, levels).eval(), 1.0)
    x = model.sample(6, generator=torch.Generator().manual_seed(0))
    assert x.dtype == torch.uint8
    assert x.shape == (6, *shape)
    assert {0, levels - 1} <= set(x.unique().tolist()) <= set(range(levels))


def test_the_whole_grid_is_within_reach():
    """tanh ends at -1 and 1, which are the lowest and the highest level."""
    spec = DataSpec(Levels((1, 8, 8), 17))
    assert spec.on_grid(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0, 8, 16]
    assert torch.equal(spec.on_grid(spec.centred(torch.arange(17))), torch.arange(17).byte())


def test_a_decoded_item_does_not_depend_on_its_batch():
    """Batch norm would: in use it has statistics of its own."""
    model = small((1, 9, 13), 256, classes=3).double()
    for _ in range(3):  # give the statistics something to remember
        model.train().round(Turn(items(model.spec, 16), condition_of(model.spec, 16)), "critic")
    model.eval()
    z, given = torch.randn(7, 5).double(), condition_of(model.spec, 7)
    together = model.decode(z, given).mean
    for i in range(7):
        assert torch.equal(model.decode(z[i : i + 1], {"label": given["label"][i : i + 1]}).mean[0], together[i])
    scores = model.critic(model.spec.centred(together).double(), given)
    alone = model.critic(model.spec.centred(together[2:3]).double(), {"label": given["label"][2:3]})
    torch.testing.assert_close(alone[0], scores[2])


def test_real_and_fake_items_share_no_batch_norm():
    """What the critic says of real items in training does not depend on the fakes of that step."""
    model, seen = small((1, 8, 8)).train(), []
    model.critic.body.register_forward_hook(lambda module, given, scores: seen.append(scores.detach()))
    x = items(model.spec, 8)
    for seed in (1, 2):
        torch.manual_seed(seed)
        model.critic_loss(Turn(x))
    real, fake = seen[0::2], seen[1::2]
    assert torch.equal(real[0], real[1])
    assert not torch.equal(fake[0], fake[1])


def test_every_turn_has_fresh_fakes():
    model, seen = small((1, 8, 8)).train(), []
    model.generator.register_forward_hook(lambda module, given, x: seen.append(x.detach()))
    x = items(model.spec, 4)
    for loss in (model.critic_loss, model.generator_loss, model.critic_loss):
        loss(Turn(x))
    assert len(seen) == 3
    assert not any(torch.equal(seen[i], seen[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_the_condition_reaches_both_players():
    model = small((1, 8, 8), classes=3).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)
    z = torch.randn(1, 5).double()
    pictures = [model.generator(z, {"label": torch.tensor([label])}) for label in range(3)]
    scores = [model.critic(pictures[0], {"label": torch.tensor([label])}) for label in range(3)]
    for one, other in ((0, 1), (1, 2)):
        assert (pictures[one] - pictures[other]).abs().max() > 1e-6
        assert (scores[one] - scores[other]).abs().max() > 1e-9


def test_temperature_scales_the_codes():
    model = small((1, 8, 8), 256).eval()
    noise = torch.Generator().manual_seed(0)
    cold = model.sample(4, temperature=1e-6, generator=noise)
    assert torch.equal(cold, model.decode(torch.zeros(4, 5)).mean)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec(Levels((1, 7, 30), 17)), {}, "8×8 up"),
        (DataSpec(Real((2,))), {}, "images from 8×8 up, not shape \\(2,\\); try dense, the networks of gan, or a vae"),
        (DataSpec(Levels((1, 8, 8), 17)), {"latent": 0}, "latent >= 1"),
        (DataSpec(Real((1, 8, 8))), {}, "grid of levels"),
    ],
)
def test_what_it_cannot_paint_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        dcgan(spec, **arguments)
