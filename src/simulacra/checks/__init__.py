"""Checks of a model that anybody has written: of a chain, that its factors look back only and its masses add up to one;
of any model, that it keeps the contract by which every verb can use it.

    print(sim.checks.causality(model))
    print(sim.checks.normalisation(MyModel(DataSpec(Levels((1, 3, 3), 2)))))
    print(sim.checks.contract("my-model", width=8))
"""

from simulacra.checks.cases import OTHERS, SPECS, Case, cases
from simulacra.checks.chains import Causality, Leak, Normalisation, causality, normalisation
from simulacra.checks.contract import Contract, contract
from simulacra.checks.law import LAWS

__all__ = [
    "LAWS",
    "OTHERS",
    "SPECS",
    "Case",
    "Causality",
    "Contract",
    "Leak",
    "Normalisation",
    "cases",
    "causality",
    "contract",
    "normalisation",
]
