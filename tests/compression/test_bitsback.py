"""Models with codes and a bound: what is decoded is what was coded, at the bound, and the first bits come back."""

import math

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, items, labels, randomise, small_model, suited

import simulacra as sim
from simulacra.adversarial import dcgan
from simulacra.capabilities import Bound, Chain, Encoder, can
from simulacra.compression import bitsback, codec, coder, container
from simulacra.compression.cells import Bits, EqualCells, OneHots, cells_of
from simulacra.compression.stack import Stack
from simulacra.data import DataSpec
from simulacra.distributions import (
    BinaryCode,
    DiagonalGaussian,
    GaussianMixture,
    Laplace,
    OneHotCode,
    kl_divergence,
)
from simulacra.errors import DataError, NotSupported, UsageError
from simulacra.fields import Levels
from simulacra.latent import VAE

PRIORS = ("gaussian", "learned-gaussian", "laplace", "bernoulli", "categorical")
BINARY = DataSpec(Levels((1, 5, 6), 2))
WITH_PRIORS_OVER_GRIDS = ("vqvae", "vqvae2")


def small(spec: DataSpec, prior: str = "gaussian", seed: int = 0, scale: float = 0.3) -> VAE:
    prior = "categorical:categories=3" if prior == "categorical" else prior
    return randomise(VAE(spec, latent=3, network="dense:hidden=8", prior=prior).eval(), scale, seed)


def near_the_prior(spec: DataSpec, prior: str) -> VAE:
    """Posteriors as after training: narrow, and where the prior has mass. A code beyond the last cell is cheap."""
    model = small(spec, prior, scale=1.0)
    last = model.encoder.body.last
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias.mul_(0.5)
        if prior in ("gaussian", "learned-gaussian", "laplace"):
            last.bias.view(3, 2)[:, 1].sub_(2.0)
        for parameter in model.codes.parameters():
            parameter.mul_(0.1)
    return model


def expected_bytes(model, x, condition=None, draws: int = 40) -> tuple[float, float]:
    """Σ -E[log2 p(x, z) / q(z|x)] / 8 with log2 of the number of classes for every label; and four times the standard
    deviation of that sum for one draw of every code, as the coder draws them."""
    label = sum(math.log2(field.count) for field in model.spec.condition.values())
    torch.manual_seed(0)
    with torch.no_grad():
        log_w = model.log_weights(x, condition, draws).double() / math.log(2) / 8
    return len(x) * label / 8 - log_w.mean(0).sum().item(), 4 * log_w.var(0).sum().sqrt().item()


@pytest.fixture
def coded():
    """A model of small binary images, and seven of them as bytes."""
    model = small(BINARY)
    x = items(model.spec, 7)
    return model, x, sim.compress(model, x)


@pytest.mark.parametrize("n", [1, 4, 13], ids=lambda n: f"{n} items")
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(
    ("shape", "levels", "fields"),
    [((1, 5, 6), 2, {}), ((1, 4, 4), 17, labels(3)), ((3, 3, 2), 256, {}), ((5,), 4, labels(1))],
    ids=str,
)
def test_round_trip(shape, levels, fields, prior, n, monkeypatch):
    monkeypatch.setattr(codec, "BATCH", 4)  # so that there are several batches,
    monkeypatch.setattr(bitsback, "TABLE", 2 * levels * math.prod(shape))  # items in several parts,
    monkeypatch.setattr(bitsback, "CELLS", 9)  # and never more than three codes at a time
    model = small(DataSpec(Levels(shape, levels), fields), prior)
    condition = condition_of(model.spec, n)
    for x in (items(model.spec, n), model.sample(n, condition)):
        decoded, found = sim.decompress(model, sim.compress(model, x, condition=condition))
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, x.numpy())
        assert found.keys() == condition.keys()
        assert all(np.array_equal(found[name], values.numpy()) for name, values in condition.items())


@pytest.mark.parametrize(
    "entry",
    [e for e in sim.models() if can(e.model, Bound) and e.family != "sequences"],  # whose data are continuous
    ids=lambda entry: entry.name,
)
@pytest.mark.parametrize("kind", ["binary", "grey-labelled", "colour", "vector"])
def test_every_registered_model_with_a_bound_decodes_what_it_coded(entry, kind):
    spec = suited(entry, kind, "grey-labelled")
    model = randomise(small_model(entry, spec))
    x, condition = items(spec, 5), condition_of(spec, 5)
    if entry.name in WITH_PRIORS_OVER_GRIDS:
        with pytest.raises(NotSupported, match=f"{entry.name} cannot compress: its prior is no chain"):
            sim.compress(model, x, condition=condition)
        return
    decoded, found = sim.decompress(model, sim.compress(model, x, condition=condition))
    assert np.array_equal(decoded, x.numpy())
    assert all(np.array_equal(found[name], values.numpy()) for name, values in condition.items())


@pytest.mark.parametrize("prior", PRIORS)
def test_the_size_is_the_bound_and_what_the_first_code_costs(prior):
    model = near_the_prior(BINARY, prior)
    x = model.sample(2000)
    payload = container.unpack(sim.compress(model, x), "x")[1]
    with torch.no_grad():
        q, p = model.encode(x), model.prior(len(x))
        kl = kl_divergence(q, p, q.sample()).sum().item() / math.log(2) / 8
    bits, (bound, spread) = cells_of(p).bits / 8, expected_bytes(model, x)
    once = bits + 8 + 12  # the first code, the coder's state, the sizes of the first batches
    assert bound - spread < len(payload) < 1.001 * bound + spread + once
    assert spread < 0.05 * bound
    assert len(x) * bits - kl > 0.06 * bound  # what codes would cost if no bits came back


def test_labels_cost_their_entropy_and_codes_under_a_label_their_bound():
    model = near_the_prior(DataSpec(Levels((1, 4, 4), 4), labels(3)), "gaussian")
    given = condition_of(model.spec, 600)
    x = model.sample(600, given)
    payload = container.unpack(sim.compress(model, x, condition=given), "x")[1]
    bound, spread = expected_bytes(model, x, given)
    assert bound - spread < len(payload) < 1.001 * bound + spread + 6 + 8 + 12


def test_items_without_labels_are_coded_under_the_class_with_the_largest_bound():
    model = small(DataSpec(Levels((1, 4, 4), 4), labels(3)), scale=1.0)
    x = model.sample(90, {"label": torch.arange(90) % 3})
    data = sim.compress(model, x)
    decoded, condition = sim.decompress(model, data)
    assert np.array_equal(decoded, x.numpy())
    assert condition == {}  # nobody said what they are
    assert len(data) < len(sim.compress(model, x, condition={"label": 0}))


def test_the_same_items_give_the_same_bytes_whatever_the_noise_and_the_mode():
    model = small(DataSpec(Levels((1, 4, 4), 4), labels(3)))
    x = items(model.spec, 7)
    data = sim.compress(model, x)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert sim.compress(model.train(), x.numpy().astype(np.int64)) == data
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_bits_come_back_and_others_are_refused(coded):
    model, _, data = coded
    header, payload = container.unpack(data, "x")
    checked = []

    class Checked(Stack):
        def expect_ground(self):
            super().expect_ground()
            checked.append(len(self.bytes()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bitsback, "Stack", Checked)
        sim.decompress(model, data)
    assert 4 < checked[0] < len(payload)
    for at in range(len(payload) - checked[0], len(payload)):  # the items may come out right
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(DataError, match="cannot be decoded"):
            sim.decompress(model, container.pack(header, changed))


def test_damage_another_model_and_another_machine_are_refused(coded, monkeypatch):
    model, _, data = coded
    for damaged in (data[:-1], data + b"\0", data[:40] + bytes([data[40] ^ 4]) + data[41:]):
        with pytest.raises(DataError, match="damaged"):
            sim.decompress(model, damaged)
    with pytest.raises(UsageError, match="made with"):
        sim.decompress(small(BINARY, seed=1), data)
    header, payload = container.unpack(data, "x")
    for wrong in (b"", b"\0" * 9 + payload, payload[:9], bytes(range(1, 200))):
        with pytest.raises(DataError, match="cannot be decoded"):
            sim.decompress(model, container.pack(header, wrong))

    def slightly_wrong(p, n):
        masses = p.log_masses()[:n].exp().flatten(0, -2).numpy()
        return coder.integer_masses(masses + np.float32(1e-3) * (masses < 0.5) - np.float32(1e-3) * (masses >= 0.5))

    monkeypatch.setattr(bitsback, "masses_of", slightly_wrong)
    with pytest.raises(DataError, match=r"torch .* on cpu.* thread"):
        sim.decompress(model, data)


def test_nothing_is_written_where_decoding_fails(coded, tmp_path):
    model, _, data = coded
    header, payload = container.unpack(data, "x")
    (tmp_path / "x.sim").write_bytes(container.pack(header, payload[::-1]))
    with pytest.raises(DataError):
        sim.compression.decompress_file(model, tmp_path / "x.sim", tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()


def test_models_that_cannot_say_why(tmp_path):
    x = np.zeros((2, 1, 8, 8), np.uint8)
    for prior in ("mixture", "vampprior"):
        model = VAE(SPECS["grey"], latent=2, network="dense:hidden=4", prior=f"{prior}:components=3")
        with pytest.raises(NotSupported, match=r"vae cannot compress: its prior is no chain"):
            sim.compress(model, x)
    with pytest.raises(NotSupported, match=r"vae .*continuous"):
        sim.compress(VAE(SPECS["continuous"], latent=2, network="dense:hidden=4"), x)
    with pytest.raises(NotSupported, match=r"dcgan .*no probability"):
        sim.compress(dcgan(SPECS["grey"], width=4, latent=3), x)
    others = [e for e in sim.models() if can(e.model, Encoder) and not (can(e.model, Bound) or can(e.model, Chain))]
    for entry in (
        each for each in others if each.family not in ("structured", "sequences")
    ):  # of other data than these
        with pytest.raises(NotSupported, match=f"{entry.name} .*no probability"):
            sim.compress(small_model(entry, SPECS["grey"]), x)


def gaussian(n: int, d: int, seed: int = 0, width: float = -1.0) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_scale = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(mean, log_scale + width)


@pytest.mark.parametrize("make", [DiagonalGaussian, Laplace])
def test_cells_have_equal_masses_under_the_prior_and_rise(make):
    p = make(torch.tensor([[0.0, 2.0]]).repeat(300, 1), torch.tensor([[0.0, 1.0]]).repeat(300, 1)).precise()
    cells, some = EqualCells(p), torch.linspace(0, 65_535, 300).long()[:, None].expand(300, 2)
    assert (cells.codes(some.numpy()).diff(dim=0) > 0).all()
    for digit in range(4):
        masses = cells.masses(p, some // 16 ** (4 - digit), digit)
        torch.testing.assert_close(masses, torch.full((300, 2, 16), 1 / 16).double(), rtol=1e-8, atol=0)


@pytest.mark.parametrize("make", [DiagonalGaussian, Laplace])
def test_the_digits_of_a_cell_have_its_mass_together(make):
    q = make(torch.tensor([[0.3, -9.0, 1.0]]).double(), torch.tensor([[-2.0, 0.0, -7.0]]).double())
    cells = EqualCells(DiagonalGaussian(torch.zeros(1, 3), torch.zeros(1, 3)))
    for cell in (0, 77, 30_000, 40_000, 65_535):
        mass, before = torch.ones(1, 3).double(), torch.zeros(1, 3, dtype=torch.int64)
        for digit in range(4):
            last = cell // 16 ** (3 - digit) % 16
            mass *= cells.masses(q, before, digit)[..., last]
            before = 16 * before + last
        edges = torch.special.ndtri(torch.tensor([cell, cell + 1]).double() / 65536)
        torch.testing.assert_close(mass, q.log_mass(edges[0], edges[1]).exp(), rtol=1e-6, atol=0)


def test_codes_are_drawn_from_the_posterior():
    q = DiagonalGaussian(torch.full((4000, 2), 0.7), torch.tensor([[-1.0, -3.0]]).expand(4000, 2))
    cells = EqualCells(DiagonalGaussian.standard(4000, 2, like=torch.zeros(1)))
    z = cells.codes(cells.pop(Stack(), q))
    for column, scale in enumerate((math.exp(-1), math.exp(-3))):
        assert z[:, column].mean().item() == pytest.approx(0.7, abs=4 * scale / math.sqrt(4000))
        assert z[:, column].std().item() == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize("kind", ["gaussian", "bits", "one-hot"])
def test_popping_and_pushing_a_code_undo_each_other(kind):
    generator = torch.Generator().manual_seed(0)
    if kind == "gaussian":
        q, cells = gaussian(50, 4), EqualCells(DiagonalGaussian.standard(50, 4, like=torch.zeros(1)))
    elif kind == "bits":
        q, cells = BinaryCode(3 * torch.randn(50, 4, generator=generator)), Bits(4)
    else:
        q, cells = OneHotCode(3 * torch.randn(50, 4, 5, generator=generator)), OneHots(4, 5)
    stack = Stack()
    code = cells.pop(stack, q)
    assert code.shape == (50, 4)
    assert len(np.unique(code)) > 1
    cells.push(stack, q, code)
    Stack(stack.bytes()).expect_ground()
    assert (cells.codes(code) == cells.codes(code).round()).all() or kind == "gaussian"


def test_a_mixture_has_no_cells():
    assert cells_of(GaussianMixture(2, torch.zeros(3), torch.zeros(3, 2), torch.zeros(3, 2))) is None
