"""Whole runs in buckets: what is damaged, shown and left there; `test_whole_runs.py` holds their
bytes to those of a folder."""

import pytest
from memory_bucket import MemoryBucket
from tiny_runs import planned, run_in, tiny  # noqa: F401

from lottery_ticket.api import RunResult, load_run
from lottery_ticket.experiment import Context, run_plan
from lottery_ticket.store import CellRecord, Store
from lottery_ticket.store.remote import ObjectStore


def held(store: Store) -> dict[str, CellRecord]:
    """All finished cells: inputs, results, and the checksums of their files, which are read."""
    return {name: found.record for name in store.cell_names() if (found := store.checked(name))}


@pytest.fixture(scope="module")
def in_a_folder(tmp_path_factory):
    from tiny_runs import TINY

    from lottery_ticket.spec import spec_from_mapping

    folder = tmp_path_factory.mktemp("runs") / "store"
    return run_in(folder, spec_from_mapping(TINY))[0]


def test_a_run_in_a_bucket_leaves_its_cells_alone_and_is_shown(tiny, in_a_folder):  # noqa: F811
    plan = planned(tiny())
    store = ObjectStore.over(MemoryBucket())
    assert run_plan(plan, store, Context(store)).is_complete
    keys = [one.key.partition("/")[0] for one in store.bucket.list("")]
    assert set(keys) == {"format.json", "runs", "cells", "files"}
    assert (
        load_run(store=store).verdict().sentence == load_run(store=in_a_folder).verdict().sentence
    )


def test_a_parent_that_a_child_finds_damaged_is_made_anew(tiny, in_a_folder):  # noqa: F811
    bucket = MemoryBucket()
    store = ObjectStore.over(bucket)
    plan = planned(tiny())
    run_plan(plan, store, Context(store))
    name, parent = next(
        (cell.name, parent)
        for cell in plan.cells.values()
        for role, parent in cell.parents.items()
        if role == "mask"
    )
    store.discard(name)
    for one in list(bucket.list("files")):
        if store._place.records.fresh(parent).token in one.key:
            bucket.put(one.key, b"rotten")
    store = ObjectStore.over(bucket)
    outcome = run_plan(plan, store, Context(store))
    assert outcome.is_complete, outcome.failures  # a maker that fails looks at its parents
    assert outcome.num_made == 2
    assert held(store) == held(in_a_folder)


def test_a_store_that_may_only_be_read_is_shown(tiny):  # noqa: F811
    class ReadOnly(MemoryBucket):
        def _write(self, kind, key, data):
            raise AssertionError("written")

    bucket = MemoryBucket()
    store = ObjectStore.over(bucket)
    plan = planned(tiny())
    run_plan(plan, store, Context(store))
    closed = ReadOnly()
    closed._objects = bucket._objects
    result = load_run(store=ObjectStore.over(closed))
    assert isinstance(result, RunResult)
    assert len(result.rows) == len(plan.rows)
    assert result.verdict().sentence
