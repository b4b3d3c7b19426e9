"""What a model is worth on held-out data: each figure with its n, interval, floor and protocol."""

from simulacra.evaluation.evaluate import Measure, evaluate
from simulacra.evaluation.likelihood import Score, score, score_items

__all__ = ["Measure", "Score", "evaluate", "score", "score_items"]
