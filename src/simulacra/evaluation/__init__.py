"""What a model is worth on held-out data: each figure with its n, interval, floor and protocol."""

from simulacra.evaluation.classify import Classification, classify
from simulacra.evaluation.evaluate import Evaluation, evaluate
from simulacra.evaluation.likelihood import Score, score, score_items, surprise
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric

__all__ = [
    "Classification",
    "Evaluation",
    "Measure",
    "Score",
    "Subject",
    "classify",
    "evaluate",
    "metric",
    "score",
    "score_items",
    "surprise",
]
