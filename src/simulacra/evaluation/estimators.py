r"""log p(x) where p(x) = ∫ p(x|z) p(z) dz has no closed form: the log of a mean of weights w, each with E[w] = p(x).

prior        z ~ p(z),              w = p(x|z)                     almost no draw explains x: soon hopeless
importance   z ~ q(z|x),            w = p(x|z) p(z) / q(z|x)       Burda et al. 2016, arXiv 1509.00519, eq. 8
ais          z_t: p(z) -> p(z|x),   w = Π_t p(x|z_t)^(β_t+1 - β_t) Neal 2001; Wu et al. 2017, arXiv 1611.04273, alg. 1

By Jensen's inequality the log of the mean lies below log p(x) on average, so each of them is a stochastic lower bound.
How the K weights spread says how far to trust it:

    effective sample size   ESS = (Σ w)² / Σ w²: K if all draws count alike, 1 if one outweighs all others
    standard error          of log 1/K Σ w to first order: √((K / ESS - 1) / (K - 1)) nats

An ESS near 1 says that the draws that matter were missed; the error is then too small, and the figure far too low.
They know nothing of codes that cannot be drawn: an encoder that is certain (vqvae) gives one code K times, for which
all weights agree, and the mean stays at p(x, z) <= p(x) for ever.
Draws come from torch's default generator: seed it to repeat a figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from simulacra.capabilities import Bound, Decoder, Prior, Weighted, need
from simulacra.condition import Condition, ConditionLike
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import NotSupported, UsageError, did_you_mean
from simulacra.model import Model, evaluating

AT_ONCE = 256  # decoded items at a time: memory stays flat in the number of draws, and fits the cache of a CPU
PARALLEL = 16  # times as many on other devices
WEIGHTS = 1 << 16  # at a time, of a model that decodes no more of them at once than it has room for
DRAWS = {"elbo": 1, "importance": 1000, "prior": 1000, "ais": 16}  # where their number is left out; chains, for ais
TEMPERATURES = 1000
LEAPFROGS = 10
ACCEPTED = 0.65  # the share of proposals at which Hamiltonian Monte Carlo is most efficient: Neal 2011, section 4.4
ADAPTATION = 0.1
PILOTS = 4  # chains that find the step sizes
STEEPNESS = 4.0  # of the sigmoid schedule


@dataclass(frozen=True)
class Estimate:
    """log p(x) of N items, nats in float64, from `samples` weights each.

    log_prob:              (N,)
    standard_error:        (N,) nats, of the draws alone; nan for a single draw.
    effective_sample_size: (N,) from 1 to `samples`; nan for the ELBO, a mean of logarithms and not the log of a mean.
    """

    log_prob: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor
    samples: int
    method: str


@dataclass(frozen=True)
class Estimator:
    """Which estimate to make: a method, its draws (chains, for ais) and the temperatures of ais."""

    method: str
    samples: int
    temperatures: int | None

    def __call__(self, model: Model, x: Tensor, condition: ConditionLike | None = None) -> Estimate:
        if self.method == "elbo":
            return evidence_lower_bound(model, x, condition, self.samples)
        if self.method == "importance":
            return importance_weighted(model, x, condition, self.samples)
        if self.method == "prior":
            return prior_monte_carlo(model, x, condition, self.samples)
        return annealed_importance_sampling(model, x, condition, self.samples, self.temperatures or TEMPERATURES)


def joined(parts: Sequence[Estimate]) -> Estimate:
    """The estimates of several batches of items, one after the other, made in one way."""
    return Estimate(
        torch.cat([part.log_prob for part in parts]),
        torch.cat([part.standard_error for part in parts]),
        torch.cat([part.effective_sample_size for part in parts]),
        parts[0].samples,
        parts[0].method,
    )


def choose(method: str | None = None, samples: int | None = None, temperatures: int | None = None) -> Estimator:
    """The estimator called `method`; without a name the ELBO for one draw, and importance weights for more.

    Raises UsageError for a name that does not exist, fewer than one draw, and temperatures of what has none.
    """
    if method is None:
        method = "elbo" if samples in (None, 1) else "importance"
    if method not in DRAWS:
        raise UsageError(f"there is no estimator {method!r}.{did_you_mean(method, DRAWS)}")
    if temperatures is not None and method != "ais":
        raise UsageError(f"estimator {method!r} has no temperatures: leave them out, or add --estimator ais")
    chosen = Estimator(method, DRAWS[method] if samples is None else samples, temperatures)
    _check_draws(chosen.samples, temperatures)
    return chosen


def evidence_lower_bound(model: Model, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Estimate:
    """The mean of `samples` one-draw ELBOs, by the model's own formula, which may know the KL in closed form.

    Raises UsageError for samples < 1, NotSupported for a model without a bound.
    """
    _check_draws(samples)
    bound, mean, squares = need(model, Bound), torch.zeros(len(x)).double(), torch.zeros(len(x)).double()
    for k in range(1, samples + 1):  # Welford's recurrence
        with evaluating(model):
            drawn = _accurate(bound.elbo(x, condition))
        step = drawn - mean
        mean = mean + step / k
        squares = squares + step * (drawn - mean)
    error = (squares / (samples * (samples - 1))).sqrt() if samples > 1 else torch.full_like(mean, math.nan)
    return Estimate(mean, error, torch.full_like(mean, math.nan), samples, "elbo")


def importance_weighted(
    model: Model, x: Tensor, condition: ConditionLike | None = None, samples: int = 1000
) -> Estimate:
    """Draws from the encoder, weighted; memory does not grow with their number.

    Raises UsageError for samples < 1, NotSupported for a model without weights.
    """
    _check_draws(samples)
    weighted = need(model, Weighted)
    with evaluating(model):
        return _gather("importance", x, samples, lambda k: weighted.log_weights(x, condition, k), WEIGHTS)


def prior_monte_carlo(model: Model, x: Tensor, condition: ConditionLike | None = None, samples: int = 1000) -> Estimate:
    """Draws from the prior, each weighted by p(x|z); memory does not grow with their number.

    Raises UsageError for samples < 1, NotSupported for a model without p(z) and p(x|z).
    """
    _check_draws(samples)
    checked = model.conditioned(condition, len(x))

    def draw(k: int) -> Tensor:
        target = _Target.of(model, x, checked, k)
        return target.log_likelihood(target.prior.sample()).view(k, len(x))

    with evaluating(model):
        return _gather("prior", x, samples, draw, _decoded_at_once(x))


def annealed_importance_sampling(
    model: Model, x: Tensor, condition: ConditionLike | None = None, chains: int = 16, temperatures: int = TEMPERATURES
) -> Estimate:
    """Chains that start at the prior and are led to the posterior through p(z) p(x|z)^β, β rising from 0 to 1.

    At each temperature a trajectory of Hamiltonian Monte Carlo. Its step size is found beforehand, for each item and
    temperature, by a few chains that are then thrown away: the others keep to it, so that E[w] = p(x) holds exactly.
    It takes about 10 · temperatures gradients of p(x|z) a chain.

    Raises UsageError for less than one chain or temperature; NotSupported for a model without p(z) and p(x|z), and for
    discrete codes.
    """
    _check_draws(chains, temperatures)
    checked, betas = model.conditioned(condition, len(x)), _schedule(temperatures)
    with evaluating(model):
        steps, _ = _anneal(_Target.of(model, x, checked, PILOTS), len(x), betas, None)

        def draw(k: int) -> Tensor:
            return _anneal(_Target.of(model, x, checked, k), len(x), betas, steps)[1]

        return _gather("ais", x, chains, draw, _decoded_at_once(x))


class LogMean:
    """log 1/K Σ w of N items and what its error takes, from weights that come a few at a time; how many matters not."""

    def __init__(self, n: int) -> None:
        self.count = 0
        self.log_sum = torch.full((n,), -math.inf, dtype=torch.float64)
        self.log_squares = self.log_sum.clone()

    def add(self, log_w: Tensor) -> None:
        """log w, (k, N) nats."""
        log_w = _accurate(log_w)
        self.count += len(log_w)
        self.log_sum = torch.logaddexp(self.log_sum, log_w.logsumexp(0))
        self.log_squares = torch.logaddexp(self.log_squares, (2 * log_w).logsumexp(0))

    def estimate(self, method: str) -> Estimate:
        size = torch.exp(2 * self.log_sum - self.log_squares).clamp(1, self.count)
        error = ((self.count / size - 1) / (self.count - 1)).sqrt()  # 0 / 0 of a single draw
        return Estimate(self.log_sum - math.log(self.count), error, size, self.count, method)


def _gather(method: str, x: Tensor, samples: int, draw: Callable[[int], Tensor], at_once: int) -> Estimate:
    """`draw(k)` gives log w of k fresh draws, (k, N); `at_once` is how many of these numbers are computed at a time."""
    mean, portion = LogMean(len(x)), max(1, at_once // max(1, len(x)))
    for start in range(0, samples, portion):
        mean.add(draw(min(portion, samples - start)))
    return mean.estimate(method)


def _decoded_at_once(x: Tensor) -> int:
    return AT_ONCE * (1 if x.device.type == "cpu" else PARALLEL)


@dataclass(frozen=True)
class _Target:
    """p(z) p(x|z)^β, unnormalised, of k copies of N items one after the other."""

    decoder: Decoder
    prior: Distribution
    x: Tensor
    condition: Condition

    @classmethod
    def of(cls, model: Model, x: Tensor, condition: Condition, k: int) -> _Target:
        decoder, repeated = need(model, Decoder), condition.repeat(k)
        prior = need(model, Prior).prior(k * len(x), repeated)
        return cls(decoder, prior, x.repeat(k, *[1] * (x.dim() - 1)), repeated)

    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x|z), (kN,); raises NotSupported for a decoder that gives x no probability."""
        p = self.decoder.decode(z, self.condition)
        if isinstance(p, PointMass):
            raise NotSupported("this decoder makes one item of a code and gives no other a probability: no p(x|z)")
        return p.log_prob(self.x)

    def at(self, z: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """log p(z) p(x|z)^β (kN,), its gradient by z, and log p(x|z) (kN,)."""
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            likelihood = self.log_likelihood(z)
            value = self.prior.log_prob(z) + beta * likelihood
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient, likelihood.detach()


def _schedule(temperatures: int) -> list[float]:
    """β_0 = 0, ..., β_T = 1 on a sigmoid, close to each other at both ends; Wu et al. 2017, section 4.1."""
    ends = STEEPNESS * torch.linspace(-1, 1, temperatures + 1, dtype=torch.float64)
    rising = torch.sigmoid(ends)
    return ((rising - rising[0]) / (rising[-1] - rising[0])).tolist()


def _anneal(target: _Target, n: int, betas: list[float], steps: list[Tensor] | None) -> tuple[list[Tensor], Tensor]:
    """Step sizes (N,) of every temperature and log w (k, N); the step sizes are found on the way if they are None."""
    z = target.prior.sample()
    _check_continuous(z, target.prior)
    log_w = torch.zeros(len(target.x), dtype=torch.float64)
    step, used = z.new_full((n,), z[0].numel() ** -0.25), []
    for i, (before, beta) in enumerate(pairwise(betas)):
        here = target.at(z, beta)
        log_w += (beta - before) * _accurate(here[2])
        if beta < 1:  # what comes after the last weight changes none
            step = step if steps is None else steps[i]
            used.append(step)
            z, accepted = _trajectory(target, z, here, beta, step.repeat(len(z) // n))
            if steps is None:
                step = step * torch.exp(ADAPTATION * (accepted.view(-1, n).mean(0) - ACCEPTED))
    return used, log_w.view(-1, n)


def _trajectory(
    target: _Target, z: Tensor, here: tuple[Tensor, Tensor, Tensor], beta: float, step: Tensor
) -> tuple[Tensor, Tensor]:
    """One proposal of Hamiltonian Monte Carlo for each of the codes z (M, ...), accepted or not.

    Returns the codes and the probabilities (M,) with which the proposals were accepted. Neal 2011, "MCMC using
    Hamiltonian dynamics", fig. 2.
    """
    size = step.view(-1, *[1] * (z.dim() - 1))
    value, gradient, _ = here
    momentum, proposal = torch.randn_like(z), z
    energy = value - 0.5 * momentum.square().flatten(1).sum(1)
    for _ in range(LEAPFROGS):
        momentum = momentum + 0.5 * size * gradient
        proposal = proposal + size * momentum
        value, gradient, _ = target.at(proposal, beta)
        momentum = momentum + 0.5 * size * gradient
    change = value - 0.5 * momentum.square().flatten(1).sum(1) - energy
    accepted = torch.exp(change.clamp(max=0)).nan_to_num(0)  # a trajectory that has left all numbers is refused
    taken = (torch.rand_like(accepted) < accepted).view_as(size)
    return torch.where(taken, proposal, z), accepted


def _accurate(nats: Tensor) -> Tensor:
    return nats.detach().cpu().double()


def _check_draws(samples: int, temperatures: int | None = None) -> None:
    if samples < 1:
        raise UsageError(f"an estimate needs samples >= 1, not {samples}")
    if temperatures is not None and temperatures < 1:
        raise UsageError(f"annealing needs temperatures >= 1, not {temperatures}")


def _check_continuous(z: Tensor, prior: Distribution) -> None:
    """A density draws whole numbers with probability zero, and what lies next to its draws is as probable."""
    if torch.equal(z, z.round()) or prior.log_prob(z + 1e-3).isneginf().all():
        raise NotSupported(
            "annealing follows gradients by z, and the codes of this model are discrete: use --estimator importance"
        )
