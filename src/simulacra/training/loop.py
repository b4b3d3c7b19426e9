"""The one loop. It knows no loss; a loss knows no optimiser.

A step takes every phase that is due: thaw its player and freeze the others, zero, sum the named loss terms, backward,
add up over the ranks, clip, update; and at the end of the step move the averaged weights. All randomness of a step
follows from (seed, step), so the state of a run is the step number, the number of batches that were read, the weights
and the moments of the optimisers. A loss draws for the whole batch, whoever computes which part of it (`whole`);
torch's own generators, from which dropout draws, are seeded for each rank.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from simulacra.borders import trusted
from simulacra.condition import Condition
from simulacra.errors import TrainingError
from simulacra.model import Model
from simulacra.nn import synchronise
from simulacra.randomness import seed_everything
from simulacra.training.ema import AveragedModel
from simulacra.training.guard import Guard
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.training.shares import shared_out
from simulacra.turns import Items, Player, Turn, lazy_correction, names, passed, players
from simulacra.whole import seen_from

Values = dict[str, Tensor]
GRADIENT = "gradient"  # the name of a norm, before that of the phase


class Draws(Protocol):
    """Where items come from: `draws[d]` is x and the condition of draw number d."""

    def __getitem__(self, draw: int, /) -> tuple[Tensor, Mapping[str, Tensor]]: ...


class Loop:
    """A model in training; `step(draws, done)` advances it by one step.

    phases, players, optimisers: of the model; a player's optimiser stands at the player's place.
    steps, drawn: steps taken, and batches read, so far.
    turns: of each player, the updates that it was due.
    norms: of the gradients of the last step's last turn of each phase, before they were clipped: "gradient.critic", or
        "gradient" of a single phase.
    """

    def __init__(self, model: Model, options: Options, runtime: Runtime) -> None:
        self.model, self.options, self.runtime = model, options, runtime
        if runtime.world > 1:
            synchronise(model)
        self.phases = list(model.phases())
        self.names = names(self.phases)
        self.players = players(self.phases)
        self.optimisers = [self._adam(player) for player in self.players]
        self._parameters = list(model.parameters())  # to walk over the modules for them would take a part of a step
        self._moved = [dict.fromkeys(self._player(number).parameters()) for number in range(len(self.phases))]
        self.averaged = AveragedModel(model, options.ema)
        self.guard = Guard(self.phases, options.skip, runtime.device)
        self.steps = 0
        self.drawn = torch.zeros((), dtype=torch.int64)
        self.turns = torch.zeros(len(self.players), dtype=torch.int64)
        self.norms: Values = {}
        self._norm_names = [GRADIENT] if len(self.names) == 1 else [f"{GRADIENT}.{name}" for name in self.names]

    def step(self, draws: Draws, done: float) -> Values:
        """Take one step with `done` of the budget spent; returns the loss terms by name, detached.

        Turn t of every phase reads the same batches of the step: a critic sees the items that its generator learns
        from. A term is called as its loss calls it, after the name of its phase where there are several:
        `autoencoder.commitment`, but `critic` of the phase `critic`. Terms of repeated turns are means over these.

        Raises TrainingError, before the update, when a term or a gradient is not finite; it names the phase, term and
        step. So it does when `skip` has left a phase without an update for long. On a GPU the update does not happen
        either, nor any after it, and the error is raised by `check`.
        """
        if not self.model.training:
            self.model.train()
        first, values = int(self.drawn), dict[str, Tensor]()
        self.norms = {}
        read = functools.cache(lambda draw: _items(draws[draw]))
        for number, phase in enumerate(self.phases):
            if not phase.due(self.steps, done):
                continue
            self._thaw(number)
            taken = []
            for turn in range(phase.repeat):
                begin = first + turn * phase.draws
                (x, condition), *further = [read(draw) for draw in range(begin, begin + phase.draws)]
                seen = Turn(x, condition, tuple(further), self.steps, phase.share(done))
                seed_everything(self.options.seed, self.steps, number, turn, self.runtime.rank)
                taken.append(self._turn(number, seen, turn, done))
            values |= self._named(number, taken)
            self.drawn.fill_(max(int(self.drawn), first + phase.batches))
        self.averaged.update(self.steps)
        self.steps += 1
        if values and self.options.skip is not None:
            values["skipped"] = self.guard.skips[0].sum()
        return values

    def _turn(self, number: int, turn: Turn, repeated: int, done: float) -> Values:
        optimiser = self._ready(number, done)
        terms = self._backward(number, turn, repeated)
        parameters = self._moved[number]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.runtime.world > 1:
            terms = self._added_up(number, gradients, terms, len(turn) / self.options.batch)
        self.guard.see_terms(number, self.steps, terms)
        norm = self.norms[self._norm_names[number]] = torch.nn.utils.get_total_norm(gradients)
        allowed = self.guard.allows(number, self.steps, norm)
        if isinstance(allowed, Tensor):
            optimiser.found_inf = (~allowed).float()  # pyright: ignore[reportAttributeAccessIssue]
        elif not allowed:
            return terms
        if self.options.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.options.clip, norm)
        optimiser.step()
        for constrain in self._player(number).after:
            constrain()
        return terms

    def _backward(self, number: int, turn: Turn, repeated: int) -> Values:
        """The gradients, from `accumulate` parts of this rank's items, each weighed by its share of the whole batch."""
        summed: Values = {}
        for rows, part in shared_out(turn, self.options, self.runtime, self.steps, number, repeated):
            count = rows.stop - rows.start
            weight = 1 if part is None else count / part.total
            with self.runtime.autocast(), seen_from(part), trusted():
                terms = self.phases[number].loss(turn if count == len(turn) else turn.rows(rows))
            total = torch.stack(list(terms.values())).sum()
            (total if weight == 1 else weight * total).backward()
            for name, term in terms.items():
                own = term.detach() if weight == 1 else weight * term.detach()
                summed[name] = summed[name] + own if name in summed else own
        return summed

    @torch.no_grad()
    def _added_up(self, number: int, gradients: Sequence[Tensor], terms: Values, share: float) -> Values:
        """Over the ranks, in place: gradients, and the mean of floating buffers. Returns the terms of the whole batch.

        A rank that fails therefore is seen by all.
        """
        statistics = [buffer for buffer in self._player(number).buffers() if buffer.is_floating_point()]
        sums = self.runtime.sums([*gradients, *(share * buffer for buffer in statistics), *terms.values()])
        held = [*gradients, *statistics]
        for tensor, total in zip(held, sums, strict=False):
            tensor.copy_(total)
        return {name: total.to(terms[name].dtype) for name, total in zip(terms, sums[len(held) :], strict=True)}

    def _named(self, number: int, taken: Sequence[Values]) -> Values:
        """The terms of a phase under their names in the whole step, means over its turns."""
        own, alone = self.names[number], len(self.phases) == 1
        means = taken[0] if len(taken) == 1 else {
            name: torch.stack([terms[name] for terms in taken]).mean() for name in taken[0]
        }  # fmt: skip
        return {name if alone or name == own else f"{own}.{name}": mean for name, mean in means.items()}

    def _ready(self, number: int, done: float) -> torch.optim.Optimizer:
        """The optimiser of phase `number`, with its learning rate and betas for this turn and without gradients."""
        player = self.players.index(self._player(number))
        optimiser = self.optimisers[player]
        own = [phase for phase in self.phases if phase.player is self.players[player]]
        correction = lazy_correction(own, done)
        first, second = self.players[player].betas or self.options.betas
        for group in optimiser.param_groups:
            group["lr"] = correction * self._learning_rate(player, passed(own, done))
            group["betas"] = (first**correction, second**correction)
        for parameter in self._moved[number]:
            parameter.grad = None
        self.turns[player] += 1
        return optimiser

    def _player(self, number: int) -> Player:
        player = self.phases[number].player
        assert isinstance(player, Player)
        return player

    def _thaw(self, number: int) -> None:
        """Let gradients reach the parameters of the player of phase `number`, and no others."""
        if len(self.phases) > 1:
            for parameter in self._parameters:
                parameter.requires_grad = parameter in self._moved[number]

    def check(self) -> None:
        """Raise TrainingError if a step has failed that nobody has looked at yet, as on a GPU."""
        self.guard.read()

    def judges(self, done: float) -> bool:
        """Whether every phase had begun in the step that was taken with `done` of the budget spent.

        What is trained in stages cannot be judged before its last stage.
        """
        return all(phase.begin <= done for phase in self.phases)

    @property
    def fitted(self) -> Model:
        """What is saved, sampled and scored: the model with its averaged weights."""
        return self.averaged.model

    def refuse_unless_finite(self) -> None:
        """Raise TrainingError when a step has failed, or weights are not finite for another reason."""
        self.check()
        for name, tensor in self.fitted.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise TrainingError(
                    f"the weights {name!r} are not finite at step {self.steps}. Nothing was saved of them and the "
                    "checkpoints before are whole; try a smaller --learning-rate or set --clip."
                )

    def _learning_rate(self, number: int, share: float) -> float:
        """Of a player, of whose time in all its phases this share has passed; it rises over its own first turns.

        Who goes on in another phase goes on at the rate at which the last one ended, and keeps what was learned there.
        """
        options, taken = self.options, int(self.turns[number])
        rise = min(1.0, (taken + 1) / options.warmup) if options.warmup else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share))) if options.schedule == "cosine" else 1.0
        player = self.players[number]
        return options.learning_rate * player.rate * rise * fall

    def _adam(self, player: Player) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay, its moments laid out so that every checkpoint has the same tensors."""
        options = self.options
        optimiser = torch.optim.AdamW(
            list(player.parameters()),
            options.learning_rate,
            player.betas or options.betas,
            weight_decay=options.weight_decay,
            fused=self.runtime.device.type in ("cpu", "cuda"),
        )
        for parameter in player.parameters():
            zeros = {"exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
            optimiser.state[parameter] = {"step": torch.zeros((), device=parameter.device), **zeros}
        return optimiser

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold beside the step number."""
        held = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        held |= {f"averaged.{name}": tensor.detach() for name, tensor in self.averaged.averaged.items()}
        skips = {} if self.options.skip is None else {"skips": self.guard.skips}
        return held | dict(self._moments()) | skips | {"drawn": self.drawn, "turns": self.turns}

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


def drops_out(model: Model) -> bool:
    """Whether a loss of the model draws dropout, which each rank draws for its own items."""
    return any(isinstance(module, _DropoutNd) and module.p > 0 for module in model.modules())


def _items(draw: tuple[Tensor, Mapping[str, Tensor]]) -> Items:
    x, condition = draw
    return x, condition if isinstance(condition, Condition) else Condition(condition)
