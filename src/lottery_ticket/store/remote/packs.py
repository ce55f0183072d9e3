"""Many records in one object: a line that says which, then the records themselves, compressed.

A pack is called by the checksum of its bytes, in a bucket as on a disk. What it holds of a cell
counts as long as the cell has the tag that it had then.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice

__all__ = ["Records", "digest_of", "pack_bytes", "packs_of", "unpacked"]

Records = Mapping[str, tuple[str, bytes]]
"""name → tag, and the bytes that it stands for"""

_HEAD = b"lottery_ticket.pack 1\n"
_MAX_RECORDS = 5000
_MAX_BYTES = 1 << 28


def digest_of(data: bytes) -> str:
    """What a pack is called."""
    return hashlib.sha256(data).hexdigest()


def packs_of(records: Records) -> Iterator[bytes]:
    """Packs of some thousand records each."""
    left = iter(sorted(records.items()))
    while some := dict(islice(left, _MAX_RECORDS)):
        yield pack_bytes(some)


def pack_bytes(records: Records) -> bytes:
    """The bytes of one pack.

    >>> unpacked(pack_bytes({"a": ("tag", b"of a"), "b": ("other", b"")}))
    {'a': ('tag', b'of a'), 'b': ('other', b'')}
    """
    contents = [[name, tag, len(data)] for name, (tag, data) in records.items()]
    body = b"".join(data for _, data in records.values())
    return _HEAD + zlib.compress(json.dumps(contents).encode() + b"\n" + body)


def unpacked(data: bytes) -> dict[str, tuple[str, bytes]]:
    """What a pack holds; nothing where it is damaged, or of another version."""
    if not data.startswith(_HEAD):
        return {}
    try:
        body = zlib.decompressobj().decompress(data[len(_HEAD) :], _MAX_BYTES)
        line, _, body = body.partition(b"\n")
        found, at = {}, 0
        for name, tag, num_bytes in json.loads(line):
            found[name] = tag, body[at : at + num_bytes]
            at += num_bytes
    except (zlib.error, ValueError, TypeError, RecursionError):
        return {}
    return found
