"""A process that works on a store by leases, and does what it is told by lines on its standard
input; each is answered by a line."""

import os
import sys
from contextlib import ExitStack

from small_cells import WEIGHTS, name_of, record_of

from lottery_ticket.store import Store
from lottery_ticket.store._lease import HEART, LeaseClaim, Watcher

NAME = name_of(1)

# what it can do wrong


def no_heart():
    """It never renews what it holds."""
    type(HEART).keep = lambda heart, claim: None


def never_lost():
    """It takes no takeover for one."""
    LeaseClaim.is_lost = lambda claim: False


def hasty():
    """It takes whom it sees for dead."""
    Watcher.is_expired = lambda watcher, name, stamp, seconds: True


def shared_with_children():
    """A forked process goes on renewing what its parent held."""
    keep = type(HEART).keep

    def kept(heart, claim):
        keep(heart, claim)
        os.register_at_fork(after_in_child=lambda: keep(heart, claim))

    type(HEART).keep = kept


# what it is told


class Process:
    def __init__(self, location):
        self.store = Store(location)
        self.claim, self.uses = None, ExitStack()

    def take(self):
        self.claim = self.store.claim(NAME)
        return self.claim is not None

    def write(self):
        self.claim.desk.write("checkpoint", b"so far")
        self.claim.desk.append("history.jsonl", b"more")
        return True

    def is_lost(self):
        return self.claim.is_lost()

    def commit(self):
        files = {WEIGHTS: b"the same bytes"}
        return self.store.commit(self.claim, record_of(NAME, files), files, {})

    def use(self):
        self.uses.enter_context(self.store.in_use("small-00000000"))
        return True

    def fork(self):
        child = os.fork()
        if child == 0:
            sys.stdin.read()
            os._exit(0)
        return child


if __name__ == "__main__":
    location, wrong = sys.argv[1:]
    if wrong != "right":
        globals()[wrong]()
    process = Process(location)
    for line in sys.stdin:
        print(getattr(process, line.strip())(), flush=True)
