"""Health: figures that follow from closed forms, and advice that follows from the figures."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli.health import lines
from simulacra.distributions import kl_divergence
from simulacra.errors import UsageError
from simulacra.exploration import posteriors
from simulacra.exploration.health import codes as code_health
from simulacra.latent import VAE
from simulacra.randomness import seed_everything

DATA = dataset(SPECS["grey"], (30, 20, 25))


def vae(silent: int, prior: str = "gaussian") -> VAE:
    """Of five dimensions the last ones say nothing."""
    torch.manual_seed(0)
    model = randomise(VAE(SPECS["grey"], latent=5, network="dense:hidden=16", prior=prior), 0.4).eval()
    each = model.codes.parameters_each
    with torch.no_grad():
        for parameter in model.encoder.body.last.parameters():
            parameter[(5 - silent) * each :] = 0
    return model


@pytest.mark.parametrize("silent", [0, 1, 3, 5])
@pytest.mark.parametrize("prior", ["gaussian", "laplace", "bernoulli"])
def test_what_says_nothing_is_counted(silent, prior):
    found = sim.health(vae(silent, prior), DATA).findings
    assert (found["active_units"].value, found["active_units"].of) == (5 - silent, 5)
    assert (found["collapsed"].value, found["collapsed"].of) == (silent, 5)
    assert found["kl"].each[5 - silent :] == pytest.approx([0] * silent, abs=1e-6)
    assert min(found["kl"].each[: 5 - silent], default=1) > 0.01


def test_the_figures_are_means_over_the_items():
    model = vae(1)
    q = model.encode(torch.from_numpy(DATA.valid.x))
    found = sim.health(model, DATA, "valid")
    kl = kl_divergence(q, model.prior(20), q.mean).mean()
    assert (found.model, found.split, found.n) == ("vae", "valid", 20)
    assert found.findings["kl"].value == pytest.approx(kl.item(), rel=1e-4)
    spread = q.mean.detach().numpy().var(0)
    np.testing.assert_allclose(found.findings["active_units"].each, spread, rtol=1e-3, atol=1e-7)
    assert sim.health(model, DATA, "valid", limit=7).n == 7


@pytest.mark.parametrize("prior", ["gaussian", "categorical"])
def test_figures_do_not_depend_on_the_batches(prior, monkeypatch):
    whole = sim.health(vae(1, prior), DATA).findings
    monkeypatch.setattr(posteriors, "at_once", lambda model: 7)
    parts = sim.health(vae(1, prior), DATA).findings
    assert parts.keys() == whole.keys()
    for name, finding in whole.items():
        assert parts[name].value == pytest.approx(finding.value, rel=1e-5)
        np.testing.assert_allclose(parts[name].each, finding.each, rtol=1e-4, atol=1e-7)


def test_advice_follows_from_the_figures():
    found = {silent: sim.health(vae(silent), DATA).findings for silent in (0, 1, 3, 5)}
    assert "every dimension is in use" in found[0]["active_units"].advice
    assert "no fault" in found[1]["active_units"].advice
    assert "about 2 dimensions would do" in found[3]["active_units"].advice
    assert "posterior collapse" in found[5]["collapsed"].advice
    for remedy in ("--objective elbo:warmup=2000", "--objective elbo:free_bits=0.1", "--objective elbo:beta=0.5"):
        assert remedy in found[5]["collapsed"].advice
        assert registry.find("vae").build(SPECS["grey"], objective=remedy.split()[1])


def test_advice_names_the_arguments_that_a_model_has():
    ladder = small_model(registry.find("ladder-vae"), SPECS["grey"])
    assert code_health._wake(ladder) == (
        "fit again with --objective elbo:warmup=2000 or --objective elbo:free_bits=0.1 or --objective elbo:beta=0.5"
    )
    assert "weaken" in code_health._wake(small_model(registry.find("autoencoder"), SPECS["grey"]))


def test_a_prior_without_a_closed_form_has_active_units_alone():
    assert set(sim.health(vae(2, "mixture"), DATA).findings) == {"active_units", "aggregate_gap"}


def test_a_point_mass_is_compared_with_its_widest_dimension():
    """Scaled codes are the same codes, since nothing says what their unit is."""
    torch.manual_seed(0)
    model = small_model(registry.find("autoencoder"), SPECS["grey"])
    before = sim.health(model, DATA).findings
    assert set(before) == {"active_units"}
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    encoder_last = next(layer for layer in last if layer.out_features == before["active_units"].of)
    with torch.no_grad():
        for parameter in encoder_last.parameters():
            parameter *= 1e-3
    after = sim.health(model, DATA).findings["active_units"]
    assert after.value == before["active_units"].value >= 1
    assert max(after.each) == pytest.approx(1e-6 * max(before["active_units"].each), rel=1e-3)


def test_layers_of_a_hierarchy():
    model = randomise(small_model(registry.find("ladder-vae"), SPECS["grey"]), 0.2).eval()
    found = sim.health(model, DATA, seed=3)
    seed_everything(3, "health", 0)  # of the first block of items, which is all of them
    layers = model.kl_by_layer(torch.from_numpy(DATA.test.x))
    finding = found.findings["layers"]
    assert finding.of == len(finding.each) == len(layers)
    assert finding.value == sum(each >= 0.01 for each in finding.each)
    assert finding == sim.health(model, DATA, seed=3).findings["layers"]
    assert finding != sim.health(model, DATA, seed=4).findings["layers"]
    np.testing.assert_allclose(finding.each, layers.mean(1).detach(), rtol=1e-4)


def test_codebooks():
    model = randomise(small_model(registry.find("vqvae"), SPECS["grey"]), 0.3).eval()
    uses = model.code_use([torch.from_numpy(DATA.test.x)])
    found = sim.health(model, DATA).findings
    assert len(found) == 2 * len(uses)
    for use in uses:
        codes = found["codes_{}x{}".format(*use.grid)]
        perplexity = found["perplexity_{}x{}".format(*use.grid)]
        assert (codes.value, codes.of) == (use.used, use.codes)
        assert perplexity.value == pytest.approx(use.perplexity)
        assert 1 <= perplexity.value <= use.used + 1e-9


@pytest.mark.parametrize("name", ["vae", "ladder-vae", "vqvae", "autoencoder"])
def test_findings_are_json_and_advice_is_one_sentence(name):
    found = sim.health(small_model(registry.find(name), SPECS["grey"]), DATA)
    assert json.loads(json.dumps(asdict(found)))["findings"].keys() == found.findings.keys()
    for finding in found.findings.values():
        assert finding.advice
        assert "\n" not in finding.advice


def test_what_cannot_be_looked_at_is_refused():
    with pytest.raises(UsageError, match="at least one item"):
        sim.health(vae(0), DATA, limit=0)
    with pytest.raises(UsageError, match="the model is for"):
        sim.health(vae(0), dataset(SPECS["binary"]))


def test_a_model_of_few_steps_is_not_judged(tmp_path):
    """Neither as it is returned, nor loaded again; the figures are those that they are."""
    words = {"latent": 3, "network": "dense:hidden=8", "batch": 8, "warmup": 2, "every": 100}
    few = sim.fit("vae", DATA, tmp_path / "few", steps=3, **words)
    for model in (few, tmp_path / "few"):
        found = sim.health(model, DATA)
        assert found.remark == "trained for 3 steps, too few to judge the model by: fit for 200 or more"
        assert (found.verdict.state, found.verdict.reason) == ("not judged", found.remark)
        assert {finding.advice for finding in found.findings.values()} == {""}
    assert {"validation", "gradient"} <= found.findings.keys()  # of its log
    few.trained_steps = None  # whose training is not known
    judged = sim.health(few, DATA)
    assert judged.remark == ""
    assert all(finding.advice for finding in judged.findings.values())
    for name, finding in judged.findings.items():
        assert (finding.value, finding.each) == (found.findings[name].value, found.findings[name].each)
    few.trained_steps = 200
    assert sim.health(few, DATA).remark == ""


def test_codes_that_are_the_same_for_all_items_are_no_information_whatever_their_kl():
    """q(z|x) = N(1, e⁻¹) for all x has a KL, and says nothing of x: no advice may say otherwise."""
    model = vae(5)
    with torch.no_grad():
        model.encoder.body.last.bias.fill_(1.0)
    found = sim.health(model, DATA).findings
    assert (found["active_units"].value, found["collapsed"].value) == (0, 0)
    assert found["kl"].value > 1
    assert "says nothing of one" in found["kl"].advice
    assert "none differs between items" in found["collapsed"].advice


def constant(active: int) -> VAE:
    """The other dimensions of five differ from the prior by the same for all items."""
    model = vae(5 - active)
    with torch.no_grad():
        model.encoder.body.last.bias[active * model.codes.parameters_each :] = 1.0
    return model


@pytest.mark.parametrize("active", [1, 4])
def test_what_is_neither_active_nor_collapsed_is_explained(active):
    found = sim.health(constant(active), DATA).findings
    assert (found["active_units"].value, found["collapsed"].value) == (active, 0)
    others = "4 dimensions are not active" if active == 1 else "1 dimension is not active"
    assert f"in no dimension q(z|x) is the prior; {others} all the same" in found["collapsed"].advice
    assert "by nearly the same for all items" in found["collapsed"].advice
    assert "switched off" not in found["active_units"].advice
    assert "no dimension has fallen back" in sim.health(vae(0), DATA).findings["collapsed"].advice


def test_some_are_collapsed_and_others_constant():
    model = vae(3)
    with torch.no_grad():
        model.encoder.body.last.bias[-model.codes.parameters_each :] = 1.0
    found = sim.health(model, DATA).findings
    assert (found["active_units"].value, found["collapsed"].value) == (2, 2)
    assert "woken up; 1 dimension of the others is not active all the same" in found["collapsed"].advice


def test_one_dimension_is_one():
    assert "a code of about 1 dimension would do" in sim.health(vae(4), DATA).findings["active_units"].advice


def test_figures_that_codes_do_not_have_are_named_with_the_reason():
    mixture = sim.health(vae(2, "mixture"), DATA).left_out
    assert set(mixture) == {"kl", "collapsed"}
    assert "under the prior 'mixture' KL(q(z|x) || p(z)) of a dimension has no closed form" in mixture["kl"]
    plain = sim.health(small_model(registry.find("autoencoder"), SPECS["grey"]), DATA).left_out
    assert plain == dict.fromkeys(
        ("kl", "collapsed", "aggregate_gap"), "autoencoder has no prior that codes could be compared with"
    )
    codebook = sim.health(small_model(registry.find("vqvae"), SPECS["grey"]), DATA)
    assert set(codebook.left_out) == {"active_units", "kl", "collapsed", "aggregate_gap"}
    assert sim.health(vae(0), DATA).left_out == {}
    assert sim.health(vae(0), DATA, limit=7).left_out == {"aggregate_gap": "it needs 20 items or more, and these are 7"}
    (line,) = [line for line in lines(sim.health(vae(2, "mixture"), DATA)) if "without" in line]
    assert line.startswith("  without kl, collapsed: under the prior")


def test_items_of_an_array_are_all_looked_at():
    x = DATA.test.x[:2]
    assert sim.health(vae(0), x).n == sim.health(vae(0), list(torch.from_numpy(x))).n == 2
    assert sim.health(vae(0), DATA).n == 25


def test_a_dimension_is_active_by_the_scale_of_its_prior():
    """Codes and a learned prior that are both ten times as narrow are the same codes."""
    model = VAE(SPECS["grey"], latent=3, network="dense:hidden=8").eval()
    data = dataset(SPECS["grey"])
    before = sim.health(model, data).findings["active_units"]
    last = model.encoder.body.last
    with torch.no_grad():
        last.weight.view(3, 2, -1)[:, 0] /= 10
        last.bias.view(3, 2)[:, 0] /= 10
        model.codes.log_diagonal += math.log(10)
    after = sim.health(model, data).findings["active_units"]
    assert after.value == before.value
    assert after.each == pytest.approx(before.each, rel=1e-4)
