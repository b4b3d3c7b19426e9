"""Grids of codes and their priors: one bound from end to end, the same draws by every sampler, nothing mixed up."""

import itertools
import math
import re

import pytest
import torch
from small import SPECS, condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import Raster
from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import LabelMap, Levels
from simulacra.latent import VQVAE, vqvae2
from simulacra.latent.codeprior import CodePrior
from simulacra.latent.vqvae import GridPixelCNN
from simulacra.turns import Turn

GREY = DataSpec(Levels((1, 8, 8), 17), labels(3))
SMALL = {"codes": 7, "dim": 3, "width": 6, "blocks": 1, "prior": GridPixelCNN(width=6, layers=2)}


def small(build=vqvae2, spec: DataSpec = GREY, scale: float = 0.4, **arguments) -> VQVAE:
    torch.manual_seed(0)
    return randomise(build(spec, **(SMALL | arguments)).double().eval(), scale)


def prior(codes: int = 5, sizes=((2, 2), (4, 4)), scale: float = 0.5) -> CodePrior:
    return randomise(
        CodePrior(sizes, codes, labels(3), GatedPixelCNN(6, 2, 5, dropout=0.1, embedding=True)).double().eval(), scale
    )


def noise(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


both = pytest.mark.parametrize("build", [VQVAE, vqvae2])


# The prior


@pytest.mark.parametrize("sizes", [((4, 3),), ((2, 2), (4, 4)), ((1, 2), (2, 4), (4, 8))], ids=str)
def test_all_samplers_draw_the_same_codes(sizes):
    """Of one, two and three grids; each of the finer ones is conditioned on all that are coarser."""
    made, given = prior(sizes=sizes), {"label": torch.tensor([0, 1, 2, 0, 1])}
    drawn = [made.sample(5, given, 1.0, noise(), sampler) for sampler in ("cached", "naive", "fixed-point")]
    for other in drawn[1:]:
        for one, two in zip(drawn[0], other, strict=True):
            assert torch.equal(one, two)
    assert [tuple(grid.shape) for grid in drawn[0]] == [(5, *size) for size in sizes]


def test_more_than_256_codes_are_drawn_and_told():
    made = prior(codes=600, sizes=((2, 3), (4, 6)), scale=1.5)
    given = {"label": torch.tensor([0, 1, 2, 0])}
    drawn = [made.sample(4, given, 1.0, noise(), sampler) for sampler in ("cached", "naive")]
    for one, other in zip(*drawn, strict=True):
        assert torch.equal(one, other)
        assert one.max() > 256
        assert one.max() < 600
        assert one.min() >= 0


def test_the_prior_of_codes_sums_to_one():
    """Two grids of 1×1 and 2×2 with 3 codes: all 3^5 pairs, for every label."""
    made = prior(codes=3, sizes=((1, 1), (2, 2)))
    table = torch.tensor(list(itertools.product(range(3), repeat=5)))
    coarse, fine = table[:, :1].view(-1, 1, 1), table[:, 1:].view(-1, 2, 2)
    for label in range(3):
        each = made.log_prob_each([coarse, fine], {"label": torch.full((len(table),), label)})
        assert torch.stack(each).sum(0).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_grid_of_codes_is_a_causal_chain_that_reads_all_coarser_codes():
    torch.manual_seed(0)
    spec = DataSpec(Levels((1, 4, 4), 5), {"coarse": LabelMap(5, (2, 2))})
    net = randomise(Raster(spec, GatedPixelCNN(8, 3, 5, dropout=0.0, embedding=True)), 0.5).double().eval()
    k, coarse = torch.randint(5, (2, 1, 4, 4)), torch.randint(5, (2, 2, 2))
    before = net.log_each(k, {"coarse": coarse})
    for place in range(16):
        moved = k.clone()
        moved.view(2, 16)[:, place] = (moved.view(2, 16)[:, place] + 1) % 5
        changed = (
            net.conditionals(moved, {"coarse": coarse}).logits != net.conditionals(k, {"coarse": coarse}).logits
        ).any(-1)
        assert not changed.view(2, 16)[:, : place + 1].any()
        assert place == 15 or changed.view(2, 16)[:, place + 1 :].any()
    for row, column in itertools.product(range(2), repeat=2):  # which stands for two rows and columns of the finer grid
        other = coarse.clone()
        other[:, row, column] = (other[:, row, column] + 1) % 5
        moved = net.log_each(k, {"coarse": other}) != before
        assert moved[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].all()


def test_codes_are_no_points_of_a_line():
    """Names of codes do not matter: with them exchanged, in the embedding and the head, the prior says the same."""
    made = prior(codes=5, sizes=((3, 3),)).chains[0]
    k, order = torch.randint(5, (4, 1, 3, 3)), torch.tensor([3, 0, 4, 1, 2])  # code order[i] is now called i
    given = {"label": torch.tensor([0, 1, 2, 0])}
    before = made.log_prob(k, given)
    with torch.no_grad():
        made.network.embedding.weight.copy_(made.network.embedding.weight[order])
        made.network.last.weight.copy_(made.network.last.weight[order])
        made.network.last.bias.copy_(made.network.last.bias[order])
    torch.testing.assert_close(made.log_prob(order.argsort()[k], given), before)


# The bound


@both
def test_the_bound_is_what_the_codes_and_the_picture_given_them_cost(build):
    model, x, given = small(build), items(GREY, 6), condition_of(GREY, 6)
    z = model.encode(x, given).sample()
    by_parts = model.decode(z, given).log_prob(x) + model.prior(6, given).log_prob(z)
    torch.testing.assert_close(model.elbo(x, given), by_parts)
    each = model.code_prior.log_prob_each(model.codes(x), given)
    torch.testing.assert_close(model.prior(6, given).log_prob(z), sum(each))
    assert torch.equal(model.log_weights(x, given, 3), model.elbo(x, given).expand(3, 6))
    assert torch.equal(model.log_prob_bound(x, given, 50), model.elbo(x, given))


def test_the_bound_is_below_the_log_likelihood_by_enumeration():
    """One grid of 1×2 codes: p(x) = Σ_k p(x|k) p(k) over all 9 of them, of which the bound has one term."""
    spec = DataSpec(Levels((1, 2, 4), 3), labels(3))
    model, x = small(VQVAE, spec, codes=3), items(spec, 20)
    given = condition_of(spec, 20)
    terms = []
    for pair in itertools.product(range(3), repeat=2):
        k = torch.tensor(pair).view(1, 1, 2).expand(20, 1, 2)
        z = model.autoencoder.flat(model.autoencoder.look_up([k]))
        terms.append(model.decode(z, given).log_prob(x) + model.prior(20, given).log_prob(z))
    exact = torch.stack(terms).logsumexp(0)
    bound = model.elbo(x, given)
    assert (bound < exact).all()
    assert torch.isclose(torch.stack(terms), bound).any(0).all()
    assert exact.exp().sum() < 1


def test_a_code_that_the_books_do_not_hold_has_no_mass():
    model, given = small(), condition_of(GREY, 4)
    z = model.prior(4, given).sample(noise())
    z[1, -1] += 1e-9
    log_prob = model.prior(4, given).log_prob(z)
    assert log_prob[1] == -math.inf
    assert torch.isfinite(log_prob[[0, 2, 3]]).all()
    assert torch.isfinite(model.decode(z, given).log_prob(items(GREY, 4))).all()  # but it can be decoded


@both
def test_the_codes_of_a_drawn_code_are_the_code(build):
    """flat and split, look_up and the search for what was looked up, of all grids."""
    model, given = small(build), condition_of(GREY, 5)
    indices = model.code_prior.sample(5, given, 1.0, noise(), "cached")
    vectors = model.autoencoder.look_up(indices)
    z = model.autoencoder.flat(vectors)
    assert torch.equal(z, model.prior(5, given).sample(noise()))
    for one, other in zip(model.autoencoder.split(z), vectors, strict=True):
        assert torch.equal(one, other)
    expected = sum(model.code_prior.log_prob_each(indices, given))
    torch.testing.assert_close(model.prior(5, given).log_prob(z), expected)


def test_the_mean_of_all_codes_is_refused():
    with pytest.raises(NotSupported, match="draw from the prior"):
        _ = small().prior(2, {"label": 0}).mean


def test_gradients_reach_the_encoder_through_a_code():
    """So that what reads codes, such as a classifier on them, can teach the encoder."""
    model = small().requires_grad_()
    model.encode(items(GREY, 4), {"label": 0}).mean.square().sum().backward()
    assert model.autoencoder.down[0].convs[0].weight.grad.abs().sum() > 0


# Losses


@both
def test_losses_are_per_item_whatever_the_batch(build):
    """Doubling a batch changes no term; an item alone has its own. In eval mode, as training moves the codes."""
    model, x, given = small(build), items(GREY, 6), condition_of(GREY, 6)
    alone = [model.autoencoder_loss(Turn(x[i : i + 1])) for i in range(6)]
    twice = {"label": given["label"].repeat(2)}
    for phase in model.phases():
        terms, doubled = phase.loss(Turn(x, Condition(given))), phase.loss(Turn(x.repeat(2, 1, 1, 1), Condition(twice)))
        for name in terms:
            torch.testing.assert_close(doubled[name], terms[name])
    together = model.autoencoder_loss(Turn(x))
    for name in together:
        torch.testing.assert_close(together[name], torch.stack([one[name] for one in alone]).mean())


def test_the_stages_minimise_the_bound_between_them():
    model, x, given = small(), items(GREY, 8), condition_of(GREY, 8)
    first, second = (phase.loss(Turn(x, Condition(given))) for phase in model.phases())
    total = first["reconstruction"] + sum(second.values())
    torch.testing.assert_close(total, -model.elbo(x, given).mean())
    assert list(second) == ["codes_2x2", "codes_4x4"]


def test_commitment_weighs_the_distance_alone():
    x = items(GREY, 6)
    plain, heavy = (small(commitment=beta).autoencoder_loss(Turn(x)) for beta in (0.25, 1.0))
    assert torch.equal(plain["reconstruction"], heavy["reconstruction"])
    torch.testing.assert_close(4 * plain["commitment"], heavy["commitment"])


def test_only_the_first_stage_teaches_the_codebooks():
    model, x, given = small().train(), items(GREY, 6), condition_of(GREY, 6)
    autoencoder, prior_phase = model.phases()
    assert (autoencoder.end, prior_phase.begin) == (0.5, 0.5)
    before = [book.sums.clone() for book in model.autoencoder.codebooks]
    prior_phase.loss(Turn(x, Condition(given)))
    model.elbo(x, given)
    assert all(torch.equal(book.sums, sums) for book, sums in zip(model.autoencoder.codebooks, before, strict=True))
    autoencoder.loss(Turn(x, Condition(given)))
    assert not any(torch.equal(book.sums, sums) for book, sums in zip(model.autoencoder.codebooks, before, strict=True))


def test_labels_reach_the_prior_and_not_the_autoencoder():
    model, x = small(), items(GREY, 1)
    codes = [model.encode(x, {"label": label}).mean for label in range(3)]
    pictures = [model.decode(codes[0], {"label": label}).mean for label in range(3)]
    nats = [model.prior(1, {"label": label}).log_prob(codes[0]).item() for label in range(3)]
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(pictures[0], pictures[1])
    assert len(set(nats)) == 3


# Grids


@pytest.mark.parametrize(
    ("shape", "grids", "sizes"),
    [
        ((1, 8, 8), 1, [(4, 4)]),
        ((1, 8, 8), 2, [(2, 2), (4, 4)]),
        ((1, 28, 28), 1, [(7, 7)]),
        ((1, 28, 28), 2, [(4, 4), (8, 8)]),
        ((3, 32, 32), 3, [(2, 2), (4, 4), (8, 8)]),
        ((3, 17, 20), 1, [(5, 5)]),
        ((1, 1, 5), 1, [(1, 3)]),
        ((3, 7, 3), 2, [(2, 1), (4, 2)]),
    ],
)
def test_images_of_any_size_have_grids_a_quarter_or_half_of_their_sides(shape, grids, sizes):
    spec = DataSpec(Levels(shape, 4))
    model = small(VQVAE, spec) if grids == 1 else small(vqvae2, spec, grids=grids)
    x = items(spec, 2)
    assert model.autoencoder.sizes == sizes
    assert [tuple(k.shape[1:]) for k in model.codes(x)] == sizes
    assert torch.isfinite(model.elbo(x)).all()
    assert model.sample(2, generator=noise()).shape == (2, *shape)


def test_every_grid_tells_the_decoder_something_and_the_finer_one_knows_the_coarser():
    model = small(scale=0.5)
    z = model.encode(items(GREY, 1), {"label": 0}).mean
    coarse = 2 * 2 * 3
    for part in (slice(0, coarse), slice(coarse, None)):
        moved = z.clone()
        moved[:, part] += 1
        assert (model.decode(moved, {"label": 0}).mean - model.decode(z, {"label": 0}).mean).abs().max() > 1e-6
    x = model.spec.centred(items(GREY, 1)).double()
    vectors, seen = [], []
    model.autoencoder.narrow[1].register_forward_hook(lambda layer, inputs, out: seen.append(out))
    for shift in (0.0, 5.0):
        model.autoencoder.books[0].sums += shift
        vectors.append(model.autoencoder(x)[0].vectors)
    assert not torch.equal(seen[0], seen[1])


def test_the_use_of_codes_is_counted_over_all_batches_together():
    model, x = small(), items(GREY, 10)
    apart, together = model.code_use(x.split(3)), model.code_use([x])
    assert apart == together
    assert [use.grid for use in together] == [(2, 2), (4, 4)]
    for use, indices in zip(together, model.codes(x), strict=True):
        assert use.used == len(indices.unique())
        p = torch.bincount(indices.flatten()).double() / indices.numel()
        assert use.perplexity == pytest.approx(torch.special.entr(p).sum().exp().item())


# Samples


@both
def test_samplers_of_the_codes_can_be_chosen_at_the_door(build):
    model = small(build)
    drawn = [sim.sample(model, 4, seed=1, sampler=sampler) for sampler in ("cached", "naive", "fixed-point", None)]
    assert all((one == drawn[0]).all() for one in drawn)
    with pytest.raises(UsageError, match=r"no sampler 'quick'.*cached, naive, fixed-point"):
        sim.sample(model, 2, sampler="quick")


def test_a_low_temperature_draws_the_mode_of_the_mode():
    cold = small().sample(5, {"label": 1}, temperature=1e-6, generator=noise())
    assert torch.equal(cold, cold[:1].expand_as(cold))


def test_a_trained_model_knows_its_data(digits, tmp_path):
    """A few steps of each stage: the bound falls, and codes of the finer grid are used."""
    options = {"steps": 60, "batch": 32, "every": 60, "warmup": 5, "learning_rate": 5e-3, "ema": 0.9}
    arguments = SMALL | {"codes": 16, "dim": 8, "width": 16, "prior": GridPixelCNN(width=16, layers=2)}
    model = sim.fit("vqvae2", digits, tmp_path / "run", **arguments, **options)
    fresh = vqvae2(digits.spec.conditioned_on(()), **arguments)
    before, after = (sim.score(m, digits, limit=100).bits_per_dim for m in (fresh, model))
    assert after < before - 0.5
    x = torch.from_numpy(digits.test.x[:100].copy())
    assert model.code_use([x])[-1].used > 4


@pytest.mark.parametrize(
    ("build", "spec", "arguments", "message"),
    [
        (VQVAE, SPECS["vector"], {}, "for images.*try vae"),
        (VQVAE, GREY, {"codes": 1}, "codes must be 2 to"),
        (VQVAE, GREY, {"dim": 0}, "grids, dim and width at least 1"),
        (VQVAE, GREY, {"width": 0}, "grids, dim and width at least 1"),
        (
            VQVAE,
            GREY,
            {"prior": "gated-pixelcnn:width=0"},
            "width of grid-prior 'gated-pixelcnn' must be at least",
        ),
        (VQVAE, GREY, {"prior": "gated-pixelcn"}, "no grid-prior 'gated-pixelcn'. Did you mean 'gated-pixelcnn'"),
        (VQVAE, GREY, {"blocks": -1}, "blocks at least 0"),
        (VQVAE, GREY, {"commitment": 0.0}, "commitment positive"),
        (VQVAE, GREY, {"likelihood": "bernoulli"}, "binary data"),
        (
            VQVAE,
            GREY,
            {"prior": "gated-pixelcnn:layers=0"},
            "layers of grid-prior 'gated-pixelcnn' must be at least",
        ),
        (VQVAE, GREY, {"prior": GridPixelCNN}, "prior of VQVAE is a grid-prior, not"),
        (VQVAE, GREY, {"codes": 40_000}, "codes must be 2 to 32768"),
        (vqvae2, GREY, {"grids": 0}, "grids, dim and width at least 1"),
        (vqvae2, GREY, {"grids": 9}, "9 grids.*too many"),
    ],
)
def test_what_it_cannot_model_is_refused(build, spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        build(spec, **arguments)


def test_vqvae2_is_vqvae_with_another_number_of_grids():
    """What is saved is the class with its parts; the preset is where it came from."""
    preset, composed = vqvae2(GREY, **SMALL), VQVAE(GREY, grids=2, **SMALL)
    assert type(preset) is type(composed) is VQVAE
    assert preset.arguments == composed.arguments
    assert (preset.name, composed.name) == ("vqvae2", "vqvae")
    assert small(grids=1).arguments == small(VQVAE).arguments


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (9, 5), (28, 28), (17, 40)])
def test_the_refusal_of_grids_names_the_most_that_fit(size):
    spec = DataSpec(Levels((1, *size), 5))
    with pytest.raises(UsageError, match="too many") as refusal:
        small(vqvae2, spec, grids=12)
    most = int(re.search(r"at most (\d+)", str(refusal.value))[1])
    small(vqvae2, spec, grids=most)
    with pytest.raises(UsageError, match=f"at most {most}"):
        small(vqvae2, spec, grids=most + 1)


@pytest.mark.parametrize("bound", ["log_prob_bound", "log_weights"])
def test_a_bound_of_no_samples_is_refused(bound):
    with pytest.raises(UsageError, match="at least one sample, not 0"):
        getattr(small(), bound)(items(GREY, 1), {"label": 0}, samples=0)
