"""Whether a server keeps its promises, asked before anybody builds on them.

A server that takes conditional writes and ignores the conditions would give a claim to everybody.
"""

import secrets

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote.bucket import Bucket

__all__ = ["probe"]


def probe(bucket: Bucket) -> None:
    """Prove with a key of our own, under `probe/`, that conditions are honoured; six requests.

    Raises:
        StoreError: they are not, or the store cannot be read or written.
    """
    key = f"probe/{secrets.token_hex(16)}"
    try:
        first = bucket.create(key, _data())
        _demand(bucket, first is not None, "refuses to create what is not there")
        is_refused = bucket.create(key, _data()) is None
        _demand(bucket, is_refused, "lets two create the same object")
        second = bucket.swap(key, _data(), str(first))
        _demand(bucket, second is not None, "refuses to replace what has not changed")
        is_refused = bucket.swap(key, _data(), str(first)) is None
        _demand(bucket, is_refused, "lets one replace what another has replaced")
        is_listed = any(one.key == key for one in bucket.list("probe"))
        _demand(bucket, is_listed, "does not list what was written")
    finally:
        bucket.remove([key])


def _data() -> bytes:
    return f"probe {secrets.token_hex(16)}".encode()


def _demand(bucket: Bucket, is_kept: bool, fault: str) -> None:
    if not is_kept:
        raise StoreError(
            f"{bucket.location}: its server ignores conditional writes ({fault}), so two workers "
            "could take one cell; use a server that honours If-Match and If-None-Match, as Amazon "
            "S3, Google Cloud Storage, Azure, MinIO and Cloudflare R2 do, or a shared folder"
        )
