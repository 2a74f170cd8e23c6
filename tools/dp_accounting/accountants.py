"""What Google's dp-accounting says the contract's releases cost. See README.md beside this."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from itertools import product

import numpy as np
from dp_accounting import dp_event, pld, rdp

DELTA = 1e-5
RECORDS = 1000
# Finer than its own, so that what differs is not the choice of orders.
ORDERS = (
    [1 + at / 20 for at in range(1, 40)] + [3 + at / 5 for at in range(45)] + [*range(12, 128), *range(128, 1025, 16)]
)
SIGMAS, BATCHES, STEPS = (0.8, 1.0, 1.5, 2.0, 4.0), (10, 30, 100), (10, 200, 2000)
# (σ, batch, records, steps) of one member's releases, one after the other.
COMPOSED = (
    [(1.0, 16, 324, 210)] * 4,
    [(0.8, 16, 324, 210), (0.8, 16, 310, 200), (0.8, 32, 331, 110), (0.8, 32, 331, 55)],
    [(1.5, 64, 1500, 240), (2.0, 64, 1500, 240), (4.0, 128, 1500, 120)],
    [(2.0, 50, 50, 3), (1.0, 10, 1000, 500)],
)


def epsilon(accountant, releases) -> float:
    for sigma, batch, records, steps in releases:
        step = dp_event.GaussianDpEvent(sigma)
        if batch < records:
            step = dp_event.PoissonSampledDpEvent(batch / records, step)
        accountant.compose(step, steps)
    return float(accountant.get_epsilon(DELTA))


def row(releases) -> dict[str, object]:
    by_divergence = rdp.RdpAccountant(ORDERS)
    known = {
        "releases": [list(each) for each in releases],
        "rdp": epsilon(by_divergence, releases),
        "pld": epsilon(pld.PLDAccountant(), releases),
        # Orders that it leaves out, because its series has not converged after 1,000 terms: its ε is then larger.
        "left_out": int(np.isinf(by_divergence._rdp).sum()),
    }
    print(known, file=sys.stderr)
    return known


def main() -> None:
    alone = ([(sigma, batch, RECORDS, steps)] for sigma, batch, steps in product(SIGMAS, BATCHES, STEPS))
    rows = [row(releases) for releases in (*alone, *COMPOSED)]
    lines = ",\n".join(f"  {json.dumps(each)}" for each in rows)
    print(f'{{"dp-accounting": "{version("dp-accounting")}", "delta": {DELTA}, "rows": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
