"""A live page of the runs in a store, for a browser on this machine: it reads, and writes
nothing."""

from lottery_ticket.watch._server import Watcher as Watcher
from lottery_ticket.watch._server import open_watcher as open_watcher
