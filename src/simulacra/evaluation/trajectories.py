r"""How far forecasts of people end from where they went, under every rule, by its name; metres.

    ADE = mean over people and steps of |ŷ - y|,   FDE = mean over people of |ŷ_T - y_T|

    k = 1             of one forecast without noise
    best by scene     Σ over scenes of min_k Σ over its people, over all people: one draw for a whole scene
    best by person    the mean over people of min_k: each takes a draw of their own, which no scene shows

The rule moves a figure further than most methods do. The least is taken for ADE and for FDE by themselves, as the
published figures have it, and people count alike, those of small scenes too. Gupta et al. 2018, "Social GAN", count by
scene, and leave out scenes of one person; later papers count by person. Schöller et al. 2020, "What the constant
velocity model can teach us about pedestrian motion prediction".

    collisions    the share of people who come within 0.2 m of another one at a step of a draw

Beside each stand constant velocity and, of best-of-k, the same turned by an angle of N(0, 25°), one for each person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulacra.capabilities import Futures, Sampler
from simulacra.evaluation import intervals
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.feed import feed
from simulacra.fields import Many, Paths
from simulacra.model import evaluating
from simulacra.randomness import generator, mix

DRAWS = 20  # of best-of-k
ANGLE = np.deg2rad(25.0)  # of constant velocity with noise
NEAR = 0.2  # metres: two people of 0.1 m
AT_ONCE = 50  # scenes


@dataclass(frozen=True)
class Errors:
    """Of K forecasts of N scenes. ade, fde: (K, M) of all people, one scene after the other; scene: (M,) whose."""

    ade: np.ndarray
    fde: np.ndarray
    scene: np.ndarray

    def best(self, of: np.ndarray, by_scene: bool) -> np.ndarray:
        """(M,) the distances of ade or fde (K, M) in the draw that is nearest, for each person or for the scene."""
        if not by_scene:
            return of.min(0)
        totals = np.stack([np.bincount(self.scene, each) for each in of])
        return of[totals.argmin(0)[self.scene], np.arange(of.shape[1])]


def errors(made: np.ndarray, true: np.ndarray, mask: np.ndarray) -> Errors:
    """made (K, N, P, T, 2), true (N, P, T, 2), mask (N, P)"""
    away = np.linalg.norm(made[:, mask] - true[mask], axis=-1)
    return Errors(away.mean(-1), away[..., -1], mask.nonzero()[0])


def collided(made: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(M,) whether each person of N scenes (N, P, T, 2) comes too near to another one at any step."""
    found = []
    for paths, there in zip(made, mask, strict=True):
        own = paths[there]
        apart = np.linalg.norm(own[:, None] - own[None], axis=-1).min(-1)
        np.fill_diagonal(apart, np.inf)
        found.append((apart < NEAR).any(1))
    return np.concatenate([np.zeros(0, bool), *found])


def straight(past: np.ndarray, steps: int, turn: np.ndarray | float = 0.0) -> np.ndarray:
    """Constant velocity: past (..., T, 2) and angles (...) -> (..., steps, 2)."""
    velocity = past[..., -1, :] - past[..., -2, :]
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = velocity[..., 0], velocity[..., 1]
    ahead = np.stack([cos * x - sin * y, sin * x + cos * y], -1)
    return past[..., -1:, :] + np.arange(1, steps + 1)[:, None] * ahead[..., None, :]


def turned(past: np.ndarray, steps: int, draws: int, seed: int) -> np.ndarray:
    """Constant velocity with noise: (N, P, T, 2) -> (draws, N, P, steps, 2)."""
    rng = np.random.default_rng(mix(seed, "turned"))
    return straight(past[None], steps, ANGLE * rng.standard_normal((draws, *past.shape[:2])))


def past_of(subject: Subject) -> str | None:
    """The field that holds where people come from, of a model of paths; None of any other."""
    named = [name for name, own in subject.model.spec.condition.items() if isinstance(own, Many)]
    return named[0] if isinstance(subject.model.spec.x, Paths) and len(named) == 1 else None


@dataclass(frozen=True)
class Forecasts:
    """What all figures are made of, of all items of a split."""

    one: Errors | None
    many: Errors
    line: Errors
    turned: Errors
    collisions: dict[str, np.ndarray]

    @classmethod
    def of(cls, subject: Subject) -> Forecasts:
        name = past_of(subject)
        assert name is not None
        numbers, found = np.arange(len(subject.items)), []
        for start in range(0, len(numbers), AT_ONCE):
            found.append(_some(subject, name, numbers[start : start + AT_ONCE]))
        one = [each.one for each in found if each.one is not None]
        merged = {key: np.concatenate([each.collisions[key] for each in found]) for key in found[0].collisions}
        many, line, noisy = (_joined([getattr(each, own) for each in found]) for own in ("many", "line", "turned"))
        return cls(_joined(one) if one else None, many, line, noisy, merged)


def _some(subject: Subject, name: str, rows: np.ndarray) -> Forecasts:
    model = subject.model
    assert isinstance(model, Sampler)
    x, condition = feed(subject.items, rows, model.spec, model.device)
    true, past = x.cpu().numpy(), condition[name].cpu().numpy()
    mask, noise = condition[f"{name}.mask"].cpu().numpy(), generator(model.device, subject.seed, "paths", int(rows[0]))
    one = None
    with evaluating(model):
        if isinstance(model, Futures):
            one = model.single(condition).cpu().numpy()[None]
            many = model.futures(condition, DRAWS, noise).cpu().numpy()
        else:
            many = np.stack([model.sample(len(rows), condition, generator=noise).cpu().numpy() for _ in range(DRAWS)])
    steps, seed = true.shape[2], mix(subject.seed, int(rows[0]))
    near = {"model": collided(many[0], mask), "people": collided(true, mask)}
    near["constant velocity"] = collided(straight(past, steps), mask)
    return Forecasts(
        None if one is None else errors(one, true, mask),
        errors(many, true, mask),
        errors(straight(past, steps)[None], true, mask),
        errors(turned(past, steps, DRAWS, seed), true, mask),
        near,
    )


def _joined(each: list[Errors]) -> Errors:
    """Of further scenes, behind those before them."""
    ends = np.cumsum([0, *(int(own.scene.max(initial=-1)) + 1 for own in each)])
    scene = np.concatenate([own.scene + begin for own, begin in zip(each, ends, strict=False)])
    return Errors(np.concatenate([o.ade for o in each], 1), np.concatenate([o.fde for o in each], 1), scene)


@metric(needs=(Sampler,), name="paths", when=lambda subject: past_of(subject) is not None)
def displacement(subject: Subject) -> dict[str, Measure]:
    """ADE and FDE under every rule, and collisions."""
    own = subject.shared(Forecasts.of)
    figures: dict[str, Measure] = {}
    for metric_name in ("ade", "fde"):
        line = float(getattr(own.line, metric_name).mean())
        if own.one is not None:
            values = getattr(own.one, metric_name)[0]
            of = "one forecast without noise"
            figures[f"{metric_name}_k1"] = _measure(subject, values, own.one.scene, of, {"constant velocity": line})
        for rule in ("scene", "person"):
            least = {key: of.best(getattr(of, metric_name), rule == "scene") for key, of in _drawn(own).items()}
            beside = {"constant velocity": line, "constant velocity ±25°": float(least["turned"].mean())}
            of = f"best of {DRAWS} draws for each {rule}"
            figures[f"{metric_name}_best_of_{DRAWS}_by_{rule}"] = _measure(
                subject, least["model"], own.many.scene, of, beside
            )
    of = f"share of people who come within {NEAR} m of another in a draw"
    shares = {key: float(values.mean()) for key, values in own.collisions.items()}
    beside = {"constant velocity": shares["constant velocity"]}
    figures["collisions"] = _measure(
        subject, own.collisions["model"], own.many.scene, of, beside, ceiling=shares["people"], unit=""
    )
    return figures


def _drawn(own: Forecasts) -> dict[str, Errors]:
    return {"model": own.many, "turned": own.turned}


def _measure(
    subject: Subject,
    values: np.ndarray,
    scene: np.ndarray,
    of: str,
    baseline: dict[str, float],
    ceiling: float | None = None,
    unit: str = ", metres",
) -> Measure:
    """The mean over people, with an interval from what scenes differ: values (M,)."""
    value, scenes = float(values.mean()), int(scene.max()) + 1
    left = np.bincount(scene, values - value, scenes)
    error = float(np.sqrt(np.square(left).sum()) / len(values))
    protocol = f"{of}{unit}; the mean over {len(values):,} people in {scenes:,} scenes, the {subject.whole}"
    low, high = intervals.about(value, error, max(1, scenes - 1))
    warning = "scenes overlap in time, and so know less of fresh ones than their number says"
    return Measure(
        value, low, high, None, len(values), "estimate", protocol, warning, baseline=baseline, ceiling=ceiling
    )
