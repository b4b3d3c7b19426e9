"""An autoencoder reconstructs, undoes noise, and knows no distribution: it has codes, and neither draws nor scores."""

import pytest
import torch
from small import SPECS, condition_of, items, randomise, stripes

import simulacra as sim
from simulacra.capabilities import Bound, Decoder, Density, Encoder, Prior, Sampler, can
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Levels
from simulacra.latent import Autoencoder
from simulacra.networks import Dense
from simulacra.turns import Turn

LABELLED = SPECS["grey-labelled"]


def small(spec: DataSpec = LABELLED, **arguments) -> Autoencoder:
    return randomise(
        Autoencoder(spec, **({"latent": 3, "network": Dense(hidden=16, layers=2)} | arguments)).double().eval()
    )


def test_the_loss_is_the_squared_error_of_an_item_on_the_centred_grid():
    model, x, given = small(), items(LABELLED, 6), condition_of(LABELLED, 6)
    z = model.encode(x, given).mean
    made = model.decoder(z, given).squeeze(-1)
    by_hand = sum(((made[i] - (x[i].double() / 8 - 1)) ** 2).sum() for i in range(6)) / 6
    (loss,) = model.loss(Turn(x, Condition(given))).values()
    torch.testing.assert_close(loss, by_hand)


def test_noise_corrupts_what_the_encoder_reads_and_not_what_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda shape, generator, **kind: torch.ones(shape, **kind))
    spec = SPECS["continuous"]
    model, x = small(spec, noise=0.5), items(spec, 4).double()
    made = model.decode(model.encode(x + 0.5).mean).mean
    torch.testing.assert_close(model.loss(Turn(x))["squared_error"], ((made - x) ** 2).sum(1).mean())
    clean = small(spec)
    assert torch.equal(clean.encode(x).mean, model.encode(x).mean)  # in use nothing is corrupted


def test_a_code_is_decoded_to_the_nearest_point_of_the_grid():
    model, given = small(), {"label": 1}
    z = torch.randn(50, 3).double() * 3
    made, real = model.decode(z, given).mean, model.decoder(z, model.conditioned(given, 50)).squeeze(-1)
    assert made.dtype == torch.uint8
    inside = real.abs() <= 1
    assert 0.1 < inside.double().mean() < 1
    assert ((made.double() / 8 - 1) - real)[inside].abs().max() <= 1 / 16 + 1e-12
    assert (made[real > 1] == 16).all()
    assert (made[real < -1] == 0).all()


@pytest.mark.parametrize("network", ["dense:hidden=64", "conv:width=8"])
def test_it_learns_to_reconstruct_items_that_it_never_saw(network, tmp_path):
    data = stripes(DataSpec(Levels((1, 8, 8), 2)), n=512)
    sizes = {"network": network, "latent": 8}
    model = sim.fit("autoencoder", data, tmp_path, steps=200, batch=32, learning_rate=5e-3, ema=0.9, **sizes)
    x = torch.from_numpy(data.test.x)
    wrong = (sim.reconstruct(model, x) != x).double().mean()
    assert wrong < 0.05  # of pixels; half of them would be by chance


def test_it_encodes_and_decodes_and_claims_no_more():
    assert can(Autoencoder, Encoder)
    assert can(Autoencoder, Decoder)
    assert not any(can(Autoencoder, ability) for ability in (Prior, Sampler, Density, Bound))


def test_to_sample_and_to_score_are_refused_with_the_reason():
    model = small(SPECS["grey"]).float()
    with pytest.raises(NotSupported, match=r"autoencoder cannot sample: it has no distribution .* fit a vae, aae"):
        sim.sample(model, 2)
    with pytest.raises(NotSupported, match=r"autoencoder assigns no probability .*error of a reconstruction.*encode"):
        sim.score(model, "digits")


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"noise": -0.1}, {"noise": float("nan")}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match="needs latent >= 1 and noise >= 0"):
        Autoencoder(LABELLED, **wrong)
