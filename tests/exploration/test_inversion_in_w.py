"""Searches in w and w+ for styles, also such as a mapping makes of no code: of a network with three layers of them."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, items, small_model
from torch import nn

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.errors import NotSupported, SimulacraWarning, UsageError
from simulacra.exploration import invert
from simulacra.inverse import SPACES
from simulacra.mass import Mass, draws
from simulacra.networks import DenseGenerator, Styled

LAYERS, WIDTH, CODE = 3, 6, 4
FOUND = pytest.warns(SimulacraWarning, match=r"styles \(w\+?\) found by search")


class Small(nn.Module):
    """Codes and classes -> styles by one layer; styles -> x by three layers whose units they scale."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.styles, self.classes = nn.Linear(CODE, WIDTH), nn.Embedding(3, WIDTH)
        self.first = nn.Parameter(torch.randn(WIDTH))
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.last, self.mean_w = nn.Linear(WIDTH, pixels), torch.zeros(3, WIDTH)

    def mapping(self, z, condition):
        w = torch.nn.functional.leaky_relu(self.styles(z), 0.2)
        w = w + self.classes(condition["label"]) if "label" in condition else w
        return w[:, None].expand(-1, LAYERS, -1)

    def synthesis(self, w):
        h = self.first.expand(len(w), -1)
        for number, layer in enumerate(self.layers):
            h = torch.tanh(layer(h * (1 + w[:, number])))
        return (1.5 * self.last(h)).unflatten(1, (1, 8, 8))  # beyond [-1, 1] now and then

    def truncated(self, z, condition, psi):
        return self.synthesis(psi * self.mapping(z, condition))

    def forward(self, z, condition):
        return self.synthesis(self.mapping(z, condition))


def generator(name: str = "grey") -> GAN:
    torch.manual_seed(3)
    made = GAN(SPECS[name], CODE, DenseGenerator(hidden=8))
    made.generator = Small(64)
    for parameter in made.generator.parameters():
        nn.init.normal_(parameter, 0.0, 0.6)
    assert isinstance(made.generator, Styled)
    return made.eval()


@pytest.fixture(scope="module")
def gan() -> GAN:
    return generator()


@pytest.fixture(scope="module")
def labelled() -> GAN:
    return generator("grey-labelled")


def test_own_samples_are_found_in_every_space_and_noise_is_rejected_in_every_one(gan):
    x = torch.from_numpy(sim.sample(gan, 8, seed=9))
    assert (x == 16).any()  # cut at the brightest level, beyond which the network goes
    assert (x == 0).any()
    for space in SPACES:
        own, foreign = (invert(gan, each, space=space, steps=60) for each in (x, items(gan.spec, 4)))
        assert own.error.median() < 0.01, space
        assert own.rejected.sum() <= 1
        assert foreign.rejected.all()
        assert foreign.error.min() > 4 * own.reach


def test_more_styles_leave_less_of_any_picture(gan):
    """On average over starts, with the same number of steps: of mixed styles, as no code has them, and of noise."""
    w = gan.generator.mapping(gan.prior(8).sample(torch.Generator().manual_seed(1)), {})
    mixed = torch.stack([w.roll(shift, 0)[:, layer] for layer, shift in enumerate((0, 1, 2))], 1)
    with torch.no_grad():
        mixed = gan.spec.on_grid(gan.generator.synthesis(mixed))
    for x, share in ((mixed, 0.6), (items(gan.spec, 8), 1.0)):
        z, one, each = (
            np.mean([gan.invert(x, steps=60, starts=2, generator=noise(seed), space=space).error for seed in range(2)])
            for space in SPACES
        )
        assert each < one < 1.02 * z
        assert each < share * z


def noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_the_styles_are_those_of_the_picture_and_stay_where_the_mapping_puts_them(labelled, space):
    x, label = items(labelled.spec, 5), torch.arange(5) % 3
    found = labelled.invert(x, {"label": label}, steps=60, generator=noise(1), space=space)
    assert found.z.shape == (5, LAYERS, WIDTH)
    assert (found.z == found.z[:, :1]).all() == (space == "w")
    with torch.no_grad():
        made = labelled.spec.on_grid(labelled.generator.synthesis(found.z))
        error = ((made.double() - x.double()) / 16).square().flatten(1).mean(1).sqrt()
        torch.testing.assert_close(found.error.double(), error)
        for i in range(5):  # each within the styles of its own class
            of_class = {"label": label[i].expand(len(draws(labelled)))}
            mass = Mass.of_draws(labelled.generator.mapping(draws(labelled), of_class)[:, 0])
            assert (found.z[i] >= mass.low - 1e-4).all()
            assert (found.z[i] <= mass.high + 1e-4).all()
            assert (((found.z[i] - mass.mean) / mass.scale).norm(dim=1) <= mass.most + 1e-3).all()


def test_a_search_for_styles_does_not_depend_on_the_other_items(labelled):
    x, label = items(labelled.spec, 4), torch.arange(4) % 3
    together = invert(labelled, x, {"label": label}, steps=20, space="w+")
    alone = invert(labelled, x[2:3], {"label": 2}, steps=20, space="w+")
    torch.testing.assert_close(alone.z[0], together.z[2], rtol=1e-3, atol=1e-3)


class Thrice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, z, condition):
        return self.scale * z


def test_what_is_cut_at_the_ends_of_the_grid_is_no_error():
    """x = 3z on a grid that ends at 1: of an item all of whose values are cut many codes are right."""
    gan = GAN(SPECS["vector"], 5, DenseGenerator(hidden=8)).eval()
    gan.generator = Thrice()
    x = torch.tensor([[0, 6, 6, 0, 3], [6, 6, 6, 6, 6]], dtype=torch.uint8) * (gan.spec.levels - 1) // 6
    assert (gan.invert(x, generator=noise(2)).error < 0.01).all()


# The verbs


def test_verbs_find_and_use_styles(gan):
    x = sim.sample(gan, 2, seed=3)
    with FOUND:
        codes = sim.encode(gan, x, space="w+")
    assert codes.keys() == {"w", "error", "rejected"}
    w = torch.from_numpy(codes["w"])
    with torch.no_grad():
        expected = gan.spec.on_grid(gan.generator.synthesis(w))
    with FOUND:
        made = sim.reconstruct(gan, x, space="w+")
    assert torch.equal(torch.as_tensor(made), expected)
    direction = np.linspace(-1, 1, WIDTH, dtype=np.float32)
    with FOUND:
        moved = sim.edit(gan, x, toward=[(direction, 0.5)], space="w+")
    with torch.no_grad():
        after = gan.spec.on_grid(gan.generator.synthesis(w + 0.5 * torch.from_numpy(direction)))
    assert (moved.reconstructed == expected.numpy()).all()
    assert (moved.after == after.numpy()).all()
    with FOUND:
        walk = sim.interpolate(gan, 3, 1, x, path="styles", space="w+").view(3, 1, 8, 8)
    assert {tuple(each.flatten().tolist()) for each in walk[[0, 2]]} == {
        tuple(each.flatten().tolist()) for each in expected
    }


def test_an_attribute_in_w_is_a_difference_of_styles(gan):
    x = sim.sample(gan, 6, seed=4)
    with FOUND:
        vector = sim.attribute(gan, x[:3], x[3:], space="w")
    w = invert(gan, x, space="w").z.numpy()
    np.testing.assert_allclose(vector, w[:3].mean(0) - w[3:].mean(0), atol=1e-4)
    with FOUND:
        sim.edit(gan, x[:1], toward=[(vector, 1.0)], space="w+")


def test_what_has_no_meaning_is_refused(gan):
    x = items(gan.spec, 2)
    plain = GAN(gan.spec, CODE, DenseGenerator(hidden=8)).eval()
    for call in (invert, sim.reconstruct, sim.encode):
        with pytest.raises(NotSupported, match=r"gan has no styles.*fit a stylegan2"):
            call(plain, x, space="w")
    with pytest.raises(NotSupported, match="vae finds no codes by search"):
        sim.reconstruct(small_model(registry.find("vae"), gan.spec), x, space="w")
    with pytest.raises(UsageError, match=r"no space 'W'"):
        invert(gan, x, space="W")
    with pytest.raises(UsageError, match="dimensions are those of z"):
        sim.edit(gan, x, {0: 1.0}, space="w")
    for wrong in ({"path": "linear", "data": x}, {"path": "styles"}, {"data": x}):
        with pytest.raises(UsageError, match="ends of a path of styles between items"):
            sim.interpolate(gan, 3, 1, space="w", **wrong)


def test_a_target_of_another_size_is_refused_with_both_sizes(gan):
    for call in (gan.invert, lambda x: invert(gan, x, space="w"), lambda x: sim.reconstruct(gan, x)):
        with pytest.raises(UsageError, match=r"1, 8, 8.*1, 9, 7"):
            call(torch.zeros(2, 1, 9, 7, dtype=torch.uint8))
    wrong = dataset(SPECS["colour"])
    with pytest.raises(UsageError, match=r"1×8×8.*3×8×9"):
        invert(gan, wrong)


def test_styles_of_stylegan2_are_found():
    gan = registry.find("stylegan2").build(SPECS["grey-labelled"], latent=4, width=4, widest=4, mapping=2).eval()
    x = sim.sample(gan, 2, seed=1)
    z, one, each = (
        gan.invert(torch.from_numpy(x), {"label": [0, 1]}, steps=16, starts=1, generator=noise(0), space=space)
        for space in SPACES
    )
    assert z.z.shape == (2, 4)
    assert one.z.shape == each.z.shape == (2, gan.generator.layers, 4)
    assert max(z.error.max(), one.error.max(), each.error.max()) < 0.2
