"""Whether a model's codes are in use and like its prior: figures of a split, each with one sentence on what to do.

active units   dimensions with Var_x(E_q[z_d]) > 0.01 of the prior's variance, which is 1 for N(0, I): Burda et al.
               2016, "Importance Weighted Autoencoders", sec. 5.2.
               Codes without a prior have no scale, so that of a point mass counts from 1 % of the widest dimension.
               A dimension that is not active need not be collapsed: q(z_d|x) may differ from the prior by the same for
               all items.
KL             mean over items of KL(q(z_d|x) || p(z_d)), where it has a closed form for each dimension.
collapse       dimensions with KL < 0.01 nats for 99 % of the items: Lucas et al. 2019, "Don't Blame the ELBO!", def. 1.
layers         mean KL of every layer of a hierarchy; a layer in use has at least 0.01 nats.
aggregate      KL of the codes of all items together from the prior, by moments: see `simulacra.evaluation.aggregate`.
codebooks      how many codes occur among all items, and their perplexity exp(-Σ_k p_k log p_k), by which they are as
               many as that number of equally frequent ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Layered, Prior, Quantised, can
from simulacra.data import Split
from simulacra.evaluation.aggregate import COMPARED, FEWEST, Aggregate, aggregate
from simulacra.exploration.health.findings import Finding
from simulacra.exploration.posteriors import SILENT, Posteriors, posteriors
from simulacra.feed import BLOCK, at_once, numbered
from simulacra.model import Model, evaluating
from simulacra.parts import called, is_part
from simulacra.randomness import seed_everything, some_of
from simulacra.terminal import number_of

ACTIVE = 0.01  # variance, in units of the prior's
ITEMS_SILENT = 0.99  # share of the items for which a collapsed dimension is silent
UNEVEN = 0.25  # of the codes: a lower perplexity is worth a sentence
WARMUP, FREE = 2000, 0.1  # steps, nats
USUAL = ("active_units", "kl", "collapsed", "aggregate_gap")  # figures of codes of real numbers under a simple prior
REMEDIES: dict[str, Callable[[float], float]] = {  # arguments of an objective, and what to set them to
    "warmup": lambda now: WARMUP,
    "free_bits": lambda now: FREE,
    "beta": lambda now: now / 2,
}


def of_codes(model: Model, items: Split, index: np.ndarray, seed: int) -> tuple[dict[str, Finding], dict[str, str]]:
    """The figures of the items with these numbers, and which of them these codes do not have, and why."""
    found = dict(_findings(model, items, index, seed))
    return found, _left_out(model, found, len(index))


def _findings(model: Model, items: Split, index: np.ndarray, seed: int) -> Iterator[tuple[str, Finding]]:
    if isinstance(model, Quantised):
        yield from _codebooks(model, model, items, index)
        return
    found = posteriors(model, items, index)
    active = found.spread > (ACTIVE * float(found.spread.max()) if found.point else ACTIVE)
    yield "active_units", _active(model, found, active)
    if found.kl is not None and found.silent is not None:
        yield "kl", _kl(found.kl, bool(active.any()))
        yield "collapsed", _collapsed(model, found.silent, active)
    if isinstance(model, Layered):
        yield "layers", _layers(model, model, items, index, seed)
    if can(model, Prior) and len(index) >= FEWEST:
        some = index[some_of(len(index), COMPARED, seed, "aggregate")]
        yield "aggregate_gap", _aggregate(model, aggregate(model, items, some, seed))


def _left_out(model: Model, findings: Mapping[str, Finding], n: int) -> dict[str, str]:
    """Of the figures that other codes have, those that these have not, and why."""
    missing = [name for name in USUAL if name not in findings]
    if isinstance(model, Quantised):
        why = "codes are entries of a codebook, whose prior is fitted to them"
        return dict.fromkeys(missing, why)
    if not can(model, Prior):
        return dict.fromkeys(missing, f"{model.name} has no prior that codes could be compared with")
    prior = model.arguments.get("prior")
    under = f"under the prior {called(prior)[1]!r} " if is_part(prior) else ""
    open_form = f"{under}KL(q(z|x) || p(z)) of a dimension has no closed form"
    few = f"it needs {FEWEST} items or more, and these are {n}"
    return {name: few if name == "aggregate_gap" else open_form for name in missing}


def _active(model: Model, found: Posteriors, active_ones: Tensor) -> Finding:
    spread = found.spread
    active, count = int(active_ones.sum()), len(spread)
    if active == 0:
        advice = f"all items have nearly the same code: {_wake(model)}"
    elif active == count:
        advice = "every dimension is in use; where reconstructions lack detail, a longer code may help"
    elif active < count / 2:
        enough = number_of(active, "dimension")
        advice = f"a code of about {enough} would do as well; to use more of them, {_wake(model)}"
    elif found.silent is None or bool((found.silent >= ITEMS_SILENT)[~active_ones].all()):
        advice = "the others are switched off, which costs nothing and is no fault"
    else:
        advice = "the others have nearly the same code for all items, and say nothing of one"
    return Finding(active, count, tuple(spread.tolist()), advice)


def _kl(each: Tensor, in_use: bool) -> Finding:
    total, most = float(each.sum()), each.argsort(descending=True, stable=True)[:3].tolist()
    where = f"dimension{'s' * (len(most) > 1)} {', '.join(map(str, most))}"
    advice = f"a code holds {total:.1f} nats of an item, the most in {where}; `traverse` shows these"
    if not in_use:
        advice = "what q(z|x) differs from the prior in is nearly the same for all items, and says nothing of one"
    return Finding(total, None, tuple(each.tolist()), advice)


def _collapsed(model: Model, silent: Tensor, active: Tensor) -> Finding:
    fallen = silent >= ITEMS_SILENT
    collapsed, count, between = int(fallen.sum()), len(silent), int((~fallen & ~active).sum())
    apart = (
        f"{number_of(between, 'dimension')} of the others {'is' if between == 1 else 'are'} not active all the same: "
        "q(z|x) differs from the prior there, but by nearly the same for all items"
    )
    if collapsed == count:
        advice = f"posterior collapse: the decoder has learned to do without the code; {_wake(model)}"
    elif collapsed:
        advice = "in these q(z|x) is the prior for nearly every item; they can be left out or woken up"
        advice += f"; {apart}" * (between > 0)
    elif not between:
        advice = "no dimension has fallen back to the prior"
    elif between < count:
        advice = f"in no dimension q(z|x) is the prior; {apart.replace(' of the others', '')}"
    else:
        advice = "no dimension is the prior itself, but none differs between items"
    return Finding(collapsed, count, tuple(silent.tolist()), advice)


def _wake(model: Model) -> str:
    """What may bring dimensions into use, by the arguments that the model's parts have."""
    flags = []
    for name, own in model.arguments.items():
        if is_part(own):
            flags += [f"--{name} {called(own)[1]}:{argument}={value:g}" for argument, value in _changes(vars(own))]
    return f"fit again with {' or '.join(flags)}" if flags else "fit longer, or weaken the decoder"


def _changes(arguments: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, change(arguments[name])) for name, change in REMEDIES.items() if name in arguments]


def _aggregate(model: Model, found: Aggregate) -> Finding:
    by_chance = f"of which two sets of draws have {found.floor:.2g} nats"
    if found.differs:
        low, high = (f"{edge:.2g}" for edge in np.quantile(found.ratio, [0.1, 0.9]))
        away = float(np.sqrt(np.square(found.offset).mean()))
        advice = (
            f"all codes together differ from the prior, {by_chance}: their variance is {low} to {high} of the prior's, "
            f"their mean {away:.2g} of its standard deviations away, so that samples start from codes that items do "
            f"not have; {_meet(model)}"
        )
    else:
        advice = f"all codes together are about like the prior, {by_chance}"
    return Finding(found.gap, None, tuple(found.ratio.tolist()), advice, found.warning)


def _meet(model: Model) -> str:
    """What may bring codes and prior together, by the arguments that the model has."""
    ways, objective, prior = ["fit longer"], model.arguments.get("objective"), model.arguments.get("prior")
    if is_part(objective) and "beta" in vars(objective):
        ways.append(f"weigh the KL more (--objective {called(objective)[1]}:beta={2 * vars(objective)['beta']:g})")
    elif (now := model.arguments.get("beta") or model.arguments.get("weight")) is not None:
        name = "beta" if model.arguments.get("beta") else "weight"
        ways.append(f"weigh the prior more (--{name} {2 * now:g})")
    if is_part(prior) and called(prior) == ("prior", "gaussian"):
        ways.append("let the prior learn (--prior learned-gaussian)")
    elif is_part(prior) and called(prior) == ("prior", "learned-gaussian"):
        ways.append("let the prior have modes (--prior mixture)")
    return ", or ".join(ways)


def _layers(model: Model, layered: Layered, items: Split, index: np.ndarray, seed: int) -> Finding:
    found = []
    with evaluating(model):
        for block, (x, condition) in enumerate(numbered(items, index, model.spec, model.device, BLOCK)):
            seed_everything(seed, "health", block)
            found.append(layered.kl_by_layer(x, condition).cpu())
    each = torch.cat(found, dim=1).mean(1)
    used, count = int((each >= SILENT).sum()), len(each)
    advice = "every layer holds something of an item"
    if used < count:
        silent = [str(i) for i in range(count) if each[i] < SILENT]
        hold = f"layer {silent[0]} (0 is on top) holds" if len(silent) == 1 else ""
        hold = hold or f"layers {', '.join(silent)} (0 is on top) hold"
        advice = f"{hold} nothing: fewer would do, or {_wake(model)}"
    return Finding(used, count, tuple(each.tolist()), advice)


def _codebooks(model: Model, quantised: Quantised, items: Split, index: np.ndarray) -> Iterator[tuple[str, Finding]]:
    with evaluating(model):
        uses = quantised.code_use(x for x, _ in numbered(items, index, model.spec, model.device, at_once(model)))
    for use in uses:
        grid = "{}x{}".format(*use.grid)
        dead = use.codes - use.used
        advice = "every code is in use"
        if dead:
            occur = "occurs" if dead == 1 else "occur"
            advice = f"{number_of(dead, 'code')} {occur} in no item: fewer do, or fit longer"
        yield f"codes_{grid}", Finding(use.used, use.codes, (), advice)
        advice = "codes are used evenly enough"
        if use.perplexity < UNEVEN * use.codes:
            advice = (
                "a few codes make up nearly all, and as many equally frequent ones would do; fit longer, or with fewer"
            )
        yield f"perplexity_{grid}", Finding(use.perplexity, use.codes, (), advice)
