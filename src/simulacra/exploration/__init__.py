"""Looking into a model: draws, codes, reconstructions, and the paths between them."""

from simulacra.exploration.codes import encode, interpolate, reconstruct, sample
from simulacra.exploration.paths import slerp, walk

__all__ = ["encode", "interpolate", "reconstruct", "sample", "slerp", "walk"]
