"""`fit`: from a model and data to a run folder. The same call again continues where the last one stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import torch

from simulacra.capabilities import Sampler
from simulacra.data import Dataset
from simulacra.errors import SimulacraError, TrainingError, UsageError, WriteError
from simulacra.evaluation.likelihood import has_likelihood, score_items
from simulacra.model import Model, load, save
from simulacra.pictures import has_picture, save_picture
from simulacra.randomness import generator
from simulacra.training import checkpoint
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.onepass import OnePass
from simulacra.training.plan import Plan, make_plan
from simulacra.training.progress import Progress, Silent
from simulacra.training.run import refuse_if_different
from simulacra.training.runtime import Runtime, StopSignal, runtime

VALIDATED = 1000  # items of the validation split that early stopping looks at
SHOWN = 36  # samples in the picture that each validation draws from the same noise
LOGGED_EVERY = 50  # steps


class Interrupted(SimulacraError):
    """Training was asked to stop by a signal, and has saved; exit code 128 + its number."""

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
    progress: Progress | None = None,
    **options: Any,
) -> Model:
    """Train a model and return it, ready to sample and score.

    Args:
        model: a registered name, or a model that was constructed by hand.
        data: a named set, a path, or a loaded data set.
        out: the run folder, `runs/<model>-<data>` by default. If it holds the beginning of the same run, that run is
            continued; a finished run is returned as it is.
        condition: fields to condition on, such as "label".
        labels: learn with the labels of so many training items, drawn by the seed, and hide all others, those of the
            validation split too, which is judged by a bound of p(x); for models that learn from unlabelled items.
        fresh: begin anew, in a new folder beside `out` where `out` is taken.
        progress: who is told of the progress; nobody by default.
        options: training options (`simulacra.training.Options`), and, where `model` is a name, arguments of the model.

    Raises:
        UsageError: an unknown model, data set or option, or a folder with a run made with other settings.
        TrainingError: a loss that is not finite, a full disk, a second process in the same folder.
        Interrupted: after SIGTERM or Ctrl-C, once the state is saved.
    """
    return carry_out(make_plan(model, data, out, condition, fresh, options, labels), progress or Silent())


def carry_out(plan: Plan, progress: Progress) -> Model:
    """Begin or continue the run that a plan describes; returns its best model."""
    where = runtime(plan.options.device, plan.options.precision)
    with plan.folder.locked() if where.leads else contextlib.nullcontext(), StopSignal() as stop:
        record = plan.folder.record() if where.leads else None
        if record is not None:
            refuse_if_different(plan.folder.path, {key: record.get(key) for key in plan.record}, plan.record)
            torch.set_num_threads(
                record.get("threads", torch.get_num_threads())
            )  # the same sums in the same order: resuming is bitwise
        run = _Run(plan, where, stop, progress if where.leads else Silent())
        try:
            run.open(record)
            run.train()
            return run.finish()
        except (OSError, WriteError) as error:
            raise TrainingError(f"training in {plan.folder.path} stopped: {error}; its checkpoints are kept") from error


class _Run:
    """The state of one run between its beginning, or its last checkpoint, and its end."""

    def __init__(self, plan: Plan, where: Runtime, stop: StopSignal, progress: Progress) -> None:
        self.plan, self.where, self.stop, self.progress = plan, where, stop, progress
        self.folder = plan.folder
        model = plan.model.to(where.device)
        self.loop = OnePass(model) if plan.closed_form else Loop(model, plan.options, where)
        self.best: float | None = None
        self.best_step = self.waited = 0
        self.seconds = 0.0
        self.logged: dict[str, float] = {}

    def open(self, record: dict[str, Any] | None) -> None:
        """Take up the newest checkpoint; a new folder is made loadable and resumable before the first step."""
        found = checkpoint.newest(self.folder.checkpoints, self.loop.tensors())
        self.where.wait()  # every rank has read before the first one writes
        if found is not None:
            state, tensors = found
            self.loop.restore(state["steps"], tensors)
            self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]
            self.seconds = state["seconds"]
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
        """Say what is about to happen; raises UsageError rather than train a finished run again from nothing."""
        path, data = self.folder.path, self.plan.dataset
        if not resumed and record is not None and "finished" in record:
            raise UsageError(f"the run in {path} is finished, but its checkpoints are gone; use --fresh to train anew")
        if resumed:
            over = self._done() >= 1 or self._out_of_patience()
            self.progress.say(f"{path} is {'finished' if over else 'continued'} at step {self.loop.steps}")
            return
        left_out = f"; {len(data.unreadable)} unreadable files left out" if data.unreadable else ""
        self.progress.say(f"fitting {self.plan.model.spec.describe()} of {data.name} in {path}{left_out}")

    def train(self) -> None:
        plan = self.plan
        batches = Batches(plan.dataset.train, plan.model.spec, plan.options.batch, plan.options.seed, self.where)
        began, spent_before, done_before = time.monotonic(), self.seconds, self._done()
        while (done := self._done()) < 1 and not self._out_of_patience():
            values = self.loop.step(batches, done)
            self.seconds = spent_before + time.monotonic() - began
            asked = self.where.agree(self.stop.asked is not None)
            if values and (self.loop.steps % LOGGED_EVERY == 0 or self.loop.steps == 1):
                self._log({name: value.item() for name, value in values.items()})
            gained = done - done_before
            left = (self.seconds - spent_before) * (1 - done) / gained if gained > 0 else None
            self.progress.update(done, left, self.loop.steps, self.logged | values)
            if self.loop.steps % plan.every == 0 or self._done() >= 1:
                self._validate(judged=self.loop.judges(done))
            if asked:
                self._interrupt()

    def _done(self) -> float:
        """The leader's clock decides for all: ranks that disagree about the end would wait for each other for ever."""
        return self.where.leaders(self.plan.spent(self.loop.steps, self.seconds))

    def _out_of_patience(self) -> bool:
        return 0 < self.plan.options.patience <= self.waited

    def _why_it_ended(self) -> str:
        if self.plan.closed_form:
            return "closed form"
        return "patience" if self._out_of_patience() else "budget"

    def _log(self, values: dict[str, float]) -> None:
        self.logged |= values
        if self.where.leads:
            where = {"step": self.loop.steps, "epoch": self.plan.epochs(self.loop.steps)}
            self.folder.log(where | {"seconds": round(self.seconds, 3)} | values)

    def _validate(self, judged: bool) -> None:
        """Score, draw and save: with the averaged weights, and from seeds of their own.

        The best is kept, and the newest as long as there is nothing to judge it by.
        """
        self.loop.refuse_unless_finite()
        model, value = self.loop.fitted, None
        if judged and has_likelihood(model):
            nats = score_items(model, self.plan.dataset.valid, limit=VALIDATED, seed=self.plan.options.seed)
            value = float(model.spec.bits_per_dim(nats.mean()))
            self._log({"valid_bits_per_dim": value})
        improved = value is None or self.best is None or value < self.best
        self.waited = 0 if improved else self.waited + 1
        if improved:
            self.best, self.best_step = value, self.loop.steps
        if self.where.leads:
            if improved:
                self._save_model()
            self._draw(model)
            self._save_checkpoint()

    def _draw(self, model: Model) -> None:
        if isinstance(model, Sampler) and has_picture(model.spec):
            noise = generator(self.where.device, self.plan.options.seed, "picture")
            items = model.sample(SHOWN, model.every_class(SHOWN), generator=noise)
            save_picture(items.cpu().numpy(), model.spec, self.folder.samples / f"step-{self.loop.steps:08d}.png")

    def _save_model(self) -> None:
        save(self.loop.fitted, self.folder.model, self.plan.card(self.best, self.best_step))

    def _save_checkpoint(self) -> None:
        state = {"steps": self.loop.steps, "seconds": self.seconds, "waited": self.waited}
        state |= {"best": self.best, "best_step": self.best_step}
        checkpoint.save(self.folder.checkpoints, self.loop.steps, state, self.loop.tensors())

    def _interrupt(self) -> None:
        self.loop.refuse_unless_finite()
        if self.where.leads:
            self._save_checkpoint()
        number = self.stop.asked or signal.SIGTERM
        raise Interrupted(number, f"stopped at step {self.loop.steps} and saved; the same command continues from there")

    def finish(self) -> Model:
        """Note how the run ended; returns the model as it was saved."""
        if self.where.leads:
            ended: dict[str, Any] = {
                "steps": self.loop.steps,
                "seconds": round(self.seconds, 3),
                "best_step": self.best_step,
            }
            ended["stopped_by"] = self._why_it_ended()
            ended["valid_bits_per_dim"] = self.best
            self.folder.write_record((self.folder.record() or {}) | {"finished": ended})
        self.where.wait()
        return load(self.folder.path, self.where.device)
