"""The metrics of models that are conditioned on more than classes, on pictures say; the maths stand elsewhere.

pairs              `simulacra.evaluation.similarity`
consistency        `simulacra.evaluation.consistency`
retrieval          `simulacra.evaluation.retrieval`
labels             the classifier of `simulacra.evaluation.learned`

Each stands beside baselines, a control and a ceiling, which `simulacra.evaluation.paired` has. No judge shares its
training with a loss: those that are trained are trained here, on real items of the training split alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.derived import Derived
from simulacra.evaluation import baselines, consistency, intervals, retrieval, similarity
from simulacra.evaluation.convolutions import RandomConvolutions
from simulacra.evaluation.embedding import Features
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.paired import Paired, Rows, mean_of, next_in_cycle
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.fields import Leaf, Levels, Real
from simulacra.parts import spelled
from simulacra.randomness import mix, some_of

FEWEST = 4  # items
TOGETHER, REAL = 5, 300  # samples of one condition, and real items, whose distances count
TWO_LEVELS = 2.0  # of 255: within these a sample counts as consistent


def _structured(subject: Subject) -> bool:
    return baselines.is_structured(subject.model.spec)


def _from_picture(subject: Subject) -> bool:
    """Whether an image is made of a picture or a map."""
    spec = subject.model.spec
    return baselines.is_picture(spec.x) and bool(baselines.pictures(spec) or baselines.maps(spec))


def _numeric(subject: Subject) -> bool:
    return _structured(subject) and isinstance(subject.model.spec.x, Levels | Real)


# Pairs


@metric(needs=(Sampler,), name="pairs", least=FEWEST, held_out=True, when=_from_picture)
def likeness(subject: Subject) -> dict[str, Measure]:
    """PSNR and SSIM of samples and the held-out items whose condition they have."""
    paired, truth = subject.shared(Paired), subject.held_out
    unit = paired.unit
    psnr = paired.measure(
        lambda x, rows: similarity.psnr(x, truth[rows], unit), f"mean PSNR, dB, range {unit:g}, at most 100 an item"
    )
    ssim = paired.measure(
        lambda x, rows: similarity.ssim(x, truth[rows], unit),
        "mean SSIM (Wang et al. 2004: Gaussian window of 11×11, σ = 1.5)",
    )
    return {"psnr": psnr, "ssim": ssim}


def _derived(subject: Subject) -> dict[str, Derived]:
    """The fields of the condition that are made of x, and are no columns of the data."""
    fields = subject.model.spec.condition.items()
    return {name: own for name, own in fields if isinstance(own, Derived) and name not in subject.items.condition}


@metric(needs=(Sampler,), name="consistency", held_out=True, when=lambda subject: bool(_derived(subject)))
def consistency_with_conditions(subject: Subject) -> dict[str, Measure]:
    """How far what is derived of a sample is from its condition."""
    return {
        "consistency" + f"_{name}" * (len(_derived(subject)) > 1): _consistency(subject, name, field)
        for name, field in _derived(subject).items()
    }


def _consistency(subject: Subject, name: str, field: Derived) -> Measure:
    paired, index = subject.shared(Paired), subject.index
    value = paired.condition[name]

    def figure(x: np.ndarray, rows: Rows) -> np.ndarray:
        return consistency.error(field, subject.model.spec.x, x, value[rows], index[rows], paired.unit)

    share = consistency.is_share(field)
    unit = "share of pixels" if share else "mean, levels of 255"
    found = paired.measure(figure, f"|{spelled(field.by)}(sample) - condition|, {unit}")
    if share:
        return found
    within = float((figure(paired.samples, paired.everything) <= TWO_LEVELS).mean())
    return replace(found, note=f"a share of {within:.3g} of the samples is within {TWO_LEVELS:g}/255")


# Which item it is, and how many there are


@metric(needs=(Sampler,), name="retrieval", least=FEWEST, held_out=True, when=_numeric)
def retrieval_of_truths(subject: Subject) -> dict[str, Measure]:
    """R@1 and R@10: the held-out item of a sample among all, in pixels and in random convolutions."""
    rows = some_of(subject.n, retrieval.MOST, subject.seed, "retrieval")
    found = _retrieval(subject, rows, "", "pixels", lambda x: _pixels(subject, x))
    if baselines.is_picture(subject.model.spec.x):
        features = RandomConvolutions(subject.model.spec)
        found |= _retrieval(subject, rows, "_random", features.name, features)
    return found


def _pixels(subject: Subject, x: np.ndarray) -> np.ndarray:
    """Items as (n, d) numbers in [0, 1], classes of a map as indicators; real numbers as they are."""
    field = subject.model.spec.x
    assert isinstance(field, Leaf)
    return baselines.encoded(field, x).reshape(len(x), -1).astype(np.float64)


def _retrieval(subject: Subject, rows: Rows, ending: str, name: str, features: Features) -> dict[str, Measure]:
    paired, n = subject.shared(Paired), len(rows)
    truth, own = features(subject.held_out[rows]), np.arange(n)
    of_samples = features(paired.samples[rows])
    others = next_in_cycle(n, mix(subject.seed, "retrieval"))
    trivial = {
        name: features(paired.trivial[name][rows])
        for name in ("copy", "bicubic", "colour", "nearest")
        if name in paired.trivial
    }
    found = {}
    for k in (k for k in retrieval.KS if k < n):
        value = float(retrieval.found(of_samples, truth, own, k).mean())
        protocol = (
            f"share of samples whose own item is among the {k} nearest of {n} {subject.split} items, in {name}; "
            "baselines in the place of samples; control: samples of other conditions; interval: of this set of items"
        )
        found[f"retrieval_{k}{ending}"] = Measure(
            *(value, *intervals.of_share(value, n), None, n, "estimate", protocol),
            baseline={each: float(retrieval.found(x, truth, own, k).mean()) for each, x in trivial.items()}
            | {"chance": k / n},
            control=float(retrieval.found(of_samples[others], truth, own, k).mean()),
            ceiling=float(retrieval.found(truth, truth, own, k).mean()),
        )
    return found


@metric(needs=(Sampler,), name="diversity", least=FEWEST, held_out=True, when=_numeric)
def diversity_within_conditions(subject: Subject) -> dict[str, Measure]:
    """How different samples under one condition are, against two real items."""
    rows, drawn = subject.shared(Paired).several
    drawn = np.stack([_pixels(subject, each[:TOGETHER]) for each in drawn])
    real = some_of(subject.n, REAL, subject.seed, "diversity")
    apart = similarity.pairwise(_pixels(subject, subject.held_out[real]))
    if not apart:
        return {}
    value, low, high = mean_of(np.array([similarity.pairwise(each) for each in drawn]) / apart)
    protocol = (
        f"mean distance of two of {drawn.shape[1]} samples under one condition, over that of two real items "
        f"({apart:.3g}, root mean square over pixels in [0, 1]); conditions of {len(rows)} of "
        f"{subject.which}; 0: what is random is ignored; control: of two samples under different conditions"
    )
    control = similarity.pairwise(drawn[:, 0]) / apart
    found = Measure(value, max(0.0, low), high, None, len(rows), "estimate", protocol, control=control)
    return {"diversity": found}


def _from_grey(subject: Subject) -> bool:
    """Whether colours are to be found for a picture of one channel."""
    spec = subject.model.spec
    grey = [own for own in baselines.pictures(spec).values() if baselines.plain(own).columns("")[""].shape[0] == 1]
    return baselines.is_picture(spec.x) and spec.shape[0] == 3 and len(grey) == len(baselines.pictures(spec)) > 0


@metric(needs=(Sampler,), name="colours", least=FEWEST, held_out=True, when=_from_grey)
def colours_of_grey(subject: Subject) -> dict[str, Measure]:
    """Of colourisation: the error of the chroma, and how colourful samples and real items are."""
    paired, truth = subject.shared(Paired), subject.held_out
    unit = paired.unit
    chroma = paired.measure(
        lambda x, rows: similarity.chroma_error(x, truth[rows], unit),
        "mean distance of C_b, C_r (ITU-R BT.601) to those of the item, levels of 255",
    )
    colourful = paired.measure(
        lambda x, _: similarity.colourfulness(x, unit), "mean colourfulness (Hasler & Süsstrunk 2003)"
    )
    return {"chroma_error": chroma, "colourfulness": colourful}


# Judges


def _judged(subject: Subject) -> list[str]:
    """The fields of classes that the model is not conditioned on, and of which training items have several."""
    return [name for name in subject.labels if len(np.unique(subject.data.train.field(name))) > 1]


@metric(
    needs=(Sampler,),
    name="label_agreement",
    labels=True,
    least=2 * FEWEST,
    thorough=True,
    held_out=True,
    when=lambda subject: _numeric(subject) and bool(_judged(subject)),
)
def agreement_with_labels(subject: Subject) -> dict[str, Measure]:
    """Whether a classifier gives a sample the class of the held-out item, which the model is not conditioned on."""
    if subject.learned is None:
        return {}
    found = {}
    for name in _judged(subject):
        ending = "" if len(_judged(subject)) == 1 else f"_{name}"
        found[f"label_agreement{ending}"] = _agreement(subject, name)
        found[f"label_majority{ending}"] = _majority(subject, name)
    return found


def _agreement(subject: Subject, name: str) -> Measure:
    judge, labels = subject.learned, np.asarray(subject.items.field(name)[subject.index])
    assert judge is not None
    protocol = f"share of samples to which {judge.protocol} gives the {name} of their held-out item"
    return subject.shared(Paired).measure(
        lambda x, rows: (judge.classes(x, name) == labels[rows]).astype(float), protocol, share=True
    )


def _majority(subject: Subject, name: str) -> Measure:
    """Of the class that most of several samples have, the smallest where there are several such."""
    judge, (rows, drawn) = subject.learned, subject.shared(Paired).several
    assert judge is not None
    truth = np.asarray(subject.items.field(name)[subject.index])[rows]
    votes = judge.classes(drawn.reshape(-1, *drawn.shape[2:]), name).reshape(drawn.shape[:2])
    of_samples = (most_frequent(votes) == truth).astype(float)
    near = np.asarray(subject.data.train.field(name))[subject.shared(Paired).neighbours[rows]]
    others = next_in_cycle(len(rows), mix(subject.seed, "majority"))
    value, low, high = mean_of(of_samples, share=True)
    protocol = (
        f"share of conditions for which most of {drawn.shape[1]} samples are given the {name} of the held-out item by "
        f"{judge.name}; {len(rows)} of {subject.which}; nearest: votes of the {near.shape[1]} training items with the "
        "nearest conditions; control: samples of other conditions; ceiling: of the items themselves, one each"
    )
    return Measure(
        *(value, low, high, None, len(rows), "estimate", protocol),
        baseline={"nearest": float((most_frequent(near) == truth).mean())},
        control=float((most_frequent(votes[others]) == truth).mean()),
        ceiling=float((judge.classes(subject.held_out[rows], name) == truth).mean()),
    )


def most_frequent(votes: np.ndarray) -> np.ndarray:
    """Of votes (n, k) for classes >= 0 the most frequent of each row, (n,); the smallest of several."""
    counts = np.stack([(votes == value).sum(1) for value in range(int(votes.max(initial=0)) + 1)], 1)
    return counts.argmax(1)
