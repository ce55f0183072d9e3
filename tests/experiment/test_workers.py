"""Workers: any number of them make a submitted run, with the bytes of one machine."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from each_step import kinds_kept
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import TINY, digests, planned, run_in
from wrong_engines import trains_by

from lottery_ticket.errors import LotteryError, StoreError, UsageError
from lottery_ticket.experiment import (
    Asked,
    Cell,
    Context,
    Observer,
    Outcome,
    Work,
    Workers,
    probe_run,
    probe_work,
    run_plan,
    run_status,
    submission_of,
    submit_plan,
    work,
)
from lottery_ticket.experiment.executors.execute import execute as execute_cells
from lottery_ticket.experiment.executors.local import InProcess
from lottery_ticket.experiment.running.peers import Crew, remaining_steps
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import (
    Claim,
    Failure,
    LocalStore,
    Store,
    note_failure,
    submitted_runs,
)
from lottery_ticket.workers import stop
from lottery_ticket.workers import submit as submit_spec
from lottery_ticket.workers import work as work_on

SPEC = TINY | {"arms": ["ticket", "reinit", "random"], "replicates": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_in(folder, spec_from_mapping(SPEC))
    return digests(folder)


@pytest.fixture
def made():
    return planned(spec_from_mapping(SPEC))


def submitted(folder, made, **options) -> tuple[Store, Context]:
    store = Store(folder, **options)
    context = Context(store)
    submit_plan(made, store, context)
    return store, context


def start_worker(folder, *arguments: object) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "lottery_ticket.cli", "work", "--store", folder, *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        list(map(str, line)), text=True, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


# the law


def check_is_made(folder, made, undisturbed) -> None:
    """All of a submitted run is made by whoever works, with the bytes of one machine, and nobody
    need look at it again."""
    store, context = submitted(folder, made)
    assert submitted_runs(store) == [made.id]
    worked = work(store, context)
    assert sum(worked.num_made.values()) == len(made.cells)
    assert digests(folder) == undisturbed
    assert submitted_runs(store) == []
    assert not store.work_names()


def test_a_submitted_run_is_made(tmp_path, made, undisturbed):
    check_is_made(tmp_path, made, undisturbed)


def test_a_worker_that_trains_otherwise_is_caught(tmp_path, made, undisturbed, own_kinds):
    def wrong(train, cell, parents, workspace):
        return train(replace(cell, seeds=replace(cell.seeds, order=1)), parents, workspace)

    trains_by(wrong)
    with pytest.raises(AssertionError):
        check_is_made(tmp_path, made, undisturbed)


def test_two_workers_make_what_another_process_waits_for(tmp_path, made, undisturbed):
    store = Store(tmp_path)
    store.open_for_writing()
    workers = [start_worker(tmp_path, "--forever", "--jobs", 1) for _ in range(2)]
    try:
        context = Context(store)
        submit_plan(made, store, context)
        outcome = run_plan(made, store, context, executor=Workers)
        assert outcome.is_complete
        assert outcome.num_made + outcome.num_found == len(made.cells)
        assert digests(tmp_path) == undisturbed
        for worker in workers:
            worker.terminate()
        for worker in workers:
            _, told = worker.communicate(timeout=120)
            assert worker.returncode == 130, told
            assert "Traceback" not in told
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert len({store.execution(name)["process"] for name in made.cells}) == 2


# what fails


def test_whose_maker_is_silent_waits(tmp_path, made, monkeypatch):
    """A first look tells whose lease has long not been renewed, by the date of its file."""
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "3600")  # whose next beat is ten minutes away
    store, _ = submitted(tmp_path / "store", made, claims="lease")
    first, second = (store.claim(name) for name in list(made.cells)[:2])
    at = time.time() - 3 * 3600 - 1
    os.utime(tmp_path / "store" / "work" / first.name / "lease.1", (at, at))
    other = Store(tmp_path / "store")
    found = run_status(other, other.read_run(made.id))
    assert [one.cell for one in found.working] == [second.name]
    assert [one.cell for one in found.silent] == [first.name]
    assert found.num_waiting == len(made.cells) - 1
    line = [sys.executable, "-m", "lottery_ticket.cli", "status", "--store", tmp_path / "store"]
    shown = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"1 running, {found.num_waiting} waiting" in shown
    assert "silent for 3 h 0 min" in shown
    first.beat()
    assert run_status(other, other.read_run(made.id)).silent == ()
    for claim in (first, second):
        claim.release()


def fails_at_a_random_mask(train, cell, parents, workspace):
    if cell.label.arm == "random" and cell.label.level == 1:
        raise LotteryError("no luck\ntoday")
    return train(cell, parents, workspace)


def test_what_failed_is_left_until_it_is_asked_for_again(tmp_path, made, undisturbed, own_kinds):
    store, context = submitted(tmp_path, made)
    trained = []

    def fails(train, cell, parents, workspace):
        trained.append(cell.name)
        return fails_at_a_random_mask(train, cell, parents, workspace)

    trains_by(fails)
    worked = work(store, context)
    failed = {row.cell for row in made.rows if (row.arm, row.level) == ("random", 1)}
    assert worked.failures.keys() == {made.id}
    assert worked.failures[made.id].keys() == failed
    found = run_status(store, store.read_run(made.id))
    assert len(found.failed) == len(failed)
    assert all("no luck today (on " in message for message in found.failed.values())
    assert found.num_finished == len(made.cells) - len(failed)
    assert not found.is_submitted  # nobody need look again
    assert found.is_over
    # another worker knows, and so does who waits for them
    trained.clear()
    submit_plan(made, store, context)
    assert work(store, context).failures[made.id].keys() == failed
    assert trained == []
    outcome = run_plan(made, store, context, executor=Workers)
    assert outcome.failures.keys() == failed


def test_it_is_made_once_it_can_be(tmp_path, made, undisturbed):
    store, context = submitted(tmp_path, made)
    with kinds_kept():
        trains_by(fails_at_a_random_mask)
        assert work(store, context).failures
    submit_plan(made, store, context)
    assert not sum(work(store, context).num_made.values())
    submit_plan(made, store, context, retry_failed=True)
    assert not work(store, context).failures
    assert digests(tmp_path) == undisturbed


def test_a_damaged_parent_is_made_anew(tmp_path, made, undisturbed, own_kinds):
    """Workers do not read every file before they begin: there may be many of them."""
    store, context = submitted(tmp_path, made)
    damaged = []

    def damages(train, cell, parents, workspace):
        mask = cell.parents.get("mask")
        if not damaged and mask is not None:
            path = tmp_path / "cells" / mask[:2] / mask / "mask.safetensors"
            path.write_bytes(path.read_bytes()[:-1])
            damaged.append(mask)
        return train(cell, parents, workspace)

    trains_by(damages)
    worked = work(store, context)
    assert not worked.failures
    assert len(damaged) == 1
    assert digests(tmp_path) == undisturbed
    assert sum(worked.num_made.values()) == len(made.cells) + 1


def test_a_cell_that_kills_its_workers_fails(tmp_path, made):
    class Lost(LocalStore):
        def claim(self, name):
            claim = super().claim(name)
            if claim is not None:
                vars(claim)["num_losses"] = 5
            return claim

    store = Lost(tmp_path)
    store.open_for_writing()
    cell = next(cell for cell in made.cells.values() if not cell.parents)
    (outcome,) = execute_cells([cell], [{}], Context(store))
    assert outcome.status == "failed"
    assert "5 workers in a row died" in str(outcome.message)
    assert store.claim(cell.name) is not None


class OftenAway(LocalStore):
    """Refuses some claims, as a server does that is gone for a minute."""

    def claim(self, name):
        self._num_asked = vars(self).get("_num_asked", 0) + 1
        if self._num_asked in (1, 2, 5):
            raise StoreError(f"{self.location} cannot be written (no connection): given up")
        return super().claim(name)


def test_a_store_that_is_away_is_no_fault_of_a_cell(tmp_path, made, undisturbed):
    """Nobody would try it again."""
    submitted(tmp_path, made)
    store, notes = OftenAway(tmp_path), []

    class Told(Observer):
        def note(self, message):
            notes.append(message)

    worked = work(store, Context(store), observer=Told())
    assert not worked.failures
    assert digests(tmp_path) == undisturbed
    (note,) = notes
    assert note.endswith("(no connection): given up; it is tried again, more and more seldom")


# what others do meanwhile


class Meddling:
    """Executes here, and lets something happen around a group; a death would concern all."""

    slots = 1
    is_isolated = False

    def __init__(self, context, around) -> None:
        self._inner, self._around = InProcess(context), around

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def submit(self, cells, contents):
        told = Future()
        told.set_result(self._around(cells, lambda: self._inner.submit(cells, contents).result()))
        return told


def work_with(store, context, around):
    return work(store, context, executor=lambda context: Meddling(context, around))


def lost(cells) -> list[Outcome]:
    return [Outcome(cell.name, "lost") for cell in cells]


def test_a_cell_that_killed_a_worker_and_failed_elsewhere_holds_up_no_other(tmp_path, made):
    store, context = submitted(tmp_path, made)
    first: list[str] = []

    def dies(cells, execute):
        if not first:
            first.append(cells[0].name)
            note_failure(store, cells[0].name, Failure("out of memory", "other", 1, 0.0))
            return lost(cells)
        return execute()

    worked = work_with(store, context, dies)
    assert worked.failures[made.id].keys() == set(first)
    hanging = [c for c in made.cells.values() if descends(made, c, first[0])]
    assert sum(worked.num_made.values()) == len(made.cells) - 1 - len(hanging)


def descends(made, cell, name) -> bool:
    parents = cell.parents.values()
    return name in parents or any(descends(made, made.cells[p], name) for p in parents)


def test_a_cell_that_killed_a_worker_and_another_is_at_holds_up_no_other(
    tmp_path, made, undisturbed
):
    store, context = submitted(tmp_path, made, claims="lease")
    held: list[Claim] = []
    num_made = []

    def dies(cells, execute):
        if not held:
            claim = store.claim(cells[0].name)
            assert claim is not None
            held.append(claim)
            return lost(cells)
        told = execute()
        num_made.append(cells[0].name)
        if len(num_made) == 5:
            held[0].release()
        return told

    assert not work_with(store, context, dies).failures
    assert digests(tmp_path) == undisturbed


def test_a_damaged_parent_that_another_has_made_anew_fails_nothing(tmp_path, made, undisturbed):
    store, context = submitted(tmp_path, made)
    damaged: list[str] = []

    def another_is_quicker(cells, execute):
        mask = cells[0].parents.get("mask")
        if mask is None or damaged:
            return execute()
        damaged.append(mask)
        path = tmp_path / "cells" / mask[:2] / mask / "mask.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        told = execute()
        cell = made.cells[mask]
        contents = {role: store.get(parent).content for role, parent in cell.parents.items()}
        assert execute_cells([cell], [contents], context)[0].status == "made"
        return told

    worked = work_with(store, context, another_is_quicker)
    assert damaged
    assert not worked.failures
    assert digests(tmp_path) == undisturbed


def test_what_others_made_is_not_asked_for_one_by_one(tmp_path, made, undisturbed):
    asked: list[str] = []

    class Counting(LocalStore):
        def finished(self, name):
            asked.append(name)
            return super().finished(name)

    submitted(tmp_path, made)

    def others_make_all(cells, execute):
        asked.clear()
        run_in(tmp_path, spec_from_mapping(SPEC))
        asked.clear()
        return execute()

    store = Counting(tmp_path)
    worked = work_with(store, Context(store), others_make_all)
    assert worked.num_made == {made.id: 0}
    assert asked == []


def test_a_cell_that_is_gone_is_made_for_who_waits(tmp_path, made, undisturbed):
    """Workers took the run for complete, and only who waits has read every file."""
    run_in(tmp_path, spec_from_mapping(SPEC))
    mask = next(row.mask for row in made.rows if row.mask)
    path = tmp_path / "cells" / mask[:2] / mask / "mask.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    store, context = submitted(tmp_path, made)
    assert work(store, context).num_made == {made.id: 0}
    assert submitted_runs(store) == []
    worker = start_worker(tmp_path, "--forever", "--jobs", 1)
    waits = partial(Workers, submission=submission_of(made, context))
    try:
        assert run_plan(made, store, context, executor=waits).is_complete
    finally:
        worker.kill()
        worker.communicate()
    assert digests(tmp_path) == undisturbed


def test_what_the_store_refused_is_said_once_and_tried_again(tmp_path, made, undisturbed):
    store, context = submitted(tmp_path, made)
    notes, refused = [], []

    class Told(Observer):
        def note(self, message):
            notes.append(message)

    def refuses(cells, execute):
        if len(refused) < 3:
            refused.append(cells[0].name)
            return [Outcome(cell.name, "refused", message="no space left") for cell in cells]
        return execute()

    worked = work(
        store, context, observer=Told(), executor=lambda context: Meddling(context, refuses)
    )
    assert not worked.failures
    assert notes == ["no space left; it is tried again, more and more seldom"]
    assert digests(tmp_path) == undisturbed


def test_a_note_of_another_version_stops_no_other_run(tmp_path, made, undisturbed):
    store, context = submitted(tmp_path, made)
    store.board.put("submitted", "other-00000000", b"{}")
    worked = work(store, context)
    assert worked.refused.keys() == {"other-00000000"}
    assert digests(tmp_path) == undisturbed


def test_a_run_here_tries_again_what_workers_gave_up(tmp_path, made, undisturbed):
    store, context = submitted(tmp_path, made)
    with kinds_kept():
        trains_by(fails_at_a_random_mask)
        assert work(store, context).failures
    run_in(tmp_path, spec_from_mapping(SPEC))
    assert store.board.names("failed") == []
    assert digests(tmp_path) == undisturbed


# what cannot be worked on here


NET = """
from torch import nn
from lottery_ticket import register_model

@register_model("Mine")
def mine(input_size: int = 64, num_classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(input_size, {width}), nn.ReLU(),
                         nn.Linear({width}, num_classes))
"""


def test_other_code_is_refused_and_said(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(NET.format(width=8))
    values = TINY | {"model": {"name": "Mine"}}
    where = {"store": tmp_path / "store", "imports": [str(mine)]}
    run = submit_spec(values, **where)
    mine.write_text(NET.format(width=9))
    done = start_worker(tmp_path / "store", "--import", mine)
    _, told = done.communicate(timeout=120)
    assert done.returncode == 1
    assert "model Mine is" in told
    assert "where it was submitted" in told
    without = start_worker(tmp_path / "store")
    _, told = without.communicate(timeout=120)
    assert without.returncode == 1
    assert f"it was submitted with --import {mine}" in " ".join(told.split())
    store = Store(tmp_path / "store")
    assert submitted_runs(store) == [run.id]
    assert not store.cell_names()


def test_nothing_that_the_store_names_is_imported(tmp_path, made):
    """A store is data: its notes say what was imported elsewhere, for people."""
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    store = Store(tmp_path / "store")
    submit_plan(made, store, Context(store, imports=(str(trap),)))
    assert sum(work(store, Context(store)).num_made.values()) == len(made.cells)
    assert not (tmp_path / "sprung").exists()


def test_a_worker_without_the_data_leaves_the_run_to_others(tmp_path):
    path, moved = tmp_path / "mine.npz", tmp_path / "moved.npz"
    arrays = np.random.default_rng(0)
    np.savez(path, x=arrays.random((200, 64), "f4"), y=arrays.integers(0, 10, 200))
    made = planned(spec_from_mapping(TINY | {"data": {"name": "arrays", "path": str(path)}}))
    store, context = submitted(tmp_path / "store", made)
    notes = []

    class Told(Observer):
        def note(self, message):
            notes.append(message)

    path.rename(moved)
    worked = work(store, context, observer=Told())
    assert str(path) in worked.refused[made.id]
    np.savez(path, x=arrays.random((200, 64), "f4"), y=arrays.integers(0, 10, 200))
    others = work(store, context, observer=Told())
    assert "data is" in others.refused[made.id]
    assert "see that all have the same files" in others.refused[made.id]
    assert len(notes) == 2
    assert all(f"this worker leaves {made.id} to others" in note for note in notes)
    assert submitted_runs(store) == [made.id]
    assert not store.cell_names()
    moved.replace(path)
    assert work(store, context).num_made[made.id] == len(made.cells)


def test_arguments_that_make_no_sense(tmp_path):
    Store(tmp_path).open_for_writing()
    with pytest.raises(UsageError, match="per_device: got 0"):
        work_on(tmp_path, per_device=0)
    with pytest.raises(UsageError, match="no runs here"):
        work_on(tmp_path, runs=["nobody"])
    for option in ({"jobs": 2}, {"group": 8}, {"device": "cpu"}, {"per_device": 2}):
        (name,) = option
        with pytest.raises(UsageError, match=f"{name} would have no effect; say to `lottery work`"):
            submit_spec(TINY, store=tmp_path, **option)


def test_where_no_store_is_none_is_made(tmp_path):
    """A name that is mistyped is no store, and whoever makes one says how its claims are held."""
    worker = start_worker(tmp_path / "typo")
    _, told = worker.communicate(timeout=120)
    assert worker.returncode == 2
    assert "no store is there; submit a run to it first" in " ".join(told.split())
    assert not (tmp_path / "typo").exists()


# stopping


def test_a_run_is_stopped_from_anywhere_and_goes_on(tmp_path, made, undisturbed, own_kinds):
    store, context = submitted(tmp_path, made)
    num_trained = []

    def asks(train, cell, parents, workspace):
        num_trained.append(cell.name)
        if len(num_trained) == 3:
            stop(made.id, store=Store(tmp_path))
        return train(cell, parents, workspace)

    trains_by(asks)
    worked = work(store, context)
    assert 3 <= sum(worked.num_made.values()) < len(made.cells)
    assert not worked.is_stopped  # the run was, not the worker
    found = run_status(store, store.read_run(made.id))
    assert found.is_stopped
    assert found.is_over
    submit_plan(made, store, context)
    assert not run_status(store, store.read_run(made.id)).is_stopped
    work(store, context)
    assert digests(tmp_path) == undisturbed


def test_a_look_at_a_stopped_run_does_not_set_it_going(tmp_path, made):
    """Who measures something on its trainings does not make it: they are told of no stop, and take
    none back."""
    run_in(tmp_path, spec_from_mapping(SPEC))
    store = Store(tmp_path)
    stop(made.id, store=store)
    context = Context(store)
    record = store.read_run(made.id)
    measured = probe_work(store, record, Asked("evaluate", {}), context)
    assert probe_run(store, record, measured, context).is_complete
    assert run_status(store, record).is_stopped


def test_who_only_watches_may_leave(tmp_path, made):
    """Ctrl-C ends the watching: the run stays submitted."""
    store, context = submitted(tmp_path, made)
    running = threading.Event()

    class Watching(Observer):
        def started(self, cell):
            running.set()

    context = replace(context, stops=("mine",))
    workers = Workers(context)
    with workers as executing:
        cells = [cell for cell in made.cells.values() if not cell.parents]
        future = executing.submit(cells, [{}] * len(cells))
        store.board.put("stop", "mine", b"")
        told = future.result(timeout=60)
    assert {outcome.status for outcome in told} == {"stopped"}
    assert submitted_runs(store) == [made.id]


# who takes what


@st.composite
def works(draw) -> Work:
    made = planned(spec_from_mapping(TINY))
    cell = next(cell for cell in made.cells.values() if cell.kind == "mask")
    cells: dict[str, Cell] = {}
    for number in range(draw(st.integers(1, 12))):
        names = list(cells)
        parents = draw(st.lists(st.sampled_from(names), max_size=3)) if names else []
        one = replace(cell, parents={f"p{i}": parent for i, parent in enumerate(parents)})
        name = f"cell{number}"
        object.__setattr__(one, "name", name)
        cells[name] = one
    return Work("some", cells)


def longest(work: Work, name: str) -> int:
    children = [n for n, cell in work.cells.items() if name in cell.parents.values()]
    return 1 + max((longest(work, child) for child in children), default=0)


@given(works())
def test_what_most_hangs_on_comes_first(work):
    left = remaining_steps(work)
    assert left == {name: longest(work, name) for name in work.cells}


def orders_of(folder, made: Work, tokens: Mapping[str, object]) -> list[list[str]]:
    crews = [Crew(Store(folder), made, token) for token in tokens]
    return [crew.in_order(made.cells) for crew in crews]


def test_each_worker_has_an_order_of_its_own_among_equals(tmp_path, made):
    left = remaining_steps(made)
    one, other, same = orders_of(tmp_path, made, {"a": 0, "b": 0, "c": 0})
    assert one != other != same
    for order in (one, other):
        steps = [left[name] for name in order]
        assert steps == sorted(steps, reverse=True)
