"""The metrics of maps of classes, as x or as its condition; the maths stand in `simulacra.evaluation.segmentation`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.evaluation import baselines, intervals, segmentation
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.paired import Paired
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.fields import Classes
from simulacra.randomness import mix

FEWEST = 4  # items


@metric(
    needs=(Sampler,),
    name="maps",
    least=FEWEST,
    held_out=True,
    when=lambda subject: baselines.is_structured(subject.model.spec) and isinstance(subject.model.spec.x, Classes),
)
def maps_of_samples(subject: Subject) -> dict[str, Measure]:
    """Of a model of maps: how far they agree with the true ones."""
    x = subject.model.spec.x
    assert isinstance(x, Classes)
    return _map_figures(subject, "", "the sample itself", lambda found: found[:, 0], subject.held_out[:, 0], x.levels)


@metric(
    needs=(Sampler,),
    name="maps_by_judge",
    least=FEWEST,
    thorough=True,
    held_out=True,
    when=lambda subject: baselines.is_picture(subject.model.spec.x) and bool(baselines.maps(subject.model.spec)),
)
def maps_by_segmenter(subject: Subject) -> dict[str, Measure]:
    """Of a model that makes pictures of maps: whether a segmenter finds the map again."""
    found: dict[str, Measure] = {}
    known = {name: own for name, own in baselines.maps(subject.model.spec).items() if name in subject.items.condition}
    for name, own in known.items():
        judge = segmentation.segmenter(subject.data, name)
        ending = "_of_samples" if len(known) == 1 else f"_of_samples_{name}"
        truth = subject.shared(Paired).condition[name]
        found |= _map_figures(subject, ending, judge.protocol, judge, truth, own.classes)
    return found


def _map_figures(
    subject: Subject, ending: str, how: str, judge: Callable[[np.ndarray], np.ndarray], truth: np.ndarray, classes: int
) -> dict[str, Measure]:
    """Pixel accuracy, the mean over classes of their accuracy, and mean IoU."""
    paired = subject.shared(Paired)
    counted = segmentation.counted(judge(paired.samples), truth, classes)
    rows, other = paired.control
    beside = {name: segmentation.counted(judge(x), truth, classes) for name, x in paired.trivial.items()}
    of_control = segmentation.counted(judge(other), truth[rows], classes)
    of_truth = segmentation.counted(judge(paired.truth), truth, classes)
    found = {}
    for name, (figure, says) in segmentation.FIGURES.items():
        rng = np.random.default_rng(mix(subject.seed, "maps", name))
        value = float(figure(counted.total())[0])
        error = intervals.standard_error(lambda halves, of=figure: of(counted.total(halves)), paired.n, rng)  # pyright: ignore
        low, high = intervals.about(value, error)
        each = segmentation.of_each_class(counted.total()) if name == "map_class_accuracy" else None
        found[f"{name}{ending}"] = Measure(
            *(value, max(0.0, low), min(1.0, high), None, paired.n, "estimate"),
            f"{says}, by {how}; {paired.which}",
            note=None if each is None else f"of each class {' '.join(f'{share:.2g}' for share in each)}",
            baseline={each: float(figure(own.total())[0]) for each, own in beside.items()},
            control=float(figure(of_control.total())[0]),
            ceiling=float(figure(of_truth.total())[0]),
        )
    return found
