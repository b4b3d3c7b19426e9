"""`fit`: from a model and data to a run folder. The same call again continues where the last one stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from simulacra.data import Dataset
from simulacra.errors import ModelFileError, SimulacraError, TrainingError, UsageError, WriteError
from simulacra.model import Model, load, write
from simulacra.parts import convert, within
from simulacra.terminal import number_of
from simulacra.training import checkpoint
from simulacra.training.batches import Batches
from simulacra.training.clock import ESTIMATED_AFTER, Clock
from simulacra.training.judge import History, Judge, Verdict, verdict_of
from simulacra.training.loop import Loop, drops_out
from simulacra.training.observers import LOGGED_EVERY, MetricsLog, Moment, Observer, Pictures
from simulacra.training.onepass import OnePass
from simulacra.training.plan import Plan, make_plan
from simulacra.training.prefetch import Prefetched
from simulacra.training.run import precision_of, refuse_if_different, threads_of
from simulacra.training.runtime import Runtime, StopSignal

COUNTS = ("best_step", "waited")  # that a checkpoint holds beside its steps
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
    where = plan.runtime()
    with plan.folder.locked() if where.leads else contextlib.nullcontext(), StopSignal() as stop:
        record = plan.folder.record() if where.leads else None
        if record is not None:
            refuse_if_different(plan.folder.path, {key: record.get(key) for key in plan.record}, plan.record)
            if (threads := threads_of(plan.folder.path, record)) is not None:
                torch.set_num_threads(threads)  # the same sums in the same order: resuming is bitwise
            if plan.options.precision == "auto":  # before it was recorded, auto was bf16 on GPUs alone
                begun = precision_of(plan.folder.path, record) or ("fp32" if where.device.type == "cpu" else "bf16")
                where = replace(where, bf16=begun == "bf16")
        where = replace(where, bf16=bool(where.leaders(where.bf16)))
        run = _Run(plan, where, stop, judge, observers if where.leads else ())
        if where.world > 1:
            torch.set_num_threads(int(where.leaders(torch.get_num_threads())))  # each rank computes as the leading one
        try:
            with where.deterministic():
                run.open(record)
                run.train()
            model = run.finish()
        except (OSError, WriteError) as error:
            raise TrainingError(f"training in {plan.folder.path} stopped: {error}; its checkpoints are kept") from error
        if stop.received is not None:  # too late to stop anything, but whoever sent it waits for the exit code
            raise Interrupted(stop.received, f"the run in {plan.folder.path} is finished, and was when the signal came")
        return model


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
        self.history = History()
        self.clock = Clock()
        self.at = Moment(0, 0.0, None, 0.0, 0.0)
        self.estimated = False

    def _notify(self, what: Callable[[Observer], None]) -> None:
        for observer in self.observers:
            what(observer)

    # The beginning

    def open(self, record: dict[str, Any] | None) -> None:
        """Take up the newest checkpoint; a new folder is made loadable and resumable before the first step."""
        found = checkpoint.newest(self.folder.checkpoints, self.loop.tensors())
        self.where.wait()  # every rank has read before the first one writes
        if found is not None:
            self._restore(found)
        self.at = self._moment(self._done(), None)
        if self.where.leads:
            self._announce(resumed=found is not None, record=record)
            self.folder.forget_after(self.loop.steps)
            here = {"threads": torch.get_num_threads(), "world_size": self.where.world, "torch": str(torch.__version__)}
            here |= {"precision": self.where.precision}
            again = {"source": self.plan.dataset.source}  # where the data lie now: they may have been moved since
            self.folder.write_record(here | (record or {}) | again | self.plan.record)
            if found is None or not (self.folder.model / "weights.safetensors").exists():
                self._save_model()
            if found is None:
                self._save_checkpoint()
        self.where.wait()

    def _restore(self, found: checkpoint.Found) -> None:
        """Raises ModelFileError for a state that no run has written."""
        state = found.state
        try:
            self.best = None if state["best"] is None else verdict_of(state["best"])
            steps, self.best_step, self.waited = (convert(int, state[key], key) for key in ("steps", *COUNTS))
            self.clock.restore(state)
            within(0, steps=steps, best_step=self.best_step, waited=self.waited, seconds=self.clock.seconds)
            self.history = History.of(state.get("figures", ()))
            self.loop.restore(steps, found.tensors)
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelFileError(
                f"the newest checkpoint in {self.folder.checkpoints} has a malformed state.json: {error!r}; remove it "
                "to go on from the one before it"
            ) from error
        if found.damage is not None and self.where.leads:
            line = f"the newest checkpoint is damaged ({found.damage}); going on from the one before it"
            self._notify(lambda observer: observer.said(line))

    def _announce(self, resumed: bool, record: dict[str, Any] | None) -> None:
        """Say what is about to happen, on the leading rank.

        Raises UsageError rather than train a finished run again from nothing.
        """
        path, data = self.folder.path, self.plan.dataset
        if not resumed and record is not None and "finished" in record:
            raise UsageError(f"the run in {path} is finished, but its checkpoints are gone; use --fresh to train anew")
        left_out = f"; {number_of(len(data.unreadable), 'unreadable file')} left out" if data.unreadable else ""
        half = ", networks in bfloat16" if self.where.bf16 else ""
        spec = self.plan.model.spec
        line = f"fitting {self.plan.model.name} to {data.name} in {path}: {spec.x.describe()}"
        if len(spec.condition):
            fields = (f"{name} ({field.describe()})" for name, field in spec.condition.items())
            line += f", given {', '.join(fields)}"
        line += f"; {self.plan.costs}{left_out}{half}"
        if resumed:
            over = self.at.done >= 1 or self._out_of_patience()
            line = f"{path} is {'finished' if over else 'continued'} at step {self.loop.steps}"
        more = []
        if self.best is not None and self.at.done < 1 and not self.loop.judges(self.at.done):
            more = ["by this budget an earlier stage goes on; the model that was judged is kept until the last begins"]
        if self.where.world > 1 and drops_out(self.plan.model):
            by = f"the number of processes ({self.where.world}), as each draws its own dropout"
            more += [f"its weights depend on {by}"]
        for sentence in (line, *more, *([] if resumed else self.plan.warnings)):
            self._notify(lambda observer, sentence=sentence: observer.said(sentence))

    # Steps

    def train(self) -> None:
        done_before, last_read = self._done(), time.monotonic()
        self.clock.start()
        with self._draws() as draws:
            while (done := self._done()) < 1 and not self._out_of_patience():
                values = self.loop.step(draws, done)
                self.clock.tick()
                stop = self.where.agree(self.stop.received is not None)
                gained = done - done_before
                left = self.clock.sitting * (1 - done) / gained if gained > 0 else None
                self.at = self._moment(done, left)
                due = self.loop.steps == 1 or self.loop.steps % LOGGED_EVERY == 0
                if values and (due or time.monotonic() - last_read >= READ_EVERY):
                    self._read(values)
                    last_read = time.monotonic()
                if isinstance(self.loop, Loop):
                    stepping = self.loop.model
                    self._notify(lambda observer, model=stepping: observer.stepped(self.at, model))
                self._estimate()
                if self._validation_is_due():
                    self._validate(judged=self.loop.judges(done))
                elif self.where.leads and self.clock.save_is_due:
                    self.loop.refuse_unless_finite()
                    self._save_checkpoint()
                if stop:
                    self._interrupt()

    def _validation_is_due(self) -> bool:
        """After so many steps and at the end; in a slow run by the clock as well, the leader's for all."""
        if self.loop.steps % self.plan.every == 0 or self._done() >= 1:
            return True
        return bool(self.where.leaders(float(self.plan.options.every is None and self.clock.validation_is_due)))

    def _estimate(self) -> None:
        """Say once, after some seconds, how long the run will take."""
        if self.estimated or self.clock.sitting < ESTIMATED_AFTER or self.at.left is None:
            return
        self.estimated = True
        if self.at.left > 60:
            minutes = round(self.at.left / 60)
            line = f"about {'a minute' if minutes == 1 else f'{minutes} minutes'} on {self.where.device}"
            self._notify(lambda observer: observer.said(f"{line}; Ctrl-C saves, and the same command continues"))

    def _draws(self) -> contextlib.AbstractContextManager[Any]:
        """The batches; on a GPU the next one is prepared while this one trains."""
        batches: Batches = self.plan.batches(self.where)
        prepare = self.where.device.type == "cuda" and not self.plan.closed_form
        return Prefetched(batches) if prepare else contextlib.nullcontext(batches)

    def _moment(self, done: float, left: float | None) -> Moment:
        return Moment(
            self.loop.steps, done, left, self.plan.epochs(self.loop.steps, int(self.loop.drawn)), self.clock.seconds
        )

    def _done(self) -> float:
        """The leader's clock decides for all: ranks that disagree about the end would wait for each other for ever."""
        ends = self.clock.at_the_end(self.loop.steps, self.plan.options.batch, len(self.plan.dataset.valid))
        return self.where.leaders(self.plan.spent(self.loop.steps, int(self.loop.drawn), ends))

    def _out_of_patience(self) -> bool:
        return 0 < self.plan.options.patience <= self.waited

    def _read(self, values: dict[str, torch.Tensor]) -> None:
        """Only here do the figures of a step leave the device, and with them whether it failed."""
        self.loop.check()
        if self.observers:
            values = values | self.loop.norms
            read = dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
            self._notify(lambda observer: observer.logged(self.at, read))

    # Validation

    def _validate(self, judged: bool) -> None:
        """Judge, show and save: with the averaged weights, and from seeds of their own.

        The best is kept, and the newest as long as there is nothing to judge it by. None that is not judged takes the
        place of one that was: a run of stages may be continued with a budget by which it is in an earlier stage.
        """
        self.loop.refuse_unless_finite()
        model, seed = self.loop.fitted, self.plan.options.seed
        verdict = self.judge(model, self.plan.dataset, seed) if judged and self.judge is not None else None
        better = self.best is None if verdict is None else verdict.better_than(self.best)
        if verdict is None or verdict.stops:
            self.waited = int(self.where.leaders(0 if better or verdict is None else self.waited + 1))
        if better:
            self.best, self.best_step = verdict and verdict.after(self.best), self.loop.steps
        if verdict is not None:
            self.history = self.history.with_figure(self.loop.steps, verdict.value)
        if self.where.leads:
            if better:
                self._save_model()
            self._notify(lambda observer: observer.validated(self.at, model, verdict))
        self.clock.validated()
        if self.where.leads:
            self._save_checkpoint()

    def _save_model(self) -> None:
        model = self.loop.fitted
        model.trained_steps = self.loop.steps
        write(model, self.folder.model, self.plan.card(self.best, self.best_step))

    def _save_checkpoint(self) -> None:
        state = {"steps": self.loop.steps, "waited": self.waited, **self.clock.state()}
        state |= {"best": self.best and asdict(self.best), "best_step": self.best_step}
        state |= {"figures": self.history.figures}
        folder = checkpoint.save(self.folder.checkpoints, self.loop.steps, state, self.loop.tensors())
        self.clock.saved()
        self._notify(lambda observer: observer.saved(self.at, folder))

    # The end

    def _interrupt(self) -> None:
        self.loop.refuse_unless_finite()
        if self.where.leads:
            self._save_checkpoint()
            self._notify(lambda observer: observer.ended(self.at, "interrupted"))
        self.where.wait()  # torchrun ends all processes as soon as one has ended: not before the leading one has saved
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
            "seconds": round(self.clock.seconds, 3),
            "best_step": self.best_step,
            "stopped_by": why,
            "valid_bits_per_dim": best.value if best is not None and best.name == "valid_bits_per_dim" else None,
            "judge": best and {"name": best.name, "value": best.value},
            "gain_of_last_fifth": self.history.gain,
            "still_learning": why == "budget" and self.history.still_falling(best.error if best else 0.0),
        }
