"""One round: workers make submitted runs while they and their server are disturbed."""

import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from faulty_proxy import FaultyProxy
from moto_server import KEYS, make_bucket

from chaos import laws
from chaos.crew import OFTEN, Crew, environment_of
from chaos.disturbances import Disturber, Done, drawn
from chaos.ledger import Ledger
from chaos.runs import Cell
from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import Context, Plan, submit_plan
from lottery_ticket.store import Store
from lottery_ticket.store.remote import ObjectStore, ObstoreBucket

__all__ = ["Field", "Row", "Scene", "judged", "play", "scene"]

NUM_WORKERS = 4
SHARE = 0.1
FAULTS = ("500", "503", "409", "late", "done, then 500", "dropped")
DEADLINE_SECONDS = 300.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Field:
    """What all rounds have in common.

    Args:
        server: the address of the S3 server.
        plans: of the runs.
        expected: the cells that they have to become.
        lease_seconds: the length of a lease.
        keep: where what is left of a bad round is put.
    """

    server: str
    plans: list[Plan]
    expected: Mapping[str, Cell]
    lease_seconds: float
    keep: Path


@dataclass
class Row:
    """What became of a round; a line of the table.

    Args:
        number, seed: by which it is repeated.
        disturbed: what was done.
        num_cells: that were made.
        seconds: that it took.
        num_requests, num_faults: at the proxy.
        num_kills, num_stops, num_outages, num_nodes: that were done.
        num_takeovers: claims that were taken from somebody silent.
        num_twice: cells that were trained to their end under more than one claim.
        num_claims_left: before garbage was collected.
        resumed_seconds: after each disturbance that hit work in progress.
        broken: laws.
    """

    number: int
    seed: int
    disturbed: str = ""
    num_cells: int = 0
    seconds: float = 0.0
    num_requests: int = 0
    num_faults: int = 0
    num_kills: int = 0
    num_stops: int = 0
    num_outages: int = 0
    num_nodes: int = 0
    num_takeovers: int = 0
    num_twice: int = 0
    num_claims_left: int = 0
    resumed_seconds: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        resumed = " ".join(f"{seconds:.1f}" for seconds in self.resumed_seconds) or "-"
        return (
            f"round {self.number} (seed {self.seed}): {self.disturbed}; {self.num_cells} cells in "
            f"{self.seconds:.0f} s; {self.num_takeovers} taken over, {self.num_twice} trained "
            f"twice; resumed after {resumed} s; {self.num_requests:,} requests, {self.num_faults} "
            f"faults: {'ok' if not self.broken else 'BROKEN'}"
        )

    def values(self) -> dict[str, object]:
        """As a line of a CSV."""
        resumed = self.resumed_seconds
        values = asdict(self)
        values["seconds"] = round(self.seconds, 1)
        values["resumed_seconds"] = " ".join(f"{one:.2f}" for one in resumed)
        values["median_resumed_seconds"] = round(statistics.median(resumed), 2) if resumed else ""
        values["broken"] = "; ".join(self.broken)
        return values


@dataclass
class Scene:
    """Where a round is played: a store, what stands before its server, and who works there."""

    url: str
    store: Store
    bucket: ObstoreBucket
    proxy: FaultyProxy
    crew: Crew
    ledger: Ledger


@contextmanager
def scene(here: Field, number: int, seed: int) -> Iterator[Scene]:
    """A store of its own; what is left of it goes, but for logs."""
    name = f"round-{number}-{os.getpid()}"
    make_bucket(here.server, name)
    url, ledger = f"s3://{name}/chaos", Ledger()
    bucket = ObstoreBucket(url, endpoint=here.server, **KEYS)
    folder = here.keep / f"round-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    proxy = FaultyProxy(
        here.server, share=SHARE, faults=FAULTS, seed=seed * 1000 + number, heard=ledger.hear
    )
    with proxy:
        environment = environment_of(proxy.url, KEYS, folder / "cache")
        environment["LOTTERY_LEASE_SECONDS"] = str(here.lease_seconds)
        with Crew(url, environment, folder) as crew:
            store = ObjectStore.over(bucket, seconds=here.lease_seconds)
            yield Scene(url, store, bucket, proxy, crew, ledger)
    bucket.remove([one.key for one in bucket.list("")])


def play(here: Field, number: int, seed: int, imports: Sequence[Path] = (OFTEN,)) -> Row:
    """Play a round of workers, who import that, and judge it."""
    chance = random.Random(f"{seed} {number}")
    plan = drawn(chance, len(here.expected))
    row = Row(number, seed, " ".join(map(str, plan)))
    with scene(here, number, seed) as on:
        on.crew.imports = imports
        for made in here.plans:
            submit_plan(made, on.store, Context(on.store, threads=1))
        disturber = Disturber(
            plan, on.crew, on.ledger, on.proxy.go_down, here.lease_seconds, chance
        )
        began = time.monotonic()
        for _ in range(NUM_WORKERS):
            on.crew.start()
        wait_for(lambda: not on.crew.at_work, disturber.look)
        row.seconds = time.monotonic() - began
        return judged(row, here, on, disturber.done)


def wait_for(is_over: Callable[[], bool], look: Callable[[], None] = lambda: None) -> None:
    """Until it is over, or the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not is_over() and time.monotonic() < end:
        look()
        time.sleep(_LOOK_SECONDS)


def judged(row: Row, here: Field, on: Scene, done: list[Done]) -> Row:
    """The row with all that can be told once everybody has ended; logs of a good round go."""
    if on.crew.at_work:
        row.broken.append(f"not over after {DEADLINE_SECONDS:.0f} s")
    row.num_cells = len(on.store.cell_names())
    kinds = [one.kind for one in done]
    row.num_kills, row.num_stops = kinds.count("kill"), kinds.count("stop")
    row.num_outages, row.num_nodes = kinds.count("outage"), kinds.count("node")
    row.num_requests = sum(on.proxy.counts.values())
    row.num_faults = row.num_requests - on.proxy.counts["none"]
    row.num_takeovers = len(list(on.ledger.takeovers()))
    row.num_twice = sum(len(tokens) > 1 for tokens in on.ledger.made_by().values())
    row.num_claims_left = len(on.store.work_names())
    resumed = [one.resumed_seconds(on.ledger) for one in done]
    row.resumed_seconds = [seconds for seconds in resumed if seconds is not None]
    try:
        row.broken += _broken(here, on)
    except LotteryError as error:  # such as a file that is damaged
        row.broken.append(str(error))
    folder = on.crew.folder
    if row.broken:
        (folder / "broken.txt").write_text("\n".join(row.broken))
        (folder / "ledger.txt").write_text(on.ledger.text())
    else:
        shutil.rmtree(folder)
    return row


def _broken(here: Field, on: Scene) -> Iterator[str]:
    store = Store(on.url)
    yield from laws.unclean_ends(on.crew.workers)
    yield from laws.differing_cells(store, here.expected)
    yield from laws.open_submissions(store)
    yield from laws.unverified(store)
    yield from laws.taken_too_early(on.ledger)
    yield from laws.trained_twice_unasked(on.ledger)
    ids = [made.id for made in here.plans]
    yield from laws.after_garbage_collection(on.bucket, ids, seconds=here.lease_seconds)
