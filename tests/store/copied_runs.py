"""Runs of small cells that are made from one another, and all that a store says of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from small_cells import WEIGHTS, name_of, run_of

from lottery_ticket.store import CellRecord, Store

MASK = "mask.safetensors"


class Grown(NamedTuple):
    """A cell: its number, those that it is made from, its bytes, and whether all are kept."""

    number: int
    parents: tuple[int, ...] = ()
    data: bytes = b"\x00\x01\x02"
    is_kept: bool = True


def grow(store: Store, cells: Sequence[Grown], **how: Any) -> None:
    """Make cells, each of the contents that its parents have in this store (or would have)."""
    store.open_for_writing()
    contents: dict[int, str] = {}
    for cell in cells:
        claim = store.claim(name_of(cell.number))
        assert claim is not None
        files = {WEIGHTS: cell.data, MASK: bytes([cell.number])}
        roles = {f"of {parent}": parent for parent in cell.parents}
        record = CellRecord.of(
            name_of(cell.number),
            {"kind": "train", "parents": {role: name_of(n) for role, n in roles.items()}},
            {role: contents[n] for role, n in roles.items()},
            files,
            {"test_accuracy": 0.1 + 0.2, "history": [{"step": 3, "loss": 1e-05}]},
        )
        contents[cell.number] = record.content
        execution: dict[str, Any] = {"device": "cpu", "threads": 1, "host": "there", **how}
        if not cell.is_kept:
            execution["not_kept"] = [WEIGHTS]
            del files[WEIGHTS]
        assert store.commit(claim, record, files, execution)


def family(store: Store, data: bytes = b"first") -> None:
    """A run of four cells: 1 is made from 0, 2 from 1; 3 stands alone."""
    grow(store, [Grown(0, (), data), Grown(1, (0,)), Grown(2, (1,)), Grown(3)])
    store.save_run(run_of(range(4)))


def told(store: Store) -> Mapping[str, Any]:
    """Every byte of its runs and cells, each read against its checksum."""
    said: dict[str, Any] = {run_id: store.read_run(run_id).to_bytes() for run_id in store.run_ids()}
    for name in sorted(store.cell_names()):
        found = store.checked(name)
        assert found is not None
        files = {file: store.read(found.record, file) for file in sorted(found.kept)}
        said[name] = (found.record.to_bytes(), dict(found.execution.values), files)
    return said
