"""Residual and BigGAN networks paint and see every pixel of every size, and keep items apart; how they are sampled."""

import pytest
import torch
from small import condition_of, items, labels, randomise
from torch import nn

import simulacra as sim
from simulacra.adversarial import GAN, biggan, cgan, lsgan, sagan, sngan, wgan, wgan_gp
from simulacra.adversarial.standing import restate
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, numeric
from simulacra.networks import BigGANGenerator, ResidualCritic, ResidualGenerator
from simulacra.nn.spectral import Spectral
from simulacra.turns import Turn

SIZES = [(1, 8, 8), (1, 9, 13), (3, 28, 28), (1, 8, 40), (3, 15, 17)]
PRESETS = {"sngan": sngan, "sagan": sagan, "biggan": biggan}


def small(preset: str, shape=(1, 8, 8), classes=3, latent=6, seed=0) -> GAN:
    """In evaluation mode, with a generator in which the gates of attention and all rows of classes are open."""
    torch.manual_seed(seed)
    model = PRESETS[preset](DataSpec(numeric(shape, 17), labels(classes) if classes else {}), latent=latent, width=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 0 or ("tables" in name and not parameter.any()):
                nn.init.normal_(parameter) if parameter.dim() else parameter.fill_(0.5)
    return model.double().eval()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_is_painted_from_every_part_of_the_code(preset, shape):
    model = small(preset, shape)
    given, z = condition_of(model.spec, 9), torch.randn(9, 6).double()
    assert model.generator(z, given).shape == (9, *shape)
    for part in range(6):
        along = torch.zeros(9, 6).double()
        along[:, part] = 1
        _, change = torch.func.jvp(lambda z: model.generator(z, given), (z,), (along,))
        assert (change.abs().amax(0) > 0).all()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_pixel_counts_for_the_critic(preset, shape):
    model = small(preset, shape)
    x = torch.randn(3, *shape).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model.critic(x, condition_of(model.spec, 3)).sum(), x)
    assert (gradient.abs().amax(0) > 0).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_an_item_does_not_depend_on_its_batch_and_does_on_its_class(preset):
    model = small(preset, (1, 9, 13))
    for _ in range(2):
        model.train().round(Turn(items(model.spec, 16), condition_of(model.spec, 16)), "generator")
    model.eval()
    z, given = torch.randn(5, 6).double(), condition_of(model.spec, 5)
    together = model.generator(z, given)
    scores = model.critic(together, given)
    for i in range(5):
        own = given.rows(slice(i, i + 1))
        torch.testing.assert_close(model.generator(z[i : i + 1], own)[0], together[i], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model.critic(together[i : i + 1], own)[0], scores[i], rtol=1e-10, atol=1e-10)
    other = {"label": (given["label"] + 1) % 3}
    assert (model.generator(z, other) - together).flatten(1).abs().amax(1).min() > 1e-6
    assert (model.critic(together, other) - scores).abs().min() > 1e-9


def test_the_generator_reaches_128_pixels_and_the_critic_reads_them():
    """Shapes alone, without memory: as published, 1024 channels at 4×4 and 64 at the image."""
    with torch.device("meta"):
        spec = DataSpec(Levels((3, 128, 128), 256), labels(3))
        model = GAN(spec, 128, ResidualGenerator(attention=32), ResidualCritic(attention=32), "hinge", ())
        assert model.generator.enter.out_features == 1024 * 4 * 4
        assert [block.first.out_channels for block in model.generator.blocks.blocks] == [1024, 512, 256, 128, 64]
        assert model.generator.blocks.attention.query.in_channels == 256
        assert [block.inside[0].out_channels for block in model.critic.body.blocks] == [64, 128, 256, 512, 1024, 1024]
        assert model.critic.body.attention.query.in_channels == 128
        x = model.generator(torch.zeros(2, 128), {"label": torch.zeros(2, dtype=torch.int64)})
        assert x.shape == (2, 3, 128, 128)
        assert model.critic.body(x).shape == (2, 1024)


def test_up_to_32_pixels_they_are_those_of_the_paper_for_cifar():
    with torch.device("meta"):
        model = sngan(DataSpec(Levels((3, 32, 32), 256)), width=128)
    assert [block.first.out_channels for block in model.generator.blocks.blocks] == [256, 256, 256]
    assert [(block.inside[0].out_channels, block.halve) for block in model.critic.body.blocks] == [
        (128, True),
        (128, True),
        (128, False),
        (128, False),
    ]


def test_the_whole_critic_is_normalised_its_head_too():
    for preset in PRESETS:
        model = small(preset)
        weighty = [each for each in model.critic.modules() if isinstance(each, nn.Linear | nn.Conv2d | nn.Embedding)]
        assert all(isinstance(each, Spectral) for each in weighty)
        normed = [each for each in model.generator.modules() if isinstance(each, Spectral)]
        assert bool(normed) == (preset != "sngan")


def test_weights_of_biggan_begin_orthogonal():
    model = biggan(DataSpec(Levels((1, 16, 16), 17), labels(4)), latent=6, width=4)
    for layer in model.modules():
        if isinstance(layer, Spectral):
            matrix = layer.weight.detach().flatten(1)
            rows = matrix if len(matrix) <= matrix.shape[1] else matrix.T
            torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), rtol=1e-4, atol=1e-5)


def test_in_a_turn_only_the_vectors_of_its_player_move():
    model = small("biggan").float().train()
    turn = Turn(items(model.spec, 8), condition_of(model.spec, 8))

    def moved(player, loss) -> set[str]:
        model.requires_grad_(False)
        player.requires_grad_(True)
        before = {name: each.clone() for name, each in model.named_buffers() if name.endswith(".u")}
        randomise(model)
        loss(turn)
        now = dict(model.named_buffers())
        return {name.split(".")[0] for name, each in before.items() if not torch.equal(each, now[name])}

    assert moved(model.critic, model.critic_loss) == {"critic"}
    assert moved(model.generator, model.generator_loss) == {"generator"}


@pytest.mark.parametrize("normalise", ["spectral", "batch", "none"])
@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_a_critic_of_every_kind_has_finite_scores(normalise, pool):
    spec = DataSpec(Levels((1, 9, 8), 17))
    critic = ResidualCritic(3, normalise=normalise, pool=pool, halvings=1, blocks=0)
    model = GAN(spec, 4, ResidualGenerator(3), critic, "hinge", ())
    assert model.critic_loss(Turn(items(spec, 6)))["critic"].isfinite()


# Truncation


def test_truncated_codes_are_within_the_limit_and_distributed_like_those_drawn_again():
    p = small("sngan").float()._codes(4000, condition_of(small("sngan").spec, 4000), 0.8)
    z = p.sample(torch.Generator().manual_seed(0))
    assert z.abs().max() <= 0.8
    drawn = torch.randn(400_000, generator=torch.Generator().manual_seed(1))
    drawn = drawn[drawn.abs() <= 0.8]
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(z.flatten().quantile(quantiles), drawn[:24000].quantile(quantiles), atol=0.02, rtol=0)
    assert z.std().item() == pytest.approx(p.deviations[0, 0].item(), abs=0.01)
    assert drawn.std().item() == pytest.approx(p.deviations[0, 0].item(), abs=0.01)
    x = torch.linspace(-0.8, 0.8, 1001).view(-1, 1)
    density = type(p)(torch.zeros(1001, 1), 0.8).log_prob(x).exp()
    assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1, abs=1e-4)
    assert p.log_prob(torch.full((4000, 6), 0.9)).max() == -torch.inf


@pytest.mark.parametrize("limit", [1e-3, 0.5, 5.0, 1e6])
@pytest.mark.parametrize("temperature", [1e-2, 1.0])
def test_a_truncation_of_any_size_is_finite(limit, temperature):
    model = small("sngan").float()
    z = model._codes(500, condition_of(model.spec, 500), limit).sample(torch.Generator().manual_seed(0), temperature)
    assert torch.isfinite(z).all()
    assert z.abs().max() <= min(limit, 6 * temperature)


def test_sampling_takes_a_truncation_and_draws_are_less_varied():
    model = randomise(small("sngan").float(), 0.4)
    wide, narrow = (sim.sample(model, 60, condition={"label": 1}, options={"truncation": t}) for t in (5.0, 0.05))
    assert narrow.std(0).mean() < 0.5 * wide.std(0).mean()
    with pytest.raises(UsageError, match="truncation must be positive, not 0"):
        model.sample(2, {"label": 1}, truncation=0.0)
    with pytest.raises(UsageError, match=r"no sampling option 'truncaton'. Did you mean 'truncation'"):
        sim.sample(model, 2, options={"truncaton": 1.0})
    ring = GAN(DataSpec(Real((2,))), 2, prior="ring")
    with pytest.raises(UsageError, match="for codes of the gaussian prior, not of ring"):
        ring.sample(2, truncation=1.0)


# Standing statistics


def test_standing_statistics_are_those_of_the_codes_and_weights():
    """Of BN(Wz), z ~ N(0, I): mean 0 and variance |W_i|², whatever ran along before."""
    torch.manual_seed(0)

    class Painter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)

        def forward(self, z, condition):
            return self.norm(self.linear(z))

    painter = Painter().eval()
    painter.norm.running_var.fill_(7.0)
    restate(painter, ((torch.randn(256, 3), None) for _ in range(40)))
    torch.testing.assert_close(painter.norm.running_mean, painter.linear.bias.detach(), atol=0.03, rtol=0)
    expected = painter.linear.weight.detach().square().sum(1)
    torch.testing.assert_close(painter.norm.running_var, expected, atol=0, rtol=0.05)
    assert (painter.norm.training, painter.norm.momentum) == (False, 0.1)


def test_samples_with_standing_statistics_follow_from_the_model_and_the_generator():
    model = randomise(small("sngan").float(), 0.4)
    before = {name: each.clone() for name, each in model.state_dict().items()}

    def draw(standing: int, truncation: float = 0.3, labels=(0, 1, 2)) -> torch.Tensor:
        given, noise = {"label": torch.tensor(labels)}, torch.Generator().manual_seed(1)
        return model.sample(3, given, 1.0, noise, truncation=truncation, standing=standing)

    state = torch.get_rng_state()
    assert torch.equal(draw(256), draw(256))
    assert not torch.equal(draw(256), draw(0))
    assert torch.equal(draw(256, labels=(0, 2, 1))[0], draw(256)[0])  # not on the classes of its mates
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    pictured = sngan(DataSpec(Levels((1, 8, 8), 17), {"a": Real((2,))}), latent=4, width=3)
    with pytest.raises(UsageError, match="conditioned on 'a'"):
        pictured.sample(2, {"a": torch.zeros(2)}, standing=64)


# Refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: sngan(DataSpec(Levels((1, 7, 30), 17))), "residual networks are for images from 8×8 up, not shape"),
        (lambda: sngan(DataSpec(Real((2,)))), "images from 8×8 up, not shape \\(2,\\); try dense"),
        (lambda: sagan(DataSpec(Real((1, 8, 8)))), "grid of levels"),
        (lambda: biggan(DataSpec(Levels((1, 8, 8), 17))), "add --condition label; sagan needs none"),
        (lambda: cgan(DataSpec(Levels((1, 8, 8), 17))), "add --condition label; gan needs none"),
        (lambda: biggan(DataSpec(Levels((1, 16, 16), 17), labels(2)), latent=2), "need latent >= 3, not 2"),
        (lambda: sagan(DataSpec(Levels((1, 8, 8), 17)), attention=3), "below the smallest feature map, .* is 8"),
        (lambda: ResidualCritic(normalise="layer"), "normalise of critic 'residual'.* spectral or batch or none"),
        (lambda: BigGANGenerator(shared=0), "shared of generator 'biggan' must be at least 1"),
        (
            lambda: GAN(
                DataSpec(Levels((1, 8, 8), 17)),
                4,
                "residual:width=3",
                "residual:width=3,normalise=batch",
                "wasserstein",
                "gradient",
            ),
            "batch norm in a critic .* residual:normalise=none",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(UsageError, match=message):
        build()


# Presets


def test_presets_are_compositions():
    spec = DataSpec(Levels((1, 8, 8), 17), labels(3))
    found = {
        preset.__name__: preset(spec, latent=4, **({"hidden": 8} if preset is cgan else {"width": 3}))
        for preset in (lsgan, wgan, wgan_gp, sngan, sagan, biggan, cgan)
    }
    recipes = {name: model.recipe["gan"] for name, model in found.items()}
    games = {name: next(iter(recipe["game"])) for name, recipe in recipes.items()}
    assert games == {
        "lsgan": "least-squares",
        "wgan": "wasserstein",
        "wgan_gp": "wasserstein",
        "sngan": "hinge",
        "sagan": "hinge",
        "biggan": "hinge",
        "cgan": "non-saturating",
    }
    assert [model.critic_steps for model in found.values()] == [1, 5, 5, 5, 1, 2, 1]
    assert not any(isinstance(each, nn.BatchNorm2d) for each in found["wgan_gp"].critic.modules())
    assert found["wgan"].critic.head.score.bias is None  # a constant in the score changes no difference
    assert found["cgan"].critic.planes is not None
