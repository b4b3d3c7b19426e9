"""The table of metrics: functions of a `Subject`, each with what it needs. `evaluate` runs all whose needs are met.

A metric of your own is a function that you register, in a plug-in, or in a module that you import before `evaluate`:

    from simulacra.capabilities import Sampler
    from simulacra.evaluation import Measure, Subject, intervals, metric

    @metric(needs=(Sampler,))
    def brightness(subject: Subject) -> Measure:
        means = subject.samples.reshape(len(subject.samples), -1).mean(1)
        low, high = intervals.about(float(means.mean()), float(means.std(ddof=1)) / len(means) ** 0.5, len(means) - 1)
        value, floor = float(means.mean()), float(subject.held_out.mean())
        return Measure(value, low, high, floor, len(means), "estimate", "mean level of the samples")

`brightness` then stands among the figures of `sim.evaluate` and `simulacra evaluate`. A function that yields several
figures returns them by name, {"brightness": ..., "contrast": ...}. What several metrics share, such as the samples, the
subject computes once: see `Subject`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import UnionType
from typing import TypeVar

from simulacra.capabilities import can
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.parts import fill

Function = Callable[[Subject], Measure | Mapping[str, Measure]]
F = TypeVar("F", bound=Function)
EVAL = ("sklearn", "scipy")  # the packages of the extra `eval`


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        name: of the figure, where it is one alone; of the group of figures otherwise.
        function: from a subject to its figure, or to several by name.
        needs: abilities of the model, all of them; `Density | Bound` is met by either.
        labels: whether it needs class labels of the items that the model is not conditioned on.
        held_out: whether it needs items from which nothing was learnt: it is left out on the training split.
        least: items of the split that it needs: of halves of fewer there is nothing to compute.
        packages: that it imports, beyond those that Simulacra itself needs.
        install: the command that brings these packages.
        thorough: whether a quick look leaves it out, since it trains a classifier.
        when: whether it has a meaning for the model and the data, where abilities and labels do not say so.
    """

    name: str
    function: Function
    needs: tuple[type | UnionType, ...] = ()
    labels: bool = False
    held_out: bool = False
    least: int = 1
    packages: tuple[str, ...] = ()
    install: str = ""
    thorough: bool = False
    when: Callable[[Subject], bool] | None = None

    def suits(self, subject: Subject) -> bool:
        """Whether the model and the data have what it needs."""
        able = all(can(subject.model, ability) for ability in self.needs)  # pyright: ignore[reportArgumentType]
        return able and (bool(subject.labels) or not self.labels) and (self.when is None or self.when(subject))

    def obstacle(self, split: str, items: int, quick: bool = False) -> str | None:
        """Why it cannot be computed here although it suits, with the remedy."""
        if self.thorough and quick:
            return "it trains a classifier, which a quick look does not: evaluate without quick"
        if self.held_out and split == "train":
            return "it needs items from which nothing was learnt: use the split valid or test"
        if items < self.least:
            return f"it needs {self.least} items, and the split {split} has {items}"
        missing = [package for package in self.packages if find_spec(package) is None]
        if not missing:
            return None
        return f"it needs {', '.join(missing)}" + (f": {self.install}" if self.install else "")

    def __call__(self, subject: Subject) -> dict[str, Measure]:
        found = self.function(subject)
        return {self.name: found} if isinstance(found, Measure) else dict(found)


_metrics: dict[str, Metric] = {}


def metric(
    needs: tuple[type | UnionType, ...] = (),
    *,
    name: str | None = None,
    labels: bool = False,
    held_out: bool = False,
    least: int = 1,
    packages: tuple[str, ...] = (),
    install: str = "",
    thorough: bool = False,
    when: Callable[[Subject], bool] | None = None,
) -> Callable[[F], F]:
    """Decorator: make a function of a `Subject` a metric of `evaluate`, called like the function or `name`.

    The other arguments are the attributes of `Metric`. Raises ValueError for a name that is taken.
    """

    def enter(function: F) -> F:
        of = (name or function.__name__, function, tuple(needs))
        own = Metric(*of, labels, held_out, least, tuple(packages), install, thorough, when)
        taken = _metrics.get(own.name)
        if taken is not None and _origin(taken.function) != _origin(function):
            raise ValueError(f"two metrics are called {own.name!r}: {taken.function} and {function}; give name=")
        _metrics[own.name] = own
        return function

    return enter


def _origin(function: Function) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def metrics() -> list[Metric]:
    """All registered metrics, those of plug-ins too, in the order of their registration."""
    fill()
    return list(_metrics.values())
