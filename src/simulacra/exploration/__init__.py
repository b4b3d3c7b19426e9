"""Looking into a model: draws, completions, codes, reconstructions, and the paths between them."""

from simulacra.exploration.codes import encode, interpolate, reconstruct, sample
from simulacra.exploration.complete import Completion, complete, completion_nats
from simulacra.exploration.masks import mask_of
from simulacra.exploration.paths import slerp, walk

__all__ = [
    "Completion",
    "complete",
    "completion_nats",
    "encode",
    "interpolate",
    "mask_of",
    "reconstruct",
    "sample",
    "slerp",
    "walk",
]
