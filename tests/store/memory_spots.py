"""Places of leases that are no files: the plainest one, and ones that break a law."""

import threading

from lottery_ticket.store._lease import Lease


class MemorySpot:
    """A place in this process's memory, one write at a time."""

    def __init__(self):
        self.lock, self.held, self.count = threading.Lock(), None, 0

    def look(self):
        return self.held

    def create(self, lease: Lease):
        with self.lock:
            return self.put(lease) if self.held is None else None

    def swap(self, lease, stamp):
        with self.lock:
            return self.put(lease) if self.held and self.held[1] == stamp else None

    def put(self, lease):
        self.count += 1
        self.held = lease, str(self.count)
        return self.held[1]

    def remove(self, stamp):
        with self.lock:
            if self.held and self.held[1] == stamp:
                self.held = None


class WrittenByAll(MemorySpot):
    def create(self, lease):
        return self.put(lease)


class TakenByAll(MemorySpot):
    def swap(self, lease, stamp):
        return self.put(lease)


class SameStamp(MemorySpot):
    def put(self, lease):
        self.held = lease, "1"
        return "1"


class StampOfItsCount(MemorySpot):
    """A place that is cleared has the stamps of the one before again."""

    def put(self, lease):
        self.held = lease, str(lease.beat)
        return self.held[1]


class RemovedByAll(MemorySpot):
    def remove(self, stamp):
        self.held = None


class NeverRemoved(MemorySpot):
    def remove(self, stamp):
        """Forgets to."""
