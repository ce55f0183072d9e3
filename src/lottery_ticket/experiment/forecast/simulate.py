"""A simulation of workers that make a plan's cells: from event to event, by a seed.

A worker that is free takes the ready cell with the longest chain of work before it, ties at random.
It claims the cell, reads its parents, makes it with a checkpoint now and then, and commits it. One
that finds nothing ready looks again later. A worker that is lost takes with it what it did since
the last checkpoint; others go on from there once its lease is over. One that is lost while it waits
is replaced before it is missed.
"""

import math
import random
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.forecast.assumptions import Assumptions, Task
from lottery_ticket.experiment.forecast.paths import children_of, remaining_seconds

__all__ = [
    "CHECKPOINT_REQUESTS",
    "CLAIM_REQUESTS",
    "COMMIT_REQUESTS",
    "LOOK_REQUESTS",
    "MOST_LEASES",
    "READ_REQUESTS",
    "Spell",
    "checkpoint_seconds",
    "simulate",
]

CLAIM_REQUESTS = 4  # is it finished, is it held, the claim, is it still not finished
READ_REQUESTS = 2  # of a file of a parent: where it lies, and the file
CHECKPOINT_REQUESTS = 1
COMMIT_REQUESTS = 3  # beside the files: the record, is the claim still ours, its end
LOOK_REQUESTS = 2  # what has failed, and what is claimed: of some of that the lease
MOST_LEASES = 32
_MAX_TRIES = 1000  # expected of a cell; beyond that it is never made


@dataclass(frozen=True)
class Spell:
    """A worker at a cell, from its claim until it is finished or the worker lost.

    Args:
        cell, worker: which.
        start: when it was taken; all times are seconds since the workers were asked for.
        begin: when its parents had been read, and the making began.
        trained: when the making had ended; that of a lost worker where it was lost.
        end: when all could see that it is finished.
        num_checkpoints: written meanwhile.
        is_lost: whether the worker was lost.
        is_continued: whether it went on from a checkpoint.
    """

    cell: str
    worker: int
    start: float
    begin: float
    trained: float
    end: float
    num_checkpoints: int
    is_lost: bool
    is_continued: bool


def simulate(
    tasks: Mapping[str, Task], num_workers: int, assumptions: Assumptions, *, seed: int = 0
) -> list[Spell]:
    """Who made what when.

    Args:
        tasks: name → what there is to make, parents first.
        num_workers: at any time.
        assumptions: what they and their store are like.
        seed: of ties, of looks, and of losses.

    Raises:
        UsageError: there are no workers, or they are lost too often to make a cell at all.
    """
    if num_workers < 1:
        raise UsageError(f"workers: got {num_workers}, wanted at least 1")
    return _Simulation(tasks, num_workers, assumptions, seed).spells_of_all()


@dataclass
class _Attempt:
    """A worker at a cell."""

    cell: str
    worker: int
    start: float
    begin: float
    saved: float  # seconds of the cell that its checkpoint had
    lost_at: float
    trained: float = math.inf


class _Idle:
    """Workers that found nothing, by when they look again: after a pause that doubles up to the
    longest one, and then at the same moment of each such stretch of time."""

    def __init__(self, poll_seconds: float, longest_seconds: float) -> None:
        self._longest = max(poll_seconds, longest_seconds)
        self._soon: list[tuple[float, int, float]] = []  # next look, worker, pause before it
        self._seldom: list[tuple[float, int]] = []  # when within the longest pause, worker

    def __bool__(self) -> bool:
        return bool(self._soon or self._seldom)

    def add(self, now: float, worker: int, pause: float) -> None:
        pause = min(pause, self._longest)
        heappush(self._soon, (now + pause, worker, pause))

    def pop_next(self, now: float) -> tuple[float, int, float]:
        """When somebody looks next, who, and after what pause."""
        self._let_look(now)
        if not self._seldom:
            return heappop(self._soon)
        index = bisect_left(self._seldom, (now % self._longest, -1)) % len(self._seldom)
        look = now + (self._seldom[index][0] - now) % self._longest
        if self._soon and self._soon[0][0] <= look:
            return heappop(self._soon)
        return look, self._seldom.pop(index)[1], self._longest

    def _let_look(self, now: float) -> None:
        """Whose time has passed has looked, and found nothing."""
        while self._soon and self._soon[0][0] < now:
            look, worker, pause = heappop(self._soon)
            if pause < self._longest:
                self.add(look, worker, 2 * pause)
            else:
                insort(self._seldom, (look % self._longest, worker))


class _Simulation:
    def __init__(
        self, tasks: Mapping[str, Task], num_workers: int, assumptions: Assumptions, seed: int
    ) -> None:
        self.tasks, self.assumed = tasks, assumptions
        self.random = random.Random(seed)
        self.children, self.remaining = children_of(tasks), remaining_seconds(tasks)
        self.num_missing = {
            name: sum(parent in tasks for parent in set(task.parents))
            for name, task in tasks.items()
        }
        self.saved = dict.fromkeys(tasks, 0.0)
        self.spells: list[Spell] = []
        self.num_left = len(tasks)
        self.events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self.num_events = 0
        self.ready: list[tuple[float, float, str]] = []
        self.free: list[int] = []
        self.idle = _Idle(assumptions.poll_seconds, assumptions.longest_poll_seconds)
        self.num_at_work = 0
        self.num_coming = 0  # workers that will have looked when their time has come
        self.store_free_at = 0.0
        for name, task in tasks.items():
            self._check_losses(task)
            if not self.num_missing[name]:
                self._is_ready(0.0, name)
        for worker in range(num_workers):
            self._at(assumptions.start_seconds, self._is_free, worker)

    def spells_of_all(self) -> list[Spell]:
        while self.num_left:
            now = self.events[0][0]
            while self.events and self.events[0][0] <= now:
                _, _, event, arguments = heappop(self.events)
                event(now, *arguments)
            self._hand_out(now)
        return self.spells

    def _at(self, time: float, event: Callable[..., None], *arguments: object) -> None:
        self.num_events += 1  # of the same time, the one first said comes first
        heappush(self.events, (time, self.num_events, event, arguments))

    # what happens

    def _is_free(self, _: float, worker: int) -> None:
        self.free.append(worker)

    def _is_ready(self, _: float, cell: str) -> None:
        heappush(self.ready, (-self.remaining[cell], self.random.random(), cell))

    def _looks(self, now: float, worker: int, pause: float) -> None:
        self.num_coming -= 1
        if self.ready:
            self.free.append(worker)
        else:
            self.idle.add(now, worker, 2 * pause)

    def _is_trained(self, now: float, attempt: _Attempt) -> None:
        task, assumed = self.tasks[attempt.cell], self.assumed
        attempt.trained = now
        seconds = assumed.commit_seconds + task.written_bytes / assumed.bytes_per_second
        end = self._served(now, seconds, COMMIT_REQUESTS + task.num_written)
        if attempt.lost_at < end:
            self._at(attempt.lost_at, self._is_lost, attempt)
        else:
            self._at(end, self._is_finished, attempt)

    def _is_finished(self, now: float, attempt: _Attempt) -> None:
        self._note(attempt, now, is_lost=False)
        self.num_left -= 1
        self.free.append(attempt.worker)
        for child in self.children.get(attempt.cell, ()):
            self.num_missing[child] -= 1
            if not self.num_missing[child]:
                self._is_ready(now, child)

    def _is_lost(self, now: float, attempt: _Attempt) -> None:
        self._note(attempt, now, is_lost=True)
        task = self.tasks[attempt.cell]
        wait, _ = _checkpoints(task, self.assumed)
        if wait < math.inf:
            self.saved[attempt.cell] += self._num_checkpoints(attempt, now) * wait
        self._at(now + self.assumed.lease_seconds, self._is_ready, attempt.cell)
        self._at(now + self.assumed.start_seconds, self._is_free, attempt.worker)

    # what follows from it

    def _hand_out(self, now: float) -> None:
        """Free workers take what is ready; without, they look again later."""
        while self.ready and self.free:
            self._start(now, heappop(self.ready)[2], self.free.pop())
        if not self.assumed.poll_seconds:  # they are told, so that those that are free stay so
            return
        for worker in self.free:
            self.idle.add(now, worker, self.assumed.poll_seconds)
        self.free.clear()
        while self.num_coming < len(self.ready) and self.idle:  # the next to look takes it
            look, worker, pause = self.idle.pop_next(now)
            self.num_coming += 1
            self._at(look, self._looks, worker, pause)

    def _start(self, now: float, cell: str, worker: int) -> None:
        task, assumed, saved = self.tasks[cell], self.assumed, self.saved[cell]
        num_files = task.num_read + (saved > 0)
        read_bytes = task.read_bytes + (task.checkpoint_bytes if saved else 0)
        num_reads = READ_REQUESTS * num_files
        seconds = assumed.claim_seconds + num_reads * assumed.request_seconds
        seconds += read_bytes / assumed.bytes_per_second
        begin = self._served(now, seconds, CLAIM_REQUESTS + num_reads + self._look_requests())
        self.num_at_work += 1
        rate = assumed.losses_per_hour / 3600
        lost_at = now + self.random.expovariate(rate) if rate else math.inf
        attempt = _Attempt(cell, worker, now, begin, saved, lost_at)
        trained = begin + self._making_seconds(task, task.seconds - saved)
        if lost_at < trained:
            self._at(lost_at, self._is_lost, attempt)
        else:
            self._at(trained, self._is_trained, attempt)

    def _look_requests(self) -> int:
        """Of seeing who does what, where one is not told."""
        is_told = not self.assumed.poll_seconds
        return 0 if is_told else LOOK_REQUESTS + min(self.num_at_work, MOST_LEASES)

    def _served(self, now: float, seconds: float, num_requests: int) -> float:
        """When requests are answered that take so long in a store that has nothing else to do."""
        before = max(self.store_free_at, now)
        self.store_free_at = before + num_requests / self.assumed.requests_per_second
        return max(now + seconds, self.store_free_at)

    def _making_seconds(self, task: Task, work: float) -> float:
        wait, cost = _checkpoints(task, self.assumed)
        return work + _num_within(work, wait) * cost

    def _num_checkpoints(self, attempt: _Attempt, now: float) -> int:
        """How many were written until it ended."""
        task = self.tasks[attempt.cell]
        wait, cost = _checkpoints(task, self.assumed)
        if wait == math.inf:
            return 0
        in_all = _num_within(task.seconds - attempt.saved, wait)
        return min(in_all, max(0, math.floor((now - attempt.begin) / (wait + cost))))

    def _note(self, attempt: _Attempt, now: float, *, is_lost: bool) -> None:
        self.num_at_work -= 1
        self.spells.append(
            Spell(
                attempt.cell, attempt.worker, attempt.start, min(attempt.begin, now),
                min(attempt.trained, now), now, self._num_checkpoints(attempt, now),
                is_lost, attempt.saved > 0,
            )
        )  # fmt: skip

    def _check_losses(self, task: Task) -> None:
        """See that a worker lives for long enough to come from one checkpoint to the next."""
        assumed = self.assumed
        wait, cost = _checkpoints(task, assumed)
        files = task.read_bytes + task.written_bytes + task.checkpoint_bytes
        stretch = assumed.claim_seconds + assumed.commit_seconds + files / assumed.bytes_per_second
        stretch += READ_REQUESTS * (task.num_read + 1) * assumed.request_seconds
        stretch += min(task.seconds, wait + cost)
        losses = assumed.losses_per_hour
        if losses / 3600 * stretch > math.log(_MAX_TRIES):
            raise UsageError(
                f"losses: got {losses:g} per worker-hour, wanted fewer: a cell takes {stretch:.1f} "
                f"seconds without a checkpoint, and a worker lives for {3600 / losses:.1f}"
            )


def _checkpoints(task: Task, assumed: Assumptions) -> tuple[float, float]:
    """Seconds of work from one checkpoint to the next, and those that writing one takes."""
    if not task.checkpoint_bytes:
        return math.inf, 0.0
    cost = checkpoint_seconds(task, assumed)
    return max(assumed.checkpoint_seconds, cost / assumed.checkpoint_share), cost


def checkpoint_seconds(task: Task, assumed: Assumptions) -> float:
    """What writing a checkpoint takes."""
    size_seconds = task.checkpoint_bytes / assumed.bytes_per_second
    return CHECKPOINT_REQUESTS * assumed.request_seconds + size_seconds


def _num_within(work: float, wait: float) -> int:
    """Checkpoints of so much work; there is none at its end."""
    return max(0, math.ceil(work / wait) - 1)
