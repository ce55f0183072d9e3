"""A search in a store: a replicate of a run whose cells only that search can make."""

import contextlib
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load as load_tensors

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.chain import At
from lottery_ticket.errors import DamagedError, DataError, StoreError, UsageError
from lottery_ticket.experiment import execution_of
from lottery_ticket.finder._live import Net
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.finder._plain import check_settings, joined_memory, split_memory, ties_of
from lottery_ticket.finder._search import OF_A_SEED, Row, Search
from lottery_ticket.finder._stored_cells import (
    MASK,
    OPTIMIZER,
    WEIGHTS,
    CellOf,
    Named,
    of_mask,
    of_row,
    record_lock,
    row_in,
    saved,
    tied,
)
from lottery_ticket.masks import PruningMask, RewindPoint
from lottery_ticket.pruning import Pipeline
from lottery_ticket.store import CellRecord, Claim, RunRecord, RunRow, Store
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["StoredSearch"]

_PATIENCE_SECONDS, _POLL_SECONDS = 60.0, 0.05


class StoredSearch:
    """Keeps a search in a store.

    The search of the same settings goes on; searches that differ by their seed alone are the
    replicates of one run.

    Args:
        store: where.
        settings: of the search; its `model` is as records have it: a name, and options.
        num_kept: how many weights each level is to keep, the first dense.

    Raises:
        StoreError: the store cannot be read.
    """

    def __init__(
        self,
        store: Store,
        settings: Mapping[str, Any],
        num_kept: Sequence[int],
    ) -> None:
        self.store, self._settings, self._num_kept = store, dict(settings), list(num_kept)
        self._contents: dict[str, str] = {}  # cell → content, of those that are known to be there
        self._rows: dict[At, RunRow] = {}
        self.run_id, self.replicate, search_id = self._found()
        self._named = Named(search_id, settings["model"], Pipeline(**settings["pipeline"]))
        self._is_there = False  # the run's record, with this search in it

    def __str__(self) -> str:
        return f"{self.store.location}, run {self.run_id}"

    def _found(self) -> tuple[str, int, str]:
        """Run, replicate and id of the search with these settings, old or new."""
        joins, search_id = None, secrets.token_hex(16)
        for run in self.store.runs():
            known = [self._settings_of(each) for each in run.searches]
            if self._settings in known:
                number = known.index(self._settings)
                return run.id, number, run.searches[number]
            told = [each for each in known if each is not None]
            if told and all(_is_replicate(each, self._settings) for each in told):
                joins = run
        if joins is not None:
            return joins.id, len(joins.searches), search_id
        name = re.sub("[^A-Za-z0-9._-]+", "-", self._settings["name"]).lstrip("-._") or "search"
        return f"{name[:150]}-{search_id[:8]}", 0, search_id

    def _settings_of(self, search_id: str) -> Mapping[str, Any] | None:
        """The settings of a search; None where they cannot be read."""
        start = Named(search_id, {}, Pipeline(**self._settings["pipeline"])).start
        try:
            record = self.store.get(start.name)
        except DamagedError:
            return None
        return None if record is None else record.results.get("settings")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While it lasts, nobody removes the run, and no other process goes on with the search.

        Raises:
            UsageError: another process does already.
            StoreError: the store cannot be written.
        """
        self.store.open_for_writing()
        with self.store.in_use(self.run_id):
            claim = self.store.claim(self._named.lock)
            if claim is None:
                raise UsageError(
                    f"{self}: another process goes on with this search; wait for it, or search "
                    "under another seed= or name="
                )
            try:
                yield
            finally:
                claim.clear()

    # reading

    def resumed(self) -> Search | None:
        """What there is of the search; a level that is damaged ends it, and is trained again.

        Raises:
            DataError: what it begins with is gone or damaged.
        """
        run = self.store.earlier_run(self.run_id)
        if run is None or self._named.id not in run.searches:
            return None
        own = [row for row in run.rows if row.replicate == self.replicate]
        self._rows = {At(row.arm, row.level, row.draw): row for row in own}
        with made_sense_of(self.store.location, f"search of {run.id}", "; `lottery rm` removes it"):
            start = self._read(self._named.start.name)
            if start is None:
                raise DataError(
                    f"{self}: what the search began with is gone or damaged, so that it cannot be "
                    "continued; remove the run, or search under another name="
                )
            settings, ties = start.results["settings"], start.results["ties"]
            check_settings(settings)
            shapes = settings["layers"].items()
            dense = PruningMask.from_tensors(
                {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes}
            )
            search = Search(settings, self._net(start, ties)[0], masks=PackedMasks([dense]))
            search.code = {str(name): str(digest) for name, digest in start.results["code"].items()}
            search.example = start.results["example"]
            self._take_chain(search, ties)
            self._take_controls(search)
            self._is_there = True
            if search.rows or search.unrated is not None:
                return search
            self._contents.clear()  # nothing was finished: θ₀ is that of the search to come
            return None

    def _take_chain(self, search: Search, ties: Mapping[str, str]) -> None:
        """Add the ticket's levels up to the first of which something is not there."""
        k: int | None = search.settings["rewind_step"]
        for level in range(len(self._num_kept)):
            if level:
                mask = self._read(self._named.mask(At(level=level)).name)
                if mask is None:
                    return
                search.masks.append(PruningMask.from_bytes(self.store.read(mask, MASK)))
            record, is_judged = self._training(level)
            point = self._read(self._named.rewind_point.name) if k is not None else None
            if record is None or (k is not None and point is None):
                return
            if not level and k is not None and point is not None:
                weights, memory = self._net(point, ties)
                search.rewind_point = RewindPoint(k, weights, memory or {})
            search.trained, search.optimizer_state = self._net(record, ties)
            if not level:
                search.dense, search.dense_optimizer_state = search.trained, search.optimizer_state
            row = row_in(record.results)
            if not is_judged:
                search.unrated = row
                return
            search.add(row)
            if search.has_fallen:
                return

    def _training(self, level: int) -> tuple[CellRecord | None, bool]:
        """The ticket's training at a level, and whether it is judged."""
        judged = self._read(self._named.ticket(level).name)
        if judged is not None:
            return judged, True
        return self._read(self._named.ticket(level, is_judged=False).name), False

    def _take_controls(self, search: Search) -> None:
        """Add the controls that are there."""
        for at, row in list(self._rows.items()):
            if at.arm == TICKET:
                continue
            record = self._read(row.cell)
            is_whole = row.mask is None or self._read(row.mask) is not None
            if record is not None and is_whole and search.rows:
                search.rows.append(row_in(record.results))
            else:
                del self._rows[at]

    def _net(
        self, record: CellRecord, ties: Mapping[str, str]
    ) -> tuple[dict[str, torch.Tensor], dict[int, Any] | None]:
        """Weights, and what the optimiser remembers."""
        weights = tied(load_tensors(self.store.read(record, WEIGHTS)), ties)
        plain = record.results.get("optimizer")
        has_file = OPTIMIZER in record.files
        tensors = load_tensors(self.store.read(record, OPTIMIZER)) if has_file else {}
        return weights, joined_memory(plain, tensors)

    def _read(self, name: str) -> CellRecord | None:
        """A cell whose files are whole; None where it is not there, or damaged."""
        try:
            record = self.store.check(name)
        except DamagedError:
            return None
        if record is not None:
            self._contents[name] = record.content
        return record

    # writing

    def save(self, search: Search) -> None:
        """Keep what is new of the ticket's chain.

        Raises:
            StoreError: the store cannot be written.
        """
        self._planned(search)
        self._save_run(search)
        self._keep_start(search)
        point = search.rewind_point
        if point is not None:
            self._keep_net(self._named.rewind_point, Net(point.weights, point.optimizer_state), {})
        for level in range(1, len(search.masks)):
            cell = self._named.mask(At(level=level))
            if cell.name not in self._contents:  # unpacked only where it is new
                self._keep_mask(cell, search.masks[level])
        row = search.unrated or (search.chain[-1] if search.chain else None)
        if row is not None:
            net = Net(search.trained, search.optimizer_state)
            cell = self._named.ticket(row.level, is_judged=search.unrated is None)
            self._keep_net(cell, net, of_row(row, search), row)
            if search.unrated is None:
                self._forget(self._named.ticket(row.level, is_judged=False).name)

    def _keep_start(self, search: Search) -> None:
        cell = self._named.start
        if cell.name in self._contents:
            return
        results = {
            "settings": search.settings,
            "ties": ties_of(search.initial),
            "code": search.code,
            "example": search.example,
        }
        self._keep(cell, {WEIGHTS: saved(search.initial)}, results)

    def _planned(self, search: Search) -> None:
        """The rows of the ticket's levels, of those to come too."""
        count = len(search.chain) if search.has_fallen else len(self._num_kept)
        controls = {at: row for at, row in self._rows.items() if at.arm != TICKET}
        levels = {At(level=level): self._ticket_row(search, level) for level in range(count)}
        self._rows = levels | controls

    def _ticket_row(self, search: Search, level: int) -> RunRow:
        is_made = level < len(search.masks)
        num_kept = search.masks[level].num_kept if is_made else self._num_kept[level]
        mask = self._named.mask(At(level=level)).name if level else None
        cell = self._named.ticket(level).name
        return RunRow(TICKET, level, self.replicate, 0, num_kept, cell, mask)

    def keep_control(self, search: Search, row: Row, mask: PruningMask, net: Net) -> None:
        """Keep the training of a control.

        Raises:
            StoreError: the store cannot be written.
        """
        at = At(row.arm, row.level, row.draw)
        is_tickets = row.level and mask.to("cpu") == search.masks[row.level]
        own = self._named.mask(At(level=row.level) if is_tickets else at) if row.level else None
        name = None if own is None else own.name
        cell = self._named.training(at, name)
        place = (row.arm, row.level, self.replicate, row.draw)
        self._rows[at] = RunRow(*place, row.num_kept, cell.name, name)
        self._save_run(search)
        if own is not None and own.name not in self._contents:
            self._keep_mask(own, mask)
        self._keep_net(cell, net, of_row(row, search), row)

    def _keep_mask(self, cell: CellOf, mask: PruningMask) -> None:
        self._keep(cell, {MASK: mask.to("cpu").to_bytes()}, of_mask(mask))

    def _keep_net(
        self, cell: CellOf, net: Net, results: Mapping[str, Any], row: Row | None = None
    ) -> None:
        if cell.name in self._contents:
            return
        tensors: dict[str, torch.Tensor] = {}
        plain = split_memory("state", net.memory, tensors)
        files = {WEIGHTS: saved(net.weights)}
        if plain is not None:
            files[OPTIMIZER] = saved(tensors)
        more = {} if plain is None else {"optimizer": plain}
        self._keep(cell, files, {**results, **more}, row)

    def _keep(
        self,
        cell: CellOf,
        files: Mapping[str, bytes],
        results: Mapping[str, Any],
        row: Row | None = None,
    ) -> None:
        """Commit a cell that is not there."""
        parents = {
            role: self._contents[parent]
            for role, parent in cell.inputs["parents"].items()
            if parent in self._contents
        }
        record = CellRecord.of(cell.name, cell.inputs, parents, files, results)
        device, seconds = ("cpu", 0.0) if row is None else (row.device, row.seconds)
        with self._claimed(cell.name) as claim:
            self.store.discard(cell.name)  # a damaged one, that is made again
            how = execution_of(device, torch.get_num_threads(), seconds)
            self.store.commit(claim, record, files, how)
        self._contents[cell.name] = record.content

    def _forget(self, name: str) -> None:
        if self._contents.pop(name, None) is not None:
            self.store.discard(name)

    @contextlib.contextmanager
    def _claimed(self, name: str) -> Iterator[Claim]:
        """A claim, waited for."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (claim := self.store.claim(name)) is None:
            if time.monotonic() > until:
                raise StoreError(
                    f"{self.store.location}: cell {name}: another process has its claim"
                )
            time.sleep(_POLL_SECONDS)
        try:
            yield claim
        except BaseException:
            claim.release()
            raise

    # the run's record

    def _save_run(self, search: Search) -> None:
        """Write the run's record with this replicate as it is now; before its cells, so that
        nobody takes them for nobody's."""
        with self._claimed(record_lock(self.run_id)) as claim:
            has_run = self.store.has_run(self.run_id)
            if self._is_there and not has_run:
                claim.clear()
                raise StoreError(f"{self}: it was removed meanwhile; search again")
            earlier = self.store.read_run(self.run_id) if has_run else None
            self.store.save_run(self._record(search, earlier), earlier)
            claim.clear()
            self._is_there = True

    def _record(self, search: Search, earlier: RunRecord | None) -> RunRecord:
        searches = () if earlier is None else earlier.searches
        if self._named.id not in searches:  # another may have joined the run meanwhile
            if any(self._settings_of(each) == self._settings for each in searches):
                raise UsageError(
                    f"{self}: another process has begun this very search; call again to go on "
                    "with it once that has ended"
                )
            self.replicate, searches = len(searches), (*searches, self._named.id)
            self._rows = {
                at: replace(row, replicate=self.replicate) for at, row in self._rows.items()
            }
        known = () if earlier is None else earlier.rows
        rows = [row for row in known if row.replicate != self.replicate] + [*self._rows.values()]
        rows.sort(key=lambda row: (_order(row.arm), row.level, row.replicate, row.draw))
        others = {self._named.start.name} | set(() if earlier is None else earlier.others)
        others |= {self._named.rewind_point.name} if search.rewind_point else set()
        judged = {self._named.ticket(row.level, is_judged=False).name for row in search.chain}
        if search.unrated is not None:
            others.add(self._named.ticket(search.unrated.level, is_judged=False).name)
        settings = search.settings
        return RunRecord(
            self.run_id,
            time.time(),
            self._spec(settings, rows, len(searches)),
            search.num_prunable,
            settings["layers"],
            tuple(rows),
            tuple(sorted(others - judged)),
            "".join(each if each.isprintable() else " " for each in settings["name"]),
            searches=searches,
        )

    def _spec(
        self, settings: Mapping[str, Any], rows: Sequence[RunRow], replicates: int
    ) -> dict[str, Any]:
        """What is known of how the run was made, under the keys of a spec."""
        draws: dict[str, int] = {}
        for row in rows:
            draws[row.arm] = max(draws.get(row.arm, 1), row.draw + 1)
        is_free = settings["structure"] == "unstructured"
        return {
            "name": self.run_id.rpartition("-")[0],
            "model": self._named.model,
            "prune": {
                "criterion": settings["criterion"],
                "scope": settings["scope"] if is_free else settings["structure"],
                "schedule": settings["schedule"],
            },
            "rewind": f"{settings['rewind_step'] or 0}it",
            "pipeline": settings["pipeline"],
            "arms": [{"name": arm, "draws": count} for arm, count in draws.items()],
            "replicates": replicates,
        }


def _is_replicate(known: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> bool:
    """Whether two searches differ by their seed, and by nothing else but what hangs on it."""
    if known is None or known.get("seed") == settings["seed"]:
        return False
    of_one = [{k: v for k, v in each.items() if k not in OF_A_SEED} for each in (known, settings)]
    return of_one[0] == of_one[1]


def _order(arm: str) -> tuple[int, str]:
    return (list(ARMS).index(arm), arm) if arm in ARMS else (len(ARMS), arm)
