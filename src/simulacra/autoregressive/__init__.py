"""Explicit densities by the chain rule, one idea per file."""

from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN

__all__ = ["GatedPixelCNN"]
