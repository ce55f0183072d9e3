"""What every executor has to do. That by each of them a run has the same bytes is held in
`test_whole_runs.py`.

An executor passes the suite if it executes every group it is given, says of each cell what became
of it, in order, and says so of a worker that died.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import ClassVar

import pytest
from threads_executor import Threads
from tiny_runs import digests, planned

from lottery_ticket.experiment import Context, Executor, Outcome, execute, run_plan
from lottery_ticket.experiment.executors.local import InProcess, Pool
from lottery_ticket.store import Store

EXECUTORS: dict[str, Callable[[Context], Executor]] = {
    "in process": InProcess,
    "pool": lambda context: Pool(2, context),
    "threads": Threads,
}


class Dies(Threads):
    """Of the first groups that it is given, the workers die: once they did nothing, once all."""

    num_given = 0

    def submit(self, cells, contents):
        self.num_given += 1
        if self.num_given == 2:
            execute(cells, contents, self._context)
        if self.num_given > 3:
            return super().submit(cells, contents)
        future: Future[list[Outcome]] = Future()
        future.set_result([Outcome(cell.name, "lost") for cell in cells])
        return future


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return run_by(InProcess, folder, groups=1)


def run_by(executor, folder, *, groups):
    from tiny_runs import TINY

    from lottery_ticket.spec import spec_from_mapping

    spec = spec_from_mapping(TINY | {"arms": ["ticket", "reinit", "random"], "replicates": 2})
    store = Store(folder)
    context = Context(store, group=groups)
    outcome = run_plan(planned(spec), store, context, executor=executor)
    assert outcome.is_complete, outcome.failures
    assert outcome.num_made + outcome.num_found == len(planned(spec).cells)
    assert not store.work_names()
    return digests(folder)


def check_executor(executor, folder, undisturbed):
    assert run_by(executor, folder, groups=1) == undisturbed


def check_group(executor, folder, tiny):
    made = planned(tiny(arms=["ticket"], replicates=3))
    Store(folder).open_for_writing()
    dense = [cell for cell in made.cells.values() if not cell.parents and cell.kind == "train"]
    assert len(dense) == 3
    with executor(Context(Store(folder), group=3)) as executing:
        assert executing.slots >= 1
        for status in ("made", "found"):
            told = executing.submit(dense, [{}] * 3).result(timeout=120)
            assert [outcome.cell for outcome in told] == [cell.name for cell in dense]
            assert {outcome.status for outcome in told} == {status}
            assert all(outcome.content for outcome in told)


@pytest.mark.parametrize("name", EXECUTORS)
def test_of_a_group_each_cell_has_an_outcome(name, tmp_path, tiny):
    check_group(EXECUTORS[name], tmp_path, tiny)


def test_what_is_lost_is_tried_again(tmp_path, undisturbed):
    check_executor(Dies, tmp_path, undisturbed)


@pytest.mark.parametrize("isolated", [False, True])
def test_a_cell_that_kills_its_worker_again_and_again_has_failed(isolated, tmp_path, tiny):
    class Kills(Threads):
        is_isolated = isolated

        def submit(self, cells, contents):
            if cells[0].label.level != 1 or cells[0].kind != "train":
                return super().submit(cells, contents)
            future: Future[list[Outcome]] = Future()
            future.set_result([Outcome(cell.name, "lost") for cell in cells])
            return future

    store = Store(tmp_path)
    outcome = run_plan(planned(tiny()), store, Context(Store(tmp_path)), executor=Kills)
    assert not outcome.is_complete
    assert all("its worker process died twice" in said for said in outcome.failures.values())
    assert len(outcome.failures) == 2  # ticket and reinit
    assert outcome.num_made > 0


class LosesFirst(Threads):
    """Loses its first group, and holds the second until a cell of the first is back, or for
    seconds: then everybody waited for the first."""

    is_isolated = True
    everybody_waited = False
    first: tuple[str, ...] = ()
    sizes: ClassVar[list[int]] = []  # of the groups that cells of the first came back in

    def __init__(self, context):
        super().__init__(context)
        type(self).sizes = []
        self._is_back = threading.Event()
        self._num_given = 0

    def submit(self, cells, contents):
        self._num_given += 1
        names = [cell.name for cell in cells]
        if self._num_given == 1:
            type(self).first = tuple(names)
            future: Future[list[Outcome]] = Future()
            future.set_result([Outcome(name, "lost") for name in names])
            return future
        if not set(names).isdisjoint(self.first):
            self.sizes.append(len(names))
            self._is_back.set()
        if self._num_given == 2:
            return self._threads.submit(self._held, cells, contents)
        return super().submit(cells, contents)

    def _held(self, cells, contents):
        type(self).everybody_waited = not self._is_back.wait(timeout=self.patience_seconds)
        return execute(cells, contents, self._context)

    patience_seconds = 60.0


class Pauses(LosesFirst):
    is_isolated = False
    patience_seconds = 1.0


@pytest.mark.parametrize("executor", [LosesFirst, Pauses])
def test_where_workers_are_isolated_nobody_waits_for_what_was_lost(executor, tmp_path, undisturbed):
    check_executor(executor, tmp_path, undisturbed)
    assert executor.everybody_waited == (not executor.is_isolated)


def test_of_a_lost_group_each_is_tried_by_itself(tmp_path, tiny):
    spec = tiny(arms=["ticket"], replicates=4)
    context = Context(Store(tmp_path), group=2)
    outcome = run_plan(planned(spec), Store(tmp_path), context, executor=LosesFirst)
    assert outcome.is_complete
    assert (len(LosesFirst.first), LosesFirst.sizes) == (2, [1, 1])


class Swaps(Threads):
    """Tells of another cell what became of one."""

    def submit(self, cells, contents):
        told: Future[list[Outcome]] = Future()
        found = execute(cells, contents, self._context)
        told.set_result([replace(outcome, content="0" * 64) for outcome in found])
        return told


class Forgets(Threads):
    """Says nothing of the last cell of a group."""

    def submit(self, cells, contents):
        told: Future[list[Outcome]] = Future()
        told.set_result(execute(cells, contents, self._context)[:-1])
        return told


class SaysSo(Threads):
    """Says that it made what it did not."""

    def submit(self, cells, contents):
        told: Future[list[Outcome]] = Future()
        told.set_result([Outcome(cell.name, "made", "0" * 64) for cell in cells])
        return told


@pytest.mark.parametrize("wrong", [Swaps, Forgets, SaysSo])
def test_other_executors_are_caught(wrong, tmp_path, undisturbed):
    with pytest.raises((AssertionError, ValueError)):
        check_executor(wrong, tmp_path, undisturbed)
