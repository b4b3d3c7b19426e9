"""A model: a network, what it was constructed with, how it wants to be trained, and how it is saved and loaded."""

from simulacra.model.base import FORMAT, Model, evaluating
from simulacra.model.by_hand import refuse_if_changed_by_hand, warn_of_script
from simulacra.model.files import ModelLike, as_model, load, model_folder, origin_in, save, write

__all__ = [
    "FORMAT",
    "Model",
    "ModelLike",
    "as_model",
    "evaluating",
    "load",
    "model_folder",
    "origin_in",
    "refuse_if_changed_by_hand",
    "save",
    "warn_of_script",
    "write",
]
