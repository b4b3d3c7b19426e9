"""The metrics of models that map items to other domains; the maths stand in `simulacra.evaluation.translation`."""

from __future__ import annotations

import numpy as np

from simulacra.capabilities import Translator
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.evaluation.translation import Translations, cycles, hidden_pairs, judged
from simulacra.fields import ClassLabel

FEWEST = 4  # items


def _domains(subject: Subject) -> list[str]:
    """The fields of classes that items are translated by."""
    fields = subject.model.spec.condition.items()
    own = [name for name, field in fields if isinstance(field, ClassLabel) and field.count > 1]
    return [name for name in own if name in subject.items.condition]


def _translations(subject: Subject) -> dict[str, Translations]:
    """By the endings of their figures."""
    domains = _domains(subject)
    return {"" if len(domains) == 1 else f"_{name}": Translations(subject, name) for name in domains}


def _ended(figures: dict[str, Measure], ending: str) -> dict[str, Measure]:
    return {f"{name}{ending}": measure for name, measure in figures.items()}


@metric(needs=(Translator,), name="cycles", least=FEWEST, held_out=True, when=lambda subject: bool(_domains(subject)))
def there_and_back(subject: Subject) -> dict[str, Measure]:
    """Cycle errors, and translations against hidden pairs."""
    found: dict[str, Measure] = {}
    for ending, of in _translations(subject).items():
        found |= _ended(cycles(of) | hidden_pairs(of), ending)
    return found


@metric(
    needs=(Translator,),
    name="translations_by_judge",
    least=FEWEST,
    thorough=True,
    held_out=True,
    when=lambda subject: bool(_domains(subject)),
)
def domains_of_translations(subject: Subject) -> dict[str, Measure]:
    """Whether a classifier finds the domain on a translation, and the item's other classes again."""
    found: dict[str, Measure] = {}
    classes = [name for name, own in subject.data.spec.condition.items() if isinstance(own, ClassLabel)]
    several = [name for name in classes if len(np.unique(subject.data.train.field(name))) > 1]
    for ending, of in _translations(subject).items():
        found |= _ended(judged(of, [name for name in several if name != of.name]), ending)
    return found
