"""A store in a bucket: on S3, Google Cloud or Azure."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from os import PathLike, fspath
from typing import Any

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store._answers import Finished, Freed, IndexedCell
from lottery_ticket.store._files import sha256
from lottery_ticket.store._lease import MOST_BEFORE, Lease, LeaseClaim, take_lease
from lottery_ticket.store._making import Board, Claim, Desk
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store._store import Store
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.board import BucketBoard
from lottery_ticket.store.remote.bucket import Bucket, Found
from lottery_ticket.store.remote.desk import BucketDesk, DeskOfOthers
from lottery_ticket.store.remote.envelope import Envelope
from lottery_ticket.store.remote.format import check_runs
from lottery_ticket.store.remote.in_use import run_in_use
from lottery_ticket.store.remote.leases import MOST_READ, BucketSpot
from lottery_ticket.store.remote.place import Place
from lottery_ticket.store.remote.tidying import collect_garbage, remove_run

__all__ = ["BucketClaim", "ObjectStore"]

_DAMAGED = "damaged"  # notes of cells of which a file was found so
_AT_ONCE = 4  # files that are sent


class BucketClaim(LeaseClaim):
    """A claim whose desk lies in a bucket."""

    desk: BucketDesk

    def __init__(self, place: Place, name: str, spot: BucketSpot, lease: Lease, stamp: str) -> None:
        self._place = place
        desk = BucketDesk(place.bucket, lease.token, lease.before)
        super().__init__(name, spot, lease, stamp, desk, self._remove_work)
        if len(lease.before) >= MOST_BEFORE:  # the next one would not know of the oldest
            try:
                desk.take_over()
            except BaseException:
                super().release()
                raise
        place.courier.take_on(desk)
        place.heart.keep(self)

    def release(self) -> None:
        """Give the claim back, with all that was shown."""
        self._place.courier.let_go(self.desk)
        with contextlib.suppress(StoreError):  # it is only looked at
            self.desk.send()
        super().release()
        self._place.look_anew(self.name)

    def clear(self) -> None:
        """Give the claim back and remove the work: the cell is finished."""
        self._place.courier.let_go(self.desk)
        super().clear()
        self._place.look_anew(self.name)

    def _remove_work(self, tokens: tuple[str, ...]) -> None:
        self.desk.clear()
        bucket = self._place.bucket
        for token in tokens[1:]:  # of earlier claims, which this one does not know
            bucket.remove([one.key for one in bucket.list(keys.folder_of_work(token))])


class ObjectStore(Store):
    """A bucket, or what lies under a prefix of it.

    Args:
        location: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        claims: how claims are held; here there are leases alone.

    Raises:
        UsageError: that is no address, or are other claims; or obstore is not installed.
        StoreError: the bucket cannot be read; or holds something else, or what a later version
            wrote.
    """

    retry_seconds = 2.0
    look_seconds = 5.0

    def __init__(self, location: "str | PathLike[str]", claims: str | None = None) -> None:
        if claims not in (None, "lease"):
            raise UsageError(
                f"claims: got {claims!r}; a store in a bucket has leases; leave --claims out"
            )
        self._use(Place.at(fspath(location)), (fspath(location),))

    @classmethod
    def over(cls, bucket: Bucket, **options: Any) -> "ObjectStore":
        """A store in a bucket that was opened already; options are those of `Place`."""
        made = object.__new__(cls)
        made._use(Place(bucket, **options), None)
        return made

    def _use(self, place: Place, arguments: tuple[str] | None) -> None:
        self._place, self._arguments = place, arguments
        self.bucket, self.location = place.bucket, place.bucket.location

    def __reduce__(self) -> tuple[Any, ...]:
        if self._arguments is None:
            return type(self).over, (self.bucket,)
        return type(self), self._arguments

    def absolute(self) -> "ObjectStore":
        return self

    def state(self) -> str:
        held = super().state()
        return f"{held}, {sum(self.bucket.requests.values())} requests to find that out"

    def writing(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def exists(self) -> bool:
        return self.bucket.head(keys.FORMAT) is not None

    def open_for_writing(self) -> None:
        self._place.open_for_writing()

    # cells

    def get(self, name: str) -> CellRecord | None:
        found = self._place.records.recent(name)
        return None if found is None else found.found.record

    def read(self, record: CellRecord, file_name: str) -> bytes:
        """The bytes of one of a cell's files.

        Whoever finds one damaged or missing leaves a note, so that the next run looks closer.
        """
        records = self._place.records
        found = records.known(record.name)
        if found is None or found.found.record != record:
            found = records.fresh(record.name)
        if found is None or found.found.record.files != record.files:
            raise DamagedError(f"{self._where(record.name)}: damaged: it was removed, or remade")
        try:
            return self._file(found, file_name)
        except DamagedError:
            now = records.fresh(record.name)  # somebody may have remade it, equal or not
            if now is None or now.token == found.token or now.found.record.files != record.files:
                raise
            return self._file(now, file_name)

    def _file(self, found: Envelope, file_name: str, *, anew: bool = False) -> bytes:
        record, files = found.found.record, self._place.files
        expected = record.files.get(file_name)
        if expected is None:
            raise DamagedError(f"{self._where(record.name)}: its record knows of no {file_name!r}")
        key = keys.file(found.token, file_name)
        data = files.fresh(key) if anew else files.known(key)
        if data is not None and sha256(data) == expected["sha256"]:
            return data
        files.forget(key)
        self._note_damage(record.name)
        what = "missing" if data is None else f"{len(data):,} bytes that differ from"
        written = "" if data is None else f" the {expected['bytes']:,} written"
        raise DamagedError(f"{self.location}/{key}: damaged: {what}{written}")

    def _note_damage(self, name: str) -> None:
        with contextlib.suppress(StoreError):  # who may only read cannot
            self.board.put(_DAMAGED, name, b"")

    def _where(self, name: str) -> str:
        return f"{self.location}/{keys.cell(name)}"

    def execution(self, name: str) -> dict[str, Any]:
        found = self._place.records.recent(name)
        if found is None:
            raise DamagedError(f"{self._where(name)}: damaged: missing")
        return dict(found.found.execution.values)

    def finished(self, name: str) -> Finished | None:
        found = self._place.records.fresh(name)
        return None if found is None else found.found

    def checked(self, name: str) -> Finished | None:
        envelope = self._place.records.fresh(name)
        if envelope is None:
            return None
        for file_name in sorted(envelope.found.kept):
            self._file(envelope, file_name, anew=True)
        return envelope.found

    def survey(
        self, names: Iterable[str], *, is_thorough: bool = True
    ) -> Iterator[tuple[str, Finished | DamagedError]]:
        """Of those cells that are finished what they are, or what is wrong with them.

        Files are not read, which would take as long as to fetch all of them: what a bucket holds it
        checks itself. Of a cell of which somebody found a file damaged or missing they are.
        """
        suspects = set(self.board.names(_DAMAGED))
        for name, found in self._place.records.survey(names):
            if isinstance(found, DamagedError):
                yield name, found
            elif name not in suspects:
                yield name, found.found
            else:
                yield from self._looked_into(name)

    def _looked_into(self, name: str) -> Iterator[tuple[str, Finished | DamagedError]]:
        try:
            found = self.checked(name)
        except DamagedError as error:
            yield name, error
            return
        with contextlib.suppress(StoreError):
            self.board.remove(_DAMAGED, name)
        if found is not None:
            yield name, found

    def strangers(self, found: Finished) -> list[str]:
        envelope = self._place.records.known(found.record.name)
        if envelope is None:
            return []
        own = {keys.file(envelope.token, name) for name in found.kept}
        listed = self.bucket.list(keys.folder_of_files(envelope.token))
        return [f"{self.location}/{one.key}" for one in listed if one.key not in own]

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        return self._place.records.cells(wanted)

    def cell_names(self) -> set[str]:
        return set(self._place.records.names())

    def claim(self, name: str) -> Claim | None:
        spot = BucketSpot(self.bucket, keys.claim(name))
        taken = take_lease(name, spot, self._place.watcher, self._place.lease_seconds)
        if taken is None:
            return None
        self._place.look_anew(name)
        return BucketClaim(self._place, name, spot, *taken)

    def commit(
        self,
        claim: Claim,
        record: CellRecord,
        files: Mapping[str, bytes],
        execution: Mapping[str, Any],
    ) -> bool:
        envelope = Envelope.of(claim.token, record, execution)
        written = {keys.file(claim.token, name): data for name, data in files.items()}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.bucket.put, written.keys(), written.values()))
        is_first = self._place.records.create(envelope)
        if not is_first:
            self.bucket.remove(written)
        claim.clear()
        return is_first

    def discard(self, name: str) -> None:
        """Remove a finished cell: its record first, so that none is left without its files."""
        found = None
        with contextlib.suppress(DamagedError):  # then its files are garbage
            found = self._place.records.fresh(name)
            if found is None:
                return
        self.bucket.remove([keys.cell(name)])
        self._place.records.forget(name)
        if found is not None:
            self.bucket.remove([keys.file(found.token, file) for file in sorted(found.found.kept)])
        self.board.remove(_DAMAGED, name)

    # work

    def desk(self, name: str) -> Desk:
        spot = BucketSpot(self.bucket, keys.claim(name))
        lease = self._place.glance(name, "lease", spot.look)
        tokens = () if lease is None else (lease[0].token, *lease[0].before)
        own = self._place.courier.desk(tokens[0]) if tokens else None
        return own or DeskOfOthers(self.bucket, name, tokens, self._place.glance)

    def work_names(self) -> set[str]:
        return {keys.last_of(one.key) for one in self.bucket.list(keys.CLAIMS)}

    def claimed_names(self, *, is_rough: bool = False) -> set[str]:
        most = MOST_READ if is_rough else None
        return {keys.last_of(key) for key in self._place.leases.held(keys.CLAIMS, most)}

    def silent_seconds(self) -> Mapping[str, float]:
        silent = self._place.leases.silent(keys.CLAIMS)
        return {keys.last_of(key): seconds for key, seconds in silent.items()}

    @property
    def board(self) -> Board:
        return BucketBoard(self.bucket)

    # runs

    def in_use(self, run_id: str) -> AbstractContextManager[None]:
        return run_in_use(self._place, run_id)

    def has_run(self, run_id: str) -> bool:
        return self.bucket.head(keys.run(run_id)) is not None

    def _write_run(self, run: RunRecord) -> None:
        self.bucket.put(keys.run(run.id), run.to_bytes())

    def _run_times(self) -> Mapping[str, float]:
        listed = list(self.bucket.list(keys.RUNS))
        if not listed:
            check_runs(self.bucket)
        found = {keys.run_of(one.key): one.modified for one in listed}
        return {run_id: modified for run_id, modified in found.items() if run_id is not None}

    def runs(self) -> list[RunRecord]:
        found = self.bucket.get_many(map(keys.run, self.run_ids()))  # several at once
        runs = [self._run(keys.run_of(key) or "", one) for key, one in found]
        return sorted(runs, key=lambda run: run.created)

    def read_run(self, run_id: str) -> RunRecord:
        return self._run(run_id, self.bucket.get(keys.run(run_id)))

    def _run(self, run_id: str, found: Found | None) -> RunRecord:
        where = f"{self.location}/{keys.run(run_id)}"
        if found is None:
            raise DamagedError(f"{where}: damaged: missing")
        run = RunRecord.from_bytes(found.data, where)
        if run.id != run_id:
            raise DamagedError(
                f"{where}: damaged run record (it is of {run.id}); name it so, or remove it"
            )
        return run

    # tidying

    def remove_run(self, run: RunRecord, *, dry_run: bool = False) -> Freed:
        return remove_run(self, self._place, run, dry_run=dry_run)

    def collect_garbage(self, *, dry_run: bool = False) -> Freed:
        return collect_garbage(self, self._place, dry_run=dry_run)
