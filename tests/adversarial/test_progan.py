"""Progressive growing: sizes, the schedule, the fade, and that growth is a part of what is saved."""

import itertools

import pytest
import torch
from small import condition_of, items, labels
from torch import nn
from torch.nn import functional as F

from simulacra import registry
from simulacra.adversarial import GAN, Drift, Wasserstein, progan, stylegan
from simulacra.adversarial.rounds import Round, Side
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.model import load, save
from simulacra.networks.growth import faded, reach, sizes_of, widths
from simulacra.turns import Turn

SIZES = [(1, 8, 8), (1, 9, 13), (1, 28, 28), (3, 15, 17), (1, 8, 40)]
PRESETS = {"progan": progan, "stylegan": stylegan}


def small(shape=(1, 16, 16), classes=0, preset="progan", **arguments) -> GAN:
    torch.manual_seed(0)
    spec = DataSpec(Levels(shape, 17), labels(classes) if classes else {})
    return PRESETS[preset](spec, **({"latent": 5, "width": 4} | arguments))


def inner(model: GAN) -> nn.Module:
    """The network of the generator that grows."""
    return getattr(model.generator, "network", model.generator)


def at(model: GAN, level: int, alpha: float) -> GAN:
    """Both players at a reach of level - 1 + alpha."""
    for network in (inner(model), model.critic.body):
        network.growth.fill_(round((level - 1 + alpha) * 2**20))
    return model.eval()


# Sizes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 8), [(4, 4), (8, 8)]),
        ((1, 28, 28), [(7, 7), (14, 14), (28, 28)]),
        ((1, 30, 40), [(4, 5), (8, 10), (16, 20), (32, 40)]),
        ((3, 8, 9), [(4, 5), (8, 10)]),
        ((3, 1024, 1024), [(2**k, 2**k) for k in range(2, 11)]),
    ],
)
def test_sizes_double_up_to_the_first_that_holds_the_image(shape, expected):
    assert sizes_of(shape) == expected


def test_channels_double_with_every_halving():
    assert widths(9, 16, 512) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert widths(2, 300, 256) == [300, 300]


@pytest.mark.parametrize(("preset", "millions"), [("progan", 23.1), ("stylegan", 26.2)])
def test_the_generator_of_the_paper_at_1024_has_its_number_of_parameters(preset, millions):
    """Karras et al. 2019, end of section 2: 26.2 M in the style-based generator, and 23.1 M in the traditional one."""
    with torch.device("meta"):
        model = small((3, 1024, 1024), preset=preset, latent=512, width=16, widest=512)
    assert round(sum(each.numel() for each in model.generator.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize(("name", "size"), [("progan", 1024), ("stylegan", 256), ("stylegan2", 1024)])
def test_large_networks_have_a_graph(name, size):
    """On the meta device: shapes are right from the code to the gradient of every penalty."""
    with torch.device("meta"):
        spec = DataSpec(Levels((3, size, size), 256))
        model = registry.build(name, spec, latent=8, width=2, widest=8, **({} if name == "progan" else {"mapping": 2}))
        for phase in model.train().phases():
            terms = phase.loss(Turn(torch.zeros(4, 3, size, size, dtype=torch.uint8), share=1.0))
            torch.stack(list(terms.values())).sum().backward()
        assert model.generator(torch.zeros(2, 8), Condition()).shape == (2, 3, size, size)
        assert all(each.grad is not None for each in model.generator.parameters() if each.shape[:1] != (3,))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_is_painted_and_counts_at_every_form(preset, shape):
    model = small(shape, preset=preset)
    z, v = torch.randn(2, 3, 5)
    for level, alpha in [(0, 1.0), (1, 0.5), (inner(model).finest, 1.0)]:
        at(model, level, alpha)
        x, change = torch.func.jvp(lambda z: model.generator(z, {}), (z,), (v,))
        assert x.shape == (3, *shape)
        assert (change.abs().amax(0) > 0).all()
        some = torch.randn(3, *shape, requires_grad=True)
        (gradient,) = torch.autograd.grad(model.critic(some, {}).sum(), some)
        assert (gradient.abs().amax(0) > 0).all()


@pytest.mark.parametrize("spec", [DataSpec(Levels((1, 7, 30), 17)), DataSpec(Levels((5,), 4)), DataSpec(Real((2,)))])
def test_what_is_no_image_from_8_up_is_refused(spec):
    for name in ("progan", "stylegan", "stylegan2"):
        with pytest.raises(UsageError, match=r"networks are for images from 8×8 up, not shape \(.*\); try dense"):
            registry.build(name, spec)


def test_continuous_images_are_no_less_images():
    model = progan(DataSpec(Real((2, 8, 8))), latent=3, width=2)
    assert model.sample(2).dtype == torch.float32


# The schedule


@pytest.mark.parametrize("doublings", [1, 3])
def test_a_network_rests_and_passes_in_equal_periods(doublings):
    period = 0.6 / (2 * doublings)
    for level in range(doublings):
        for share in (0.0, 0.5, 0.99):
            assert reach((2 * level + share) * period, doublings, 0.6) == pytest.approx(level)
            assert reach((2 * level + 1 + share) * period, doublings, 0.6) == pytest.approx(level + share)
    assert {reach(share, doublings, 0.6) for share in (0.6, 0.8, 1.0)} == {doublings}
    assert reach(0.0, doublings, 0.0) == doublings


def test_growth_is_continuous_and_never_turns_back():
    reached = [reach(step / 1000, 3, 0.5) for step in range(1001)]
    steps = [after - before for before, after in itertools.pairwise(reached)]
    assert min(steps) >= 0
    assert max(steps) <= 2 * 3 / 0.5 / 1000 + 1e-9


@pytest.mark.parametrize("preset", PRESETS)
def test_both_players_grow_by_the_share_of_training(preset):
    model = small(preset=preset).train()
    for share in (0.0, 0.2, 0.45, 1.0):
        model.critic_loss(Turn(items(model.spec, 4), share=share))
        expected = round(2**20 * reach(share, 2, 0.5))
        assert inner(model).growth.item() == model.critic.body.growth.item() == expected
        for network in (inner(model), model.critic.body):
            training = network.level
            assert network.eval().level == training
            network.train()


def test_a_loss_that_is_looked_at_in_use_leaves_the_networks_as_they_are():
    model = small().train()
    model.critic_loss(Turn(items(model.spec, 4), share=0.2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for phase in model.eval().phases():
        phase.loss(Turn(items(model.spec, 4)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_players_that_would_grow_apart_are_refused():
    spec = DataSpec(Levels((1, 8, 8), 17))
    with pytest.raises(UsageError, match=r"grow together: give both the same share `grown`, not 0.3 and 0.5"):
        GAN(spec, 3, "progan:width=2,grown=0.3", "progan:width=2")
    GAN(spec, 3, "stylegan2:width=2", "progan:width=2")  # one that does not grow, beside one that does


# The fade


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 15, 17)], ids=str)
def test_the_fade_begins_at_the_smaller_image_and_ends_at_the_larger(preset, shape):
    model, z = small(shape, preset=preset).double(), torch.randn(3, 5, dtype=torch.float64)
    smaller, larger = (at(model, level, 1.0).generator(z, {}) for level in (1, 2))
    for alpha in (2**-20, 0.25, 1 - 2**-20):
        faded = at(model, 2, alpha).generator(z, {})
        torch.testing.assert_close(faded, (1 - alpha) * smaller + alpha * larger)
    squares = smaller[..., :14, :14].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.equal(squares.amax(4), squares.amin(4))  # the smaller image's pixels are squares of 2×2
    assert not torch.equal(larger[..., :14:2, :], larger[..., 1:14:2, :])


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 15, 17)], ids=str)
def test_the_critic_fades_from_the_view_of_the_smaller_size(shape):
    """The last step of one form is the first of the next: scores do not jump."""
    model, x = small(shape).double(), torch.randn(3, *shape, dtype=torch.float64)
    for level in (1, 2):
        before = at(model, level - 1, 1.0).critic(x, {})
        torch.testing.assert_close(at(model, level, 2**-20).critic(x, {}), before, rtol=1e-4, atol=1e-4)
        after = at(model, level, 1.0).critic(x, {})
        torch.testing.assert_close(at(model, level, 1 - 2**-20).critic(x, {}), after, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(before, after, rtol=1e-2)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 15, 17)], ids=str)
def test_a_half_grown_critic_sees_means_of_squares(shape):
    model = at(small(shape).double(), 1, 1.0)
    x = torch.randn(2, *shape, dtype=torch.float64)
    torch.testing.assert_close(model.critic(model.critic.body.coarse(x), {}), model.critic(x, {}))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 15, 17)], ids=str)
def test_real_items_have_no_more_detail_than_generated_ones(shape):
    """They are what the generator could make: those of a grown one as they are, else squares, or a part of each."""
    model, x = small(shape).double(), torch.randn(2, *shape, dtype=torch.float64)
    assert torch.equal(inner(at(model, 2, 1.0)).coarse(x), x)
    coarse = inner(at(model, 1, 1.0)).coarse(x)
    inside = F.interpolate(F.avg_pool2d(x[..., :14, :16], 2), scale_factor=2)
    torch.testing.assert_close(coarse[..., :14, :16], inside)
    torch.testing.assert_close(inner(model).coarse(coarse), coarse)
    torch.testing.assert_close(inner(at(model, 2, 0.25)).coarse(x), 0.75 * coarse + 0.25 * x)


def test_a_turn_shows_the_critic_coarse_items():
    model, seen = small().train(), []
    model.critic.body.register_forward_hook(lambda module, given, h: seen.append(given[0].detach()))
    x = items(model.spec, 4)
    model.critic_loss(Turn(x, share=0.0))
    assert torch.equal(seen[0], inner(model).coarse(model.spec.centred(x)))
    assert not torch.equal(seen[0], model.spec.centred(x))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_grown_network_is_one_that_never_grew(preset):
    plain, grown = small(preset=preset, grown=0.0), small(preset=preset)
    for share in (0.0, 0.3, 1.0):
        inner(grown).grow(share)
        grown.critic.body.grow(share)
    z, x = torch.randn(3, 5), torch.randn(3, 1, 16, 16)
    assert torch.equal(plain.eval().generator(z, {}), grown.eval().generator(z, {}))
    assert torch.equal(plain.critic(x, {}), grown.critic(x, {}))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_model_saved_in_the_middle_is_half_grown_when_it_is_loaded(preset, tmp_path):
    model = small(preset=preset)
    model.train().critic_loss(Turn(items(model.spec, 4), share=0.2))
    assert 0 < inner(model).growth.item() < 2 * 2**20
    save(model.eval(), tmp_path)
    again, z = load(tmp_path), torch.randn(3, 5)
    assert inner(again).growth.item() == inner(model).growth.item()
    assert torch.equal(again.decode(z).mean, model.decode(z).mean)
    assert again.sample(2).shape == (2, 1, 16, 16)


# The critic's items, and the game


@pytest.mark.parametrize("name", ["progan", "stylegan", "stylegan2"])
def test_in_evaluation_an_item_does_not_depend_on_its_batch(name):
    torch.manual_seed(0)
    model = registry.build(name, DataSpec(Levels((1, 9, 13), 17), labels(3)), latent=4, width=3)
    for _ in range(2):
        turn = Turn(items(model.spec, 8), condition_of(model.spec, 8), share=0.4)
        for phase in model.train().phases():
            phase.loss(turn)
    model.double().eval()
    z, given = torch.randn(5, 4, dtype=torch.float64), condition_of(model.spec, 5)
    x = model.generator(z, given)
    scores = model.critic(x, given)
    for i in range(5):
        own = given.rows(slice(i, i + 1))
        torch.testing.assert_close(model.generator(z[i : i + 1], own)[0], x[i])
        torch.testing.assert_close(model.critic(x[i : i + 1], own)[0], scores[i])


def test_drift_is_the_mean_square_of_real_scores():
    class Given(nn.Module):
        def features(self, x, condition):
            return x

        def head(self, h, condition):
            return h[:, 0]

    real, fake = (Side(Given(), torch.tensor(values), Condition()) for values in ([[1.0], [3.0]], [[9.0], [9.0]]))
    found = Drift(0.1).loss(Round(real, fake, torch.zeros(2, 1), nn.Linear(1, 1), Wasserstein()), nn.Module())
    assert found.item() == pytest.approx(0.5)


def test_codes_count_by_their_direction_alone():
    model, z = small().eval(), torch.randn(3, 5)
    torch.testing.assert_close(model.generator(3 * z, {}), model.generator(z, {}))


def test_a_fade_joins_images_of_different_precision():
    """Under autocast, on a GPU, an image that was resized is float32 and one that was not is bfloat16."""
    coarse, fine = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16)
    assert torch.equal(faded(coarse, fine, 0.25), torch.full_like(fine, 0.75))
