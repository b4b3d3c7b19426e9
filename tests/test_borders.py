"""What enters a model is looked at where it enters, once."""

import pytest
import torch
from small import items

import simulacra as sim
from simulacra import borders
from simulacra.autoregressive import gated_pixelcnn
from simulacra.checks.laws import items_of_another_shape_type_or_grid_are_refused_by_every_method as law
from simulacra.data import ClassLabel, DataSpec, Levels, Real
from simulacra.errors import UsageError
from simulacra.latent import VAE

SPEC = DataSpec(Levels((1, 8, 8), 17))


def pixelcnn(spec=SPEC):
    return gated_pixelcnn(spec, width=4, layers=1, kernel=3).eval()


def test_an_image_of_another_size_has_no_likelihood():
    with pytest.raises(UsageError, match=r"x is \(N, 1, 8, 8\), not \(2, 1, 9, 9\)"):
        pixelcnn().log_prob(torch.zeros(2, 1, 9, 9, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("x", "phrase"),
    [
        (torch.full((2, 1, 8, 8), 17, dtype=torch.uint8), "integers 0 to 16, not 17"),
        (torch.full((2, 1, 8, 8), -3), "integers 0 to 16, not -3"),
        (torch.zeros(2, 1, 8, 8), "not float32"),
        (items(SPEC, 2).numpy(), "as a tensor, not ndarray"),
    ],
    ids=["above", "below", "real", "array"],
)
def test_values_off_the_grid_are_named(x, phrase):
    with pytest.raises(UsageError, match=phrase):
        pixelcnn().log_prob(x)


def test_items_and_codes_lie_where_the_model_does():
    with pytest.raises(UsageError, match=r"x lies on meta, and .* on cpu: give it x.to\(model.device\)"):
        pixelcnn().log_prob(items(SPEC, 2).to("meta"))
    with pytest.raises(UsageError, match=r"z lies on meta"):
        VAE(SPEC, latent=3).eval().decode(torch.zeros(2, 3, device="meta"))


def test_integers_of_any_type_are_on_the_grid():
    model, x = pixelcnn(), items(SPEC, 3)
    assert torch.equal(model.log_prob(x.long()), model.log_prob(x))


def test_real_data_are_finite():
    model = VAE(DataSpec(Real((2,))), latent=2).eval()
    with pytest.raises(UsageError, match="not finite"):
        model.elbo(torch.tensor([[0.0, float("inf")]]))


def test_a_code_has_the_shape_of_the_models_codes():
    model = VAE(SPEC, latent=3).eval()
    assert model.code_shape == (3,)
    assert model.decode(torch.zeros(2, 3)).mean.shape == (2, 1, 8, 8)
    with pytest.raises(UsageError, match=r"codes of this vae are \(N, 3\), not \(2, 4\)"):
        model.decode(torch.zeros(2, 4))


def test_a_condition_that_was_made_elsewhere_has_the_shape_of_its_field():
    model = pixelcnn(DataSpec(SPEC.x, {"label": ClassLabel(3)}))
    wrong = sim.condition.Condition({"label": torch.zeros(2, 5, dtype=torch.int64)})
    with pytest.raises(UsageError, match="'label' is"):
        model.log_prob(items(SPEC, 2), wrong)


def test_only_the_outermost_call_is_looked_at(monkeypatch):
    seen = []
    monkeypatch.setitem(borders.CHECKS, "x", lambda model, x: seen.append(tuple(x.shape)))

    class Watched(VAE):
        def elbo(self, x, condition=None):
            return super().elbo(x, condition)

    Watched(SPEC, latent=2).eval().elbo(items(SPEC, 2))
    assert seen == [(2, 1, 8, 8)]  # and not again in encode, to which elbo hands the items


def test_what_is_trusted_is_not_looked_at():
    model = pixelcnn()
    x = items(model.spec, 2)
    with pytest.raises(UsageError, match="integers"):
        model.log_prob(x.float())
    with borders.trusted():
        assert torch.equal(model.log_prob(x.float()), model.log_prob(x))
    with pytest.raises(UsageError, match="integers"):
        model.log_prob(x.float())


def test_in_training_no_value_is_read_from_an_accelerator():
    """Whoever reads a value makes the device wait; a meta tensor has none to read."""
    model = pixelcnn().train().to("meta")
    borders.check_items(model, torch.zeros(2, 1, 8, 8, dtype=torch.uint8, device="meta"))
    with pytest.raises(UsageError):
        borders.check_items(model, torch.zeros(2, 1, 9, 8, dtype=torch.uint8, device="meta"))


def test_a_model_without_its_checks_breaks_the_law(monkeypatch):
    case = next(case for case in sim.checks.cases("made", hidden=8)[0] if case.kind == "grey")
    law(case)
    monkeypatch.setattr(borders, "METHODS", frozenset())
    unguarded = type("Unguarded", (case.entry.model,), {"log_prob": case.entry.model.log_prob.__wrapped__})
    monkeypatch.setattr(type(case), "model", lambda self: unguarded(self.spec, hidden=8).eval())
    with pytest.raises((AssertionError, RuntimeError)):
        law(case)


# The spec of a data set, and that of a model


def test_a_model_of_the_spec_of_labelled_data_is_unconditional_as_fit_makes_it():
    digits = sim.data.load("digits")
    assert VAE(digits.spec).spec.condition == {}
    assert sim.registry.build("dcgan", digits.spec).spec.condition == {}
    assert list(VAE(digits.spec.conditioned_on("label")).spec.condition) == ["label"]


def test_a_model_is_constructed_for_a_spec_and_nothing_else():
    for wrong in (sim.data.load("digits"), "digits", (1, 8, 8)):
        with pytest.raises(UsageError, match="is constructed for a DataSpec"):
            VAE(wrong)
