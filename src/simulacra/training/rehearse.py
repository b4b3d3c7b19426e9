"""A dry run: two steps in memory, nothing on disk."""

from __future__ import annotations

import resource
import sys
import time

from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.plan import Plan
from simulacra.training.runtime import runtime


def rehearse(plan: Plan) -> dict[str, str]:
    """What a run by this plan would do and cost, in words; writes nothing."""
    options, n = plan.options, len(plan.dataset.train)
    where = runtime(options.device, options.precision)
    loop = Loop(plan.model.to(where.device), options, where)
    batches = Batches(plan.dataset.train, plan.model.spec, options.batch, options.seed, where)
    loop.step(batches, 0.0)  # the first step also warms up
    started = time.monotonic()
    terms = {name: value.item() for name, value in loop.step(batches, 0.0).items()}
    seconds = time.monotonic() - started
    budgets = [options.steps, options.epochs and options.epochs * n / options.batch]
    budgets += [options.minutes and options.minutes * 60 / seconds]
    steps = min(budget for budget in budgets if budget)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {
        "model": f"{plan.record['model']['type']}, {sum(p.numel() for p in plan.model.parameters()):,} parameters",
        "data": f"{plan.dataset.name}: {plan.model.spec.describe()}, {n:,} training items",
        "first loss": ", ".join(f"{name} {value:.4g}" for name, value in terms.items()),
        "a step": f"{seconds * 1000:.0f} ms on {where.device}; peak memory {peak:,.0f} MB",
        "the run": f"about {steps * seconds / 60:.1f} minutes for {steps:,.0f} steps, validated every {plan.every}",
        "would write": str(plan.folder.path),
    }
