"""The figures of a game, each with one sentence on how to read it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from simulacra.exploration.health.course import Course
from simulacra.exploration.health.findings import Finding
from simulacra.exploration.health.state import GENERATED, HELD_OUT, TRAIN, Game

QUARTILES = (5, 25, 50, 75, 95)  # per cent
LOG2 = math.log(2)
STEEP = 100  # a norm that Chintala et al. 2016, "How to train a GAN", call a sign that things are going wrong
OF = {TRAIN: "training items", HELD_OUT: "held-out items", GENERATED: "generated items"}


def quantiles(scores: Mapping[str, np.ndarray]) -> dict[str, tuple[float, ...]]:
    """101 of them for each kind of items, of six digits."""
    percents = np.arange(101)
    return {name: tuple(float(f"{each:.6g}") for each in np.percentile(own, percents)) for name, own in scores.items()}


def of_game(game: Game, course: Course) -> Iterator[tuple[str, Finding]]:
    """Every figure by its name."""
    for name, scores in game.scores.items():
        spread = tuple(np.percentile(scores, QUARTILES).tolist())
        advice = f"of {OF[name]}, 90 % from {spread[0]:.3g} to {spread[-1]:.3g}"
        yield f"score_{name.replace('-', '_')}", Finding(float(scores.mean()), None, spread, advice)
    told, memorised = game.told, game.memorised
    advice = f"the critic scores a held-out item above a generated one in {told.value:.0%} of all pairs; 50 % is none"
    yield "told_apart", Finding(told.value, None, (), advice, None, (told.low, told.high))
    if memorised is not None:
        share = f"in {memorised.value:.0%} of all pairs"
        advice = (
            f"the critic scores a training item above a held-out one {share}; 50 % is no memory of the training items"
        )
        yield "memorised", Finding(memorised.value, None, (), advice, None, (memorised.low, memorised.high))
    probe, variety = game.divergence, game.variety
    advice = (
        f"the JSD of samples and held-out items is at least that many nats, of {LOG2:.3f}, by a new critic on "
        f"{probe.n} others of both"
    )
    yield "jensen_shannon", Finding(probe.bound, None, (), advice, None, (probe.low, probe.high))
    advice = "samples are alike as often as real items would be that were so much less varied"
    yield "variety", Finding(variety.ratio, None, variety.each, advice, None, (variety.low, variety.high))
    advice = "the variance of held-out items, in the unit of the Fréchet distances of validation"
    yield "spread", Finding(game.spread, None, (), advice)
    for name, norm in game.gradients.items():
        warning = f"a norm above {STEEP}: take a smaller --learning-rate, or --clip" if norm > STEEP else None
        yield f"gradient_{name}", Finding(norm, None, (), f"of one batch{_course_of(course, name)}", warning)
    for name, values in game.singular.items():
        most = max(values, key=lambda layer: values[layer], default="")
        advice = f"the largest singular value of a layer, in {most}; of the layers the median is "
        advice += f"{np.median(list(values.values())):.3g}" if values else "none"
        yield f"singular_{name}", Finding(values.get(most, 0.0), None, tuple(values.values()), advice)


def _course_of(course: Course, phase: str) -> str:
    curve = course.curves.get(f"gradient.{phase}")
    if curve is None or len(curve.steps) < 2:
        return ""
    first, last = curve.in_the_beginning(), curve.at_the_end()
    return f"; in the run a median of {first:.3g} in its first fifth and {last:.3g} in its last"
