"""Copies that break a law: plan → what to make of it in the place of `copy_runs`."""

from dataclasses import replace
from typing import Any

from small_cells import cell_folder

from lottery_ticket.store import CopyPlan, CopyStep, Store, copy_runs


class _Other:
    """A store but for some of its verbs."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class _Unchecked(_Other):
    def read(self, record, file_name):
        return (cell_folder(self.store, record.name) / file_name).read_bytes()


class _Forgetful(_Other):
    def commit(self, claim, record, files, execution):
        return self.store.commit(claim, record, files, {**execution, "host": "here"})


class _Replaced(_Other):
    def finished(self, name):
        self.store.discard(name)


def reads_without_checksums(plan: CopyPlan):
    return copy_runs(replace(plan, source=_Unchecked(plan.source)))


def forgets_how_it_ran(plan: CopyPlan):
    return copy_runs(replace(plan, target=_Forgetful(plan.target)))


def replaces_what_differs(plan: CopyPlan):
    steps = tuple(CopyStep(name, 0) for name in plan.differing)
    return copy_runs(replace(plan, target=_Replaced(plan.target), steps=(*steps, *plan.steps)))


def takes_what_hangs_on_others(plan: CopyPlan):
    steps = tuple(CopyStep(name, 0) for name in plan.unfit)
    return copy_runs(replace(plan, contents={}, unfit=(), steps=(*plan.steps, *steps)))


def children_first(plan: CopyPlan):
    return copy_runs(replace(plan, steps=plan.steps[::-1]))


def the_run_first(plan: CopyPlan):
    plan.target.open_for_writing()
    for run in plan.runs:
        plan.target.save_run(run)
    return copy_runs(plan)


def never_again(plan: CopyPlan):
    return copy_runs(replace(plan, steps=() if plan.contents else plan.steps))
