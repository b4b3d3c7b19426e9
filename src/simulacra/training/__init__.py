"""The one loop, and what surrounds it: options, batches, averages, checkpoints, judge, observers, the run folder."""

from simulacra.training.fit import Interrupted, carry_out, fit
from simulacra.training.judge import Judge, Verdict
from simulacra.training.loop import Loop
from simulacra.training.observers import Moment, Observer
from simulacra.training.options import Options
from simulacra.training.plan import Plan, make_plan
from simulacra.training.rehearse import rehearse

__all__ = [
    "Interrupted",
    "Judge",
    "Loop",
    "Moment",
    "Observer",
    "Options",
    "Plan",
    "Verdict",
    "carry_out",
    "fit",
    "make_plan",
    "rehearse",
]
