"""Leases as objects: created where nothing is, renewed and taken over by their tags."""

import time
from collections.abc import Callable, Iterable, Sequence

from lottery_ticket.store._lease import Lease, Watcher, silences
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket, Listed

__all__ = ["MOST_READ", "BucketSpot", "Leases"]

_LOOKS = 12  # in the time of a lease, which is renewed more seldom
_LONGEST_PAUSE_SECONDS = 5.0
MOST_READ = 32
"""Leases that a rough look reads at most, so that it costs many workers no more than a few."""


class BucketSpot:
    """The object of one lease."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key

    def look(self) -> tuple[Lease, str] | None:
        """What is there, and its tag."""
        found = self._bucket.get(self._key)
        if found is None:
            return None
        return Lease.seen(found.data, f"{self._bucket.location}/{self._key}"), found.tag

    def create(self, lease: Lease) -> str | None:
        """Write it where nothing is; its tag, or None."""
        return self._bucket.create(self._key, lease.to_bytes())

    def swap(self, lease: Lease, stamp: str) -> str | None:
        """Write it in place of what has that tag; its tag, or None."""
        return self._bucket.swap(self._key, lease.to_bytes(), stamp)

    def remove(self, stamp: str) -> None:
        """Clear the place, if what has that tag is still there.

        Between look and removal another may have taken it over, if this took as long as a lease
        lasts. It learns that at its next beat, as from any takeover.
        """
        found = self._bucket.head(self._key)
        if found is not None and found.tag == stamp:
            self._bucket.remove([self._key])


class Leases:
    """All leases of a bucket, as this process has seen them."""

    def __init__(self, bucket: Bucket, watcher: Watcher) -> None:
        self._bucket, self._watcher = bucket, watcher
        self._read: dict[str, tuple[str, Lease]] = {}  # key → tag, lease: equal tags, equal leases

    def under(self, folder: str) -> dict[str, tuple[Lease, str]]:
        """Key → lease and tag; only what has changed since the last time is read.

        Raises:
            StoreError: they cannot be read.
        """
        return self._seen(list(self._bucket.list(folder)), folder)[0]

    def _seen(
        self, listed: Sequence[Listed], folder: str, most: int | None = None
    ) -> tuple[dict[str, tuple[Lease, str]], set[str]]:
        """The same, and the keys of what was not read since it changed: where that is more than
        `most`, what was written last."""
        tags = {one.key: one.tag for one in listed}
        known = {key: seen for key, seen in self._read.items() if tags.get(key) == seen[0]}
        changed = sorted((one.modified, one.key) for one in listed if one.key not in known)
        fresh = [key for _, key in changed]
        unread = set() if most is None else set(fresh[most:])
        for key, found in self._bucket.get_many(fresh[:most]):
            if found is not None:
                where = f"{self._bucket.location}/{key}"
                known[key] = (found.tag, Lease.seen(found.data, where))
        others = {key: v for key, v in self._read.items() if not key.startswith(f"{folder}/")}
        self._read = {**others, **known}
        return {key: (lease, tag) for key, (tag, lease) in known.items()}, unread

    def held(self, folder: str, most: int | None = None) -> set[str]:
        """The keys of those that were neither given back nor seen to expire.

        Where more have changed than `most`, that is all that is read, and those that were written
        last count as held: who lives writes again and again, and what was given back is read before
        long.
        """
        leases, unread = self._seen(list(self._bucket.list(folder)), folder, most)
        return unread | {
            key for key, (lease, tag) in leases.items() if self.is_held(key, lease, tag)
        }

    def silent(self, folder: str) -> dict[str, float]:
        """Key → for how long it was not renewed, of those not given back that should have been."""
        listed = list(self._bucket.list(folder))
        leases, _ = self._seen(listed, folder)
        return silences(
            {one.key: (leases[one.key][0], one.modified) for one in listed if one.key in leases}
        )

    def bury(self, folder: str) -> None:
        """Remove those that this process has seen to expire, so that nobody else waits for them:
        none who lives loses by it, but must write anew what is gone."""
        for key, (lease, tag) in self.under(folder).items():
            if not self.is_held(key, lease, tag):
                BucketSpot(self._bucket, key).remove(tag)

    def is_held(self, key: str, lease: Lease, tag: str) -> bool:
        """Whether one was neither given back nor seen to expire."""
        is_expired = self._watcher.is_expired(keys.last_of(key), tag, lease.seconds)
        return not (lease.is_released or is_expired)

    def living(self, folder: str, among: Callable[[str], bool]) -> Iterable[str]:
        """The keys of those whose holders live: each was renewed while one watched, which takes as
        long as a lease lasts where one is not."""
        first = {key: tag for key, (_, tag) in self.under(folder).items() if among(key)}
        living: set[str] = set()
        while first:
            now = self.under(folder)
            held = {
                key: now[key][1] for key in first if key in now and self.is_held(key, *now[key])
            }
            living |= {key for key, tag in held.items() if tag != first[key]}
            first = {key: first[key] for key in held if key not in living}
            if first:
                shortest = min(now[key][0].seconds for key in first)
                time.sleep(min(_LONGEST_PAUSE_SECONDS, shortest / _LOOKS))
        return living
