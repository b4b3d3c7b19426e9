"""How convolutional networks are trained under the game of 2014; a preset changes what it has otherwise.

Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
section 3, but for the averaged weights and the learning rate: theirs is a fifth, of runs a hundred times as long.
"""

from __future__ import annotations

TRAINING = {
    "learning_rate": 1e-3,
    "betas": (0.5, 0.999),
    "batch": 64,
    "steps": 4000,
    "ema": 0.995,
    "schedule": "constant",
}
