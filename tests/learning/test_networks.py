"""The U-Net: its output, its sizes, and that training moves every weight."""

from __future__ import annotations

import pytest
import torch

from tclearn.learning import metrics
from tclearn.learning.networks import unet
from tclearn.learning.trainers.torch import dice_loss


@pytest.mark.parametrize(("channels", "width", "levels"), [(1, 4, 1), (1, 8, 3), (3, 4, 2)])
def test_a_unet_gives_one_logit_a_pixel(channels: int, width: int, levels: int) -> None:
    side = 3 << levels
    assert unet(channels, width, levels)(torch.zeros(2, channels, side, side)).shape == (2, 1, side, side)


def test_the_unet_of_figure_4_has_as_many_weights_as_the_page_says() -> None:
    assert sum(weight.numel() for weight in unet(width=8, levels=3).parameters()) == 122_673


def test_every_weight_of_a_unet_is_trained_and_every_level_is_seen() -> None:
    torch.manual_seed(0)
    network = unet(width=4, levels=2)
    images, masks = torch.rand(4, 1, 16, 16), torch.zeros(4, 1, 16, 16)
    masks[:, :, 4:12, 4:12] = 1
    dice_loss(network(images), masks).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_a_unet_learns_a_square() -> None:
    torch.manual_seed(0)
    network = unet(width=4, levels=2)
    images = torch.rand(8, 1, 16, 16) / 2
    masks = torch.zeros(8, 1, 16, 16)
    for number in range(8):
        masks[number, :, number : number + 6, 3:9] = 1
    images += masks / 2
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        dice_loss(network(images), masks).backward()
        optimizer.step()
    score = metrics.score(
        "dice", metrics.answers("dice", network(images).detach().numpy(), masks.numpy()), masks.numpy()
    )
    assert score is not None and score.performance > 0.9
