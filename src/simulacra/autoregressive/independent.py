r"""Independent coordinates: p(x) = Π_i p_i(x_i), a table of n (L - 1) free parameters; n for binary data.

The baseline of the marginals: what a model gains on it is due to dependence between coordinates.
"""

from __future__ import annotations

from simulacra.autoregressive.markov import Markov
from simulacra.data.spec import DataSpec
from simulacra.registry import register


@register("independent", paper="the chain rule without memory")
def independent(spec: DataSpec, smoothing: float = 5.0) -> Markov:
    """p_i(x) = (n_i(x) + α p̄(x)) / (N + α), with p̄ the masses over all coordinates together; for each class its own.

    Args:
        spec: what x is; with a condition field, p(x | label).
        smoothing: α, the items that p̄ is worth.
    """
    return Markov(spec, 0, smoothing)
