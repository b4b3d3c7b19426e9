"""Explicit densities by the chain rule, one idea per file."""

from simulacra.autoregressive.fvbn import FVBN
from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.autoregressive.independent import independent
from simulacra.autoregressive.made import MADE
from simulacra.autoregressive.markov import Markov
from simulacra.autoregressive.multiscale_pixelrnn import MultiscalePixelRNN
from simulacra.autoregressive.nade import NADE
from simulacra.autoregressive.orderless_nade import OrderlessNADE
from simulacra.autoregressive.pixelcnn import PixelCNN
from simulacra.autoregressive.pixelcnn_plus_plus import PixelCNNPlusPlus
from simulacra.autoregressive.pixelrnn_diagonal import DiagonalPixelRNN
from simulacra.autoregressive.pixelrnn_row import RowPixelRNN
from simulacra.autoregressive.pixelsnail import PixelSNAIL
from simulacra.autoregressive.presets import (
    gated_pixelcnn,
    pixelcnn,
    pixelcnn_plus_plus,
    pixelrnn_diagonal,
    pixelrnn_row,
    pixelsnail,
)
from simulacra.autoregressive.raster import Raster
from simulacra.autoregressive.rnade import RNADE
from simulacra.autoregressive.wavenet import WaveNet

__all__ = [
    "FVBN",
    "MADE",
    "NADE",
    "RNADE",
    "DiagonalPixelRNN",
    "GatedPixelCNN",
    "Markov",
    "MultiscalePixelRNN",
    "OrderlessNADE",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "PixelSNAIL",
    "Raster",
    "RowPixelRNN",
    "WaveNet",
    "gated_pixelcnn",
    "independent",
    "pixelcnn",
    "pixelcnn_plus_plus",
    "pixelrnn_diagonal",
    "pixelrnn_row",
    "pixelsnail",
]
