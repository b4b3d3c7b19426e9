"""What a model is worth on held-out data: each figure with its n, interval, floor and protocol."""

from simulacra.evaluation.classify import Classification, classify
from simulacra.evaluation.evaluate import evaluate
from simulacra.evaluation.likelihood import Score, score, score_items, surprise
from simulacra.evaluation.measure import Measure

__all__ = ["Classification", "Measure", "Score", "classify", "evaluate", "score", "score_items", "surprise"]
