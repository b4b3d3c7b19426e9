r"""Autoencoders whose codes are distributed like a prior of which only draws are needed:

    min_{f,g} E_x[-log p(x | z = f(x))] + λ D(q, p),    q(z) the distribution of f(x) over all data.

Unlike the KL of a VAE, which pulls every q(z|x) to p(z), D compares q(z) with p(z) as wholes, by a critic (`aae`) or by
the maximum mean discrepancy (`wae-mmd`). Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", eq. 4.

Conditioned on labels y, D compares q(z|y) with p(z|y). A prior with modes gives each class one of them: the code then
determines the class, and the decoder is not conditioned on it. Under a prior without modes the decoder is conditioned
on the label, and codes describe the rest.
Makhzani et al. 2016, "Adversarial Autoencoders", sections 2.3 and 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.directed import ancestral
from simulacra.distributions import Distribution, PointMass, at_least_float32
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel
from simulacra.latent.likelihoods import Likelihood, default_likelihood
from simulacra.latent.sampled_priors import MODES, SampledPrior
from simulacra.model import Model
from simulacra.networks import Decoder, Encoder, Network


class MatchedCodes(Model):
    """Abstract; the phases of a subclass minimise D(q, p)."""

    sample = ancestral

    def __init__(
        self, spec: DataSpec, latent: int, network: Network, likelihood: Likelihood | None, prior: SampledPrior
    ) -> None:
        super().__init__(spec)
        if latent < 1:
            raise UsageError(f"a code has at least one coordinate: latent cannot be {latent}")
        self.latent, self.codes = latent, prior
        fields = list(spec.condition.values())
        if prior.modal and (len(fields) > 1 or not all(isinstance(field, ClassLabel) for field in fields)):
            raise UsageError(
                "this prior has one mode for each class of one field, and the condition is "
                f"{', '.join(spec.condition)}; condition on one field of classes"
            )
        self.likelihood = (likelihood or default_likelihood(spec)).build(spec)
        unlabelled = spec.conditioned_on(())
        self.encoder = Encoder(unlabelled, latent, network)
        self.decoder = Decoder(unlabelled if prior.modal else spec, latent, self.likelihood.parameters, network)
        self.prior(1)  # raises UsageError for a number of dimensions that the prior does not have

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """f(x), codes (N, latent); the encoder is not conditioned."""
        return PointMass(at_least_float32(self.encoder(x, self.conditioned(condition, len(x)))))

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), or p(z | label) where the prior has modes, codes (n, latent)."""
        condition = self.conditioned(condition, n) if condition else {}
        like = next(self.decoder.parameters()).detach()
        modes, mode = MODES, torch.full((n,), -1, device="cpu")
        if self.codes.modal:
            for name, label in self.spec.classes(self.name).items():  # there is one at most
                modes, mode = label.count, condition.get(name, mode)
        return self.codes.codes(mode, modes, self.latent, like)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        return self.likelihood(self.decoder(z, self.conditioned(condition, len(z))))

    def reconstruction(self, z: Tensor, x: Tensor, condition: Condition) -> Tensor:
        """-log p(x|z), mean nats of an item."""
        return -self.decode(z, condition).log_prob(x).mean()
