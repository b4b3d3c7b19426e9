"""The ladder on images so small that its codes can be integrated out, and on sizes that no halving fits."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise
from torch import Tensor

from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.latent import ELBO, IWAE, LadderVAE
from simulacra.latent.bound import LatentVariable
from simulacra.latent.ladder import Small
from simulacra.turns import Turn

ONE_PIXEL, TWO_PIXELS = DataSpec(Levels((3, 1, 1), 3)), DataSpec(Levels((1, 1, 2), 4))
GREY = DataSpec(Levels((1, 5, 7), 17), labels(3))
SMALL = Small(width=6, hidden=5, latent=2, layers=(1,))


def ladder(spec: DataSpec = GREY, scale: float = 0.3, size: Small = SMALL, **arguments) -> LadderVAE:
    return randomise(LadderVAE(spec, size, **arguments).double().eval(), scale)


def tiny(spec: DataSpec) -> LadderVAE:
    """Two layers of one code on the one pixel, or one on 1×1 and two on 1×2; q is nearly N(0, 1.4²) and p no wider:
    so the weights of draws have a variance."""
    model = ladder(spec, 0.5, replace(SMALL, latent=1, layers=(2 if spec is ONE_PIXEL else 1,)))
    with torch.no_grad():
        for rung in model.decoder.rungs:
            for layer in rung.layers:
                layer.prior.widen.weight[:2] *= 0.2
                layer.prior.widen.bias[1] = 0.0
                layer.posterior.widen.weight *= 0.1
                layer.posterior.widen.bias.copy_(torch.tensor([0.0, math.log(1.4)]))
    return model


def size_of(model: LadderVAE) -> int:
    return model.prior(1).mean.shape[1]


@torch.no_grad()
def log_p(model: LadderVAE, x: Tensor) -> Tensor:
    """log ∫ p(x|z) p(z) dz for each item by the rule of trapezoids, (N,)"""
    dims = size_of(model)
    side = torch.linspace(-6, 6, 61 if dims == 2 else 25, dtype=torch.float64)
    z = torch.cartesian_prod(*[side] * dims)
    log_weight = model.prior(len(z)).log_prob(z) + dims * math.log((side[1] - side[0]).item())
    p = model.decode(z)
    return torch.stack([torch.logsumexp(p.log_prob(item.expand(len(z), *item.shape)) + log_weight, 0) for item in x])


@pytest.mark.parametrize("spec", [ONE_PIXEL, TWO_PIXELS], ids=["one-grid", "two-grids"])
def test_probabilities_of_all_images_add_up_to_one(spec):
    log_probs = log_p(tiny(spec), all_items(spec))
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-6)
    assert log_probs.std() > 0.1


@pytest.mark.parametrize("spec", [ONE_PIXEL, TWO_PIXELS], ids=["one-grid", "two-grids"])
def test_elbo_then_weighted_bound_then_log_p(spec):
    """In the mean over 500 estimates of three images; one draw is the elbo, and each step closes most of the gap."""
    model, n = tiny(spec), 500
    with torch.no_grad():
        for item in all_items(spec)[:: 8 if spec is ONE_PIXEL else 5][:3]:
            many, truth = item.expand(n, *item.shape), log_p(model, item[None]).item()
            bounds = [model.elbo(many), *(model.log_prob_bound(many, samples=k) for k in (1, 16))]
            means = [bound.mean().item() for bound in bounds]
            errors = [bound.std().item() / math.sqrt(n) for bound in bounds]
            assert means[0] == pytest.approx(means[1], abs=4 * (errors[0] + errors[1]))
            assert means[1] < means[2] + 4 * errors[1]
            assert means[2] < truth + 4 * errors[2]
            assert truth - means[2] < 0.3 * (truth - means[0])


@pytest.mark.parametrize("spec", [ONE_PIXEL, TWO_PIXELS], ids=["one-grid", "two-grids"])
def test_the_mean_weight_is_the_probability(spec):
    """E[p(x, z) / q(z|x)] = p(x), within 4 s.e. of 8,000 draws, which are some hundredths of it."""
    model, n = tiny(spec), 8000
    with torch.no_grad():
        for item in all_items(spec)[:: 8 if spec is ONE_PIXEL else 5][:3]:
            ratio = (model.log_weights(item[None], samples=n) - log_p(model, item[None])).exp()
            error = ratio.std().item() / math.sqrt(n)
            assert ratio.mean().item() == pytest.approx(1, abs=4 * error)
            assert error < 0.05


def test_draws_are_as_frequent_as_the_integral_says():
    """5,000 draws of 16 images against p(x): chi square, 15 degrees of freedom, p = 0.0001."""
    model, n = tiny(TWO_PIXELS), 5000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long() @ torch.tensor([4, 1])
    expected = n * log_p(model, all_items(TWO_PIXELS)).exp()
    assert expected.min() > 5
    assert ((torch.bincount(drawn, minlength=16) - expected) ** 2 / expected).sum() < 45


def test_the_divergences_of_the_layers_add_up_to_that_of_the_codes():
    """Σ_l KL_l, given draws of the layers above, and log q(z|x) - log p(z) of whole codes have the same mean."""
    model, n, x = ladder(), 1000, items(GREY, 1)
    many, given = x.expand(n, -1, -1, -1), {"label": 1}
    with torch.no_grad():
        by_layer, q = model.kl_by_layer(many, given), model.encode(many, given)
        z = q.sample()
        sampled = q.log_prob(z) - model.prior(n).log_prob(z)
    assert by_layer.shape == (len(model.layers), n)
    assert (by_layer >= 0).all()
    error = (sampled.std() + by_layer.sum(0).std()).item() / math.sqrt(n)
    assert sampled.mean().item() == pytest.approx(by_layer.sum(0).mean().item(), abs=4 * error)


def test_one_walk_weighs_draws_as_encoder_prior_and_decoder_do():
    """log p(x|z) + log p(z) - log q(z|x) from the three distributions, on the same noise."""
    model, x, given = ladder(), items(GREY, 4), condition_of(GREY, 4)
    torch.manual_seed(3)
    once = model.log_weights(x, given, samples=3)
    torch.manual_seed(3)
    apart = LatentVariable.log_weights_of(model, model.encode(x, given).repeat(3), x, given)
    assert once.shape == (3, 4)
    torch.testing.assert_close(once, apart, rtol=1e-9, atol=1e-9)


def test_the_elbo_is_the_likelihood_less_the_divergences():
    model, x, given = ladder(), items(GREY, 4), condition_of(GREY, 4)
    values = []
    for ask in (model.elbo, model.kl_by_layer, lambda x, c: model.decode(model.encode(x, c).sample(), c).log_prob(x)):
        torch.manual_seed(4)
        values.append(ask(x, given))
    elbo, kl, likelihood = values
    torch.testing.assert_close(elbo, likelihood - kl.sum(0), rtol=1e-9, atol=1e-9)


def parameters_of(model: LadderVAE, z: Tensor, x: Tensor, given) -> list[Tensor]:
    """What the posterior says of each layer when the codes are z."""
    q, said = model.encode(x, given), []
    layers = iter(z.split([layer.numel() for layer in model.layers], dim=1))

    def choose(p: DiagonalGaussian) -> Tensor:
        said.append(p.mean)
        return next(layers).view_as(p.mean)

    q.walk(q.context, choose)
    return said


def test_a_layer_knows_those_above_and_none_below():
    model, x, given = ladder(), items(GREY, 1), {"label": 0}
    z = torch.randn(1, size_of(model)).double()
    starts = list(itertools.accumulate((layer.numel() for layer in model.layers), initial=0))
    before = parameters_of(model, z, x, given)
    assert [tuple(mean.shape[1:]) for mean in before] == [tuple(layer) for layer in model.layers]
    for layer, (start, end) in enumerate(itertools.pairwise(starts)):
        moved = z.clone()
        moved[:, start:end] += 1
        changed = [
            not torch.equal(one, other)
            for one, other in zip(before, parameters_of(model, moved, x, given), strict=True)
        ]
        assert changed == [below > layer for below in range(len(model.layers))]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 7), (3, 7, 4), (1, 1, 9), (2, 17, 19), (1, 34, 20)], ids=str)
def test_any_size_is_read_and_told_to_its_last_pixel(shape):
    """Sides that are odd or a single pixel, and images beyond 16 pixels, which enter by patches of 2 or 4."""
    spec = DataSpec(Levels(shape, 256))
    model = ladder(spec)
    x = items(spec, 1)
    real = spec.centred(x).double().requires_grad_()
    features = model.encoder(real, {})
    (read,) = torch.autograd.grad(sum(each.square().sum() for each in features), real)
    assert (read != 0).all()
    z = torch.randn(1, size_of(model)).double().requires_grad_()
    raw = model.decoder(1, None, {}, lambda p, _: p.mean + z.sum())
    for corner in (raw[..., 0, 0], raw[..., -1, 0], raw[..., 0, -1], raw[..., -1, -1]):
        assert torch.autograd.grad(corner.sum(), z, retain_graph=True)[0].abs().sum() > 0
    assert max(max(layer[1:]) for layer in model.layers) <= 16
    assert tuple(model.layers[0][1:]) == (1, 1)
    assert model.sample(2).shape == (2, *shape)
    assert torch.isfinite(model.elbo(x)).all()


def test_the_label_reaches_the_posterior_the_prior_and_the_image():
    model, x = ladder(), items(GREY, 1)
    z = torch.zeros(1, size_of(model)).double()
    means = [model.encode(x, {"label": label}).mean for label in range(3)]
    pictures = [model.decode(z, {"label": label}).mean for label in range(3)]
    for one, other in ((0, 1), (1, 2)):
        assert (means[one] - means[other]).abs().max() > 1e-3
        assert (pictures[one] - pictures[other]).abs().max() > 1e-3


def test_a_low_temperature_draws_the_mode_of_the_mode():
    model = ladder()
    cold = model.sample(5, {"label": 1}, temperature=1e-6)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    zero = model.decode(torch.zeros(1, size_of(model)).double(), {"label": 1})
    assert torch.equal(cold[:1], zero.sample(temperature=1e-6))
    warm = model.sample(5, {"label": 1})
    assert not torch.equal(warm[0], warm[1])


@pytest.fixture
def steady(monkeypatch):
    """Draws from a Gaussian that depend on nothing but its parameters."""
    monkeypatch.setattr(DiagonalGaussian, "sample", lambda self, *_: self.mean + 0.3 * self.log_scale.exp())


@pytest.mark.parametrize("chunk", [1, 8, 20])
def test_chunks_change_nothing_but_memory(monkeypatch, steady, chunk):
    model, x, given = ladder(), items(GREY, 4), condition_of(GREY, 4)
    walks, walk = [], model.decoder.forward
    monkeypatch.setattr(model, "chunk", lambda: chunk)
    monkeypatch.setattr(model.decoder, "forward", lambda n, *rest: walks.append(n) or walk(n, *rest))
    bound = model.log_prob_bound(x, given, samples=7)
    torch.testing.assert_close(bound, model.log_weights(x, given)[0], rtol=1e-9, atol=1e-9)  # all draws are alike
    *walks, _ = walks
    assert sum(walks) == 7 * len(x)
    assert max(walks) <= max(chunk, len(x))


def test_beta_and_its_warm_up_and_free_bits_weigh_the_loss_and_no_bound(steady):
    x, given = items(GREY, 4), condition_of(GREY, 4)
    plain = ladder(objective=ELBO())
    loss, elbo, layers = plain.loss(Turn(x, Condition(given))), plain.elbo(x, given), len(plain.layers)
    torch.testing.assert_close(sum(loss.values()), -elbo.mean())
    model = ladder(objective=ELBO(beta=2.0, warmup=4))
    rising = [(model.loss(Turn(x, Condition(given), step=i))["kl"] / loss["kl"]).item() for i in range(6)]
    assert rising == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    torch.testing.assert_close(model.elbo(x, given), elbo)
    free = ladder(objective=ELBO(free_bits=1e6))
    assert free.loss(Turn(x, Condition(given)))["kl"].item() == pytest.approx(1e6 * layers)
    torch.testing.assert_close(free.elbo(x, given), elbo)


def test_iwae_maximises_the_weighted_bound_through_one_walk():
    x, given = items(GREY, 4), condition_of(GREY, 4)
    model = ladder(objective=IWAE(draws=3))
    torch.manual_seed(5)
    bound = model.log_prob_bound(x, given, samples=3).mean()
    torch.manual_seed(5)
    (loss,) = model.loss(Turn(x, Condition(given))).values()
    torch.testing.assert_close(loss, -bound)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_usual_objective_warms_the_kl_up():
    assert LadderVAE(GREY, SMALL).objective == ELBO(beta=1.0, warmup=500, free_bits=0.0)


def test_the_three_sizes():
    """On CIFAR-10; the large one is as deep as the one of Child 2021, 45 layers, and as large, 39 million numbers."""
    with torch.device("meta"):
        made = [LadderVAE(DataSpec(Levels((3, 32, 32), 256)), size=size) for size in ("small", "medium", "large")]
    assert [len(model.layers) for model in made] == [7, 22, 45]
    small, medium, large = (model.free_parameters() / 1e6 for model in made)
    assert small < 1 < medium < 15
    assert large == pytest.approx(39, abs=4)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec(Levels((5,), 4)), {}, "for images .* not vectors of shape .* try vae"),
        (GREY, {"size": "lage"}, "no ladder-size 'lage'. Did you mean 'large'"),
        (GREY, {"likelihood": "bernoulli"}, "binary data, these have 17 levels"),
        (GREY, {"objective": "elbo:beta=-1"}, "beta of objective 'elbo' must be at least 0, not -1.0"),
        (GREY, {"objective": "elbo:free_bits=-1"}, "free_bits of objective 'elbo' must be at least 0, not -1.0"),
        (GREY, {"objective": "elbo:warmup=-1"}, "warmup of objective 'elbo' must be at least 0, not -1"),
        (GREY, {"objective": "dreg"}, "'dreg' needs a q.* that shares no layer with p.*use --objective iwae"),
        *(
            (GREY, {"size": f"small:{n}=0"}, f"{n} of ladder-size 'small' must be at least 1")
            for n in ("width", "hidden", "latent")
        ),
        (GREY, {"size": "small:layers=0"}, "layers of ladder-size '(small|medium)' must be at least 1, not 0"),
        (GREY, {"size": "medium:layers=(3,0)"}, "layers of ladder-size '(small|medium)' must be at least 1, not 0"),
        (GREY, {"size": {"small": {"layers": []}}}, "layers of ladder-size '(small|medium)' must be at least 1, not 0"),
        (GREY, {"size": "small:grid=0"}, "grid of ladder-size '(small|medium)' must be at least 1, not 0"),
        (GREY, {"size": "small:grid=-4"}, "grid of ladder-size '(small|medium)' must be at least 1, not -4"),
    ],
)
def test_what_cannot_be_built_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        LadderVAE(spec, **arguments)


def test_a_bound_of_no_samples_is_refused():
    with pytest.raises(UsageError, match="at least one sample, not 0"):
        ladder().log_prob_bound(items(GREY, 1), {"label": 0}, samples=0)
