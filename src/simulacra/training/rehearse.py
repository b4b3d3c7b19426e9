"""A dry run: some steps of each stage in memory and a validation, or one batch of the only pass; nothing on disk."""

from __future__ import annotations

import copy
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from simulacra.capabilities import ClosedForm
from simulacra.training.batches import Batches
from simulacra.training.judge import Judge
from simulacra.training.loop import Loop
from simulacra.training.plan import Plan
from simulacra.training.runtime import Runtime

STEPS = 6  # of each stage, the first of which warms up
AT_MOST = 10.0  # seconds for the steps of a stage, once there were two


@dataclass(frozen=True)
class Rehearsal:
    """What a run would do and cost.

    Attributes:
        model, parameters: its name, and how many numbers are learnt.
        data, spec, items: the name of the data, what x is, and the training items.
        steps, every: steps of the whole run, or 1 where it is one pass; and between validations.
        first_loss: the loss terms of the first steps, of every stage.
        seconds_per_step: the median, each stage by its share of the run; of the pass where there is only one.
        seconds_per_validation: of one that is judged, 0 without a judge.
        seconds: of the whole run.
        peak_memory: bytes that the process held at most.
        device: where it would run.
        out: the folder that it would write.
    """

    model: str
    parameters: int
    data: str
    spec: str
    items: int
    steps: int
    every: int
    first_loss: dict[str, float]
    seconds_per_step: float
    seconds_per_validation: float
    seconds: float
    peak_memory: int
    device: str
    out: str

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> dict[str, str]:
        """The same in words."""
        terms = ", ".join(f"{name} {value:.4g}" for name, value in self.first_loss.items())
        memory = f"{self.device}; peak memory {self.peak_memory / 1e6:,.0f} MB"
        found = {
            "model": f"{self.model}, {self.parameters:,} free parameters",
            "data": f"{self.data}: {self.spec}, {self.items:,} training items",
        }
        if terms:
            validated = f", validated every {self.every} ({self.seconds_per_validation:.1f} s each)"
            found |= {"first loss": terms, "a step": f"{1000 * self.seconds_per_step:.0f} ms on {memory}"}
            found["the run"] = f"about {self.seconds / 60:.1f} minutes for {self.steps:,} steps{validated}"
        else:
            found["the run"] = f"closed form: one pass, at most {self.seconds / 60:.1f} minutes on {memory}"
        return found | {"would write": self.out}


def rehearse(plan: Plan, judge: Judge | None = None) -> Rehearsal:
    """What a run by this plan, with this judge, would do and cost; writes nothing."""
    where = plan.runtime()
    plan.model.to(where.device)
    batches = plan.batches(where)
    cost = _one_pass(plan, batches) if plan.closed_form else _steps(plan, batches, where, judge)
    return Rehearsal(
        model=plan.model.name,
        parameters=plan.model.free_parameters(),
        data=plan.dataset.name,
        spec=plan.model.spec.describe(),
        items=len(plan.dataset.train),
        every=plan.every,
        peak_memory=_peak(),
        device=str(where.device),
        out=str(plan.folder.path),
        **cost,
    )


def _steps(plan: Plan, batches: Batches, where: Runtime, judge: Judge | None) -> dict[str, Any]:
    options, terms, of_a_step = plan.options, dict[str, float](), 0.0
    loop = Loop(plan.model, options, where)
    begins = sorted({0.0, *(phase.begin for phase in loop.phases)})
    for begin, end in zip(begins, [*begins[1:], 1.0], strict=True):
        seconds = []
        while len(seconds) < 2 or (len(seconds) < STEPS and sum(seconds) < AT_MOST):
            started = time.monotonic()
            values = {name: value.item() for name, value in loop.step(batches, begin).items()}
            seconds.append(time.monotonic() - started)
            terms |= {name: value for name, value in values.items() if name not in terms}
        of_a_step += (end - begin) * statistics.median(seconds[1:])
    loop.check()
    started = time.monotonic()
    if judge is not None:
        judge(loop.fitted, plan.dataset, options.seed)
    of_a_validation = time.monotonic() - started if judge is not None else 0.0
    with_validations = of_a_step + of_a_validation / plan.every
    an_epoch = len(batches.split) * loop.steps / (max(1, int(loop.drawn)) * options.batch)  # steps
    budgets = [options.steps, options.epochs and options.epochs * an_epoch]
    budgets += [options.minutes and options.minutes * 60 / with_validations]
    steps = round(min(budget for budget in budgets if budget))
    return {
        "steps": steps,
        "first_loss": terms,
        "seconds_per_step": of_a_step,
        "seconds_per_validation": of_a_validation,
        "seconds": max(steps * with_validations, of_a_validation),
    }


def _one_pass(plan: Plan, batches: Batches) -> dict[str, Any]:
    """One batch is counted, by a copy."""
    model = copy.deepcopy(plan.model)
    assert isinstance(model, ClosedForm)
    started = time.monotonic()
    model.estimate([next(batches.once())])
    seconds = (time.monotonic() - started) * len(batches.split) / batches.batch
    return {
        "steps": 1,
        "first_loss": {},
        "seconds_per_step": seconds,
        "seconds_per_validation": 0.0,
        "seconds": seconds,
    }


def _peak() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1 << 10)
