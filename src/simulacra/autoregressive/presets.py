"""Models by the names of their networks: `Raster` with one of its parts, whose arguments are the model's."""

from __future__ import annotations

from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.autoregressive.pixelcnn import PixelCNN
from simulacra.autoregressive.pixelcnn_plus_plus import PixelCNNPlusPlus
from simulacra.autoregressive.pixelrnn_diagonal import DiagonalPixelRNN
from simulacra.autoregressive.pixelrnn_row import RowPixelRNN
from simulacra.autoregressive.pixelsnail import PixelSNAIL
from simulacra.autoregressive.raster import Raster
from simulacra.registry import with_part

RECURRENT = "van den Oord et al. 2016, Pixel Recurrent Neural Networks"
GATED = "van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders"

gated_pixelcnn = with_part("gated-pixelcnn", Raster, GatedPixelCNN, GATED)
pixelcnn = with_part("pixelcnn", Raster, PixelCNN, RECURRENT)
pixelcnn_plus_plus = with_part(
    "pixelcnn++", Raster, PixelCNNPlusPlus, "Salimans et al. 2017, PixelCNN++", {"learning_rate": 3e-3, "steps": 450}
)
pixelrnn_diagonal = with_part("pixelrnn-diagonal", Raster, DiagonalPixelRNN, RECURRENT)
pixelrnn_row = with_part("pixelrnn-row", Raster, RowPixelRNN, RECURRENT)
pixelsnail = with_part(
    "pixelsnail", Raster, PixelSNAIL, "Chen et al. 2018, PixelSNAIL", {"learning_rate": 3e-3, "steps": 1000}
)
