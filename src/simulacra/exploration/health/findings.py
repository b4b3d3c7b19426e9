"""What an examination of a model finds: figures with advice, and one verdict on them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One figure, how much it could be at most, what stands behind it of every dimension, layer or class, what to do,
    `warning`, why it is not to be relied on, where that is so, and its 95 % interval where it has one."""

    value: float
    of: int | None
    each: tuple[float, ...]
    advice: str
    warning: str | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The state of a run in one of the words of `simulacra.exploration.health.verdict`, the figures that are the
    reason, and what to do; nothing where nothing is to be done."""

    state: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" + f"; {self.remedy}" * bool(self.remedy)


@dataclass(frozen=True)
class Health:
    """What was found of n items of a split, by name; `remark` says why it should not be judged by, where that is so,
    `left_out` which figures this model does not have, by name, and why, and `scores` are 101 quantiles of the scores of
    a critic, of training, held-out and generated items."""

    model: str
    data: str
    split: str
    n: int
    findings: dict[str, Finding]
    verdict: Diagnosis
    remark: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)
