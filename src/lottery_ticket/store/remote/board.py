"""A board in a bucket: an object for each note."""

from lottery_ticket.store._values import RUN_ID
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket

__all__ = ["BucketBoard"]


class BucketBoard:
    """The notes of a store in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, kind: str, name: str, data: bytes) -> None:
        self._bucket.put(keys.note(kind, name), data)

    def get(self, kind: str, name: str) -> bytes | None:
        found = self._bucket.get(keys.note(kind, name))
        return None if found is None else found.data

    def get_all(self, kind: str) -> dict[str, bytes]:
        wanted = (keys.note(kind, name) for name in self.names(kind))
        found = self._bucket.get_many(wanted)
        return {keys.last_of(key): one.data for key, one in found if one is not None}

    def names(self, kind: str) -> list[str]:
        folder = keys.note(kind, "any").rpartition("/")[0]
        found = [keys.last_of(one.key) for one in self._bucket.list(folder)]
        return sorted(filter(RUN_ID.fits, found))

    def remove(self, kind: str, name: str) -> None:
        self._bucket.remove([keys.note(kind, name)])
