r"""A Markov chain in raster order: p(x) = Π_i p_i(x_i | x_{i-k}, ..., x_{i-1}), one table for each coordinate.

For binary data a chain of order one has 2n - 1 free parameters, and one of order n - 1 is the full table of 2^n - 1.
"""

from __future__ import annotations

from simulacra.autoregressive.tables import Tables
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.registry import register


@register("markov", paper="MacKay & Peto 1995, A Hierarchical Dirichlet Language Model")
class Markov(Tables):
    """p_i(x | c) = (n_i(c, x) + α p_i(x | c')) / (n_i(c) + α), with c' the context c without its oldest coordinate.

    Args:
        spec: what x is; with a condition field, p(x | label).
        memory: k, the number of preceding coordinates that a coordinate is conditioned on.
        smoothing: α, the items that the estimate with a shorter memory is worth.
    """

    def __init__(self, spec: DataSpec, memory: int = 1, smoothing: float = 30.0) -> None:
        if memory < 1:
            raise UsageError(f"a Markov chain needs a memory of at least 1, not {memory}; or use independent")
        super().__init__(spec, memory, smoothing)
