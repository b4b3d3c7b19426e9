r"""Whether every number of a code stands for one thing: codes z_1..z_D against known factors of variation v_1..v_K.

MIG     1/K Σ_k (I(z_j(k); v_k) - max_{j ≠ j(k)} I(z_j; v_k)) / H(v_k), j(k) the number that knows most of v_k
                                                                       Chen et al. 2018, arXiv 1802.04942, eq. 6
DCI     from the importances R_jk of z_j in predicting v_k:            Eastwood & Williams 2018, section 2
          disentanglement   Σ_j ρ_j (1 - H_K(R_jk / Σ_k R_jk)): a number knows one factor only, ρ_j its share of R
          completeness      1/K Σ_k (1 - H_D(R_jk / Σ_j R_jk)): a factor is known by one number only
          informativeness   how well the factors are predicted at all
SAP     1/K Σ_k (the best number's accuracy in predicting v_k alone - the second best's)
                                                                       Kumar et al. 2018, arXiv 1711.00848, section 3

All are 1 for a perfect code (SAP: 1 - chance) and near 0 for one that is mixed, or knows nothing. None depends on the
order of the numbers. They rate a code above its rotations, which carry the same information: the axes are judged.

Choices that the papers leave open. MIG: codes in 20 bins of equal width, as in Locatello et al. 2019. DCI: importances
of random forests of scikit-learn that may look at all numbers at every split; informativeness is accuracy on other
items. SAP: factors are classes, so a tree on one number with as many leaves as classes; accuracy is balanced.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from simulacra.errors import UsageError
from simulacra.evaluation import intervals
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.representation import Encoded, extra, varying
from simulacra.randomness import mix

BINS = 20
TREES, LEAF = 20, 5
LARGEST = 64  # numbers in a code that is judged: a larger one is a map of features, whose axes stand for places
REFITTED = 8  # halves of the training items from which forests and trees learn anew, behind an interval
NEAR = 2  # half-widths of its interval, below which SAP is near 0


@dataclass(frozen=True)
class DCI:
    """From 0 to 1 each, 1 is best. `correct` (M, K): whether each factor of each test item was predicted right."""

    disentanglement: float
    completeness: float
    correct: np.ndarray

    @property
    def informativeness(self) -> float:
        return float(self.correct.mean())


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """MIG of codes (N, D), real, and factors (N, K), integers.

    Raises UsageError for codes that are not one row an item, and for a factor that does not vary.
    """
    _check(codes, factors)
    return _information_gap(_binned(codes), factors)


def dci(train: np.ndarray, train_factors: np.ndarray, test: np.ndarray, test_factors: np.ndarray, seed: int = 0) -> DCI:
    """DCI of codes (N, D) and factors (N, K): forests learn from the first pair and are judged on the second.

    Raises UsageError as `mutual_information_gap` does.
    """
    _check(train, train_factors)
    _check(test, test_factors)
    with extra():
        from sklearn.ensemble import RandomForestClassifier
    importances, correct = [], []
    for k, (factor, truth) in enumerate(zip(train_factors.T, test_factors.T, strict=True)):
        state = mix(seed, "forest", k) % 2**32
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=state)
        forest.set_params(max_features=1.0).fit(train, factor)
        importances.append(forest.feature_importances_)
        correct.append(forest.predict(test) == truth)
    table = np.stack(importances, axis=1)  # (D, K)
    return DCI(_disentanglement(table), _completeness(table), np.stack(correct, axis=1))


def separated_attribute_predictability(
    train: np.ndarray, train_factors: np.ndarray, test: np.ndarray, test_factors: np.ndarray
) -> float:
    """SAP of codes (N, D) and factors (N, K): trees learn from the first pair and are judged on the second.

    Raises UsageError as `mutual_information_gap` does.
    """
    _check(train, train_factors)
    _check(test, test_factors)
    return _accuracy_gap(_right_by_one(train, train_factors, test, test_factors), test_factors)


def _right_by_one(
    train: np.ndarray, train_factors: np.ndarray, test: np.ndarray, test_factors: np.ndarray
) -> np.ndarray:
    """Whether each number of a code alone predicts each factor of each test item, (D, M, K)."""
    with extra():
        from sklearn.tree import DecisionTreeClassifier
    right = np.empty((train.shape[1], *test_factors.shape), bool)
    for k, factor in enumerate(train_factors.T):
        leaves = max(2, len(np.unique(factor)))
        for j in range(train.shape[1]):
            tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
            tree.fit(train[:, j : j + 1], factor)
            right[j, :, k] = tree.predict(test[:, j : j + 1]) == test_factors[:, k]
    return right


def measures(train: Encoded, test: Encoded, split: str, seed: int = 0) -> dict[str, Measure]:
    """MIG, DCI and SAP of the codes by name; none for fewer than two factors that vary, nor for too large codes."""
    fields = varying(test, varying(train, train.fields))
    if len(fields) < 2 or train.codes.shape[1] > LARGEST:
        return {}
    v, v_test = (np.stack([part.fields[name] for name in fields], axis=1) for part in (train, test))
    rng = np.random.default_rng(mix(seed, "disentanglement"))
    items = f"{len(v)} of {train.of} training and {len(v_test)} of {test.of} {split} items"
    about = (
        f"{train.description} against {', '.join(fields)}; {items}; floor: as many principal components of the pixels; "
        "interval: of the mean over fresh items, as many as these"
    )
    by_forests = _of_forests(train, test, v, v_test, about, rng, seed)
    by_information = _of_information(test, v_test, about, rng)
    return by_information | by_forests | _of_trees(train, test, v, v_test, about, rng)


def _of_information(test: Encoded, v: np.ndarray, about: str, rng: np.random.Generator) -> dict[str, Measure]:
    bins, n = _binned(test.codes), len(v)

    def gaps(selections: np.ndarray) -> np.ndarray:
        return np.array([_information_gap(_binned(test.codes[rows]), v[rows]) for rows in selections])

    half = intervals.half_width(intervals.standard_error(gaps, n, rng))
    floor = _information_gap(_binned(test.components), v)
    measured = _measure(_information_gap(bins, v), half, floor, n, f"MIG, {BINS} bins, of {about}")
    return {"mutual_information_gap": measured}


def _of_forests(
    train: Encoded, test: Encoded, v: np.ndarray, v_test: np.ndarray, about: str, rng: np.random.Generator, seed: int
) -> dict[str, Measure]:
    found = dci(train.codes, v, test.codes, v_test, seed)
    halves = intervals.some_halves(len(v), REFITTED, rng)
    again = [dci(train.codes[h], v[h], test.codes, v_test, seed) for h in halves]
    floor, n = dci(train.components, v, test.components, v_test, seed), len(v_test)
    share, forests = found.correct.mean(1), f"forests of {TREES} trees, of {about}"
    judged = float(share.std(ddof=1)) / math.sqrt(n)
    return {
        "dci_disentanglement": _measure(
            found.disentanglement,
            _refitted([each.disentanglement for each in again]),
            floor.disentanglement,
            len(v),
            f"DCI disentanglement, {forests}",
        ),
        "dci_completeness": _measure(
            found.completeness,
            _refitted([each.completeness for each in again]),
            floor.completeness,
            len(v),
            f"DCI completeness, {forests}",
        ),
        "dci_informativeness": _measure(
            found.informativeness,
            _refitted([each.informativeness for each in again], judged),
            floor.informativeness,
            n,
            f"DCI informativeness, mean accuracy of {forests}",
        ),
    }


def _of_trees(
    train: Encoded, test: Encoded, v: np.ndarray, v_test: np.ndarray, about: str, rng: np.random.Generator
) -> dict[str, Measure]:
    """SAP. Its interval covers 96 to 98 %: thresholds of trees of half the items jump further than those of all do.

    Where the two best numbers of a code are about as good, SAP is the gap between two maxima, whose distribution is
    skewed, and the interval is too narrow: it covers 74 % of codes of noise and 84 % of weak ones, of 100 items.
    """
    right, n = _right_by_one(train.codes, v, test.codes, v_test), len(v_test)
    floor = _accuracy_gap(_right_by_one(train.components, v, test.components, v_test), v_test)

    def again(selections: np.ndarray) -> np.ndarray:
        trees = (_right_by_one(train.codes[rows], v[rows], test.codes, v_test) for rows in selections)
        return np.array([_accuracy_gap(each, v_test) for each in trees])

    gaps, halves = functools.partial(_accuracy_gaps, right, v_test), intervals.some_halves(len(v), REFITTED // 2, rng)
    judged = intervals.some_halves(n, intervals.PAIRS, rng)
    learnt = intervals.variance(again(halves), again(~halves))  # of trees, which do not differ by chance
    half = _half(learnt, len(halves), math.sqrt(intervals.variance(gaps(judged), gaps(~judged))))
    measured = _measure(_accuracy_gap(right, v_test), half, floor, n, f"SAP, a tree on one number, of {about}")
    if measured.value < NEAR * half:
        measured = replace(measured, warning="the two best numbers are about as good, where the interval is too narrow")
    return {"separated_attribute_predictability": measured}


def _measure(value: float, half: float, floor: float, n: int, protocol: str) -> Measure:
    """`half` of a 95 % interval."""
    return Measure(value, max(0.0, value - half), min(1.0, value + half), floor, n, "estimate", protocol)


def _refitted(again: list[float], judged: float = 0.0) -> float:
    """`_half` of forests, from what was learnt `again` from halves of the training items.

    Forests differ by chance too, so that halves do not cancel in pairs: their plain spread is taken, which is too wide.
    """
    return _half(float(np.var(again, ddof=1)), len(again) - 1, judged)


def _half(learnt: float, freedom: float, judged: float) -> float:
    """Half a 95 % interval: `learnt` is the variance by the training items, with so many degrees of freedom, `judged`
    the standard error that the test items add."""
    variance, least = learnt + judged**2, float(intervals.PAIRS)
    if learnt > 0:
        least = min(least, freedom * (variance / learnt) ** 2)  # Satterthwaite 1946
    return intervals.half_width(math.sqrt(variance), least)


def _information_gap(bins: np.ndarray, factors: np.ndarray) -> float:
    """MIG of codes in bins (N, D); a factor that does not vary counts as known by none."""
    gaps = []
    for factor in factors.T:
        known = sorted((_mutual_information(column, factor) for column in bins.T), reverse=True)
        gaps.append((known[0] - (known[1] if len(known) > 1 else 0.0)) / max(_entropy(np.bincount(factor)), 1e-9))
    return float(np.mean(gaps))


def _accuracy_gap(right: np.ndarray, factors: np.ndarray) -> float:
    """SAP of `right` (D, M, K) and factors (M, K); beside the only number of a code stands a guess."""
    return float(_accuracy_gaps(right, factors, np.ones((1, len(factors)), bool))[0])


def _accuracy_gaps(right: np.ndarray, factors: np.ndarray, selections: np.ndarray) -> np.ndarray:
    """SAP of each selection (R, M), truths, of the items, (R,); of the classes that are among them."""
    rows, gaps = selections.astype(np.float64), []
    for k, factor in enumerate(factors.T):
        of_class = [factor == value for value in np.unique(factor)]
        counts = np.stack([rows[:, own].sum(1) for own in of_class])  # (classes, R)
        hits = np.stack([rows[:, own] @ right[:, own, k].T for own in of_class])  # (classes, R, D)
        present = (counts > 0).sum(0)
        accuracy = np.sort((hits / np.maximum(counts, 1)[..., None]).sum(0) / present[:, None], axis=1)
        gaps.append(accuracy[:, -1] - (accuracy[:, -2] if accuracy.shape[1] > 1 else 1 / present))
    return np.mean(gaps, axis=0)


def _binned(codes: np.ndarray) -> np.ndarray:
    """(N, D) real -> integers below BINS."""
    inner = np.linspace(codes.min(0), codes.max(0), BINS + 1)[1:-1]
    binned = [np.searchsorted(edges, column, "right") for edges, column in zip(inner.T, codes.T, strict=True)]
    return np.stack(binned, axis=1)


def _entropy(counts: np.ndarray) -> float:
    """Nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def _mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) of the counts of two columns of integers, nats."""
    width = int(b.max()) + 1
    table = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    return _entropy(table.sum(0)) + _entropy(table.sum(1)) - _entropy(table.ravel())


def _disentanglement(table: np.ndarray) -> float:
    """Importances (D, K): the mean over numbers, each weighed by its share of all importance."""
    total = table.sum()
    return float((_certainty(table) * table.sum(1)).sum() / total) if total > 0 else 0.0


def _completeness(table: np.ndarray) -> float:
    return float(_certainty(table.T).mean())


def _certainty(table: np.ndarray) -> np.ndarray:
    """Of each row 1 - its entropy to the base of its length: 1 if all of it is in one place; 0 for a row of zeros."""
    if table.shape[1] == 1:
        return (table[:, 0] > 0).astype(float)
    rest = [1 - _entropy(row) / math.log(len(row)) if row.sum() > 0 else 0.0 for row in table]
    return np.array(rest)


def _check(codes: np.ndarray, factors: np.ndarray) -> None:
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise UsageError(
            f"codes are (N, D) and factors (N, K), a row an item, not {codes.shape} and {factors.shape}: transposed?"
        )
    for k, factor in enumerate(factors.T):
        if factor.min() == factor.max():
            raise UsageError(f"factor {k} is {factor[0]} for all {len(factor)} items: nothing can be learnt of it")
