r"""The usual judges of training: what a model is picked by, on validation items that a seed draws.

likelihood      -log p(x), or a bound of it, bits/dim (of a density nats); the same items and draws at every validation
Fréchet         FD between validation items and as many samples from fixed noise, for what only samples; see `fidelity`
energy          2 E|x - y| - E|x - x'| - E|y - y'| of samples x and items y, for vectors of real numbers, whose modes
                FD, a distance of two moments, does not see: Székely and Rizzo 2013, "Energy Statistics"
squared error   of reconstructions, for an autoencoder, which does neither

A distance between samples is itself random; its error is that of `simulacra.evaluation.intervals`.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from simulacra.capabilities import Decoder, Encoder, Sampler, can
from simulacra.data import Dataset, Split
from simulacra.evaluation import fidelity, intervals, kernels
from simulacra.evaluation.likelihood import has_likelihood, score_items
from simulacra.feed import OTHERS, at_once, feed, in_order, slices
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, mix, some_of
from simulacra.training.judge import Judge, Verdict

SCORED = 1000  # validation items by which a likelihood, a reconstruction or an energy distance is judged
COMPARED = 2000  # validation items that samples are compared with
PAIRS = 10  # of halves behind a standard error


def usual_judge(model: Model) -> Judge | None:
    """The judge for the abilities of a model; None for one that has no density, no samples and no reconstructions."""
    if has_likelihood(model):
        return by_likelihood
    if can(model, Sampler):
        return by_energy_distance if model.spec.levels is None and not model.spec.is_image else ByFrechetDistance()
    return by_squared_error if can(model, Encoder) and can(model, Decoder) else None


def by_likelihood(model: Model, data: Dataset, seed: int) -> Verdict:
    """Mean bits/dim of up to 1,000 validation items, exact or a bound; of real data nats of an item's density."""
    nats = score_items(model, drawn_of(data.valid, SCORED, seed), seed=seed)
    if model.spec.levels is None:
        return Verdict("valid_nats", float(nats.mean()))
    return Verdict("valid_bits_per_dim", float(model.spec.bits_per_dim(nats.mean())))


def by_squared_error(model: Model, data: Dataset, seed: int) -> Verdict:
    """Mean squared error per sub-pixel of up to 1,000 reconstructions, on [-1, 1] where there is a grid."""
    assert isinstance(model, Encoder)
    assert isinstance(model, Decoder)
    total, items = 0.0, drawn_of(data.valid, SCORED, seed)
    with evaluating(model):
        for x, condition in in_order(items, model.spec, model.device, at_once(model)):
            made = model.decode(model.encode(x, condition).mean, condition).mean
            gap = model.spec.centred(made.float()) - model.spec.centred(x)
            total += float(gap.double().square().flatten(1).mean(1).sum())
    return Verdict("valid_squared_error", total / len(items))


def by_energy_distance(model: Model, data: Dataset, seed: int) -> Verdict | None:
    """The energy distance of samples and validation items. It flattens long before samples are as sharp as items, and
    so ends no run."""
    items = drawn_of(data.valid, SCORED, seed)
    if len(items) < 4:
        return None
    real, fake = (np.asarray(x, float).reshape(len(items), -1) for x in (items.x, _samples(model, items, seed)))
    spread = kernels.mmd_spread(fake, real, kernels.energy)
    n = len(items)
    return Verdict("valid_energy_distance", spread.distance * n / (n - 1) - spread.bias, spread.error, stops=False)


class ByFrechetDistance:
    """FD of samples to validation items. A run ends early by it once figures stay above the lowest by more than noise.

    The features are fitted to the training items once, at the first verdict.
    """

    def __init__(self) -> None:
        self.features: fidelity.PixelPCA | None = None

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None:
        items = drawn_of(data.valid, COMPARED, seed)
        if len(items) < 4:
            return None  # halves of which have no covariance
        if self.features is None:
            components = fidelity.components_for(len(items) // 2, data.spec.dims)
            self.features = fidelity.PixelPCA.fit(data.train.x, data.spec.levels, components)
        real, fake = self.features(np.asarray(items.x)), self.features(_samples(model, items, seed))
        rng = np.random.default_rng(mix(seed, "judge"))
        halves = functools.partial(fidelity.frechet_distances, fake, real)
        error = intervals.standard_error(halves, len(items), rng, PAIRS)
        return Verdict("valid_frechet_distance", fidelity.frechet_distance(fake, real), error)


def drawn_of(split: Split, most: int, seed: int) -> Split:
    """So many items of a split, drawn by the seed, in their order; all of them where there are no more."""
    return split if len(split) <= most else split.rows(some_of(len(split), most, seed, "judged"))


def _samples(model: Model, items: Split, seed: int) -> np.ndarray:
    """As many samples, with the conditions of these items, always from the same noise."""
    assert isinstance(model, Sampler)
    drawn, noise = [], generator(model.device, seed, "judge")
    with evaluating(model):
        for part in slices(len(items), OTHERS):  # of one size everywhere: the noise is drawn batch after batch
            _, condition = feed(items, part, model.spec, model.device)
            drawn.append(model.sample(part.stop - part.start, condition, generator=noise).cpu())
    return torch.cat(drawn).numpy()
