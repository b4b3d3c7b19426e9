"""The metrics that every model is measured by, as far as its abilities and the data allow; the maths stand elsewhere.

likelihood       `simulacra.evaluation.likelihood`
codes            `simulacra.evaluation.aggregate`, `simulacra.evaluation.representation`,
                 `simulacra.evaluation.disentanglement`
samples          `simulacra.evaluation.samples`
"""

from __future__ import annotations

from simulacra.capabilities import Bound, Classifier, Density, Encoder, Prior, Quantised, can
from simulacra.evaluation import disentanglement, intervals, representation
from simulacra.evaluation.aggregate import COMPARED, FEWEST, aggregate
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.mistakes import mistakes
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import EVAL, metric
from simulacra.randomness import some_of

INSTALL_EVAL = "pip install 'simulacra[eval]'"


@metric(needs=(Density | Bound,))
def likelihood(subject: Subject) -> dict[str, Measure]:
    """Negative log-likelihood of the whole split, exact or a bound; that of a density in nats alone."""
    scored, spec = subject.score, subject.model.spec
    weighted = f", importance-weighted with K = {scored.samples}" * (subject.draws > 1)
    how = "" if scored.kind == "exact" else weighted
    grid = "log mass on the grid" if subject.data.spec.levels is not None else "log density"

    def measure(value: float, half: float, unit: str) -> Measure:
        protocol = f"negative {grid}, {unit}{how}, {subject.whole}"
        return Measure(value, value - half, value + half, None, scored.n, scored.kind, protocol, scored.warning)

    half = intervals.half_width(scored.standard_error, max(1, scored.n - 1))
    found = {"nats": measure(scored.nats, half, "nats per item")}
    if scored.bits_per_dim is None:
        return found
    return found | {"bits_per_dim": measure(scored.bits_per_dim, float(spec.bits_per_dim(half)), "bits per dimension")}


@metric(needs=(Classifier,))
def classification_error(subject: Subject) -> Measure:
    """How often a model's own classifier is wrong."""
    wrong = mistakes(subject.model, subject.items)
    share, n = float(wrong.mean()), len(wrong)
    protocol = f"share of items whose most probable class by the model's own q(y|x) is wrong, {subject.whole}"
    return Measure(share, *intervals.of_share(share, n), None, n, "estimate", protocol)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL, held_out=True)
def probes(subject: Subject) -> dict[str, Measure]:
    """How well classes are predicted from codes, and found by clustering them."""
    return representation.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL, name="disentanglement", held_out=True)
def axes_of_codes(subject: Subject) -> dict[str, Measure]:
    """Whether each number of a code stands for one factor."""
    return disentanglement.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Encoder, Prior), name="aggregate_gap")
def gap_of_codes(subject: Subject) -> dict[str, Measure]:
    """How far the codes of the items, all together, are from the prior. A codebook's prior is fitted to its codes."""
    of = len(subject.items)
    index = some_of(of, COMPARED, subject.seed, "aggregate")
    if can(subject.model, Quantised) or len(index) < FEWEST:
        return {}
    found = aggregate(subject.model, subject.items, index, subject.seed)
    protocol = (
        f"KL(q(z) || p(z)), nats, of {found.how}, from a draw of q(z|x) of {len(index)} of {of} {subject.split} items "
        "and as many of the prior; floor: of two such sets of draws of the prior; "
        "interval: of the mean over fresh items and draws"
    )
    figures = found.gap, found.low, found.high, found.floor
    return {"aggregate_gap": Measure(*figures, len(index), "estimate", protocol, found.warning)}
