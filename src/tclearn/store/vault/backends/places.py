"""Where a vault lies, as users write it: a folder, or ``s3://bucket/prefix``."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tclearn.errors import Code, UsageError
from tclearn.store.vault.backends.folder import FolderBackend
from tclearn.store.vault.backends.interface import Backend

_BUCKET: Final = "s3"


def backend_at(place: str) -> Backend:
    """The backend of a place.

    Args:
        place: a folder, or ``s3://bucket/prefix``. Address, region and credentials of the bucket come from the
            environment (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` …), as
            other programs for S3 take them.

    Raises:
        UsageError: no such kind of place, or the package for buckets is not installed.
    """
    if "://" not in place:
        return FolderBackend(Path(place))
    parts = urlsplit(place)
    if parts.scheme != _BUCKET or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            Code.USAGE,
            f"{parts.scheme[:20]}://… is no place of a vault",
            expected="a folder, or s3://bucket/prefix",
            remedy="credentials do not belong into it: they are taken from the environment",
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        from tclearn.store.vault.backends.bucket import BucketBackend
    except ImportError:
        raise UsageError(
            Code.USAGE,
            f"{place}: the package for buckets is not installed",
            remedy='pip install "tclearn[s3]"',
        ) from None
    try:
        return BucketBackend(S3Store(parts.netloc, prefix=parts.path.strip("/") or None))
    except (BaseError, ValueError) as error:
        said = str(error).partition("\n")[0][:200]
        raise UsageError(Code.USAGE, f"{place} cannot be used: {said}", expected="s3://bucket/prefix") from None
