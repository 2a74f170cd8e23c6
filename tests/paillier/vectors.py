"""What ``vectors.json`` has: ``python -m tests.paillier.vectors`` prints it anew, for a new version of the format."""

from __future__ import annotations

import json
from typing import Any

from tests.paillier.material import dealing, layout, primes, seeded

from tclearn.encoding import Digest
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context

VALUES = {1: [0, 1, -1, 32767, -32767, 100, 7], 2: [5, 5, 5, 32767, -32767, 0, 0], 4: list(range(13))[:7]}


def computed() -> dict[str, Any]:
    """Everything from seeds."""
    dealt, plan = dealing(), layout(weights=(100, 1, 1, 50))
    key, coalition = dealt.key, Digest(bytes(range(32)))
    encryptor = Encryptor(key, window=2)
    ciphertexts, batches, plaintexts = {}, {}, {}
    for party, values in VALUES.items():
        made = encryptor.encrypt(plan.pack(values), seeded(("vector", party)))
        context = Context(coalition, 3, party, 0)
        proof = prove_encryption(
            encryptor, plan, context, made.ciphertexts, made.openings, seeded(("vector proof", party))
        )
        batch = EncryptedBatch.of(key, plan, context, made.ciphertexts, proof)
        batch.verify(key, plan, context)
        ciphertexts[party], batches[party] = made.ciphertexts, batch
        plaintexts[party] = [
            {
                "values": values,
                "plaintext": f"{each.plaintext:x}",
                "exponent": f"{each.exponent:x}",
                "ciphertext": f"{c:x}",
            }
            for each, c in zip(made.openings, made.ciphertexts, strict=True)
        ]
    total = weighted_sum(key, plan, ciphertexts)
    shares, share_batches = {}, {}
    for party in (1, 2, 4):
        share, context = dealt.shares[party - 1], Context(coalition, 3, party, 0)
        shares[party] = decryption_shares(key, share, total)
        made_proof = prove_shares(key, share, context, total, shares[party], seeded(("vector shares", party)))
        share_batches[party] = ShareBatch.of(key, context, shares[party], made_proof)
    opened = combine(key, shares)
    return {
        "format": "tclearn/paillier-key/1, -share/1, -batch/1, -shares/1",
        "primes": [f"{int(each):x}" for each in primes()],
        "key": key.encode().hex(),
        "key_digest": key.digest.hex(),
        "h_N": f"{int(key.mask_base):x}",
        "v": f"{int(key.verification_base):x}",
        "shares_of_d": [each.encode(key).hex() for each in dealt.shares],
        "layout": plan.encode().hex(),
        "encrypted": {str(party): each for party, each in plaintexts.items()},
        "batch": batches[2].encode().hex(),
        "sum": [f"{int(each):x}" for each in total],
        "share_batches": {str(party): each.encode().hex() for party, each in share_batches.items()},
        "opened": [f"{each:x}" for each in opened],
        "sums": plan.unpack(opened, 7, VALUES),
    }


if __name__ == "__main__":
    print(json.dumps(computed(), indent=1))
