r"""The usual judges of training: what a model is picked by, on validation items that a seed draws.

likelihood      -log p(x), or a bound of it, bits/dim (of a density nats); the same items and draws at every validation
Fréchet         FD between validation items and as many samples from fixed noise, for what only samples; see `fidelity`
energy          2 E|x - y| - E|x - x'| - E|y - y'| of samples x and items y, for vectors of real numbers, whose modes
                FD, a distance of two moments, does not see: Székely and Rizzo 2013, "Energy Statistics"; of series in
                deviations of each column, whose units differ
squared error   of reconstructions, for an autoencoder, which does neither
displacement    ADE of the best of 20 draws of where people go, for each scene; see `trajectories`
translation     FD between items of a domain and those of others that are translated to it, the mean over all domains

A distance between samples is itself random; its error is that of `simulacra.evaluation.intervals`.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch

from simulacra.capabilities import Decoder, Encoder, Sampler, Translator, can
from simulacra.condition import Condition
from simulacra.data import Dataset, Split
from simulacra.evaluation import fidelity, intervals, kernels
from simulacra.evaluation.clip_features import ClipFeatures
from simulacra.evaluation.embedding import Features, Projection
from simulacra.evaluation.forecasts import deviations
from simulacra.evaluation.likelihood import has_likelihood, score_items
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.trajectories import Forecasts
from simulacra.feed import OTHERS, at_once, enough, feed, in_order, slices
from simulacra.fields import Paths
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, mix, some_of
from simulacra.training.judge import Judge, Verdict

SCORED = 1000  # validation items by which a likelihood, a reconstruction or an energy distance is judged
CLIPS = 500  # training clips whose features are known
COMPARED = 2000  # validation items that samples are compared with
WALKED = 250  # validation scenes of people, of whom there are many
TRANSLATED = 256  # validation items of each domain, and those that are translated to it
PAIRS = 10  # of halves behind a standard error


def usual_judge(model: Model) -> Judge | None:
    """The judge for the abilities of a model; None for one that has no density, no samples, no reconstructions and no
    translations."""
    if has_likelihood(model):
        return by_likelihood
    if isinstance(model.spec.x, Paths) and can(model, Sampler):
        return by_displacement
    if can(model, Sampler):
        return by_energy_distance if model.spec.levels is None and not model.spec.is_image else ByFrechetDistance()
    if can(model, Translator):
        return ByTranslation()
    return by_squared_error if can(model, Encoder) and can(model, Decoder) else None


def by_likelihood(model: Model, data: Dataset, seed: int) -> Verdict:
    """Mean bits/dim of up to 1,000 validation items (of long sounds fewer), exact or a bound; of real data nats of an
    item's density."""
    nats = score_items(model, drawn_of(data.valid, enough(model.spec, SCORED), seed), seed=seed)
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


def by_displacement(model: Model, data: Dataset, seed: int) -> Verdict:
    """Metres, of up to 250 validation scenes."""
    subject = Subject(model, replace(data, valid=drawn_of(data.valid, WALKED, seed), order=None), "valid", seed)
    many = Forecasts.of(subject).many
    return Verdict("valid_ade_best_of_20", float(many.best(many.ade, by_scene=True).mean()))


def by_energy_distance(model: Model, data: Dataset, seed: int) -> Verdict | None:
    """The energy distance of samples and validation items. It flattens long before samples are as sharp as items, and
    so ends no run."""
    items = drawn_of(data.valid, SCORED, seed)
    if len(items) < 4:
        return None
    series = len(model.spec.shape) == 2
    scale = deviations(np.asarray(drawn_of(data.train, COMPARED, seed).x)) if series else 1.0
    both = items.x, _samples(model, items, seed)
    real, fake = ((np.asarray(x, float) / scale).reshape(len(items), -1) for x in both)
    spread = kernels.mmd_spread(fake, real, kernels.energy)
    n = len(items)
    return Verdict("valid_energy_distance", spread.distance * n / (n - 1) - spread.bias, spread.error, stops=False)


class ByFrechetDistance:
    """FD of samples to validation items, in principal components of pixels, and of clips in those of `ClipFeatures`: in
    pixels, clips that hardly move are near to the mean of all places. A run ends early by it once figures stay above
    the lowest by more than noise.

    The features are fitted to the training items once, at the first verdict.
    """

    def __init__(self) -> None:
        self.features: Features | None = None

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None:
        items = drawn_of(data.valid, COMPARED, seed)
        if len(items) < 4:
            return None  # halves of which have no covariance
        if self.features is None:
            self.features = _features_of(data, len(items) // 2)
        real, fake = self.features(np.asarray(items.x)), self.features(_samples(model, items, seed))
        rng = np.random.default_rng(mix(seed, "judge"))
        halves = functools.partial(fidelity.frechet_distances, fake, real)
        error = intervals.standard_error(halves, len(items), rng, PAIRS)
        return Verdict("valid_frechet_distance", fidelity.frechet_distance(fake, real), error)


def _features_of(data: Dataset, n: int) -> Features:
    """For n items to compare."""
    if not data.spec.is_video or data.spec.shape[0] < 2:
        return fidelity.PixelPCA.fit(data.train.x, data.spec.levels, fidelity.components_for(n, data.spec.dims))
    train = np.asarray(drawn_of(data.train, CLIPS, 0).x)
    features = ClipFeatures(data.spec, train)
    return Projection.fit(features, features(train), n)


class ByTranslation:
    """FD of validation items translated to a class of a field, all else of their condition as it is, to the validation
    items of that class, the mean over all classes of all fields. Figures waver, as a game does, and end no run.

    The features are fitted to the training items once, at the first verdict.
    """

    def __init__(self) -> None:
        self.features: fidelity.PixelPCA | None = None

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None:
        parts = [
            (name, number, data.valid.field(name) == number)
            for name, field in model.spec.classes(model.name).items()
            for number in range(field.count)
        ]
        fewest = min((min(int(own.sum()), int((~own).sum()), TRANSLATED) for *_, own in parts), default=0)
        if fewest < 4:
            return None  # halves of which have no covariance
        if self.features is None:
            components = fidelity.components_for(fewest // 2, data.spec.dims)
            self.features = fidelity.PixelPCA.fit(data.train.x, data.spec.levels, components)
        values, squares, rng = [], 0.0, np.random.default_rng(mix(seed, "judge"))
        for name, number, own in parts:
            real, others = (
                some[some_of(len(some), fewest, seed, "translated", name, number)]
                for some in (np.flatnonzero(own), np.flatnonzero(~own))
            )
            a = self.features(_translated(model, data.valid.rows(others), name, number))
            b = self.features(np.asarray(data.valid.x[real]))
            values.append(fidelity.frechet_distance(a, b))
            halves = functools.partial(fidelity.frechet_distances, a, b)
            squares += intervals.standard_error(halves, fewest, rng, PAIRS) ** 2
        error = squares**0.5 / len(values)
        return Verdict("valid_frechet_distance", float(np.mean(values)), error, stops=False)


def _translated(model: Model, items: Split, name: str, number: int) -> np.ndarray:
    """The items in class `number` of the field `name`."""
    assert isinstance(model, Translator)
    made = []
    with evaluating(model):
        for x, own in in_order(items, model.spec, model.device, at_once(model)):
            wanted = Condition({**own, name: torch.full_like(own[name], number)})
            made.append(model.translate(x, wanted).cpu())
    return torch.cat(made).numpy()


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
