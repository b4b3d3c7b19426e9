r"""The state of a game between a generator and its critic, on items that the critic has learnt from, on others, and on
generated ones.

scores      the critic's, as in training: each side by itself, generated items before they are rounded
memorised   P(score of a training item > score of a held-out one), ½ where the critic treats both alike
told        P(score of a held-out item > score of a generated one), ½ where it cannot tell them apart
divergence  a bound of JSD(real, generated) by a fresh probe: see `simulacra.evaluation.probe`
variety     of samples, against that of real items: see `simulacra.evaluation.variety`
gradients   the norm of each phase's gradient, on one batch
singular    the largest singular value of every layer of each player: see `simulacra.nn.singular`

Probabilities of scores, and not differences, because scores have a unit and an origin of their own in every game. The
gap between training and held-out items is what adaptive augmentation goes by: Karras et al. 2020, "Training Generative
Adversarial Networks with Limited Data", eq. 1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Adversarial, Sampler
from simulacra.condition import Condition
from simulacra.data import ClassLabel, Split
from simulacra.evaluation import intervals, probe, variety
from simulacra.exploration.drawing import blank, draw_into
from simulacra.feed import BLOCK, feed, numbered
from simulacra.model import Model, evaluating
from simulacra.nn import singular_values
from simulacra.randomness import generator, mix, seed_everything, some_of
from simulacra.turns import Phase, Player, Turn, names

FEWEST = probe.FEWEST  # items, for any of this
MOST = 2000  # of each kind
TRAIN, HELD_OUT, GENERATED = "train", "held-out", "generated"


@dataclass(frozen=True, eq=False)
class Game:
    """What was found. Without known training items there are no scores of them, and `memorised` is None; `spread` is
    the variance of the held-out items, of all numbers of an item together, grey values from 0 to 1."""

    scores: Mapping[str, np.ndarray]
    divergence: probe.Divergence
    variety: variety.Variety
    gradients: Mapping[str, float]
    singular: Mapping[str, Mapping[str, float]]
    spread: float

    @property
    def memorised(self) -> Share | None:
        return above(self.scores[TRAIN], self.scores[HELD_OUT]) if TRAIN in self.scores else None

    @property
    def told(self) -> Share:
        return above(self.scores[HELD_OUT], self.scores[GENERATED])


@dataclass(frozen=True)
class Share:
    """A probability with its 95 % interval."""

    value: float
    low: float
    high: float


def above(a: np.ndarray, b: np.ndarray) -> Share:
    """P(a > b) + ½ P(a = b) over all pairs of (n,) and (m,): the statistic of Mann & Whitney 1947, with the standard
    error √((n + m + 1) / 12nm) that it has where both are distributed alike, which is the largest near ½."""
    order = np.sort(b)
    below = np.searchsorted(order, a, "left") + np.searchsorted(order, a, "right")
    value, n, m = float(below.mean() / (2 * len(b))), len(a), len(b)
    half = intervals.half_width(((n + m + 1) / (12 * n * m)) ** 0.5, n + m)
    return Share(value, max(0.0, value - half), min(1.0, value + half))


def looked_into(model: Model, items: Split, index: np.ndarray, train: Split | None, seed: int) -> Game:
    """Of the items of a split with these numbers, at most 2,000 of them, and as many training items and samples, those
    under the conditions of the held-out items."""
    held = index[some_of(len(index), MOST, seed, "game")]
    seen = None if train is None else some_of(len(train), len(held), seed, "game", TRAIN)
    samples = _samples(model, items, held, seed)
    real = np.asarray(items.x[held])
    rng = np.random.default_rng(mix(seed, "probe"))
    return Game(
        scores_of(model, items, held, train, seen, seed),
        probe.jensen_shannon(model.spec, real, samples, rng),
        variety.variety(real, samples, _classes(model, items, held)),
        gradient_norms(model, items if train is None else train, seed),
        {name: singular_of(player) for name, player in players_of(model).items()},
        float((real.reshape(len(real), -1) / ((model.spec.levels or 2) - 1)).var(0).sum()),
    )


def _samples(model: Model, items: Split, index: np.ndarray, seed: int) -> np.ndarray:
    """One under the condition of each of these items."""
    assert isinstance(model, Sampler)
    made = blank(model, len(index))

    def draw(part: slice, noise: torch.Generator) -> Tensor:
        _, condition = feed(items, index[part], model.spec, model.device)
        return model.sample(part.stop - part.start, condition, generator=noise)

    draw_into(made, draw, model, (seed, "game"), None, reports=False)
    return made


def _classes(model: Model, items: Split, index: np.ndarray) -> np.ndarray | None:
    """The classes of these items where the model is conditioned on one field of classes and nothing else."""
    fields = list(model.spec.condition.items())
    if len(fields) != 1 or not isinstance(fields[0][1], ClassLabel):
        return None
    return np.asarray(items.field(fields[0][0])[index])


def scores_of(
    model: Model, items: Split, held: np.ndarray, train: Split | None, seen: np.ndarray | None, seed: int
) -> dict[str, np.ndarray]:
    """The critic's scores of held-out items `held`, of training items `seen` and of as many generated ones as the
    former, (n,) each, in batches of about 64 as in training; no state of torch's generators changes."""
    assert isinstance(model, Adversarial)
    devices = [model.device] if model.device.type == "cuda" else []
    found: dict[str, list[Tensor]] = {TRAIN: [], HELD_OUT: [], GENERATED: []}
    noise = generator(model.device, seed, "scores")
    with torch.random.fork_rng(devices), evaluating(model):
        seed_everything(seed, "scores")
        for rows in _batches(held):
            x, condition = feed(items, rows, model.spec, model.device)
            found[HELD_OUT].append(model.critic_scores(x, condition))
            found[GENERATED].append(model.scores_of_draws(len(x), condition, noise))
        for rows in () if train is None or seen is None else _batches(seen):
            assert train is not None
            found[TRAIN].append(model.critic_scores(*feed(train, rows, model.spec, model.device)))
    return {name: torch.cat(each).double().cpu().numpy() for name, each in found.items() if each}


def _batches(index: np.ndarray) -> list[np.ndarray]:
    """Of sizes that differ by one at most: a batch of one item has no moments."""
    return np.array_split(index, max(1, round(len(index) / BLOCK)))


def players_of(model: Model) -> dict[str, Player]:
    """The players of a model by the name of the first phase of each that lasts to the end of a run."""
    phases, found = model.phases(), {}
    for name, phase in sorted(zip(names(phases), phases, strict=True), key=lambda own: own[1].end < 1):
        if all(phase.player is not player for player in found.values()):
            found[name] = phase.player
    return found


def singular_of(player: Player) -> dict[str, float]:
    """The largest singular value of every layer of a player."""
    assert isinstance(player.modules, tuple)
    return {
        f"{number}.{name}" if number else name: value
        for number, module in enumerate(player.modules)
        for name, value in singular_values(module).items()
    }


def gradient_norms(model: Model, items: Split, seed: int) -> dict[str, float]:
    """The norm of the gradient of every phase, by its name, on a batch of at most 64 items of the split, in training
    mode and at the end of training; nothing of the model is changed."""
    own = copy.deepcopy(model).train()
    index = some_of(len(items), BLOCK, seed, "gradients")
    x, condition = next(numbered(items, index, model.spec, model.device, BLOCK))
    devices = [model.device] if model.device.type == "cuda" else []
    found, phases = {}, own.phases()
    with torch.random.fork_rng(devices), torch.enable_grad():
        seed_everything(seed, "gradients")
        for name, phase in zip(names(phases), phases, strict=True):
            found[name] = _norm(phase, x, condition)
    return found


def _norm(phase: Phase, x: Tensor, condition: Condition) -> float:
    turned = (torch.arange(len(x), device=x.device).roll(draw) for draw in range(1, phase.draws))
    further = tuple((x[rows], condition.rows(rows)) for rows in turned)
    terms = phase.loss(Turn(x, condition, further, 0, 1.0))
    assert isinstance(phase.player, Player)
    parameters = [each for each in phase.player.parameters() if each.requires_grad]
    total = torch.stack([*terms.values()]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return float(torch.nn.utils.get_total_norm([each for each in gradients if each is not None]))


def gauges(model: Model, items: Split, train: Split, seed: int, most: int) -> Iterator[tuple[str, float]]:
    """What is followed while a game is played, of at most so many items of each kind: mean scores, variety, and the
    largest singular value of each player."""
    held, seen = (some_of(len(split), most, seed, "gauges") for split in (items, train))
    for name, scores in scores_of(model, items, held, train, seen, seed).items():
        yield f"score.{name}", float(scores.mean())
    if len(held) >= variety.FEWEST:
        samples = _samples(model, items, held, seed)
        yield "variety", variety.variety(np.asarray(items.x[held]), samples, _classes(model, items, held)).ratio
    for name, player in players_of(model).items():
        yield f"singular.{name}", max(singular_of(player).values(), default=0.0)
