"""Private keys as PKCS#8 (RFC 5958), encrypted by PBES2 (RFC 8018) with as many rounds as a passphrase needs today.

The common writers derive the key in 2,048 rounds of PBKDF2, which gives a guessed passphrase hundreds of times too many
tries a second. Reading is left to them: any program that reads PBES2 reads these files.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tclearn.identity.pem import Block

PLAIN: Final = "PRIVATE KEY"
ENCRYPTED: Final = "ENCRYPTED PRIVATE KEY"
ROUNDS: Final = 600_000

_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_SALT: Final = 16


def encrypted(key: bytes, passphrase: str, randomness: bytes) -> Block:
    """Encrypt a private key.

    Args:
        key: the PKCS#8 DER bytes.
        passphrase: encoded as UTF-8.
        randomness: 32 random bytes, salt and initial vector.
    """
    salt, vector = randomness[:_SALT], randomness[_SALT : 2 * _SALT]
    derived = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, 32)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derived), modes.CBC(vector)).encryptor()
    ciphertext = encryptor.update(padder.update(key) + padder.finalize()) + encryptor.finalize()
    rounds = ROUNDS.to_bytes(3, "big")
    derivation = _sequence(_PBKDF2, _sequence(_octets(salt), _tagged(0x02, rounds), _HMAC_SHA256))
    scheme = _sequence(_PBES2, _sequence(derivation, _sequence(_AES_256_CBC, _octets(vector))))
    return Block(ENCRYPTED, _sequence(scheme, _octets(ciphertext)))


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _octets(content: bytes) -> bytes:
    return _tagged(0x04, content)


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    head = bytes([length]) if length < 0x80 else bytes([0x82]) + length.to_bytes(2, "big")
    if 0x80 <= length <= 0xFF:
        head = bytes([0x81, length])
    return bytes([tag]) + head + content
