r"""From figures to one sentence: the state of a run, its reason and a remedy. The first rule that holds decides.

Of a game, whose losses do not say how good its samples are:

still learning        there were fewer than four validations
the critic memorises  it scores training items above held-out ones
the critic wins       samples do not overlap the data, the critic is certain, and the judge's figure falls no more
collapsed             samples are more alike than real items are, and grow no more varied
does not converge     the judge's figure ends far above its lowest, or stands where samples have little of the data
still learning        the judge's figure fell in the last fifth of the run; or a fresh critic finds half of the largest
                      divergence; or samples lie where there are no data
healthy               none of these

Of any other model: does not converge, posterior collapse (no dimension of the code says anything), overfits, still
learning, healthy. The thresholds were set on some runs and tested on others: benchmarks/verdicts.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from simulacra.capabilities import Adversarial, can
from simulacra.exploration.health import remedies
from simulacra.exploration.health.course import Course, Curve, is_term
from simulacra.exploration.health.findings import Diagnosis, Finding
from simulacra.exploration.health.game import LOG2
from simulacra.exploration.health.remedies import Options
from simulacra.model import Model
from simulacra.terminal import number_of

APART = 0.95  # of log 2: a JSD from which samples do not overlap the data
CERTAIN = 0.95  # of all pairs, in which the game's critic is right
EARLY = 4  # validations
ALIKE, GROWN = 0.5, 1.2  # of the variety of real items, and of that in the beginning
REMEMBERED = 0.65  # of all pairs, in which a training item is above a held-out one
FAR, RISEN = 0.25, 2.0  # a distance in units of the variance of the data, and in units of the lowest one
CIRCLED = 0.25  # rises over falls of the judge's figure
SHORT, SCATTERED, OVERLAP = 0.5, 1.5, 0.02  # of log 2, of the variety of real items, and nats
OVERFIT = 0.1  # bits/dim
RISE = 0.1  # of all that the judge's figure fell
GENERAL = "more items, --augment, --weight-decay 0.01, a smaller network or --patience 3"


@dataclass(frozen=True, eq=False)
class Signs:
    """What a rule looks at."""

    model: Model
    findings: Mapping[str, Finding]
    course: Course

    def value(self, name: str) -> float:
        """A figure, nan where there is none: no comparison with that holds."""
        return self.findings[name].value if name in self.findings else math.nan

    def low(self, name: str) -> float:
        interval = self.findings[name].interval if name in self.findings else None
        return math.nan if interval is None else interval[0]

    def high(self, name: str) -> float:
        interval = self.findings[name].interval if name in self.findings else None
        return math.nan if interval is None else interval[1]

    @property
    def judged(self) -> Curve | None:
        return self.course.judged

    @property
    def learning(self) -> bool:
        """Whether the judge's figure still fell in the last fifth of the run."""
        return self.course.outcome.get("still_learning") is True

    @property
    def options(self) -> Options:
        return Options(self.model)


Rule = Callable[[Signs], Diagnosis | None]


def unjudged(reason: str) -> Diagnosis:
    """Of a run that says nothing yet."""
    return Diagnosis("not judged", reason)


def verdict(model: Model, findings: Mapping[str, Finding], course: Course) -> Diagnosis:
    """That of the first rule that holds."""
    signs = Signs(model, findings, course)
    rules = OF_A_GAME if can(model, Adversarial) else OF_OTHERS
    return next(found for rule in rules if (found := rule(signs)) is not None)


def too_early(signs: Signs) -> Diagnosis | None:
    curve = signs.judged
    if curve is None or len(curve.steps) >= EARLY:
        return None
    reason = f"{number_of(len(curve.steps), 'validation')} so far, and {EARLY} or more show where a game goes"
    return Diagnosis("still learning", reason, _longer(signs))


def critic_wins(signs: Signs) -> Diagnosis | None:
    apart, certain = signs.low("jensen_shannon") >= APART * LOG2, signs.value("told_apart") >= CERTAIN
    if not (apart and certain) or signs.learning:
        return None
    reason = (
        f"a fresh critic tells all samples from held-out items (JSD of at least {signs.value('jensen_shannon'):.2f} of "
        f"{LOG2:.2f} nats), the game's own is right on {signs.value('told_apart'):.0%} of all pairs"
    )
    gradient = signs.course.curves.get("gradient.generator")
    if gradient is not None:
        reason += f", and the generator's gradient has a norm of {gradient.at_the_end():.2g} in the end"
    return Diagnosis("the critic wins", reason, remedies.critic_wins(signs.options))


def collapsed(signs: Signs) -> Diagnosis | None:
    curve = signs.course.curves.get("variety")
    late = curve.at_the_end() if curve is not None else math.nan
    grows = curve is not None and late >= GROWN * curve.in_the_beginning()
    if not (signs.high("variety") < ALIKE or late < ALIKE / 2) or (signs.learning and grows):
        return None
    reason = f"samples have {signs.value('variety'):.2g} of the variety of held-out items"
    if not signs.high("variety") < ALIKE:
        reason += f", and those of the last validations {late:.2g}: the weights that were kept are earlier ones"
    return Diagnosis("collapsed", reason, remedies.collapsed(signs.options))


def memorises(signs: Signs) -> Diagnosis | None:
    if not signs.low("memorised") > REMEMBERED:
        return None
    reason = (
        f"the critic scores a training item above a held-out one in {signs.value('memorised'):.0%} of all pairs, and a "
        f"held-out one above a generated one in {signs.value('told_apart'):.0%}; 50 % would be blind"
    )
    return Diagnosis("the critic memorises", reason, remedies.memorises(signs.options))


def does_not_converge(signs: Signs) -> Diagnosis | None:
    curve = signs.judged
    if curve is None or len(curve.steps) < 2:
        return None
    end, best, spread = curve.at_the_end(), float(curve.values.min()), signs.value("spread")
    where = f"the judge's figure ends at {end:.3g}"
    if end >= RISEN * best and end >= FAR / 2 * spread:
        lowest = (
            f"its lowest was {best:.3g} at step {curve.steps[curve.values.argmin()]}, of which the weights are kept"
        )
        return Diagnosis("does not converge", f"{where}; {lowest}", remedies.diverged(signs.options))
    if end >= FAR * spread and (not signs.learning or _circles(curve)):
        how = "after it rose in between" if _circles(curve) else "and falls no more"
        reason = f"{where} {how}, where held-out items themselves vary by {spread:.3g}"
        return Diagnosis("does not converge", reason, remedies.diverged(signs.options))
    return None


def falls_short(signs: Signs) -> Diagnosis | None:
    """The game is in balance, and its samples are not there yet."""
    told = f"a fresh critic tells samples from held-out items (JSD of at least {signs.value('jensen_shannon'):.2g} of "
    told += f"{LOG2:.2f} nats)"
    if signs.low("jensen_shannon") >= SHORT * LOG2:
        return Diagnosis("still learning", told, f"{_longer(signs)}, or a wider generator")
    if signs.low("variety") >= SCATTERED and signs.low("jensen_shannon") > OVERLAP:
        reason = f"samples vary {signs.value('variety'):.2g} times as much as held-out items, and {told}"
        return Diagnosis("still learning", reason, f"{_longer(signs)}, or a wider generator")
    return None


def still_learning(signs: Signs) -> Diagnosis | None:
    if not signs.learning:
        return None
    gain = signs.course.number("gain_of_last_fifth") or 0
    reason = f"the judge's figure fell by {gain:.3g} in the last fifth of the run"
    return Diagnosis("still learning", reason, _longer(signs))


def _circles(curve: Curve) -> bool:
    """Whether a figure rose by much of what it fell."""
    moves = np.diff(curve.values)
    return bool(moves[moves > 0].sum() >= CIRCLED * -moves[moves < 0].sum())


def _longer(signs: Signs) -> str:
    steps = signs.course.number("steps")
    return f"the same command with --steps {2 * int(steps)} goes on from here" if steps else "a larger budget"


def healthy_game(signs: Signs) -> Diagnosis:
    if "variety" not in signs.findings:
        return unjudged("there are too few items to examine the game by")
    reason = (
        f"samples have {signs.value('variety'):.2f} of the variety of held-out items, a fresh critic tells them from "
        f"these by a JSD of at least {signs.value('jensen_shannon'):.2f} of {LOG2:.2f} nats, and the game is in balance"
    )
    return Diagnosis("healthy", reason)


OF_A_GAME: tuple[Rule, ...] = (
    too_early,
    memorises,
    critic_wins,
    collapsed,
    does_not_converge,
    still_learning,
    falls_short,
    healthy_game,
)


# Other families


def rises(signs: Signs) -> Diagnosis | None:
    """The judge's figure ends above where it began."""
    curve = signs.judged
    if curve is None or len(curve.steps) < 3 or not curve.at_the_end() > curve.values[0]:
        return None
    first, end = curve.values[0], curve.at_the_end()
    if (low := float(curve.values.min())) < first - RISE * (end - first):
        return None  # it fell before it rose: see `overfits`
    reason = f"the judge's figure rose from {first:.4g} to {end:.4g} (lowest {low:.4g})"
    if _loss_falls(signs.course):
        return Diagnosis("overfits", f"{reason}, while the loss fell", GENERAL)
    return Diagnosis("does not converge", reason, "a smaller --learning-rate, or --clip 1")


def _loss_falls(course: Course) -> bool:
    """Whether the terms of the loss are smaller together in the end than in the beginning."""
    terms = [curve for name, curve in course.curves.items() if is_term(name)]
    return sum(curve.at_the_end() - curve.in_the_beginning() for curve in terms) < 0


def posterior_collapse(signs: Signs) -> Diagnosis | None:
    active = signs.findings.get("active_units")
    if active is None or active.value > 0:
        return None
    return Diagnosis("posterior collapse", f"none of {active.of} dimensions differs between items", active.advice)


def overfits(signs: Signs) -> Diagnosis | None:
    curve, gap = signs.judged, signs.value("overfit")
    if signs.low("overfit") > 0 and gap >= OVERFIT:
        reason = f"held-out items cost {gap:.2g} a dimension more than training items"
    elif curve is not None and len(curve.steps) > 2 and _rise(curve) >= RISE:
        reason = (
            f"the judge's figure rose from {curve.values.min():.4g} at step {curve.steps[curve.values.argmin()]} to "
            f"{curve.at_the_end():.4g}"
        )
    else:
        return None
    return Diagnosis("overfits", reason, GENERAL)


def _rise(curve: Curve) -> float:
    """How much of what a figure fell it rose again."""
    fell = float(curve.values[0] - curve.values.min())
    return (curve.at_the_end() - float(curve.values.min())) / fell if fell > 0 else 0.0


def healthy(signs: Signs) -> Diagnosis:
    curve, reasons = signs.judged, []
    if curve is not None:
        reasons.append(f"the judge's figure ended at {curve.values[-1]:.4g}, its lowest was {curve.values.min():.4g}")
    if "overfit" in signs.findings:
        reasons.append(f"held-out items cost {signs.value('overfit'):.2g} a dimension more than training items")
    if (active := signs.findings.get("active_units")) is not None:
        reasons.append(f"{active.value:.0f} of {active.of} dimensions of the code are in use")
    return Diagnosis("healthy", "; ".join(reasons)) if reasons else unjudged("nothing was logged of its run")


OF_OTHERS: tuple[Rule, ...] = (rises, posterior_collapse, overfits, still_learning, healthy)
