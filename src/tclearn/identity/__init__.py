"""Keys, signatures and certificates: who said a thing."""

from tclearn.identity.cose import Signed, open_signed, sign
from tclearn.identity.keys import PublicKey, Signer, public_key, verify

__all__ = ["PublicKey", "Signed", "Signer", "open_signed", "public_key", "sign", "verify"]
