"""A dry run: two steps of each stage in memory, or one batch of the only pass; nothing on disk."""

from __future__ import annotations

import copy
import resource
import sys
import time

from simulacra.capabilities import ClosedForm
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.plan import Plan
from simulacra.training.runtime import Runtime, runtime


def rehearse(plan: Plan) -> dict[str, str]:
    """What a run by this plan would do and cost, in words; writes nothing."""
    where = runtime(plan.options.device, plan.options.precision)
    plan.model.to(where.device)
    batches = plan.batches(where)
    cost = _one_pass(plan, batches) if plan.closed_form else _steps(plan, batches, where)
    n = len(plan.dataset.train)
    return {
        "model": f"{plan.model.name}, {plan.model.free_parameters():,} free parameters",
        "data": f"{plan.dataset.name}: {plan.model.spec.describe()}, {n:,} training items",
        **cost,
        "would write": str(plan.folder.path),
    }


def _steps(plan: Plan, batches: Batches, where: Runtime) -> dict[str, str]:
    """Two steps are taken at the beginning of each stage; the first one also warms up."""
    options, terms, seconds = plan.options, {}, 0.0
    loop = Loop(plan.model, options, where)
    begins = sorted({0.0, *(phase.begin for phase in loop.phases)})
    for begin, end in zip(begins, [*begins[1:], 1.0], strict=True):
        loop.step(batches, begin)
        started = time.monotonic()
        terms |= {name: value.item() for name, value in loop.step(batches, begin).items()}
        seconds += (end - begin) * (time.monotonic() - started)
    loop.check()
    an_epoch = len(batches.split) * loop.steps / (max(1, int(loop.drawn)) * options.batch)  # steps
    budgets = [options.steps, options.epochs and options.epochs * an_epoch]
    budgets += [options.minutes and options.minutes * 60 / seconds]
    steps = min(budget for budget in budgets if budget)
    return {
        "first loss": ", ".join(f"{name} {value:.4g}" for name, value in terms.items()),
        "a step": f"{seconds * 1000:.0f} ms on {where.device}; peak memory {_peak():,.0f} MB",
        "the run": f"about {steps * seconds / 60:.1f} minutes for {steps:,.0f} steps, validated every {plan.every}",
    }


def _one_pass(plan: Plan, batches: Batches) -> dict[str, str]:
    """One batch is counted, by a copy."""
    model = copy.deepcopy(plan.model)
    assert isinstance(model, ClosedForm)
    started = time.monotonic()
    model.estimate([next(batches.once())])
    seconds = (time.monotonic() - started) * len(batches.split) / batches.batch
    memory = f"peak memory {_peak():,.0f} MB"
    return {"the run": f"closed form: one pass, at most {seconds / 60:.1f} minutes on {batches.device}; {memory}"}


def _peak() -> float:
    """Megabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
