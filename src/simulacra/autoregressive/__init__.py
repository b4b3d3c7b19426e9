"""Explicit densities by the chain rule, one idea per file."""

from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.autoregressive.pixelcnn import PixelCNN

__all__ = ["GatedPixelCNN", "PixelCNN"]
