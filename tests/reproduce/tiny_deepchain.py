"""DeepChain's experiments in small: toy keys, few images, a network of 3,254 numbers; through the same code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from tests.reproduce import tiny

from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.paillier.keys import TOY_BITS
from tclearn.protocols.deepchain.agent import CLIP_UNIT
from tclearn.reproduce.deepchain import ciphers, times
from tclearn.reproduce.deepchain.sharing import Setting, SharedRun, Sizes
from tclearn.reproduce.deepchain.training import Figure, divided

NETWORK = {"channels": 1, "side": 28, "filters": 2, "hidden": 8, "classes": 10}
PARAMETERS = 20 + 8 * 392 + 8 + 90
SIZES = Sizes(steps=4, sharings=3, clip=2 * CLIP_UNIT, bits=TOY_BITS, encrypted=(1, 3))
FIGURE = Figure(
    parties=3,
    final=0.2,
    records=200,
    split=(900, 200),
    network=NETWORK,
    sizes=SIZES,
    quick=replace(SIZES, sharings=2, encrypted=(2,), values=30),
)
CIPHERS = ciphers.Scene(gradients=(100, 250), bits=TOY_BITS, rounds=2, opened=130)
TIMES = times.Scene(
    parties=(3, 4), bits=TOY_BITS, values=600, whole=1500, sharings=3, steps=2, records=100, network=NETWORK, rounds=1
)


def shared_run(sizes: Sizes = SIZES, seed: int = 1, arguments: Mapping[str, int] = NETWORK) -> SharedRun:
    """The parties of ``FIGURE``."""
    recipe = TorchTrainer(optimizer=torch.optim.SGD, steps=sizes.steps, batch_size=64, learning_rate=0.5)
    data = partial(divided, tiny.mnist(), FIGURE, seed)
    return SharedRun(
        name="shared", seed=seed, setting=Setting(recipe=recipe, arguments=arguments, data=data, sizes=sizes), work=0
    )
