"""Names of models: found, suggested, and never given twice."""

import pytest
from small import SPECS

from simulacra import registry
from simulacra.errors import UsageError
from simulacra.latent import VAE
from simulacra.model import Model


def test_every_entry_is_complete():
    for entry in registry.models():
        assert registry.find(entry.name) is entry
        assert registry.name_of(entry.model) == entry.name
        assert entry.family in ("autoregressive", "latent", "adversarial", "structured")
        assert entry.paper
        assert entry.model.__doc__


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"no model 'gated-pixelcn'. Did you mean 'gated-pixelcnn'"):
        registry.find("gated-pixelcn")
    with pytest.raises(UsageError, match=r"Known: aae, .*dcgan, .*markov, .*vae"):
        registry.find("zzzzzz")


def test_two_models_cannot_share_a_name():
    with pytest.raises(ValueError, match="two models are called 'vae'"):
        registry.register("vae", paper="none")(type("Other", (VAE,), {}))
    assert registry.find("vae").model is VAE


def test_a_class_that_is_not_registered_says_how_to():
    class Nameless(Model):
        def phases(self):
            return []

    with pytest.raises(UsageError, match="@register"):
        Nameless(SPECS["grey"]).config()
