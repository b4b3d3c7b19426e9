"""The metrics of samples, as far as the data allow; the maths stand elsewhere.

distances          `simulacra.evaluation.fidelity`, `simulacra.evaluation.kernels`, in the features of
                   `simulacra.evaluation.learned`, `simulacra.evaluation.convolutions`, of pixels, and of a user's file
neighbourhoods     `simulacra.evaluation.neighbourhoods`
two samples        `simulacra.evaluation.two_samples`
conditions         `simulacra.evaluation.agreement`
modes              `simulacra.evaluation.modes`
memorising         `simulacra.evaluation.memorisation`

Sample i stands under the condition of held-out item i, so that both are in the same half where an interval is made.
"""

from __future__ import annotations

import numpy as np

from simulacra.capabilities import Chain, Sampler, can
from simulacra.data.loading import modes_of
from simulacra.data.modes import Centres, Channels, Modes
from simulacra.evaluation import agreement, fidelity, intervals, kernels, modes, neighbourhoods
from simulacra.evaluation.embedding import Embedded
from simulacra.evaluation.learned import share_right, targets_of
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.memorisation import near_copies, near_share, nearest_items
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.evaluation.two_samples import discriminated
from simulacra.randomness import mix

DRAWN, PAIRS = 50, intervals.PAIRS  # draws of real items behind a floor, and halves behind an interval
DRAWN_OF_MANY, PAIRS_OF_MANY = 3, 10  # where there are more than 64 features
DRAWN_OF_PAIRS = 5  # where all pairs of items count
ANCHORS = 5  # draws of independent pixels behind a position
FEWEST_COMPARED = 4  # items, of whose halves there is a covariance


@metric(
    needs=(Sampler,),
    least=FEWEST_COMPARED,
    thorough=True,
    when=lambda subject: bool(targets_of(subject.data.spec)),
)
def fidelity_learned(subject: Subject) -> dict[str, Measure]:
    """Distances in the features of a classifier of the training split."""
    return {} if subject.in_learned is None else _distances(subject, subject.in_learned, "_learned")


@metric(needs=(Sampler,), least=FEWEST_COMPARED, when=lambda subject: subject.data.spec.is_image)
def fidelity_random(subject: Subject) -> dict[str, Measure]:
    """Distances in fixed random convolutions."""
    return {} if subject.in_convolutions is None else _distances(subject, subject.in_convolutions, "_random")


@metric(needs=(Sampler,), name="fidelity", least=FEWEST_COMPARED)
def fidelity_of_pixels(subject: Subject) -> dict[str, Measure]:
    """Distances in principal components of the pixels; MMD under a Gaussian kernel too."""
    at, n = subject.in_pixels, subject.n
    gaussian = kernels.gaussian(kernels.median_distance(at.real))
    protocol = _protocol(subject, at, "unbiased MMD² under a Gaussian kernel of the median distance")
    found = _distances(subject, at, "")
    return found | {"kernel_mmd": _kernel_distance(subject, at, gaussian, 1.0, protocol, n)}


@metric(needs=(Sampler,), least=FEWEST_COMPARED, when=lambda subject: subject.file is not None)
def fidelity_of_a_file(subject: Subject) -> dict[str, Measure]:
    """Distances in the features of a user's file: FID and KID where that is Inception's."""
    at = subject.in_file
    if at is None:
        return {}
    found = _distances(subject, at, "_file")
    names = {"frechet_distance_file": "fid", "kernel_distance_file": "kid"} if subject.of_inception else {}
    return {names.get(name, name): measure for name, measure in found.items()}


def _distances(subject: Subject, at: Embedded, ending: str) -> dict[str, Measure]:
    """FD, its position and the distance of KID's kernel, n samples against n held-out items; floor: training items."""
    n, many = subject.n, at.real.shape[1] > fidelity.COMPONENTS
    rng = np.random.default_rng(mix(subject.seed, "fidelity"))
    pairs, drawn = (PAIRS_OF_MANY, DRAWN_OF_MANY) if many else (PAIRS, DRAWN)
    value = fidelity.frechet_distance(at.fake, at.real)
    spread = intervals.spread(lambda rows: fidelity.frechet_distances(at.fake, at.real, rows), n, rng, pairs)
    floors = [fidelity.frechet_distance(items, at.real) for items in _training(subject, at, drawn)]
    floor = float(np.mean(floors)) if floors else None
    protocol = _protocol(subject, at, "Fréchet distance")
    low, high = intervals.of_distance(value, spread)
    few = n < fidelity.ITEMS_PER_COMPONENT * at.real.shape[1]
    warning = f"{n} items are few for {at.real.shape[1]} features: most of FD is its floor" if many and few else None
    found = {f"frechet_distance{ending}": Measure(value, low, high, floor, n, "estimate", protocol, warning)}
    if floors and not many:
        found |= _position(subject, at, ending, found[f"frechet_distance{ending}"], floors)
    cubic = _protocol(subject, at, "unbiased MMD² under (x·y / d + 1)³, the kernel of KID")
    return found | {f"kernel_distance{ending}": _kernel_distance(subject, at, kernels.cubic, at.unit, cubic, n)}


def _kernel_distance(
    subject: Subject, at: Embedded, kernel: kernels.Kernel, unit: float, protocol: str, n: int
) -> Measure:
    fake, real = at.fake / unit, at.real / unit
    value, spread = kernels.mmd(fake, real, kernel), kernels.mmd_spread(fake, real, kernel)
    floors = [kernels.mmd(items / unit, real, kernel) for items in _training(subject, at, DRAWN_OF_PAIRS)]
    floor = float(np.mean(floors)) if floors else None
    return Measure(value, *intervals.of_distance(value, spread), floor, n, "estimate", protocol)


def _training(subject: Subject, at: Embedded, count: int) -> list[np.ndarray]:
    """Of n training items, drawn again and again; of none where these are measured themselves."""
    return [] if subject.split == "train" else at.draws(count, mix(subject.seed, "floor"))


def _protocol(subject: Subject, at: Embedded, what: str) -> str:
    own = subject.split == "train"
    floor = "no floor, since no items are left to compare these with" if own else "floor: as many training items"
    return (
        f"{what} in {at.protocol}; {subject.n} samples against {subject.which}; {floor}; "
        "interval: of the mean over fresh samples and items, as many as these"
    )


def _position(
    subject: Subject, at: Embedded, ending: str, distance: Measure, floors: list[float]
) -> dict[str, Measure]:
    """FD between its floor (0) and independent pixels (1); none where real pixels are as good as independent."""
    train, n = subject.data.train.x, subject.n
    drawn = (fidelity.independent_pixels(train, n, mix(subject.seed, "position", k)) for k in range(ANCHORS))
    far = float(np.mean([fidelity.frechet_distance(at.features(x), at.real) for x in drawn]))
    near = float(np.mean(floors))
    if far - near < 3 * float(np.std(floors)):
        return {}
    value, low, high = ((each - near) / (far - near) for each in (distance.value, distance.low, distance.high))
    protocol = (
        f"(FD - {near:.4g}) / ({far:.4g} - {near:.4g}) in {at.name}: 0 for real items (the floor of FD), 1 for "
        f"independent pixels, each drawn from its values in the training split; {n} of each, against the same items as "
        "FD"
    )
    return {f"frechet_position{ending}": Measure(value, low, high, 0.0, n, "estimate", protocol)}


@metric(needs=(Sampler,), name="neighbourhoods", least=2 * FEWEST_COMPARED)
def shares_of_neighbours(subject: Subject) -> dict[str, Measure]:
    """Precision, recall, density, coverage and the 1-NN test; floor: training items in the place of samples."""
    at, n = subject.near, subject.n
    rng = np.random.default_rng(mix(subject.seed, "neighbourhoods"))
    drawn = _training(subject, at, DRAWN_OF_PAIRS)
    floors = (
        np.mean([neighbourhoods.Distances.between(at.real, items).figures() for items in drawn], 0) if drawn else None
    )
    chance = neighbourhoods.p_value(at.real, at.fake, rng)
    found = {}
    for i, (value, low, high) in enumerate(neighbourhoods.with_intervals(at.real, at.fake, rng)):
        name = neighbourhoods.FIGURES[i]
        test = name == "nearest_neighbour_test"
        how = "share of items whose nearest other one is of their own set, 1/2 of equal ones" if test else name
        protocol = _protocol(subject, at, how if test else f"{how}, k = {neighbourhoods.K},")
        note = f"p = {chance:.2g}, of permuted labels" if test else None
        floor = None if floors is None else float(floors[i])
        found[name] = Measure(value, low, high, floor, n * (1 + test), "estimate", protocol, None, note)
    return found


@metric(needs=(Sampler,), least=10 * FEWEST_COMPARED, thorough=True)
def classifier_test(subject: Subject) -> Measure:
    """How often a classifier tells samples from held-out items; 1/2 of equal distributions."""
    rng = np.random.default_rng(mix(subject.seed, "classifier test"))
    found = discriminated(subject.data.spec, subject.held_out, subject.samples, rng)
    protocol = (
        f"accuracy of a small network that has learnt from half of {subject.n} samples and of {subject.which}, on the "
        "others; 1/2 of equal distributions; interval: of this network"
    )
    low, high = intervals.of_share(found.right, found.n)
    note = f"p = {found.p:.2g}, binomial, one-sided"
    return Measure(found.right, low, high, 0.5, found.n, "estimate", protocol, None, note)


def _classes(subject: Subject) -> list[str]:
    """The fields of classes that both the model is conditioned on and the data have."""
    known = targets_of(subject.data.spec)
    return [name for name in subject.model.spec.condition if name in known]


@metric(
    needs=(Sampler,),
    name="class_agreement",
    least=2 * FEWEST_COMPARED,
    thorough=True,
    when=lambda subject: bool(_classes(subject)),
)
def agreement_with_conditions(subject: Subject) -> dict[str, Measure]:
    """Of every class that a model is conditioned on: the share of samples that are of it, and recall within classes."""
    at, fields, found = subject.in_learned, _classes(subject), {}
    if at is None:  # too few training items
        return {}
    for name in fields:
        ending = "" if len(fields) == 1 else f"_{name}"
        found[f"class_agreement{ending}"] = _agreement(subject, name)
        classes = np.asarray(subject.items.field(name)[subject.index])
        if len(classes) >= agreement.LEAST * len(np.unique(classes)):
            found[f"class_recall{ending}"] = _recall(subject, at, name, classes)
    return found


def _agreement(subject: Subject, name: str) -> Measure:
    own, n = subject.learned, subject.n
    assert own is not None
    truth = np.asarray(subject.items.field(name)[subject.index])
    right = own.classes(subject.samples, name) == truth
    ceiling = share_right(own.classes(subject.held_out, name), truth)
    shares = {int(value): float(right[truth == value].mean()) for value in np.unique(truth)}
    least = min(shares, key=lambda value: shares[value])
    protocol = (
        f"share of samples to which {own.protocol} gives the {name} of their condition; {n} samples under the "
        f"conditions of {subject.which}; floor: of these items, the ceiling; interval: of this classifier"
    )
    note = f"least of {name} {least}: {shares[least]:.3g}"
    share = float(right.mean())
    return Measure(share, *intervals.of_share(share, n), ceiling, n, "estimate", protocol, None, note)


def _recall(subject: Subject, at: Embedded, name: str, classes: np.ndarray) -> Measure:
    rng = np.random.default_rng(mix(subject.seed, "class recall", name))
    distances = neighbourhoods.Distances.between(at.real, at.fake)
    value, low, high, each = agreement.with_interval(distances, classes, rng)
    least = min(each, key=lambda value: each[value])
    protocol = (
        f"recall, k = {neighbourhoods.K}, among items of one {name}, averaged over items, in {at.protocol}; "
        f"{subject.n} samples under the conditions of {subject.which}; floor: training items of the same classes; "
        "interval: of the mean over fresh samples and items"
    )
    labels = np.asarray(subject.data.train.field(name))[at.rows]
    alike = None if subject.split == "train" else at.drawn_alike(classes, labels, mix(subject.seed, "floor", name))
    floor = None
    if alike is not None:
        real, others = alike
        apart = neighbourhoods.Distances.between(at.real[real], at.pool[others])
        floor, _ = agreement.recall_within(apart, classes[real])
    note = f"least of {name} {least}: {each[least]:.3g}"
    return Measure(value, low, high, floor, subject.n, "estimate", protocol, None, note)


@metric(needs=(Sampler,), name="modes", when=lambda subject: isinstance(modes_of(subject.data), Centres))
def modes_of_samples(subject: Subject) -> dict[str, Measure]:
    """Of sets whose modes are known: how many samples have, how many lie near one, and the KL of their shares."""
    known = modes_of(subject.data)
    assert isinstance(known, Centres)
    n = _draws(subject, known)
    counted = modes.of_centres(subject.more_samples(n), known)
    real = modes.real_of_centres(n, known, subject.seed)
    how = f"{n} samples; of high quality within {modes.RADIUS:g} standard deviations of a centre"
    return _mode_figures(counted, real.counts, float(real.quality.mean()), n, f"{how}; floor: the mixture itself")


def _draws(subject: Subject, known: Modes) -> int:
    """As many as published tables have; of a model that draws pixel by pixel, and for a quick look, n."""
    return subject.n if subject.quick or can(subject.model, Chain) else max(subject.n, modes.usual_draws(known))


@metric(needs=(Sampler,), thorough=True, when=lambda subject: isinstance(modes_of(subject.data), Channels))
def modes_of_channels(subject: Subject) -> dict[str, Measure]:
    """The same of stacked images, whose modes are the combinations of the classes of their channels."""
    known = modes_of(subject.data)
    assert isinstance(known, Channels)
    n, data = _draws(subject, known), subject.data
    labels, truth = (
        np.stack([np.asarray(split.field(name)) for name in known.fields], 1) for split in (data.train, subject.items)
    )
    judge = modes.Judge(data.spec, known, np.asarray(data.train.x), labels, np.asarray(subject.items.x))
    counted = judge.counted(subject.more_samples(n), subject.seed)
    real = judge.recombined(subject.held_out, n, subject.seed)
    right = judge.right(subject.held_out, truth[subject.index])
    how = (
        f"{n} samples, {known.count} modes, by classes@{judge.key[:8]} of single channels, which are right on "
        f"{100 * right:.3g} % of {subject.which}; of high quality: channels as near to a training item as "
        f"{100 * modes.NEAR:g} % of held-out ones; floor: {n} combinations of the channels of held-out items"
    )
    return _mode_figures(counted, real, modes.NEAR, n, how)


def _mode_figures(counted: modes.Counted, real: np.ndarray, quality: float, n: int, how: str) -> dict[str, Measure]:
    counts, looked_at = counted.counts, len(counted.quality)
    found, share = float((counts > 0).sum()), float(counted.quality.mean())
    few = counts.sum() < modes.FEWEST_A_MODE * len(counts)
    warning = f"{int(counts.sum())} samples are few for {len(counts)} modes: the interval is too narrow"
    kl, protocol = modes.reverse_kl, f"KL of the shares of modes from equal ones, nats; {how}"
    return {
        "modes": Measure(
            *(found, *modes.count_interval(counts), float((real > 0).sum())),
            *(n, "estimate", f"modes of {len(counts)} with a sample; {how}"),
        ),
        "high_quality": Measure(
            *(share, *intervals.of_share(share, looked_at), quality),
            *(looked_at, "estimate", f"share of high quality; {how}"),
        ),
        "reverse_kl": Measure(
            kl(counts), *modes.kl_interval(counts), kl(real), n, "estimate", protocol, warning if few else None
        ),
    }


@metric(needs=(Sampler,))
def neighbour_distance(subject: Subject) -> Measure:
    """How far samples are from the nearest training item; floor: how far held-out items are."""
    train, levels, distance = subject.data.train, subject.data.spec.levels, subject.neighbours.distance
    unit = "Euclidean" if levels is None else "Euclidean over pixels in [0, 1]"
    protocol, floor = f"median {unit} distance to the nearest of {len(train)} training items", None
    if subject.split != "train":
        floor = float(np.median(nearest_items(subject.held_out, train.x, levels).distance))
        protocol += f"; floor: of {subject.which}"
    low, high = intervals.of_median(distance)
    return Measure(float(np.median(distance)), low, high, floor, subject.n, "estimate", protocol)


@metric(needs=(Sampler,), name="near_copies", held_out=True)
def share_of_near_copies(subject: Subject) -> Measure:
    """The share of samples that are suspiciously near to a training item."""
    levels, n = subject.data.spec.levels, subject.n
    share = near_copies(subject.samples, subject.data.train.x, subject.held_out, levels)
    usual = near_share(n)
    protocol = (
        f"share of samples whose nearest training item is nearer, relative to the nearest of {subject.which}, "
        f"than a threshold below which {usual:.2g} of fresh real items lie on average; interval: for this threshold"
    )
    return Measure(share, *intervals.of_share(share, n), usual, n, "estimate", protocol)
