r"""Features of what moves in a clip: convolutions over space and time, with fixed random weights, of its differences.

    h_0 = x_{t+1} - x_t,  x on [-1, 1],  h_l = relu(W_l * h_{l-1}), halved,  φ = the means of each h_l over 2×2×2 boxes

W_l are 3×3×3, standard normal over the root of the inputs of a unit, from a constant seed; a side of one or two is not
halved. What stands still is not in the differences, so that the leading components of φ are those of motion, and not of
backgrounds; what stands still the frames show (`simulacra.evaluation.convolutions`). φ depends on the order of frames
through the differences, the convolutions along time and the two halves of a clip.
"""

from __future__ import annotations

from torch import Tensor, nn

from simulacra.evaluation.convolutions import FixedConvolutions


class MotionConvolutions(FixedConvolutions):
    """φ of clips (N, T, C, H, W) of at least two frames."""

    kind, width, kernel = "motion-convolutions", 16, (3, 3, 3)

    def means(self, x: Tensor) -> list[Tensor]:
        h, found = x.diff(dim=1).transpose(1, 2), []
        for weight in self.weights:
            h = nn.functional.conv3d(h, weight, padding=1).relu()
            found.append(nn.functional.adaptive_avg_pool3d(h, 2).flatten(1))
            halved = [2 if side > 2 else 1 for side in h.shape[2:]]
            h = nn.functional.avg_pool3d(h, halved, ceil_mode=True)
        return found
