"""How long phe takes to encrypt: prints CPU seconds for a value, and whether GMP computed.

build/paillier/bin/python tools/paillier/sample.py <modulus, hexadecimal> <values>
"""

from __future__ import annotations

import json
import secrets
import sys
import time

from phe import PaillierPublicKey
from phe.util import HAVE_GMP


def main() -> None:
    public, count = PaillierPublicKey(int(sys.argv[1], 16)), int(sys.argv[2])
    values = [secrets.randbelow(1 << 16) / (1 << 15) - 1 for _ in range(count)]
    public.encrypt(values[0])
    began = time.process_time()
    for value in values:
        public.encrypt(value)
    print(json.dumps({"seconds": (time.process_time() - began) / count, "gmp": HAVE_GMP}))


if __name__ == "__main__":
    main()
