"""Protocols over many fits: classification from few labels, with the codes of a model and without."""

from simulacra.studies.finetune import Finetuning, finetune

__all__ = ["Finetuning", "finetune"]
