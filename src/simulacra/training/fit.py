"""`fit`: from a model and data to a run folder. The same call again continues where the last one stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from simulacra.data import Dataset
from simulacra.errors import SimulacraError, TrainingError, UsageError, WriteError
from simulacra.model import Model, load, write
from simulacra.training import checkpoint
from simulacra.training.batches import Batches
from simulacra.training.judge import Judge, Verdict
from simulacra.training.loop import Loop
from simulacra.training.observers import LOGGED_EVERY, MetricsLog, Moment, Observer, Pictures
from simulacra.training.onepass import OnePass
from simulacra.training.plan import Plan, make_plan
from simulacra.training.prefetch import Prefetched
from simulacra.training.run import refuse_if_different
from simulacra.training.runtime import Runtime, StopSignal, runtime

READ_EVERY = 1.0  # seconds after which the figures of a step are read for whoever looks


class Interrupted(SimulacraError):
    """Training was stopped by a signal, and has saved; exit code 128 + its number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


def fit(
    model: str | Model,
    data: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    condition: Sequence[str] | str = (),
    labels: int | None = None,
    fresh: bool = False,
    judge: Judge | None = None,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> Model:
    """`simulacra.fit` with a judge of one's own; without one no weights are better than others and the last are kept.

    The other arguments and the errors are those of `simulacra.fit`.
    """
    return carry_out(make_plan(model, data, out, condition, fresh, options, labels), judge, observers)


def carry_out(plan: Plan, judge: Judge | None = None, observers: Sequence[Observer] = ()) -> Model:
    """Begin or continue the run that a plan describes; returns its best model, by the judge, or its last one."""
    where = runtime(plan.options.device, plan.options.precision)
    with plan.folder.locked() if where.leads else contextlib.nullcontext(), StopSignal() as stop:
        record = plan.folder.record() if where.leads else None
        if record is not None:
            refuse_if_different(plan.folder.path, {key: record.get(key) for key in plan.record}, plan.record)
            torch.set_num_threads(
                record.get("threads", torch.get_num_threads())
            )  # the same sums in the same order: resuming is bitwise
        run = _Run(plan, where, stop, judge, observers if where.leads else ())
        try:
            run.open(record)
            run.train()
            return run.finish()
        except (OSError, WriteError) as error:
            raise TrainingError(f"training in {plan.folder.path} stopped: {error}; its checkpoints are kept") from error


class _Run:
    """The state of one run between its beginning, or its last checkpoint, and its end."""

    def __init__(
        self, plan: Plan, where: Runtime, stop: StopSignal, judge: Judge | None, observers: Sequence[Observer]
    ) -> None:
        self.plan, self.where, self.stop, self.judge = plan, where, stop, judge
        self.folder = plan.folder
        own = (
            [MetricsLog(self.folder), Pictures(self.folder.samples, plan.dataset.valid, plan.options.seed)]
            if where.leads
            else []
        )
        self.observers = [*own, *observers]
        model = plan.model.to(where.device)
        self.loop = OnePass(model) if plan.closed_form else Loop(model, plan.options, where)
        self.best: Verdict | None = None
        self.best_step = self.waited = 0
        self.seconds = 0.0
        self.at = Moment(0, 0.0, None, 0.0, 0.0)

    def _notify(self, what: Callable[[Observer], None]) -> None:
        for observer in self.observers:
            what(observer)

    # The beginning

    def open(self, record: dict[str, Any] | None) -> None:
        """Take up the newest checkpoint; a new folder is made loadable and resumable before the first step."""
        found = checkpoint.newest(self.folder.checkpoints, self.loop.tensors())
        self.where.wait()  # every rank has read before the first one writes
        if found is not None:
            state, tensors = found
            self.loop.restore(state["steps"], tensors)
            self.best = state["best"] and Verdict(**state["best"])
            self.best_step, self.waited, self.seconds = state["best_step"], state["waited"], state["seconds"]
        self.at = self._moment(self._done(), None)
        if self.where.leads:
            self._announce(resumed=found is not None, record=record)
            self.folder.forget_after(self.loop.steps)
            here = {"threads": torch.get_num_threads(), "world_size": self.where.world, "torch": str(torch.__version__)}
            self.folder.write_record(here | (record or {}) | self.plan.record)
            if found is None or not (self.folder.model / "weights.safetensors").exists():
                self._save_model()
            if found is None:
                self._save_checkpoint()
        self.where.wait()

    def _announce(self, resumed: bool, record: dict[str, Any] | None) -> None:
        """Say what is about to happen, on the leading rank.

        Raises UsageError rather than train a finished run again from nothing.
        """
        path, data = self.folder.path, self.plan.dataset
        if not resumed and record is not None and "finished" in record:
            raise UsageError(f"the run in {path} is finished, but its checkpoints are gone; use --fresh to train anew")
        left_out = f"; {len(data.unreadable)} unreadable files left out" if data.unreadable else ""
        line = f"fitting {self.plan.model.spec.describe()} of {data.name} in {path}{left_out}"
        if resumed:
            over = self.at.done >= 1 or self._out_of_patience()
            line = f"{path} is {'finished' if over else 'continued'} at step {self.loop.steps}"
        self._notify(lambda observer: observer.said(line))

    # Steps

    def train(self) -> None:
        began, spent_before, done_before = time.monotonic(), self.seconds, self._done()
        last_read = began
        with self._draws() as draws:
            while (done := self._done()) < 1 and not self._out_of_patience():
                values = self.loop.step(draws, done)
                self.seconds = spent_before + time.monotonic() - began
                stop = self.where.agree(self.stop.received is not None)
                gained = done - done_before
                left = (self.seconds - spent_before) * (1 - done) / gained if gained > 0 else None
                self.at = self._moment(done, left)
                due = self.loop.steps == 1 or self.loop.steps % LOGGED_EVERY == 0
                if values and (due or time.monotonic() - last_read >= READ_EVERY):
                    self._read(values)
                    last_read = time.monotonic()
                if self.loop.steps % self.plan.every == 0 or self._done() >= 1:
                    self._validate(judged=self.loop.judges(done))
                if stop:
                    self._interrupt()

    def _draws(self) -> contextlib.AbstractContextManager[Any]:
        """The batches; on a GPU the next one is prepared while this one trains."""
        batches: Batches = self.plan.batches(self.where)
        prepare = self.where.device.type == "cuda" and not self.plan.closed_form
        return Prefetched(batches) if prepare else contextlib.nullcontext(batches)

    def _moment(self, done: float, left: float | None) -> Moment:
        return Moment(
            self.loop.steps, done, left, self.plan.epochs(self.loop.steps, int(self.loop.drawn)), self.seconds
        )

    def _done(self) -> float:
        """The leader's clock decides for all: ranks that disagree about the end would wait for each other for ever."""
        return self.where.leaders(self.plan.spent(self.loop.steps, int(self.loop.drawn), self.seconds))

    def _out_of_patience(self) -> bool:
        return 0 < self.plan.options.patience <= self.waited

    def _read(self, values: dict[str, torch.Tensor]) -> None:
        """Only here do the figures of a step leave the device, and with them whether it failed."""
        self.loop.check()
        if self.observers:
            read = dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
            self._notify(lambda observer: observer.logged(self.at, read))

    # Validation

    def _validate(self, judged: bool) -> None:
        """Judge, show and save: with the averaged weights, and from seeds of their own.

        The best is kept, and the newest as long as there is nothing to judge it by.
        """
        self.loop.refuse_unless_finite()
        model, seed = self.loop.fitted, self.plan.options.seed
        verdict = self.judge(model, self.plan.dataset, seed) if judged and self.judge is not None else None
        better = verdict is None or verdict.better_than(self.best)
        if verdict is None or verdict.stops:
            self.waited = int(self.where.leaders(0 if better else self.waited + 1))
        if better:
            self.best, self.best_step = verdict and verdict.after(self.best), self.loop.steps
        if self.where.leads:
            if better:
                self._save_model()
            self._notify(lambda observer: observer.validated(self.at, model, verdict))
            self._save_checkpoint()

    def _save_model(self) -> None:
        model = self.loop.fitted
        model.trained_steps = self.loop.steps
        write(model, self.folder.model, self.plan.card(self.best, self.best_step))

    def _save_checkpoint(self) -> None:
        state = {"steps": self.loop.steps, "seconds": self.seconds, "waited": self.waited}
        state |= {"best": self.best and asdict(self.best), "best_step": self.best_step}
        folder = checkpoint.save(self.folder.checkpoints, self.loop.steps, state, self.loop.tensors())
        self._notify(lambda observer: observer.saved(self.at, folder))

    # The end

    def _interrupt(self) -> None:
        self.loop.refuse_unless_finite()
        if self.where.leads:
            self._save_checkpoint()
            self._notify(lambda observer: observer.ended(self.at, "interrupted"))
        number = self.stop.received or signal.SIGTERM
        raise Interrupted(number, f"stopped at step {self.loop.steps} and saved; the same command continues from there")

    def finish(self) -> Model:
        """Note how the run ended; returns the model as it was saved."""
        why = "patience" if self._out_of_patience() else "budget"
        why = "closed form" if self.plan.closed_form else why
        if self.where.leads:
            self.folder.write_record((self.folder.record() or {}) | {"finished": self._outcome(why)})
            self._notify(lambda observer: observer.ended(self.at, why))
        self.where.wait()
        return load(self.folder.path, self.where.device)

    def _outcome(self, why: str) -> dict[str, Any]:
        best = self.best
        return {
            "steps": self.loop.steps,
            "seconds": round(self.seconds, 3),
            "best_step": self.best_step,
            "stopped_by": why,
            "valid_bits_per_dim": best.value if best is not None and best.name == "valid_bits_per_dim" else None,
            "judge": best and {"name": best.name, "value": best.value},
        }
