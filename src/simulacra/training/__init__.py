"""The one loop, and what surrounds it: options, batches, averaged weights, checkpoints, the run folder."""

from simulacra.training.finetune import Finetuning, finetune
from simulacra.training.fit import Interrupted, carry_out, fit
from simulacra.training.options import Options
from simulacra.training.plan import Plan, make_plan
from simulacra.training.rehearse import rehearse

__all__ = ["Finetuning", "Interrupted", "Options", "Plan", "carry_out", "finetune", "fit", "make_plan", "rehearse"]
