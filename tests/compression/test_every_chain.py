"""Every registered model whose likelihood is a chain of masses is a codec, without a line of its own."""

import numpy as np
import pytest
from small import condition_of, items, labels, randomise, small_arguments

import simulacra as sim
from simulacra.capabilities import Chain, can
from simulacra.data import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Levels, Real

SPECS = (
    DataSpec(Levels((3, 4, 5), 4), labels(2)),
    DataSpec(Levels((1, 4, 5), 2)),
    DataSpec(Levels((5,), 4)),
    DataSpec(Real((3,))),
    DataSpec(Real((4, 2))),
)


@pytest.mark.parametrize("entry", [e for e in sim.models() if can(e.model, Chain)], ids=lambda entry: entry.name)
def test_it_decodes_what_it_coded(entry):
    built = 0
    for spec in SPECS:
        try:
            model = randomise(entry.build(spec, **small_arguments(entry)).eval())
        except UsageError:  # it is for other data
            continue
        built += 1
        x, condition = items(spec, 5), condition_of(spec, 5)
        if spec.levels is None:
            with pytest.raises(NotSupported, match="continuous"):
                sim.compress(model, x, condition=condition)
            continue
        decoded, given = sim.decompress(model, sim.compress(model, x, condition=condition))
        assert np.array_equal(decoded, x.numpy())
        assert all(np.array_equal(given[name], values.numpy()) for name, values in condition.items())
    assert built
