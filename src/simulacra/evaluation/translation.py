r"""Whether items are translated to other domains, come back, and stay themselves on the way.

    cycle error        mean |G(G(x, t), c) - x| in levels of 255, of an item x of domain c by way of another one t
    the same, noisy    with round(N(0, 2/255)) added on the way. All items on the way are on the grid, 8 bits say
    domain             the share of translations that a classifier of the training split gives the domain t
    kept               the share of all other classes of an item that the classifier finds on its translation again
    hidden pairs       PSNR and R@k against the true item of domain t, where the data have it as a field

A generator can hide x in its translation, in patterns below what is seen, and come back without error (Chu, Zhmoginov &
Sandler 2017): noise destroys such messages. A copy has no cycle error and keeps everything, and so stands beside.

A hidden pair is a field that is of the kind of x, and no condition of the model: the one called like the domain t, or
the only one where there are two domains. Nothing was learnt from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch

from simulacra.capabilities import Translator, need
from simulacra.evaluation import intervals, retrieval, similarity
from simulacra.evaluation.baselines import encoded, is_picture, on_grid
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.memorisation import nearest_items
from simulacra.evaluation.paired import mean_of, next_in_cycle
from simulacra.evaluation.subject import Subject
from simulacra.feed import feed
from simulacra.fields import ClassLabel, Leaf, Levels
from simulacra.model import evaluating
from simulacra.randomness import generator, mix, some_of

MOST, AT_FIRST, AT_ONCE = 500, 100, 64  # items, and those of a quick look
NOISE, LEVELS = 2.0, 255.0


class Translations:
    """Held-out items in another domain each, of the classes of the field `name`, and brought back."""

    def __init__(self, subject: Subject, name: str) -> None:
        self.subject, self.name, self.spec = subject, name, subject.model.spec
        field = self.spec.condition[name]
        assert isinstance(field, ClassLabel)
        self.field = field
        most = AT_FIRST if subject.quick else MOST
        self.numbers = subject.index[some_of(subject.n, most, subject.seed, "translate")]
        self.x = np.asarray(subject.items.x[self.numbers])
        self.own = np.asarray(subject.items.field(name)[self.numbers])
        rng = np.random.default_rng(mix(subject.seed, "translate", name))
        self.target = (self.own + rng.integers(1, field.count, size=len(self.own))) % field.count

    def __len__(self) -> int:
        return len(self.x)

    def to(self, x: np.ndarray, domain: np.ndarray, purpose: str) -> np.ndarray:
        """Items x (n, *shape) in the domains (n,), all other conditions as they are."""
        translator, found = need(self.subject.model, Translator), []
        for start in range(0, len(x), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            device = self.subject.model.device
            _, condition = feed(self.subject.items, self.numbers[part], self.spec, device)
            wanted = condition | {self.name: torch.from_numpy(domain[part]).to(device)}
            noise = generator(device, self.subject.seed, purpose, self.name, start)
            with evaluating(self.subject.model):
                items = torch.from_numpy(np.array(x[part])).to(device)
                found.append(translator.translate(items, wanted, noise).cpu().numpy())
        return np.concatenate(found)

    @cached_property
    def there(self) -> np.ndarray:
        """(n, *shape) in the other domain."""
        return self.to(self.x, self.target, "translate")

    @cached_property
    def unit(self) -> float:
        """The range of x."""
        return float(self.spec.x.levels - 1) if isinstance(self.spec.x, Levels) else float(np.ptp(self.x)) or 1.0

    def noisy(self, x: np.ndarray) -> np.ndarray:
        """With a little noise, on the grid."""
        rng = np.random.default_rng(mix(self.subject.seed, "noise on the way"))
        return on_grid(self.spec.x, x + np.round(rng.normal(0, NOISE, x.shape)) * (self.unit / LEVELS))

    def error(self, x: np.ndarray) -> np.ndarray:
        """Of items in the place of x: (n,) levels of 255."""
        return np.abs(x.astype(np.float64) - self.x).reshape(len(x), -1).mean(1) * (LEVELS / self.unit)

    @property
    def which(self) -> str:
        """Which items these are, for a protocol."""
        return f"{len(self)} of {self.subject.which}, each to another {self.name}, drawn by seed {self.subject.seed}"

    def measure(
        self,
        values: np.ndarray,
        protocol: str,
        baseline: Mapping[str, np.ndarray],
        ceiling: float | None = None,
        share: bool = False,
        control: float | None = None,
    ) -> Measure:
        """The mean of values (n,) beside the means of baselines."""
        means = {name: float(own.mean()) for name, own in baseline.items()}
        figures = (*mean_of(values, share), None, len(values), "estimate", f"{protocol}; {self.which}")
        return Measure(*figures, baseline=means, control=control, ceiling=ceiling)


def cycles(of: Translations) -> dict[str, Measure]:
    """Errors of the way there and back, without and with noise on the way."""
    others = of.x[next_in_cycle(len(of), of.subject.seed)]
    found = {}
    for ending, change in (("", lambda x: x), ("_noisy", of.noisy)):
        back = of.to(change(of.there), of.own, "translate back")
        baseline = {"copy": of.error(change(of.x)), "random": of.error(others)}
        noise = f", with noise of {NOISE:g}/255 on the way" if ending else ""
        how = f"mean difference of items and their translations there and back{noise}, levels of 255"
        found[f"cycle_error{ending}"] = of.measure(of.error(back), how, baseline, ceiling=0.0)
    return found


def judged(of: Translations, others: list[str]) -> dict[str, Measure]:
    """By the classifier of the training split: whether translations are of their domain, and which classes stay."""
    judge, items = of.subject.learned, of.subject.items
    if judge is None:
        return {}
    real, there = judge.classes(of.x, of.name), judge.classes(of.there, of.name)
    found = {
        "domain_agreement": of.measure(
            (there == of.target).astype(float),
            f"share of translations that {judge.protocol} gives the {of.name} they were translated to; "
            "ceiling: of real items their own",
            {"copy": real == of.target},
            float((real == of.own).mean()),
            share=True,
        )
    }
    if others:
        labels = {name: np.asarray(items.field(name)[of.numbers]) for name in others}
        kept, own = (
            np.mean([judge.classes(x, name) == label for name, label in labels.items()], 0) for x in (of.there, of.x)
        )
        shuffled = next_in_cycle(len(of), of.subject.seed)
        control = np.mean([judge.classes(of.there, name) == label[shuffled] for name, label in labels.items()])
        how = f"share of the classes {', '.join(others)} that {judge.name} finds on a translation; control: of others"
        found["classes_kept"] = of.measure(kept, how, {"copy": own}, float(own.mean()), control=float(control))
    return found


def hidden_field(of: Translations, domain: int) -> str | None:
    """The field of the true item of a domain; None where the data have none."""
    fields = of.subject.data.spec.condition.items()
    alike = [name for name, own in fields if own == of.spec.x and name not in of.spec.condition]
    called = of.field.names[domain] if of.field.names else ""
    return called if called in alike else alike[0] if len(alike) == 1 and of.field.count == 2 else None


def hidden_pairs(of: Translations) -> dict[str, Measure]:
    """Translations against the true items of their domain; nearest: the pair of the nearest training item."""
    names = [hidden_field(of, int(domain)) for domain in of.target]
    rows = np.flatnonzero([name is not None for name in names])
    if len(rows) < 2 or not is_picture(of.spec.x):
        return {}
    truth = np.stack([of.subject.items.field(str(names[row]))[of.numbers[row]] for row in rows])
    train, levels = of.subject.data.train, of.subject.data.spec.levels
    near = nearest_items(of.x[rows], train.x, levels).index
    nearest = np.stack([train.field(str(names[row]))[index] for row, index in zip(rows, near, strict=True)])
    others = next_in_cycle(len(rows), of.subject.seed)
    there, trivial = of.there[rows], {"copy": of.x[rows], "nearest": nearest}

    def figure(values: Callable[[np.ndarray], np.ndarray], how: str, ceiling: float, more: dict[str, float]) -> Measure:
        value, low, high = mean_of(values(there))
        baseline = {name: float(values(x).mean()) for name, x in trivial.items()} | more
        control = float(values(there[others]).mean())
        figures = (value, low, high, None, len(rows), "estimate", f"{how}; {of.which}; control: translations of others")
        return Measure(*figures, baseline=baseline, control=control, ceiling=ceiling)

    how = "mean PSNR of translations and the true items of their domain, dB"
    found = {"hidden_psnr": figure(lambda x: similarity.psnr(x, truth, of.unit), how, similarity.MOST, {})}
    some = some_of(len(rows), retrieval.MOST, of.subject.seed, "retrieval")
    assert isinstance(of.spec.x, Leaf)

    def features(x: np.ndarray) -> np.ndarray:
        return encoded(of.spec.x, x[some]).reshape(len(some), -1).astype(np.float64)  # pyright: ignore[reportArgumentType]

    for k in (k for k in retrieval.KS if k < len(some)):
        how = f"share of translations whose true item is among the {k} nearest of {len(some)}, in pixels"
        hits = figure(
            lambda x, k=k: retrieval.found(features(x), features(truth), np.arange(len(some)), k),
            how,
            1.0,
            {"chance": k / len(some)},
        )
        low, high = intervals.of_share(hits.value, len(some))
        found[f"hidden_retrieval_{k}"] = Measure(
            *(hits.value, low, high, None, len(some), "estimate", hits.protocol),
            baseline=hits.baseline,
            control=hits.control,
            ceiling=hits.ceiling,
        )
    return found
