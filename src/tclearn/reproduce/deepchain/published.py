"""What Weng et al. 2019 say in numbers.

Source: "DeepChain: Auditable and Privacy-Preserving Deep Learning with Blockchain-based Incentive", §6. Figures 4 and 5
are read off the drawings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

GRADIENTS: Final = (4_000, 8_000, 12_000, 16_000, 20_000)
KEY_BITS: Final = 1024
CIPHER_BYTES: Final = 1024
"""Figure 4, for every number of gradients: one ciphertext, as large as four plaintexts."""
THROUGHPUT: Final = (34_200, 17_700, 11_300, 8_100, 6_900)
"""Figure 5, bytes of ciphertext a second, by number of gradients."""

PARAMETERS: Final = 252_398
ITERATIONS: Final = 1_500
SHARINGS: Final = 100
BATCH: Final = 64
RATE: Final = 0.5
RECORDS: Final = 5_500
SPLIT: Final = (55_000, 5_000)
"""Training and validation images; the 10,000 for testing are apart."""
ACCURACY: Final[Mapping[int, Sequence[float]]] = {
    4: (97.08, 96.96, 97.20, 97.32),
    10: (96.72, 97.02, 96.63, 97.12, 97.14, 96.62, 96.75, 97.14, 96.90, 97.02),
}
"""Figures 6 and 7, percent, party by party."""
BASELINE: Final[Mapping[int, float]] = {4: 96.75, 10: 96.51}

TOTAL_S: Final[Mapping[int, int]] = {
    4: 391_861,
    5: 392_359,
    6: 394_533,
    7: 394_287,
    8: 395_938,
    9: 397_252,
    10: 398_079,
}
"""Figure 9, seconds by number of parties."""
