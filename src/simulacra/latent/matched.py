r"""Autoencoders whose codes are distributed like a prior of which only draws are known:

    min_{f,g} E_x[-log p(x | z = f(x))] + λ D(q, p),    q(z) the distribution of f(x) over all data.

Unlike the KL of a VAE, which pulls every q(z|x) to p(z), D compares q(z) with p(z) as wholes, by a critic (`aae`) or by
the maximum mean discrepancy (`wae-mmd`). Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", eq. 4.

Given labels y, D compares q(z|y) with p(z|y). A prior with modes gives each class one of them: the code then says the
class, and the decoder is not told it. Under a prior without modes it is: codes say what the label does not.
Makhzani et al. 2016, "Adversarial Autoencoders", sections 2.3 and 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution, PointMass, at_least_float32
from simulacra.errors import UsageError
from simulacra.latent import sampled_priors
from simulacra.latent.directed import DirectedModel
from simulacra.latent.likelihoods import likelihood as choose_likelihood
from simulacra.latent.networks import Decoder, Encoder


class MatchedCodes(DirectedModel):
    """Abstract; a subclass says by its phases how q(z) is brought to p(z)."""

    def __init__(
        self,
        spec: DataSpec,
        latent: int,
        network: str,
        hidden: int,
        layers: int,
        width: int,
        likelihood: str,
        prior: str,
    ) -> None:
        super().__init__(spec)
        if latent < 1:
            raise UsageError(f"a code has at least one coordinate: latent cannot be {latent}")
        self.latent, self.codes = latent, sampled_priors.find(prior, latent)
        if self.codes.modal and len(spec.condition) > 1:
            raise UsageError(
                f"prior {prior!r} has one mode for each class of one field, and there are {len(spec.condition)}: "
                f"{', '.join(spec.condition)}; condition on one of them"
            )
        self.likelihood = choose_likelihood(likelihood, spec)
        unlabelled = spec.conditioned_on(())
        told = unlabelled if self.codes.modal else spec
        self.encoder = Encoder(unlabelled, latent, network, hidden, layers, width)
        self.decoder = Decoder(told, latent, self.likelihood.parameters, network, hidden, layers, width)

    def encode(self, x: Tensor, condition: Condition | None = None) -> PointMass:
        """f(x), codes (N, latent); the encoder is not told the label."""
        return PointMass(at_least_float32(self.encoder(x, self.conditioned(condition, len(x)))))

    def prior(self, n: int, condition: Condition | None = None) -> Distribution:
        """p(z), or p(z | label) where the prior has modes, codes (n, latent)."""
        given = self.conditioned(condition, n) if condition else {}
        like = next(self.decoder.parameters()).detach()
        modes, mode = sampled_priors.MODES, torch.full((n,), -1)
        if self.codes.modal:
            for field, label in self.spec.condition.items():  # there is one at most
                modes, mode = label.count, given.get(field, mode)
        return self.codes.codes(mode, modes, self.latent, like)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        return self.likelihood(self.decoder(z, self.conditioned(condition, len(z))))

    def reconstruction(self, z: Tensor, x: Tensor, given: Condition) -> Tensor:
        """-log p(x|z), mean nats of an item."""
        return -self.decode(z, given).log_prob(x).mean()
