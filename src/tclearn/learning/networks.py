"""Small networks, as model factories for charters: ``tclearn.learning.networks:paper_cnn``."""

from __future__ import annotations

from itertools import pairwise
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


def unet(channels: int = 1, width: int = 8, levels: int = 3) -> nn.Module:
    """A small U-Net: one logit for each pixel, inside where above zero.

    Differs from the source: convolutions keep the size of the image, features are enlarged by repetition instead of
    learned, and each convolution is followed by a group normalisation, which does not depend on the batch.

    Args:
        channels: of the image, whose sides must be multiples of 2 to the power of ``levels``.
        width: features of the first level, a multiple of 4; each further level has twice as many.
        levels: how often the image is halved.

    Source: Ronneberger et al. 2015, "U-Net", figure 1; Lugan et al. 2019, §IV.A.1, which leaves the sizes open.
    """
    import torch
    from torch import nn

    def pair(before: int, after: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for size in (before, after):
            layers += [nn.Conv2d(size, after, 3, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [width << level for level in range(levels + 1)]
            self.down = nn.ModuleList(map(pair, [channels, *sizes], sizes))
            self.up = nn.ModuleList(pair(low + high, high) for high, low in pairwise(sizes))
            self.out = nn.Conv2d(width, 1, 1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            kept: list[torch.Tensor] = []
            for down in self.down:
                image = down(nn.functional.max_pool2d(kept[-1], 2) if kept else image)
                kept.append(image)
            for high, up in zip(kept[-2::-1], reversed(self.up), strict=True):
                image = up(torch.cat([nn.functional.interpolate(image, scale_factor=2.0), high], 1))
            return self.out(image)  # type: ignore[no-any-return]

    return UNet()
