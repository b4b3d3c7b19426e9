"""The one loop. It knows no loss; a loss knows no optimiser.

A step takes every phase that is due: thaw its player and freeze the others, zero, sum the named loss terms, backward,
average over the ranks, clip, update; and at the end of the step move the averaged weights. All randomness of a step
follows from (seed, step), so the state of a run is the step number, the weights and the moments of the optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from simulacra.errors import TrainingError
from simulacra.model import Model, Phase
from simulacra.randomness import seed_everything
from simulacra.training.batches import Batches
from simulacra.training.ema import AveragedModel
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime

STALLED = 100  # updates skipped in a row after which training has stopped in all but name


class Loop:
    """A model in training; `step(draws, progress)` advances it by one step."""

    def __init__(self, model: Model, options: Options, runtime: Runtime) -> None:
        self.model, self.options, self.runtime = model, options, runtime
        self.phases = list(model.phases())
        self.draws_per_step = max(phase.repeat for phase in self.phases)
        self.optimisers = [_adam(phase, options, runtime) for phase in self.phases]
        self.averaged = AveragedModel(model, options.ema)
        self.skips = torch.zeros(2, len(self.phases), dtype=torch.int64)  # of each phase: in all, and the last in a row
        self.steps = 0

    def step(self, batches: Batches, done: float) -> dict[str, Tensor]:
        """Take one step with `done` of the budget spent; returns the loss terms by name, detached.

        Raises TrainingError, before the update, when a term is not finite; it names the phase, term and step. So it
        does when `skip` has left a phase without an update for long.
        """
        self.model.train()
        values: dict[str, Tensor] = {}
        for number, (phase, optimiser) in enumerate(zip(self.phases, self.optimisers, strict=True)):
            if not phase.due(self.steps, done):
                continue
            for group in optimiser.param_groups:
                group["lr"] = self._learning_rate(phase.share(done), optimiser)
            for turn in range(phase.repeat):
                x, condition = batches[self.steps * self.draws_per_step + turn]
                seed_everything(self.options.seed, self.steps, number, turn, self.runtime.rank)
                values |= self._turn(number, x, condition)
        self.averaged.update(self.steps)
        self.steps += 1
        return values

    def _turn(self, number: int, x: Tensor, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        phase, optimiser = self.phases[number], self.optimisers[number]
        self._thaw(phase)
        optimiser.zero_grad(set_to_none=True)
        with self.runtime.autocast():
            terms = phase.loss(x, condition)
        total = torch.stack(list(terms.values())).sum()
        if not math.isfinite(total.item()):
            self._refuse(phase, terms)
        total.backward()
        gradients = [p.grad for p in phase.player.parameters() if p.grad is not None]
        statistics = [buffer for buffer in phase.player.buffers() if buffer.is_floating_point()]
        self.runtime.average([*gradients, *statistics], share=len(x) / self.options.batch)
        if self._small_enough(number, gradients):
            if self.options.clip is not None:
                norm = torch.nn.utils.clip_grad_norm_(phase.player.parameters(), self.options.clip)
                if not math.isfinite(norm.item()):
                    self._refuse(phase, {"gradient": norm})
            optimiser.step()
        skipped = {} if self.options.skip is None else {"skipped": self.skips[0].sum()}
        return {name: term.detach() for name, term in terms.items()} | skipped

    def _small_enough(self, number: int, gradients: list[Tensor]) -> bool:
        """Whether `skip` lets the update of a phase happen; it never does for a gradient that is not finite."""
        if self.options.skip is None:
            return True
        norm = torch.nn.utils.get_total_norm(gradients).item()
        taken = norm <= self.options.skip
        self.skips[0, number] += not taken
        self.skips[1, number] = 0 if taken else self.skips[1, number] + 1
        if self.skips[1, number] >= STALLED:
            raise TrainingError(
                f"training stalls at step {self.steps}: {STALLED} updates in a row were skipped, because the gradient "
                f"of {self.phases[number].loss.__name__} has a norm above skip = {self.options.skip:g} (the last one "
                f"{norm:.4g}). Begin anew (--fresh) with a larger --skip or a smaller --learning-rate."
            )
        return taken

    def _thaw(self, phase: Phase) -> None:
        if len(self.phases) > 1:
            self.model.requires_grad_(False)
            phase.player.requires_grad_(True)

    def _refuse(self, phase: Phase, terms: Mapping[str, Tensor]) -> None:
        bad = next((name for name, term in terms.items() if not torch.isfinite(term)), "the sum of the terms")
        raise TrainingError(
            f"the loss is not finite at step {self.steps}: term {bad!r} of {phase.loss.__name__}. The step was not "
            "taken and the checkpoints before it are whole; try a smaller --learning-rate or set --clip."
        )

    def judges(self, done: float) -> bool:
        """Whether every phase had begun in the step that was taken with `done` of the budget spent.

        What is trained in stages has no likelihood worth the name before its last stage.
        """
        return all(phase.begin <= done for phase in self.phases)

    @property
    def fitted(self) -> Model:
        """What is saved, sampled and scored: the model with its averaged weights."""
        return self.averaged.model

    def refuse_unless_finite(self) -> None:
        """Raise TrainingError when weights are not finite, as a broken gradient of a finite loss can leave them."""
        for name, tensor in self.averaged.model.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise TrainingError(
                    f"the weights {name!r} are not finite at step {self.steps}. Nothing was saved of them and the "
                    "checkpoints before are whole; try a smaller --learning-rate or set --clip."
                )

    def _learning_rate(self, done: float, optimiser: torch.optim.Optimizer) -> float:
        """Of a phase with `done` of its own time passed; it rises over the phase's own first updates."""
        taken = next(iter(optimiser.state.values()))["step"].item()
        rise = min(1.0, (taken + 1) / self.options.warmup) if self.options.warmup else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done))) if self.options.schedule == "cosine" else 1.0
        return self.options.learning_rate * rise * fall

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold beside the step number."""
        held = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        held |= {f"averaged.{name}": tensor for name, tensor in self.averaged.model.state_dict().items()}
        skips = {} if self.options.skip is None else {"skips": self.skips}
        return held | dict(self._moments()) | skips

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        for number, optimiser in enumerate(self.optimisers):
            for parameter, state in optimiser.state.items():
                for key, value in state.items():
                    yield f"optimiser.{number}.{names[parameter]}.{key}", value

    @torch.no_grad()
    def restore(self, steps: int, tensors: Mapping[str, Tensor]) -> None:
        """Continue as if this loop had just taken step number `steps`."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.steps = steps


def _adam(phase: Phase, options: Options, runtime: Runtime) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, its moments laid out at once so that every checkpoint has the same tensors."""
    fused = runtime.device.type in ("cpu", "cuda")
    optimiser = torch.optim.AdamW(
        phase.player.parameters(), options.learning_rate, options.betas, weight_decay=options.weight_decay, fused=fused
    )
    for parameter in phase.player.parameters():
        zeros = {"exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        optimiser.state[parameter] = {"step": torch.zeros((), device=parameter.device), **zeros}
    return optimiser
