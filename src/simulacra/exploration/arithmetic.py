r"""Vector arithmetic of concepts, 'smiling woman - woman + man':

    z' = z(start) + v,    v = mean z(with) - mean z(without)

The code of one item is no concept: what else it shows would be carried along. So each concept is a mean of several
codes, three at least, after Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", section 6.3.2. Any step changes a picture somehow, so a *control* goes
as far in random directions. A judge, the classifier of `simulacra.evaluation.learned`, counts how many of either show
the classes that are wanted; how many real held-out items it takes for what they are is the *ceiling* of both counts.

Codes of a concept are those of items with its labels, encoded or found by search, or draws of the prior that look like
its classes to a linear classifier of the pixels: such codes are exact, while their classes are its opinion. It is
another than the judge, so that no draw is counted by whom it was chosen by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Encoder, Prior, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data import Dataset
from simulacra.errors import UsageError, did_you_mean
from simulacra.evaluation.learned import Learned, learned
from simulacra.exploration.attributes import class_called
from simulacra.exploration.codes import code_of, condition_or_classes, decoded, refuse_condition
from simulacra.exploration.inversion import need_codes
from simulacra.exploration.rejection import Judge
from simulacra.feed import feed
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.randomness import generator, some_of
from simulacra.verbs import DataLike, data_of, verb

DRAWN = 2000  # codes, among which a judge looks for concepts
FEWEST = 3  # codes of a concept
CONTROLS = 8  # random directions for each code
SOURCES = ("items", "draws")
Concept = Mapping[str, int]
"""Classes by field."""


@dataclass(frozen=True)
class Arithmetic:
    """Concepts, their arithmetic and its control; each row (1 + each, *shape): the item of the mean code, then of each.

    start, present, absent: the three concepts.
    moved:   the codes of `start` moved by v.
    control: the same codes moved as far in a random direction each.
    vector:  v, (*code).
    reached: share of `moved`, without the mean, that the judge takes for all classes wanted.
    unmoved: that of the codes of `start` as they are.
    by_chance: that of CONTROLS controls for each code.
    ceiling: share of held-out items whose classes the judge says rightly.
    wanted:  the classes by field: those of `start`, but for what `present` has and `absent` has not.
    """

    start: np.ndarray
    present: np.ndarray
    absent: np.ndarray
    moved: np.ndarray
    control: np.ndarray
    vector: np.ndarray
    reached: float
    unmoved: float
    by_chance: float
    ceiling: float
    wanted: Concept

    def rows(self) -> dict[str, np.ndarray]:
        """What a picture shows."""
        named = {"with": self.present, "without": self.absent, "start": self.start}
        return named | {"start + with - without": self.moved, "control": self.control}


@verb
def arithmetic(
    model: ModelLike,
    data: DataLike | None,
    start: str,
    present: str,
    absent: str,
    *,
    source: str | None = None,
    each: int = 8,
    split: str = "train",
    condition: ConditionLike | None = None,
    seed: int = 0,
) -> Arithmetic:
    """Add what distinguishes one concept from another to a third.

    Args:
        model: a model with a decoder, or its run folder.
        data: with labels, to which the judge is fitted.
        start: classes joined by `+`, each by number or name, or FIELD:CLASS where several fields have one of this name:
            `man`.
        present: `woman+smiling`.
        absent: `woman`.
        source: "items" with these labels, by default where the model has an encoder, or "draws" of the prior, of
            which the judge says what they show.
        each: codes of a concept, at least 3.
        split: whose items are encoded.
        condition: of draws, one for all; by default all classes in turn. Items have their own.
        seed: of the draws or the choice of items, and of the control.

    Raises:
        NotSupported: the model has no decoder, or for items no codes, or for draws no prior.
        UsageError: a class that does not exist, fewer than 3 codes of a concept, or fewer than 3 items or draws that
            show it; data of too few items for a judge.
    """
    model = as_model(model)
    need(model, Decoder)
    data = data_of(model, data)
    source = ("items" if isinstance(model, Encoder) else "draws") if source is None else source
    if source not in SOURCES:
        raise UsageError(f"there is no source {source!r}.{did_you_mean(source, SOURCES)}")
    if each < FEWEST:
        raise UsageError(f"a concept is the mean of at least {FEWEST} codes, not of {each}: one code is one item")
    names = (start, present, absent)
    concepts = [concept_called(data, name) for name in names]
    changed = {field: own for field, own in concepts[1].items() if concepts[2].get(field) != own}
    wanted = {**concepts[0], **changed}
    if source == "items":
        refuse_condition(condition)
        need_codes(model)
        codes = _of_items(model, data, split, list(zip(names, concepts, strict=True)), each, seed)
    else:
        codes = _of_draws(model, data, list(zip(names, concepts, strict=True)), each, condition, seed)
    judge = _counting(data)
    return _added(model, codes, judge, wanted, _ceiling(data, judge, wanted), seed)


def concept_called(data: Dataset, name: str) -> Concept:
    """Classes joined by `+` -> their numbers by field; raises UsageError for two of one field."""
    found = [class_called(data.spec, own.strip()) for own in name.split("+")]
    if len(dict(found)) < len(found):
        raise UsageError(f"{name!r} has two classes of one field, and an item has one of them")
    return dict(found)


Codes = tuple[Tensor, Condition]


def _of_items(
    model: Model, data: Dataset, split: str, concepts: Sequence[tuple[str, Concept]], each: int, seed: int
) -> list[Codes]:
    """The codes of some items of each concept; all are looked for together."""
    items, chosen = data.split(split), []
    for name, concept in concepts:
        has = np.logical_and.reduce([np.asarray(items.field(field)) == own for field, own in concept.items()])
        places = np.flatnonzero(has)
        _refuse_few(len(places), name, f"items of {data.name} ({items.name})")
        chosen.append(places[some_of(len(places), each, seed, "arithmetic")])
    x, given = feed(items, np.concatenate(chosen), model.spec, model.device)
    ends = np.cumsum([0, *map(len, chosen)])
    z, parts = code_of(model, x, given), [slice(*pair) for pair in itertools.pairwise(ends)]
    return [(z[part], given.rows(part)) for part in parts]


def _of_draws(
    model: Model,
    data: Dataset,
    concepts: Sequence[tuple[str, Concept]],
    each: int,
    condition: ConditionLike | None,
    seed: int,
) -> list[Codes]:
    """The codes among DRAWN draws that linear classifiers take for each concept most surely."""
    given = condition_or_classes(model, condition, DRAWN)
    with evaluating(model):
        z = need(model, Prior).prior(DRAWN, given).sample(generator(model.device, seed, "arithmetic"))
    x, found = decoded(model, z, given).cpu().numpy(), []
    masses = {field: Judge(data, field).log_prob(x) for field in sorted({name for _, own in concepts for name in own})}
    for name, concept in concepts:
        sure = torch.stack([masses[field][:, own] for field, own in concept.items()]).sum(0)
        places = sure.masked_fill(~_shows(masses, concept), -torch.inf).argsort(descending=True, stable=True)
        _refuse_few(int(_shows(masses, concept).sum()), name, f"of {DRAWN} draws, as the judge sees them,")
        places = places[: min(each, int(_shows(masses, concept).sum()))].to(z.device)
        found.append((z[places], given.rows(places)))
    return found


def _refuse_few(count: int, name: str, where: str) -> None:
    if count < FEWEST:
        raise UsageError(f"{name!r} needs {FEWEST} codes, and {count} {where} show it; name other classes")


def _shows(masses: Mapping[str, Tensor], concept: Concept) -> Tensor:
    """Which items (N,) are most probably of all classes of a concept."""
    return torch.stack([masses[field].argmax(1) == own for field, own in concept.items()]).all(0)


def _counting(data: Dataset) -> Learned:
    """The judge; raises UsageError where there are too few items to learn from."""
    judge = learned(data)
    if judge is None:
        raise UsageError(f"{data.name} has {len(data.train)} training items, too few to fit a judge of concepts to")
    return judge


def _share(x: np.ndarray, judge: Learned, wanted: Concept) -> float:
    """Of items (N, *shape), those that the judge takes for all classes wanted."""
    return float(np.logical_and.reduce([judge.classes(x, field) == own for field, own in wanted.items()]).mean())


def _ceiling(data: Dataset, judge: Learned, wanted: Concept) -> float:
    x = np.asarray(data.test.x)
    right = [judge.classes(x, field) == np.asarray(data.test.field(field)) for field in wanted]
    return float(np.logical_and.reduce(right).mean())


def random_directions(z: Tensor, v: Tensor, seed: int) -> Tensor:
    """Vectors as long as v, CONTROLS for each code z (N, *code), (CONTROLS, N, *code), uniform over directions."""
    noise = torch.randn(CONTROLS, *z.shape, generator=generator(z.device, seed, "control"), device=z.device)
    return noise * (v.norm() / noise.flatten(2).norm(dim=2)).view(CONTROLS, len(z), *[1] * v.dim())


def _added(model: Model, codes: list[Codes], judge: Learned, wanted: Concept, ceiling: float, seed: int) -> Arithmetic:
    (z, given), (ones, _), (others, _) = codes
    v = ones.mean(0) - others.mean(0)
    away = random_directions(z, v, seed)

    def shown(z: Tensor, given: Condition) -> np.ndarray:
        """The item of the mean code, under the first condition, and those of each code."""
        first = torch.cat([z.mean(0, keepdim=True), z])
        return decoded(model, first, given.rows(slice(1)).cat(given)).cpu().numpy()

    moved, all_controls = shown(z + v, given), (z + away).flatten(0, 1)
    by_chance = decoded(model, all_controls, given.repeat(CONTROLS)).cpu().numpy()
    start, present, absent = (shown(*own) for own in codes)
    return Arithmetic(
        start,
        present,
        absent,
        moved=moved,
        control=shown(z + away[0], given),
        vector=v.cpu().numpy(),
        reached=_share(moved[1:], judge, wanted),
        unmoved=_share(start[1:], judge, wanted),
        by_chance=_share(by_chance, judge, wanted),
        ceiling=ceiling,
        wanted=wanted,
    )
