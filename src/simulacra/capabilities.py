"""The abilities that a model may have. A verb needs an ability and never names a family.

x is on the data grid (N, *shape); `condition` maps field names to tensors with a batch axis; likelihoods are nats per
item.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from simulacra.errors import NotSupported

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from simulacra.condition import Condition, ConditionLike
    from simulacra.distributions import Distribution, Factorised

A = TypeVar("A")


@runtime_checkable
class Density(Protocol):
    """An exact likelihood."""

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(x | condition), exact, (N,) nats."""
        ...


@runtime_checkable
class Bound(Protocol):
    """A lower bound of the likelihood."""

    def elbo(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """A one-sample estimate of a lower bound of log p(x | condition), (N,) nats."""
        ...


@runtime_checkable
class Weighted(Protocol):
    """Draws of an encoder with weights whose mean is p(x): a bound that rises with their number."""

    def log_weights(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """log p(x, z_k) - log q(z_k | x) for `samples` fresh draws of q, (samples, N) nats.

        The mean of their exponentials is an unbiased estimate of p(x). No more of them are decoded at a time than a
        device has room for, whatever their number.
        """
        ...

    def log_prob_bound(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """The importance-weighted bound with `samples` draws, (N,) nats; it rises to log p(x) with their number."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A distribution over the classes of an item."""

    def log_class_probs(self, x: Tensor) -> Tensor:
        """log q(y | x) of the one field of the condition, (N, classes) nats."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Draws new items."""

    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """(n, *shape) on the data grid."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A distribution over the codes z of an item."""

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """q(z | x); a point mass where the encoder is deterministic."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """A distribution over items, given a code z."""

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x | z); a point mass for a GAN's generator."""
        ...


@runtime_checkable
class Prior(Protocol):
    """A distribution over codes z. An autoencoder has none."""

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z) for n items; without a condition that of all classes together, where the model has it."""
        ...


class CodesFound(Protocol):
    """Codes (N, *code), or styles (N, layers, D), and of each the root mean square of what G(z) leaves of x, (N,).

    See `simulacra.inverse`.
    """

    @property
    def z(self) -> Tensor: ...
    @property
    def error(self) -> Tensor: ...


@runtime_checkable
class Inverter(Protocol):
    """Codes of items by search, where no encoder has them: slow, so that no metric looks for them by itself."""

    def invert(
        self,
        x: Tensor,
        condition: ConditionLike | None = None,
        steps: int = 200,
        starts: int = 4,
        generator: Generator | None = None,
        space: str = "z",
    ) -> CodesFound:
        """The code of each item with the error that is left; the generator is that of the starts, the space "z", or of
        a generator with styles "w" or "w+"."""
        ...


class Steps(Protocol):
    """A walk along a chain, one coordinate of n items at a time: `look` at the next one, `put` its value, and again.

    The walk is deterministic: the same values put give the same distributions, bit for bit, wherever they come from.
    """

    def conditional(self) -> Factorised:
        """p(x_i | what was put before), of the next coordinate of every item, (n,)."""
        ...

    def append(self, value: Tensor) -> None:
        """The value of that coordinate, (n,) on the data grid; every `put` follows a `look`."""
        ...


@runtime_checkable
class Chain(Protocol):
    """An exact density that is a product of conditionals, p(x) = Π_i p(x_o(i) | x_o(1), ..., x_o(i-1)).

    An order o is a (dims,) tensor of places in `x.flatten(1)`; None stands for the model's own, `order()`.
    """

    def order(self, unknown: Tensor | None = None) -> Tensor:
        """The order of the factors; where some (*shape) are `unknown`, the one with most known ones before them."""
        ...

    def log_each(self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None) -> Tensor:
        """log p(x_i | those before it), nats, of the shape of x."""
        ...

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> Steps:
        """Walk along the chain with every activation computed once."""
        ...


@runtime_checkable
class Completer(Protocol):
    """Fills the unknown part of an item."""

    def complete(
        self,
        x: Tensor,
        unknown: Tensor,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """x (N, *shape) with its `unknown` coordinates, True in (*shape) or (N, *shape), drawn anew."""
        ...


@runtime_checkable
class Translator(Protocol):
    """Maps an item to what it would be in another domain."""

    def translate(
        self, x: Tensor, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """Items x (N, *shape) -> the same items in the domain that is the condition, (N, *shape) on the grid."""
        ...


@runtime_checkable
class Forecaster(Protocol):
    """Draws what follows a past."""

    def forecast(
        self, past: Tensor, steps: int, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """Pasts (N, P, ...) of any length P >= 1, the oldest step first -> one future of each, (N, steps, ...), on the
        grid."""
        ...


@runtime_checkable
class ClosedForm(Protocol):
    """Fitted without steps, by one pass over the training items."""

    def estimate(self, batches: Iterable[tuple[Tensor, Condition]]) -> None:
        """Estimate from batches (x, condition) with every item once; an earlier estimate is replaced."""
        ...


class CodeUse(Protocol):
    """How some items use one codebook: of `codes` codes `used` occur, in grids (h, w), with this perplexity."""

    @property
    def grid(self) -> tuple[int, int]: ...
    @property
    def codes(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def perplexity(self) -> float: ...


@runtime_checkable
class Quantised(Protocol):
    """Codes are entries of codebooks, looked up and not moved along dimensions."""

    def code_use(self, batches: Iterable[Tensor]) -> Sequence[CodeUse]:
        """How all the items of the batches of x together use each codebook."""
        ...


@runtime_checkable
class Layered(Protocol):
    """Codes come in layers, each conditioned on those before it."""

    def kl_by_layer(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """KL(q(z_l | z_<l, x) || p(z_l | z_<l)) at a draw of the layers before, (layers, N) nats, the first on top."""
        ...


@runtime_checkable
class Adversarial(Protocol):
    """Learns from a critic of items, whose scores are no density and compare within one model alone: it is no ability,
    by which verbs would compare models."""

    def boundary(self) -> float | None:
        """The score between what the critic takes for real and for generated; None where scores can be shifted."""
        ...

    def critic_scores(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """The critic's score of each item, (N,), N >= 2, as in training: of a critic with statistics of its batch those
        of these items together."""
        ...

    def scores_of_draws(
        self, n: int, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """The same of n >= 2 generated items before they are rounded to the grid, as the critic sees them in training,
        (n,)."""
        ...


@runtime_checkable
class Futures(Protocol):
    """Draws many futures of one past at once, and knows the one that errs least: no ability of its own, but what rules
    such as best of k and k = 1 are measured with."""

    def futures(self, condition: ConditionLike, k: int, generator: Generator | None = None) -> Tensor:
        """k draws for each item of the condition, (k, N, *shape)."""
        ...

    def single(self, condition: ConditionLike) -> Tensor:
        """One forecast for each item of the condition without noise, (N, *shape)."""
        ...


@dataclass(frozen=True)
class Ability:
    """A protocol, and the refusal where a model lacks it: the model's name goes before, a remedy is at its end."""

    protocol: type
    refusal: str


ABILITIES: dict[str, Ability] = {
    "Density": Ability(Density, "has no exact likelihood; fit gated-pixelcnn, or another autoregressive model"),
    "Bound": Ability(Bound, "has no bound of a likelihood; fit a vae"),
    "Weighted": Ability(Weighted, "has no encoder whose draws could be weighted; fit a vae"),
    "Classifier": Ability(Classifier, "has no classifier q(y | x) of its own; fit m2 with --condition label"),
    "Sampler": Ability(
        Sampler, "cannot sample: it has no distribution to draw codes or items from; fit a vae, aae or dcgan"
    ),
    "Encoder": Ability(
        Encoder,
        "has no encoder, so items have no codes; without DATA, interpolate and traverse use draws of its prior; "
        "fit a vae for codes",
    ),
    "Decoder": Ability(Decoder, "has no decoder: it makes no items from codes; fit a vae or a dcgan for that"),
    "Prior": Ability(
        Prior,
        "has no prior: without a distribution of codes none can be drawn and no dimension has a scale; fit a vae, or "
        "name DATA where codes of items will do",
    ),
    "Inverter": Ability(
        Inverter,
        "finds no codes by search; fit a gan for that, or a vae, whose encoder has them",
    ),
    "Chain": Ability(
        Chain,
        "is no chain of conditionals: its likelihood, if it has one, is one number for all of an item; fit "
        "gated-pixelcnn, or another autoregressive model",
    ),
    "Completer": Ability(
        Completer,
        "cannot complete: it draws all of an item at once and cannot keep a part of it; fit gated-pixelcnn, or "
        "orderless-nade, which conditions on all that is known, or, on images, this model with --condition mask",
    ),
    "Translator": Ability(
        Translator,
        "maps no item to another domain; fit cyclegan or stargan with --condition label, or a model that is "
        "conditioned on a picture",
    ),
    "Forecaster": Ability(
        Forecaster, "draws no future of a past; fit mdn-rnn on series: windows of a table by --window"
    ),
    "ClosedForm": Ability(ClosedForm, "is trained in steps, not in closed form; fit independent or markov"),
}


def can(model: object, ability: type) -> bool:
    """Whether a model, or a class of models, has an ability."""
    return issubclass(model, ability) if isinstance(model, type) else isinstance(model, ability)


def need(model: object, ability: type[A], refusal: str | None = None) -> A:
    """The model itself, as one that has the ability; raises NotSupported, with the reason and a remedy, for another.

    `refusal` replaces the ability's own sentence where a verb has a better remedy.
    """
    if isinstance(model, ability):
        return model
    sentence = refusal or next(own.refusal for own in ABILITIES.values() if own.protocol is ability)
    raise NotSupported(f"{getattr(model, 'name', type(model).__name__)} {sentence}")


def abilities(model: object) -> list[str]:
    """The names of all abilities of a model, or of a class of models."""
    return [name for name, ability in ABILITIES.items() if can(model, ability.protocol)]
