"""Threshold Paillier encryption, with packing and with proofs.

Parties encrypt integers under one public key; anyone adds ciphertexts; any ``threshold`` of the parties open a sum, and
fewer learn nothing. Who encrypts proves that the plaintext is in range, who decrypts proves that the share is right;
what does not hold names its author. A dealer makes the key (``keys``) and must be trusted to forget the primes.

Everything here is a pure function: random bytes come in as an ``Entropy``, several cores as a ``Run`` (such as the
``map`` of a ``ThreadPoolExecutor``: GMP lets other threads go on meanwhile). Nothing here runs in constant time.
Integers are GMP's where they are large; to types and comparisons they are ``int``.

Needs the extra ``deepchain`` (gmpy2). Format: ``docs/formats/paillier.md``.
"""
