"""Two small networks, as model factories for charters: ``tclearn.learning.networks:paper_cnn``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def paper_cnn(
    channels: int = 1, side: int = 28, filters: int = 32, hidden: int = 128, classes: int = 10, kernel: int = 3
) -> nn.Sequential:
    """Input → Conv → Maxpool → Fully connected → Output, the convolution without padding, the pool 2 × 2.

    Source: Lugan et al. 2019, §V, which leaves the sizes open.

    Args:
        channels: of the image.
        side: of the image, pixels.
        filters: of the convolution.
        hidden: units of the fully connected layer.
        classes: outputs, as logits.
        kernel: side of the convolution's kernel, pixels.
    """
    from torch import nn

    pooled = (side - kernel + 1) // 2
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(filters * pooled * pooled, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )


def perceptron(features: int, hidden: int = 16, classes: int = 2) -> nn.Sequential:
    """One hidden layer between ``features`` inputs and ``classes`` logits."""
    from torch import nn

    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))
