"""A small network whose convolution keeps the image's size, as a model factory for charters.

In a file of its own: charters name factories by the digest of their file, and those of ``networks`` stay as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def padded_cnn(
    channels: int = 1, side: int = 28, filters: int = 10, hidden: int = 128, classes: int = 10, kernel: int = 3
) -> nn.Sequential:
    """Convolution that keeps the size, 2 × 2 maximum, fully connected, output; with the defaults 252,398 numbers.

    Source: Weng et al. 2019, "DeepChain", §6.1, from the shapes of its tensors; what is between them is not said there.

    Args:
        channels: of the image.
        side: of the image, pixels, even.
        filters: of the convolution.
        hidden: units of the fully connected layer.
        classes: outputs, as logits.
        kernel: side of the convolution's kernel, pixels, odd.
    """
    from torch import nn

    pooled = side // 2
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel, padding=kernel // 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(filters * pooled * pooled, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
