"""Engines that break a law. Each is called in a process of its own, and puts a wrong part there."""

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from checkpoints import rewritten

from lottery_ticket import files
from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import KINDS, Pace
from lottery_ticket.experiment.executors.local import Pool
from lottery_ticket.store import LocalDesk, LocalStore, LockClaim
from lottery_ticket.store._lease import Lease
from lottery_ticket.store.local.desk import LeasedDesk
from lottery_ticket.train import Batches


def trains_by(wrong: Callable[..., Any]) -> None:
    """Train from now on by `wrong`, which gets the maker there was, and what that gets."""
    kind = KINDS["train"]
    KINDS["train"] = replace(kind, make=partial(wrong, kind.make))


# checkpoints


def _continues_from(change) -> None:
    """A checkpoint is read as something else."""

    def wrong(train, cell, parents, workspace):
        data = workspace.desk.read("checkpoint", 1 << 30)
        if data is not None:
            workspace.desk.write("checkpoint", rewritten(data, change))
        return train(cell, parents, workspace)

    trains_by(wrong)


def forgets_the_optimizer() -> None:
    def change(tensors):
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            del tensors[name]

    _continues_from(change)


def forgets_the_random_state() -> None:
    fresh = torch.Generator().manual_seed(0).get_state()
    _continues_from(lambda tensors: tensors.update({"rng.cpu": fresh}))


def goes_back_to_the_first_batch() -> None:
    order = Batches.order
    Batches.order = lambda batches, number, start=0: order(batches, number)


def starts_from_scratch() -> None:
    def wrong(train, cell, parents, workspace):
        workspace.desk.write("checkpoint", b"")
        return train(cell, parents, workspace)

    trains_by(wrong)


def makes_no_checkpoint() -> None:
    def wrong(train, cell, parents, workspace):
        never = Pace(look_seconds=0.0, checkpoint_seconds=math.inf)
        return train(cell, parents, replace(workspace, pace=never))

    trains_by(wrong)


def writes_checkpoints_in_place() -> None:
    files.aside_of = lambda path: path


# stopping


def hears_no_stop() -> None:
    def wrong(train, cell, parents, workspace):
        deaf = replace(workspace, must_stop=lambda: workspace.must_stop() and False)
        return train(cell, parents, deaf)

    trains_by(wrong)


# what is finished, and who works on what is not


def takes_nothing_for_finished() -> None:
    def wrong(store, name):
        store.discard(name)

    LocalStore.checked = wrong


def clears_before_it_commits() -> None:
    commit = LocalStore.commit

    def wrong(store, claim, record, written, execution):
        claim.clear()
        return commit(store, claim, record, written, execution)

    LocalStore.commit = wrong


def takes_busy_for_failed() -> None:
    claim = LocalStore.claim

    def wrong(store, name):
        mine = claim(store, name)
        if mine is None:
            raise LotteryError("someone else is at it")
        return mine

    LocalStore.claim = wrong


def gives_up_with_its_worker() -> None:
    submit = Pool.submit

    def given_up(outcome):
        is_lost = outcome.status == "lost"
        return replace(outcome, status="failed", message="died") if is_lost else outcome

    def wrong(pool, cells, contents):
        told = Future()
        submit(pool, cells, contents).add_done_callback(
            lambda ran: told.set_result(list(map(given_up, ran.result())))
        )
        return told

    Pool.submit = wrong


class _Free:
    def release(self) -> None:
        """There is nothing to give back."""


def leaves_what_the_dead_had() -> None:
    """Who takes a lease over does not know whose work it is to go on with."""
    Lease.taken_over = lambda lease, seconds, is_lost: Lease(seconds=seconds)


def brings_its_folder_back() -> None:
    """What is written after a claim was lost makes the folder that was cleared."""
    write = LocalDesk.write

    def wrong(desk, name, data):
        desk.folder.mkdir(parents=True, exist_ok=True)
        write(desk, name, data)

    LeasedDesk.write = wrong


def grants_every_claim() -> None:
    def take(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return LockClaim(folder, _Free())

    LockClaim.take = take


def claims_the_whole_store() -> None:
    take = LockClaim.take

    def wrong(folder):
        folder.mkdir(parents=True, exist_ok=True)
        whole = take(folder.with_name("all"))
        return whole and LockClaim(folder, whole._lock)

    LockClaim.take = wrong


class _Existing:
    def __init__(self, path) -> None:
        self._path = path

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


def lets_the_dead_hold_their_claims() -> None:
    """A claim is that a file exists."""

    def take(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(folder / "claimed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return None
        return LockClaim(folder, _Existing(folder / "claimed"))

    LockClaim.take = take


# what a cell's bytes depend on


def orders_by_process() -> None:
    import order_by_process as order_by_process


def _seeded(change: Callable[[Any], dict[str, int]]) -> None:
    """Trainings have other seeds than their cells say."""

    def wrong(train, cell, parents, workspace):
        seeds = replace(cell.seeds, **change(cell.seeds))
        return train(replace(cell, seeds=seeds), parents, workspace)

    trains_by(wrong)


def orders_by_the_cells_before() -> None:
    """The order of the examples depends on how many cells this process has made."""
    made = []

    def change(seeds):
        made.append(seeds)
        return {"order": seeds.order + len(made)}

    _seeded(change)


def seeds_no_noise() -> None:
    """It draws on where the process's generator stands."""
    _seeded(lambda seeds: {"noise": int(torch.randint(2**62, ()))})


def records_the_time() -> None:
    def wrong(train, *arguments):
        started = time.time()
        made = train(*arguments)
        return replace(made, results={**made.results, "seconds": time.time() - started})

    trains_by(wrong)
