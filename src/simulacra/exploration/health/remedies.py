"""What to do about the state of a game, in the options that the model has: a change of a flag, else another model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulacra import registry
from simulacra.model import Model
from simulacra.parts import called, is_part

PENALISING = ("r1", "r2", "gradient")  # penalties of the critic's gradient


class Options:
    """The flags of a model with their present values.

    flags: the names of the arguments that `fit` takes for it; those of its class where it is no preset.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.values = model, model.arguments
        known = next((entry for entry in registry.models() if entry.name == model.name), None)
        self.flags: Mapping[str, Any] = {} if known is None else known.arguments

    def number(self, name: str) -> float | None:
        """The value of an argument, where it is a number and a flag."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) and name in self.flags else None

    def part(self, name: str) -> str:
        """The name of the part that an argument is, or ""."""
        value = self.values.get(name)
        return called(value)[1] if is_part(value) else ""

    @property
    def penalties(self) -> list[str]:
        return [called(each)[1] for each in self.values.get("penalties") or () if is_part(each)]

    @property
    def penalised(self) -> bool:
        """Whether the slope of the critic is."""
        return any(name in PENALISING for name in self.penalties)

    def other(self) -> str:
        """Another model, whose game holds its balance."""
        return "fit r3gan" if self.model.spec.is_image and self.model.name != "r3gan" else "fit gan"


def _joined(ways: list[str]) -> str:
    return ", or ".join(ways)


def collapsed(options: Options) -> str:
    """Pairs instead of single items, slopes that are penalised, slower players, longer codes."""
    ways = []
    if options.part("game") not in ("", "relativistic"):
        if "game" in options.flags:
            ways.append("--game relativistic with its penalties, which keeps modes (leave out --penalties)")
        else:
            ways.append(f"{options.other()}, whose relativistic game keeps modes")
    elif "penalties" in options.flags:
        ways.append("a larger weight of r1 and r2 (--penalties r1:weight=...,r2:weight=...)")
    return _joined([*ways, *_longer_codes(options), "a smaller --learning-rate"])


def _longer_codes(options: Options) -> list[str]:
    latent, enough = options.number("latent"), 8 if options.model.spec.is_image else 2
    return [f"longer codes (--latent {enough})"] if latent is not None and latent < enough else []


def critic_wins(options: Options) -> str:
    """What made it so strong, first; then the slope of its scores."""
    ways = []
    if (rate := options.number("critic_rate")) is not None and rate > 1:
        ways.append("--critic-rate 1")
    if (steps := options.number("critic_steps")) is not None and steps > 1 and options.part("game") != "wasserstein":
        ways.append("--critic-steps 1")
    if "game" in options.flags and options.part("game") == "minimax":
        ways.append("--game relativistic, or non-saturating, whose generator learns most while the critic is sure")
    if "penalties" in options.flags and not options.penalised:
        ways.append("--penalties r1:weight=1")
    elif "gamma" in options.flags:
        ways.append("a larger --gamma")
    if not ways and "game" not in options.flags and options.part("game") != "relativistic":
        ways.append(options.other())
    return _joined([*ways, *_longer_codes(options)] or ["a smaller --learning-rate", "a wider generator"])


def memorises(options: Options) -> str:
    """More items, in truth or by augmentation."""
    ways = ["more training items"]
    if "augmentation" in options.flags and options.model.spec.is_image:
        if options.part("augmentation") == "":
            ways.insert(0, "--augmentation adaptive")
    elif options.model.spec.is_image:
        ways.insert(0, "--augment shift:pixels=1, or gan with --augmentation adaptive")
    if "penalties" in options.flags and not options.penalised:
        ways.append("--penalties r1:weight=1")
    return _joined([*ways, "fewer --steps"])


def diverged(options: Options) -> str:
    """Slower players, and slopes that are penalised."""
    ways = ["a smaller --learning-rate"]
    if "penalties" in options.flags and not options.penalised:
        wasserstein = options.part("game") == "wasserstein"
        ways.insert(0, "--penalties gradient" if wasserstein else "--penalties r1:weight=1")
    return _joined([*ways, "--schedule cosine"])


Remedy = Callable[[Options], str]
