"""Looking into a model: draws, completions, codes, their dimensions and health, the paths between them, and edits."""

from simulacra.exploration.arithmetic import Arithmetic, arithmetic
from simulacra.exploration.attributes import attribute, attribute_of_classes
from simulacra.exploration.codes import encode, reconstruct
from simulacra.exploration.complete import Completion, complete, completion_nats
from simulacra.exploration.edit import Edit, edit
from simulacra.exploration.forecast import Forecasts, forecast
from simulacra.exploration.health import Diagnosis, Finding, Health, health, health_picture
from simulacra.exploration.interpolate import interpolate
from simulacra.exploration.inversion import Inversion, invert
from simulacra.exploration.masks import mask_of
from simulacra.exploration.neighbours import Nearest, neighbours
from simulacra.exploration.paths import slerp, walk
from simulacra.exploration.restyle import restyle
from simulacra.exploration.sample import sample
from simulacra.exploration.styles import mix_styles
from simulacra.exploration.translate import answers, translate
from simulacra.exploration.translation_inputs import Inputs, Reading, inputs_of
from simulacra.exploration.translation_picture import translations_picture
from simulacra.exploration.traverse import Traversal, manifold, traverse

__all__ = [
    "Arithmetic",
    "Completion",
    "Diagnosis",
    "Edit",
    "Finding",
    "Forecasts",
    "Health",
    "Inputs",
    "Inversion",
    "Nearest",
    "Reading",
    "Traversal",
    "answers",
    "arithmetic",
    "attribute",
    "attribute_of_classes",
    "complete",
    "completion_nats",
    "edit",
    "encode",
    "forecast",
    "health",
    "health_picture",
    "inputs_of",
    "interpolate",
    "invert",
    "manifold",
    "mask_of",
    "mix_styles",
    "neighbours",
    "reconstruct",
    "restyle",
    "sample",
    "slerp",
    "translate",
    "translations_picture",
    "traverse",
    "walk",
]
