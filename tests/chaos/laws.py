"""What must hold when all workers have ended, whatever was done to them. Each law is a function
that tells what breaks it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typer.testing import CliRunner

from chaos.crew import Worker
from chaos.ledger import Ledger
from chaos.runs import Cell, held
from lottery_ticket.cli import app
from lottery_ticket.store import Store, submitted_runs
from lottery_ticket.store.remote import ObjectStore
from lottery_ticket.store.remote.bucket import Bucket, Listed

__all__ = [
    "LaterBucket",
    "after_garbage_collection",
    "differing_cells",
    "open_submissions",
    "taken_too_early",
    "trained_twice_unasked",
    "unclean_ends",
    "unverified",
]

_LATER_SECONDS = 7 * 86400.0


def unclean_ends(workers: Iterable[Worker]) -> Iterator[str]:
    """Whoever was left alone ends by itself, with nothing to complain of."""
    for worker in workers:
        if worker.was_killed:
            continue
        told, code = worker.told(), worker.process.returncode
        if code or told.get("failures") or told.get("refused"):
            yield f"worker {worker.pid} ended with {code}: {told}; {worker.said()[-500:]}"
        elif "Traceback" in worker.said():
            yield f"worker {worker.pid}: {worker.said()[-500:]}"


def differing_cells(store: Store, expected: Mapping[str, Cell]) -> Iterator[str]:
    """No cell is lost, none is there that nobody asked for, and each has the bytes of a run that
    nobody disturbed."""
    found = held(store)
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            there = "differs" if name in found and name in expected else "lost"
            yield f"cell {name[:12]}: {there if name in expected else 'too many'}"


def open_submissions(store: Store) -> Iterator[str]:
    """Nothing is left to do, and nothing is said to have failed."""
    yield from (f"run {run}: still submitted" for run in submitted_runs(store))
    yield from (f"cell {name[:12]}: noted as failed" for name in store.board.names("failed"))


def unverified(store: Store) -> Iterator[str]:
    """`lottery verify` finds nothing."""
    result = CliRunner().invoke(app, ["verify", "--store", store.location, "--json"])
    told: dict[str, Any] = {} if result.exit_code else json.loads(result.stdout)
    if result.exit_code or told["damaged"] or told["unreadable"] or told["strangers"]:
        yield f"lottery verify: {result.exit_code}: {result.output[-500:]}"


def taken_too_early(ledger: Ledger) -> Iterator[str]:
    """Nobody is taken for dead before nothing was heard of it for the length of its lease."""
    for one in ledger.takeovers():
        if one.silent_seconds < one.lease_seconds:
            yield f"cell {one.cell[:12]}: taken after {one.silent_seconds:.2f} s of silence"


def trained_twice_unasked(ledger: Ledger) -> Iterator[str]:
    """A cell is trained to its end twice only where a lease had expired."""
    taken = {one.cell for one in ledger.takeovers()}
    for cell, tokens in ledger.made_by().items():
        if len(tokens) > 1 and cell not in taken:
            yield f"cell {cell[:12]}: trained under {len(tokens)} claims, and none had expired"


class LaterBucket:
    """A bucket a week later: all that was there is older than anything that is being written.

    Args:
        bucket: as it is now.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._old = {one.key: one.tag for one in bucket.list("")}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def list(self, prefix: str) -> Iterator[Listed]:
        return map(self._later, self._bucket.list(prefix))

    def head(self, key: str) -> Listed | None:
        found = self._bucket.head(key)
        return None if found is None else self._later(found)

    def _later(self, one: Listed) -> Listed:
        is_old = self._old.get(one.key) == one.tag
        return replace(one, modified=one.modified - _LATER_SECONDS) if is_old else one


def after_garbage_collection(
    bucket: Bucket,
    run_ids: Sequence[str],
    collect: Callable[[ObjectStore], object] = ObjectStore.collect_garbage,
    seconds: float | None = None,
) -> Iterator[str]:
    """Nothing stays but the runs, their cells, and the files of these.

    Args:
        bucket: of the store.
        run_ids: all runs.
        collect: what a week later tidies up.
        seconds: the length of a lease.
    """
    collect(ObjectStore.over(LaterBucket(bucket), seconds=seconds))
    there = {one.key for one in bucket.list("")}
    wanted = {"format.json", "runs/.kept", *(f"runs/{run_id}.json" for run_id in run_ids)}
    store = ObjectStore.over(bucket)
    for name in store.cell_names():
        found, data = store.finished(name), bucket.get(f"cells/{name}")
        assert found is not None
        assert data is not None
        token = json.loads(data.data)["token"]
        wanted |= {f"cells/{name}", *(f"files/{token}/{file}" for file in found.kept)}
    yield from (f"left behind: {key}" for key in sorted(there - wanted))
    yield from (f"gone with the garbage: {key}" for key in sorted(wanted - there))
